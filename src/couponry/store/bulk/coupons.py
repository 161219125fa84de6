"""Coupons in bulk: pools, codes in customers' hands, and customers' own records of shared codes. Codes are those of an upload.

What was issued elsewhere is taken as it was, so of the limits of issue only `maxCreate` is kept here.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, String, select

from couponry.core import ids
from couponry.core.codes import code_key, is_well_formed
from couponry.core.dates import local_from_wire, ms_from_local
from couponry.core.expiry import coupon_expiry_local, local_time
from couponry.core.figures import Tally
from couponry.core.identifiers import normal_mobile
from couponry.core.model import Handling, Org
from couponry.core.problem import Problem
from couponry.core.series import Series
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.bulk import Cells
from couponry.store.bulk.customers import customer_ids
from couponry.store.bulk.inserts import insert_many
from couponry.store.counting import Counting
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.rows import series_from_text
from couponry.store.statements import org_parameter

_COLUMNS: Final = (
    "id",
    "series_id",
    "code",
    "code_key",
    "holder_id",
    "revision",
    "customer_id",
    "issued_ms",
    "expires_local",
    "revoked_ms",
    "created_ms",
)
_STATES: Final = frozenset({"", "UNISSUED", "ISSUED", "REVOKED"})


@dataclass(slots=True)
class _Draft:
    """A coupon that may be made. `code_key` and `holder_id` are unique among those not revoked."""

    series: Series
    code: str
    code_key: str
    holder_id: int
    customer_id: int | None
    issued_ms: int | None
    expires_local: str | None
    is_revoked: bool


class Coupons:
    """`seriesCode, code, customerExternalId` (or `customerMobile`)`, state, issuedOn, validTillDateTime`."""

    columns = frozenset({"seriesCode", "code", "customerExternalId", "customerMobile", "state", "issuedOn", "validTillDateTime"})
    required = frozenset({"seriesCode", "code"})
    tables = (t.coupon, t.customer_series)

    def __init__(self, org: Org, now_ms: int) -> None:
        self.org, self.now_ms = org, now_ms
        self.now_local = local_time(now_ms // 1000, org.zone).replace(tzinfo=None)
        self._series: dict[str, Series | None] = {}

    def write(self, tx: WriteTransaction, rows: list[Cells], seen: set[Hashable]) -> list[Problem | None]:
        """Add each coupon whose code is free, and count those that are issued."""
        self._look_up_series(tx, rows)
        by_external_id = customer_ids(tx, self.org.id, "external_id", _distinct(row.get("customerExternalId") for row in rows))
        by_mobile = customer_ids(tx, self.org.id, "mobile", _distinct(self._mobile(row) for row in rows))
        drafts = [self._draft(row, by_external_id, by_mobile) for row in rows]
        sound = [draft for draft in drafts if not isinstance(draft, Problem)]
        taken = self._taken(tx, sound) | seen
        left = self._issues_left(tx, sound)
        problems: list[Problem | None] = []
        new: list[_Draft] = []
        for draft in drafts:
            problem = draft if isinstance(draft, Problem) else _problem(draft, taken, left)
            problems.append(problem)
            if problem or isinstance(draft, Problem):
                continue
            new.append(draft)
            if not draft.is_revoked:
                taken.add((draft.code_key, draft.holder_id))
                seen.add((draft.code_key, draft.holder_id))
            if draft.issued_ms is not None:
                left[draft.series.id] -= 1
        if new:
            self._create(tx, new)
        return problems

    def _look_up_series(self, tx: ReadTransaction, rows: list[Cells]) -> None:
        """Read the series that this chunk names: a cap may have been set since the last one."""
        wanted = {code_key(row["seriesCode"]) for row in rows}
        keys = tx.dialect.keys("wanted", String())
        version = t.series_version.c
        current = (version.org_id == org_parameter(), version.series_id == t.series.c.id, version.version == t.series.c.version)
        found = (
            select(t.series.c.code_key, t.series.c.id, version.version, version.terms)
            .select_from(keys.probing(t.series, "code_key", index="uq_series_code"))
            .join(t.series_version, current[0] & current[1] & current[2])
        )
        self._series = dict.fromkeys(wanted)
        for key, *parts in tx.rows(found, {org_parameter().key: self.org.id, **keys.bound([(key,) for key in wanted])}):
            self._series[key] = series_from_text(*parts)

    def _mobile(self, row: Cells) -> str | None:
        text = row.get("customerMobile")
        return normal_mobile(text, self.org.country_code, self.org.settings.mobile_digits) if text else None

    def _draft(self, row: Cells, by_external_id: dict[str, int], by_mobile: dict[str, int]) -> _Draft | Problem:
        series = self._series[code_key(row["seriesCode"])]
        code, state = row["code"].strip(), row.get("state", "").strip().upper()
        if series is None:
            return Problem(707, "Coupon Series ID is invalid", f"no series has the code {row['seriesCode']}")
        if not is_well_formed(code):
            return Problem(702, "Coupon code is invalid")
        external_id, mobile = row.get("customerExternalId", "").strip(), row.get("customerMobile", "").strip()
        is_tagged = bool(external_id or mobile)
        customer_id = by_external_id.get(external_id) if external_id else by_mobile.get(self._mobile(row) or "")
        if is_tagged and customer_id is None:
            return Problem(701, "The customer could not be found. Please check mobile, email, external id passed")
        if state not in _STATES or (state == "UNISSUED" and is_tagged):
            return Problem(629, "Invalid Input", "state is none of UNISSUED (without customer), ISSUED, REVOKED")
        is_shared = series.terms.client_handling_type is Handling.SHARED
        if is_shared and (code_key(code) != code_key(series.terms.generic_code or "") or customer_id is None):
            return Problem(633, "invalid coupon code", "a shared code is imported with its series; a row gives it to a customer")
        is_issued = is_tagged or state == "ISSUED" or (state == "REVOKED" and bool(row.get("issuedOn")))
        if series.terms.external_issual:  # issued by others: here it belongs to a customer, or to whoever redeems it first
            is_issued = is_tagged
        try:
            issued_ms, expires = self._times(row, series, is_issued=is_issued)
        except (ValueError, OverflowError) as error:
            return Problem(629, "Invalid Input", f"issuedOn or validTillDateTime is {error}")
        holder_id = customer_id if is_shared and customer_id else 0
        return _Draft(series, code, code_key(code), holder_id, customer_id, issued_ms, expires, is_revoked=state == "REVOKED")

    def _times(self, row: Cells, series: Series, *, is_issued: bool) -> tuple[int | None, str | None]:
        """When it was issued, and its own expiry in the series' zone; a coupon of a pool has neither until it is issued."""
        given, expiry_given = row.get("issuedOn", "").strip(), row.get("validTillDateTime", "").strip()
        issued_local = local_from_wire(given, self.org.zone) if given else self.now_local
        issued_ms = None
        if is_issued:
            issued_ms = ms_from_local(issued_local, self.org.zone) if given else self.now_ms
        expires: datetime | None = None
        if expiry_given:
            expires = local_from_wire(expiry_given, series.zone)
        elif is_issued:
            expires = coupon_expiry_local(series.terms, issued_local.date(), series.expires_local)
        return issued_ms, expires.isoformat() if expires else None

    def _taken(self, tx: ReadTransaction, drafts: list[_Draft]) -> set[Hashable]:
        """Which of these codes and records there are already."""
        keys = tx.dialect.keys("wanted", String(), BigInteger())
        match = keys.probing(t.coupon, "code_key", "holder_id", index="uq_coupon_code")
        found = select(t.coupon.c.code_key, t.coupon.c.holder_id).select_from(match).where(t.coupon.c.revision == 0)
        wanted = keys.bound([(draft.code_key, draft.holder_id) for draft in drafts])
        return {tuple(row) for row in tx.rows(found, {org_parameter().key: self.org.id, **wanted})}

    def _issues_left(self, tx: WriteTransaction, drafts: list[_Draft]) -> dict[int, int]:
        """How many more coupons each series may issue: all of these where no cap is, else by the counter, which stays locked."""
        left = {draft.series.id: len(drafts) for draft in drafts}
        capped = sorted({draft.series.id for draft in drafts if draft.series.terms.max_create >= 0})
        if not capped:
            return left
        counter = t.series_counter.c
        keys = tx.dialect.keys("wanted", BigInteger())
        room = counter.issued_max - counter.issued_elsewhere - counter.issued
        found = select(counter.series_id, room).where(counter.stripe == t.CAPPED_STRIPE)
        locked = found.select_from(keys.probing(t.series_counter, "series_id")).order_by(counter.series_id)
        wanted = {org_parameter().key: self.org.id, **keys.bound([(series_id,) for series_id in capped])}
        left.update(dict(tx.rows(tx.dialect.locked(locked, t.series_counter), wanted)))
        return left

    def _create(self, tx: WriteTransaction, new: list[_Draft]) -> None:
        org_id, now_ms, dialect = self.org.id, self.now_ms, tx.dialect
        first = ids.first_id(ids.COUPON, org_id, serials.reserve(tx, org_id, serials.COUPON, len(new)))
        rows = []
        for coupon_id, draft in enumerate(new, first):
            revision, revoked_ms = (coupon_id, now_ms) if draft.is_revoked else (0, None)
            key = (coupon_id, draft.series.id, draft.code, draft.code_key, draft.holder_id, revision)
            rows.append((*key, draft.customer_id, draft.issued_ms, draft.expires_local, revoked_ms, now_ms))
        insert_many(tx, t.coupon, _COLUMNS, org_id, rows)
        uploaded = Counter(draft.series.id for draft in new if draft.series.terms.client_handling_type is Handling.UPLOADED)
        held: dict[tuple[int, ...], list[int]] = {}
        issued: dict[tuple[int, ...], list[int]] = {}
        for draft in new:
            if draft.issued_ms is None:
                continue
            issued.setdefault((draft.series.id, t.CAPPED_STRIPE), []).append(draft.issued_ms)
            if draft.customer_id is not None and not draft.is_revoked:
                held.setdefault((draft.customer_id, draft.series.id), []).append(draft.issued_ms)
        count = dialect.insert_or_add(t.customer_series, ("customer_id", "series_id"), ("issued",), ("last_issued_ms",))
        tx.write(count, org_id, _counted(held))
        if uploaded:  # of all series, so that this statement locks in order whatever the next one touches
            count = dialect.insert_or_add(t.series_counter, ("series_id", "stripe"), ("uploaded",), ())
            named = sorted({draft.series.id for draft in new})
            tx.write(count, org_id, [(series_id, t.CAPPED_STRIPE, uploaded[series_id]) for series_id in named])
        count = dialect.insert_or_add(t.series_counter, ("series_id", "stripe"), ("issued",), ("last_issued_ms",))
        tx.write(count, org_id, _counted(issued))
        self._count_days(tx, new)

    def _count_days(self, tx: WriteTransaction, new: list[_Draft]) -> None:
        tally = Tally(self.org.zone)
        for draft in new:
            if draft.issued_ms is not None:
                tally.count("issued", draft.issued_ms, draft.series.id)
                tally.count("revoked", self.now_ms, draft.series.id, None, draft.is_revoked)
        Counting(tx.dialect).add(tx, self.org.id, tally)


def _problem(draft: _Draft, taken: set[Hashable], left: dict[int, int]) -> Problem | None:
    """What stands in the way of a sound coupon."""
    if not draft.is_revoked and (draft.code_key, draft.holder_id) in taken:
        if draft.holder_id:
            return Problem(5004, "more than one GENERIC coupon to a customer")
        return Problem(633, "invalid coupon code", "the code is there already")
    if draft.issued_ms is not None and left[draft.series.id] <= 0:
        return Problem(5001, "max create for series exceeded")
    return None


def _counted(times: dict[tuple[int, ...], list[int]]) -> list[tuple[Any, ...]]:
    """Rows of a counter in key order, as all writers lock them: key, how many, the latest."""
    return [(*key, len(instants), max(instants)) for key, instants in sorted(times.items())]


def _distinct(values: Iterable[object]) -> list[str]:
    return list({text for value in values if (text := str(value or "").strip())})
