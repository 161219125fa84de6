"""Numbers handed out once: per org and kind, in blocks, each block committed with what uses it or lost."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from sqlalchemy import text

from couponry.core.limits import ORG_BITS, SERIAL_BITS
from couponry.store.engine import ReadTransaction, WriteTransaction

# Zones, concepts, stores, tills, clients and users share one kind: a list of store ids may name tills too (rules 8), so that
# two of them with one id would open a series at a till that nobody listed.
ENTITY: Final = "entity"
ORG: Final = "org"
SERIES: Final = "series"
CAMPAIGN: Final = "campaign"
CUSTOMER: Final = "customer"
COUPON: Final = "coupon"
REDEMPTION: Final = "redemption"
REFUSAL: Final = "refusal"
OUTBOX: Final = "outbox"
TRANSACTION: Final = "transaction"
OTP: Final = "otp"
MISSED_CALL: Final = "missed_call"
JOB: Final = "job"
UPLOAD: Final = "upload"
WEBHOOK: Final = "webhook"
DELIVERY: Final = "delivery"
AUDIT: Final = "audit"
DRAFT: Final = "draft"
LAUNCH: Final = "launch"
APPROVAL: Final = "approval"
POSITION: Final = "position"
FIRST: Final[Mapping[str, int]] = {ORG: 1001, ENTITY: 301, SERIES: 5001, CAMPAIGN: 7001, CUSTOMER: 90001}
# The owner of the numbers that belong to no org: the orgs' own.
NO_ORG: Final = 0


class Ids(Protocol):
    """Ids in a row, each handed out once."""

    @property
    def upcoming(self) -> int:
        """The id that comes next."""

    def __iter__(self) -> Iterator[int]:
        """Itself."""

    def __next__(self) -> int:
        """One id."""


class BatchIds(NamedTuple):
    """As many ids as a batch can need."""

    redemptions: Iterator[int]
    coupons: Iterator[int]
    refusals: Iterator[int]
    outbox: Ids


_RESERVE: Final = text(
    "INSERT INTO serial (org_id, kind, next) VALUES (:org, :kind, :after) "
    "ON CONFLICT (org_id, kind) DO UPDATE SET next = serial.next + :count RETURNING next"
)


_UPCOMING: Final = text("SELECT next FROM serial WHERE org_id = :org AND kind = :kind")


_RESERVE_CODES: Final = text(
    "UPDATE series SET codes_made = codes_made + :count WHERE org_id = :org AND id = :series RETURNING codes_made"
)


def reserve_codes(tx: WriteTransaction, org_id: int, series_id: int, count: int) -> int:
    """The first of `count` code serials of a series, which nobody else will get; the first of all is 0."""
    found = tx.connection.execute(_RESERVE_CODES, {"org": org_id, "series": series_id, "count": count}).scalar_one()
    return int(found) - count


def upcoming(tx: ReadTransaction, org_id: int, kind: str) -> int:
    """The serial that comes next, unless somebody else gets it before."""
    rows = tx.rows(_UPCOMING, {"org": org_id, "kind": kind})
    return int(rows[0].next) if rows else FIRST.get(kind, 1)


def reserve(tx: WriteTransaction, org_id: int, kind: str, count: int = 1) -> int:
    """The first of `count` serials in a row that nobody else will get. Kinds without an entry in `FIRST` start at 1."""
    assert 0 < count < 1 << SERIAL_BITS
    first = FIRST.get(kind, 1)
    after = tx.connection.execute(_RESERVE, {"org": org_id, "kind": kind, "after": first + count, "count": count}).scalar_one()
    assert kind != ORG or after <= 1 << ORG_BITS, "the installation has used up its org ids"
    return int(after) - count
