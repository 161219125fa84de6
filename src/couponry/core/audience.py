"""Whom a job is for: every customer, a segment of them, or those that a file lists. Kept as JSON in the job's request.

`{"all": true}`, `{"segment": {...}}`, `{"uploadId": 7, "identifier": "mobile", "column": 2}`; null where a job is for nobody.
"""

from collections.abc import Callable
from typing import Final, Literal, get_args

from msgspec import Struct

from couponry.core.limits import COLUMNS_MAX, COUNT_MAX, NAME_CHARS_MAX, SEGMENT_ENTRIES_MAX
from couponry.core.problem import Problem
from couponry.core.status import Code

LoyaltyType = Literal["loyalty", "non_loyalty"]
ListKind = Literal["mobile", "email", "externalId", "cardnumber", "cardExternalId", "id"]
"""What customers are listed by: an identifier, or our own id."""

LIST_KINDS: Final[tuple[ListKind, ...]] = get_args(ListKind)
_ID_MAX: Final = 2**53 - 1


class Segment(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Customers that answer to all that is said here; what is not said does not matter, so `{}` is everybody.

    `loyalty_type`: members of the loyalty programme, or only those who are not.
    `registered_from`, `registered_to`: registered at or after, and at or before; epoch milliseconds.
    `store_ids`: registered at a till that now belongs to one of these stores.
    `redeemed_series_ids`: hold an active redemption in at least one of these series.
    `not_redeemed_series_ids`: hold an active redemption in none of these series.
    `min_transactions`, `max_transactions`: made at least, and at most, so many transactions.
    `status_labels`: carry one of these labels.
    """

    loyalty_type: LoyaltyType | None = None
    registered_from: int | None = None
    registered_to: int | None = None
    store_ids: tuple[int, ...] = ()
    redeemed_series_ids: tuple[int, ...] = ()
    not_redeemed_series_ids: tuple[int, ...] = ()
    min_transactions: int | None = None
    max_transactions: int | None = None
    status_labels: tuple[str, ...] = ()


class Audience(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Exactly one of three: `all` customers; those of a `segment`; those whom the file `upload_id` lists.

    A file names its customers by `identifier` in the cells of `column`, counted from 0; its first line is a header. 0 is left out
    of the JSON.
    """

    all: bool = False
    segment: Segment | None = None
    upload_id: int | None = None
    identifier: ListKind | None = None
    column: int = 0


EVERYBODY: Final = Audience(all=True)


class SentSegment(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A segment as it is asked for: the same with instants in ISO-8601."""

    loyalty_type: LoyaltyType | None = None
    registered_from: str | None = None
    registered_to: str | None = None
    store_ids: list[int] | None = None
    redeemed_series_ids: list[int] | None = None
    not_redeemed_series_ids: list[int] | None = None
    min_transactions: int | None = None
    max_transactions: int | None = None
    status_labels: list[str] | None = None


def segment_of(sent: SentSegment, instant_ms: Callable[[str], int | None]) -> Segment | Problem:
    """The segment that is asked for, or what is wrong with it. `instant_ms` reads an instant, None for what is none."""
    first_ms, last_ms = _instant(sent.registered_from, instant_ms), _instant(sent.registered_to, instant_ms)
    ids = (sent.store_ids, sent.redeemed_series_ids, sent.not_redeemed_series_ids)
    counts, labels = (sent.min_transactions, sent.max_transactions), sent.status_labels
    if isinstance(first_ms, str) or isinstance(last_ms, str):
        return _bad("registeredFrom and registeredTo are instants in ISO-8601")
    if first_ms is not None and last_ms is not None and first_ms > last_ms:
        return _bad("registeredFrom is after registeredTo")
    if any(listed is not None and not 0 < len(listed) <= SEGMENT_ENTRIES_MAX for listed in (*ids, labels)):
        return _bad(f"a list of a segment has 1 to {SEGMENT_ENTRIES_MAX:,} entries")
    if any(not 0 < entry <= _ID_MAX for listed in ids for entry in listed or ()):
        return _bad("storeIds, redeemedSeriesIds and notRedeemedSeriesIds are ids")
    if any(not 0 < len(label) <= NAME_CHARS_MAX or "\0" in label or not _is_text(label) for label in labels or ()):
        return _bad("statusLabels are labels")
    if any(count is not None and not 0 <= count <= COUNT_MAX for count in counts):
        return _bad(f"minTransactions and maxTransactions are from 0 to {COUNT_MAX}")
    if sent.min_transactions is not None and sent.max_transactions is not None and sent.min_transactions > sent.max_transactions:
        return _bad("minTransactions is more than maxTransactions")
    return Segment(
        loyalty_type=sent.loyalty_type,
        registered_from=first_ms,
        registered_to=last_ms,
        store_ids=_unique(sent.store_ids),
        redeemed_series_ids=_unique(sent.redeemed_series_ids),
        not_redeemed_series_ids=_unique(sent.not_redeemed_series_ids),
        min_transactions=sent.min_transactions,
        max_transactions=sent.max_transactions,
        status_labels=tuple(dict.fromkeys(labels or ())),
    )


def listed(upload_id: int, identifier: str, column: int) -> Audience | Problem:
    """The audience that a file lists."""
    if identifier not in LIST_KINDS:
        return _bad(f"identifier is one of {', '.join(LIST_KINDS)}")
    if not 0 <= column < COLUMNS_MAX:
        return _bad(f"column is from 0 to {COLUMNS_MAX - 1}")
    return Audience(upload_id=upload_id, identifier=identifier, column=column)


def _instant(sent: str | None, instant_ms: Callable[[str], int | None]) -> int | str | None:
    if sent is None:
        return None
    at_ms = instant_ms(sent)
    return sent if at_ms is None else at_ms


def _unique(ids: list[int] | None) -> tuple[int, ...]:
    return tuple(sorted(set(ids or ())))


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _bad(detail: str) -> Problem:
    return Problem(Code.INVALID_INPUT.number, Code.INVALID_INPUT.message, detail)
