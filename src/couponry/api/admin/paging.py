"""Pages of admin lists, newest first: `{"items": [...], "next": cursor}`. A cursor is the id of the last item of its page."""

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from msgspec import Struct

from couponry.api.admin.queries import bad, is_number, text
from couponry.api.call import Call
from couponry.api.operation import Parameter
from couponry.core.limits import PAGE_ITEMS, PAGE_ITEMS_MAX
from couponry.core.problem import Problem

T = TypeVar("T")
R = TypeVar("R")

PARAMETERS: Final = (
    Parameter("limit", "query", f"at most so many items, 1-{PAGE_ITEMS_MAX}; {PAGE_ITEMS} unless given"),
    Parameter("cursor", "query", "`next` of the page before"),
)


class Page(Struct, frozen=True):
    """Which items to read: those with an id below `before_id`, and one more than `limit`, which tells whether more follow."""

    limit: int
    before_id: int | None


class Listed(Struct, Generic[T], frozen=True):
    """A page; `next` is the cursor of the page that follows, if there is one."""

    items: list[T]
    next: str | None


def page_of(call: Call) -> Page | Problem:
    """The page that a request asks for."""
    limit, cursor = text(call, "limit") or str(PAGE_ITEMS), text(call, "cursor")
    if not is_number(limit) or not 0 < int(limit) <= PAGE_ITEMS_MAX:
        return bad(f"limit must be from 1 to {PAGE_ITEMS_MAX}")
    if cursor and not is_number(cursor):
        return bad("cursor is of no page")
    return Page(int(limit), int(cursor) if cursor else None)


def listed(page: Page, rows: Sequence[R], id_of: Callable[[R], int], shown: Callable[[R], T]) -> Listed[T]:
    """The page of rows that were read for it: `limit + 1` of them where there are so many."""
    kept = rows[: page.limit]
    return Listed([shown(row) for row in kept], str(id_of(kept[-1])) if len(rows) > page.limit else None)
