"""`GET /admin/v1/refusals`: what was refused, newest first, each with the question that explains it."""

from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import urlencode

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.api import times
from couponry.api.admin.explain import PATH as EXPLAIN
from couponry.api.admin.queries import bad, identifiers, is_number, storable, text
from couponry.api.call import Call, Reply
from couponry.api.envelopes import ProblemDetails, admin_failure, problem
from couponry.api.operation import Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.render import number
from couponry.core.findings import money
from couponry.core.limits import PAGE_ITEMS_MAX
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store import refusals
from couponry.store.engine import ReadTransaction

_PATH: Final = "/admin/v1/refusals"
_PAGE_ITEMS: Final = 50
_ENCODE: Final = msgspec.json.Encoder().encode


class Refusal(Struct, frozen=True, rename="camel"):
    """A refusal as it was recorded; `explain` is where to read more of it, null for an issue: it named no coupon to explain."""

    id: int
    code: int
    message: str
    refused_at: str
    code_sent: str
    coupon_id: int | None
    series_id: int | None
    customer_id: int | None
    till: str
    transaction_number: str
    amount: int | float | None
    request_id: str
    explain: str | None


class RefusalPage(Struct, frozen=True):
    """Refusals, newest first; `next` is the cursor of what follows, if something may. A page can be empty and have a next."""

    items: list[Refusal]
    next: str | None


OPERATIONS: Final = (
    Operation(
        _PATH,
        "get",
        "Refused redemptions and issues, newest first; an issue has neither codeSent nor couponId, and no explain",
        RefusalPage,
        ProblemDetails,
        parameters=(
            Parameter("code", "query", "of the coupon with this code or id"),
            Parameter("customer", "query", "of this customer, as explain takes it"),
            Parameter("till", "query", "at the till with this code"),
            Parameter("limit", "query", f"1-{PAGE_ITEMS_MAX}, {_PAGE_ITEMS} unless given", is_number=True),
            Parameter("cursor", "query", "`next` of the page before"),
        ),
        codes=(Code.INVALID_INPUT,),
        refusal_status=400,
    ),
)


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {_PATH: Refusals(parts)}


class Refusals:
    """What has been refused, as it was recorded."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """A page of refusals."""
        org = org_of(req)
        wanted = org if isinstance(org, Code) else _wanted(req, org)
        if isinstance(wanted, Problem):
            problem(wanted).write(resp)
            return
        page = wanted if isinstance(wanted, Code) else await self._parts.back_office.read(partial(_page, wanted))
        if isinstance(page, Code):
            admin_failure(page).write(resp)
            return
        assert isinstance(org, Org), "nothing is found without an org"
        Reply(200, _ENCODE(_listed(page, org))).write(resp)


def _page(wanted: refusals.Wanted, tx: ReadTransaction) -> refusals.Page:
    return refusals.page(tx, wanted)


def _wanted(call: Call, org: Org) -> refusals.Wanted | Problem:
    limit_text, cursor = text(call, "limit") or str(_PAGE_ITEMS), text(call, "cursor")
    limit = int(limit_text) if is_number(limit_text) else 0
    if not 0 < limit <= PAGE_ITEMS_MAX:
        return bad(f"limit must be from 1 to {PAGE_ITEMS_MAX}")
    if cursor and not is_number(cursor):
        return bad("cursor is of no page")
    return refusals.Wanted(
        org_id=org.id,
        name=storable(text(call, "code").strip()),
        customer=identifiers(call, org),
        till_code=storable(text(call, "till").strip()),
        before_id=int(cursor) if cursor else None,
        limit=limit,
    )


def _listed(page: refusals.Page, org: Org) -> RefusalPage:
    return RefusalPage([_refusal(row, org) for row in page.refusals], None if page.next_id is None else str(page.next_id))


def _refusal(row: refusals.Recorded, org: Org) -> Refusal:
    asked = {
        "code": row.code_sent or row.coupon_id,
        "customer": row.customer_id and f"id:{row.customer_id}",
        "till": row.till_code,
        "amount": None if row.amount is None else money(row.amount),
        "transactionNumber": row.transaction_number,
        "time": row.refused_ms,
        "redemptionTime": row.at_ms,
    }
    return Refusal(
        id=row.id,
        code=row.status.number,
        message=row.status.message,
        refused_at=times.shown(row.refused_ms, org.zone),
        code_sent=row.code_sent,
        coupon_id=row.coupon_id,
        series_id=row.series_id,
        customer_id=row.customer_id,
        till=row.till_code,
        transaction_number=row.transaction_number,
        amount=None if row.amount is None else number(row.amount),
        request_id=row.request_id,
        explain=_link(asked) if asked["code"] else None,
    )


def _link(asked: Mapping[str, object]) -> str:
    return f"{EXPLAIN}?{urlencode({name: value for name, value in asked.items() if value not in (None, '')})}"
