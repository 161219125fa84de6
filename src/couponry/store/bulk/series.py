"""Series in bulk: their first version, their counter with its caps, the row of a shared code, and their audience."""

from collections.abc import Callable, Hashable
from typing import Any, Final

import msgspec
from sqlalchemy import String, select

from couponry.core import ids
from couponry.core.codes import code_key
from couponry.core.model import Org, Terms
from couponry.core.problem import Problem
from couponry.core.rules.series import MANDATORY, WIRE_NAMES, terms_from_wire
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.bulk import Cells
from couponry.store.bulk.customers import customer_ids
from couponry.store.dialect import org_parameter
from couponry.store.engine import ReadTransaction, WriteTransaction

_AUDIENCE: Final = "couponSeriesAudience"
_UNSAVED: Final = "Couldn't save coupon series fields"


class SeriesRows:
    """The fields of CouponSeriesV2, the owner's included; `couponSeriesAudience` lists external ids of customers."""

    columns = frozenset(WIRE_NAMES | {_AUDIENCE})
    required = frozenset(MANDATORY)
    tables = (t.series, t.series_version, t.series_counter, t.series_audience, t.coupon)

    def __init__(self, org: Org, now_ms: int, new_code: Callable[[], str]) -> None:
        self.org, self.now_ms, self.new_code = org, now_ms, new_code

    def write(self, tx: WriteTransaction, rows: list[Cells], seen: set[Hashable]) -> list[Problem | None]:
        """Create each series whose terms are sound and whose codes nobody has."""
        drafts = [self._draft(row) for row in rows]
        sound = [draft for draft in drafts if not isinstance(draft, Problem)]
        taken = self._taken_codes(tx, sound) | self._taken_shared_codes(tx, sound)
        audience = customer_ids(tx, self.org.id, "external_id", [name for _, names in sound for name in names])
        taken |= seen
        problems: list[Problem | None] = []
        new: list[tuple[Terms, list[int]]] = []
        for draft in drafts:
            problem = draft if isinstance(draft, Problem) else _problem(*draft, taken, audience)
            problems.append(problem)
            if not problem and not isinstance(draft, Problem):
                taken.update(_keys(draft[0]))
                seen.update(_keys(draft[0]))
                new.append((draft[0], sorted({audience[name] for name in draft[1]})))
        if new:
            self._create(tx, new)
        return problems

    def _draft(self, cells: Cells) -> tuple[Terms, list[str]] | Problem:
        """The terms and the external ids of the audience. An empty cell is a field that was not sent, but for the series code."""
        given = {name: value for name, value in cells.items() if value != "" or name == "seriesCode"}
        try:
            audience = given.get(_AUDIENCE) or []
            names = msgspec.convert(msgspec.json.decode(audience) if isinstance(audience, str) else audience, list[str])
        except msgspec.MsgspecError:
            return Problem(744, _UNSAVED, f"{_AUDIENCE} is no list of external ids")
        given[_AUDIENCE] = names
        terms = terms_from_wire(given, self.org.zone, self.now_ms, new_code=self.new_code(), keeps_owner=True)
        return terms if isinstance(terms, Problem) else (terms, names)

    def _taken_codes(self, tx: ReadTransaction, drafts: list[tuple[Terms, list[str]]]) -> set[Hashable]:
        keys = tx.dialect.keys("wanted", String())
        found = select(t.series.c.code_key).select_from(keys.probing(t.series, "code_key", index="uq_series_code"))
        wanted = keys.bound([(code_key(terms.series_code),) for terms, _ in drafts])
        return {("series", row.code_key) for row in tx.rows(found, {org_parameter().key: self.org.id, **wanted})}

    def _taken_shared_codes(self, tx: ReadTransaction, drafts: list[tuple[Terms, list[str]]]) -> set[Hashable]:
        keys = tx.dialect.keys("wanted", String())
        found = (
            select(t.coupon.c.code_key)
            .select_from(keys.probing(t.coupon, "code_key", index="uq_coupon_code"))
            .where(t.coupon.c.revision == 0)
        )
        wanted = keys.bound([(code_key(terms.generic_code),) for terms, _ in drafts if terms.generic_code])
        return {("coupon", row.code_key) for row in tx.rows(found, {org_parameter().key: self.org.id, **wanted})}

    def _create(self, tx: WriteTransaction, new: list[tuple[Terms, list[int]]]) -> None:
        org_id, now_ms = self.org.id, self.now_ms
        first = serials.reserve(tx, org_id, serials.SERIES, len(new))
        numbered = [(first + at, terms, audience) for at, (terms, audience) in enumerate(new)]

        def put(table: Any, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:  # noqa: ANN401 - a sqlalchemy.Table
            tx.write(tx.dialect.insert(table, columns), org_id, rows)

        codes = [(series_id, code_key(terms.series_code), 1, now_ms) for series_id, terms, _ in numbered]
        put(t.series, ("id", "code_key", "version", "created_ms"), codes)
        versions = [(series_id, 1, msgspec.json.encode(terms).decode(), now_ms) for series_id, terms, _ in numbered]
        put(t.series_version, ("series_id", "version", "terms", "created_ms"), versions)
        caps = [(series_id, t.CAPPED_STRIPE, terms.max_create, terms.max_redeem) for series_id, terms, _ in numbered]
        put(t.series_counter, ("series_id", "stripe", "issued_max", "redeemed_max"), caps)
        audience = [(series_id, customer_id) for series_id, _, customers in numbered for customer_id in customers]
        put(t.series_audience, ("series_id", "customer_id"), audience)
        shared = [(series_id, terms.generic_code) for series_id, terms, _ in numbered if terms.generic_code]
        if shared:
            first_id = ids.first_id(ids.COUPON, org_id, serials.reserve(tx, org_id, serials.COUPON, len(shared)))
            rows = [(first_id + at, series_id, code, code_key(code), now_ms) for at, (series_id, code) in enumerate(shared)]
            put(t.coupon, ("id", "series_id", "code", "code_key", "created_ms"), rows)


def _problem(terms: Terms, names: list[str], taken: set[Hashable], audience: dict[str, int]) -> Problem | None:
    """What stands in the way of a sound series."""
    if ("series", code_key(terms.series_code)) in taken:
        return Problem(751, "coupon series with same series code is already present")
    if terms.generic_code and ("coupon", code_key(terms.generic_code)) in taken:
        return Problem(744, _UNSAVED, "genericCode is the code of another coupon")
    if unknown := [name for name in names if name not in audience]:
        return Problem(744, _UNSAVED, f"{_AUDIENCE} names {unknown[0]}, who is no customer")
    return None


def _keys(terms: Terms) -> list[Hashable]:
    shared: list[Hashable] = [("coupon", code_key(terms.generic_code))] if terms.generic_code else []
    return [("series", code_key(terms.series_code)), *shared]
