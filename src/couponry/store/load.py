"""Load: everything that a batch may touch, in a number of statements that does not depend on the batch's size.

Order matters twice. Locks are taken coupon first, then the customer's counters, then the series' counters, each sorted by key, so
two batches cannot deadlock. And the answers given before are read after the locks, so a repeat that waited for the first sees it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Integer, Select, String, cast, func, literal, select, union_all

from couponry.core import idempotency
from couponry.core.codes import code_key, is_well_formed
from couponry.core.commands import Claim, Command, Redeem
from couponry.core.limits import SERIES_CACHE_MAX
from couponry.core.model import Coupon, Handling, Org, Standing
from couponry.core.plan import Answer
from couponry.core.series import Series
from couponry.core.state import State, StoredAnswer
from couponry.store import schema as t
from couponry.store.dialect import Dialect, Keys, org_parameter
from couponry.store.engine import ReadTransaction, Stage
from couponry.store.rows import (
    COUPON_COLUMNS,
    CUSTOMER_COLUMNS,
    coupon_from_row,
    customer_from_row,
    org_from_rows,
    series_from_text,
)

_IDENTIFIER_COLUMNS: Final = {
    "id": t.customer.c.id,
    "mobile": t.customer.c.mobile,
    "email": t.customer.c.email,
    "externalId": t.customer.c.external_id,
    "cardnumber": t.customer.c.card_number,
    "cardExternalId": t.customer.c.card_external_id,
}
_IDENTIFIER_INDEXES: Final = {
    kind: "" if kind == "id" else f"uq_customer_{column.name}" for kind, column in _IDENTIFIER_COLUMNS.items()
}


class Loader:
    """The statements for one dialect, and the versions of orgs and of series terms, which never change once written."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.orgs: dict[tuple[int, int], Org | None] = {}
        self.series: dict[tuple[int, int, int], Series | None] = {}
        self._by_identifiers: dict[tuple[str, ...], tuple[Any, tuple[Keys, ...]]] = {}
        self.org = select(t.org).where(t.org.c.id == org_parameter())
        self.labels = select(t.status_label).where(t.status_label.c.org_id == org_parameter())
        self.ids = dialect.keys("ids", BigInteger())
        self.codes = dialect.keys("codes", String(), BigInteger())
        self.pairs = dialect.keys("pairs", BigInteger(), BigInteger())
        self.triples = dialect.keys("triples", BigInteger(), BigInteger(), BigInteger())
        self.versions = dialect.keys("versions", BigInteger(), Integer())
        self.digests = dialect.keys("digests", String())
        self.coupons_by_id = self._coupons_with_series(self.ids, "id")
        self.coupons_by_code = self._coupons_with_series(self.codes, "code_key", "holder_id", index="uq_coupon_code")
        self.locked_coupons = dialect.locked(
            select(*COUPON_COLUMNS).select_from(self.ids.probing(t.coupon, "id")).order_by(t.coupon.c.id), t.coupon
        )
        self.terms = select(t.series_version.c.series_id, t.series_version.c.version, t.series_version.c.terms).select_from(
            self.versions.probing(t.series_version, "series_id", "version")
        )
        standing = t.customer_series.c
        self.standings = (
            select(standing.customer_id, standing.series_id, standing.redeemed, standing.uses, standing.last_redeemed_ms)
            .select_from(self.pairs.probing(t.customer_series, "customer_id", "series_id"))
            .order_by(standing.customer_id, standing.series_id)
        )
        self.locked_standings = dialect.locked(self.standings, t.customer_series)
        redemption = t.redemption.c
        self.uses = (
            select(redemption.coupon_id, redemption.customer_id, func.count())
            .select_from(
                self.triples.probing(t.redemption, "customer_id", "series_id", "coupon_id", index="uq_redemption_customer_use")
            )
            .where(redemption.reversed_ms.is_(None))
            .group_by(redemption.coupon_id, redemption.customer_id)
        )
        counter = t.series_counter.c
        self.counters = (
            select(counter.series_id, (counter.redeemed + counter.redeemed_elsewhere).label("redeemed"))
            .select_from(self.ids.probing(t.series_counter, "series_id"))
            .where(counter.stripe == t.CAPPED_STRIPE)
            .order_by(counter.series_id)
        )
        self.locked_counters = dialect.locked(self.counters, t.series_counter)
        self.audience = select(t.series_audience.c.series_id, t.series_audience.c.customer_id).select_from(
            self.pairs.probing(t.series_audience, "series_id", "customer_id")
        )
        kept = t.idempotency.c
        self.answers = select(kept.digest, kept.fingerprint, kept.created_ms, kept.answer).select_from(
            self.digests.probing(t.idempotency, "digest")
        )
        self.reversed_ids = (
            select(redemption.id).select_from(self.ids.probing(t.redemption, "id")).where(redemption.reversed_ms.is_not(None))
        )
        self.answer_decoder = msgspec.msgpack.Decoder(Answer)

    def load(
        self,
        tx: ReadTransaction,
        org_id: int,
        commands: Sequence[Command],
        *,
        now_ms: int,
        redemption_ids: Iterator[int],
        coupon_ids: Iterator[int],
    ) -> State:
        """The state that `decide` needs for these commands of one org. In a write transaction, rows that limits depend on are
        locked and stay as read.
        """
        batch = _Batch(self, tx, org_id, commands)
        batch.state = state = State(now_ms, batch.org(), redemption_ids, coupon_ids)
        if state.org is None:
            return state
        tx.stage = Stage.CUSTOMERS
        batch.customers()
        tx.stage = Stage.COUPONS
        batch.coupons()
        tx.stage = Stage.COUNTERS
        batch.standings()
        batch.uses()
        batch.series_counters()
        batch.members()
        if tx.is_writing:
            batch.given_answers(state.org)
        return state

    def customers_by(self, kinds: tuple[str, ...]) -> tuple[Any, tuple[Keys, ...]]:
        """One statement that finds customers by these kinds of identifiers, and the key list of each kind."""
        if kinds not in self._by_identifiers:
            keys = tuple(self.dialect.keys(f"k_{kind}", _IDENTIFIER_COLUMNS[kind].type) for kind in kinds)
            arms = [
                select(literal(kind, String), cast(_IDENTIFIER_COLUMNS[kind], String), *CUSTOMER_COLUMNS).select_from(
                    listed.probing(t.customer, _IDENTIFIER_COLUMNS[kind].name, index=_IDENTIFIER_INDEXES[kind])
                )
                for kind, listed in zip(kinds, keys, strict=True)
            ]
            self._by_identifiers[kinds] = (union_all(*arms) if len(arms) > 1 else arms[0]), keys
        return self._by_identifiers[kinds]

    def _coupons_with_series(self, keys: Keys, *names: str, index: str = "") -> Select[Any]:
        """Coupons with what decides about their series outside its terms: its version, and its campaign."""
        same_series = (t.series.c.org_id == t.coupon.c.org_id) & (t.series.c.id == t.coupon.c.series_id)
        same_campaign = (t.campaign.c.org_id == t.series.c.org_id) & (t.campaign.c.id == t.series.c.campaign_id)
        source = keys.probing(t.coupon, *names, index=index).join(t.series, same_series).outerjoin(t.campaign, same_campaign)
        return select(*COUPON_COLUMNS, t.series.c.version, t.campaign.c.state, t.campaign.c.ends_ms).select_from(source)


class _Batch:
    """One load: the steps in order, each filling its part of the state."""

    state: State

    def __init__(self, loader: Loader, tx: ReadTransaction, org_id: int, commands: Sequence[Command]) -> None:
        self.loader = loader
        self.tx = tx
        self.org_id = org_id
        self.commands = commands
        self.shown: list[tuple[Coupon, int]] = []
        """Every coupon found, with every customer who shows it."""

    def org(self) -> Org | None:
        """The org by its current version; None when its settings cannot be used (795)."""
        row = self.tx.rows(self.loader.org, {"org": self.org_id})[0]
        version = (self.org_id, row.version)
        if version not in self.loader.orgs:
            labels = self.tx.rows(self.loader.labels, {"org": self.org_id})
            self.loader.orgs[version] = org_from_rows(row, labels)
        return self.loader.orgs[version]

    def customers(self) -> None:
        """Whom the identifiers of all commands mean."""
        wanted: dict[str, set[str]] = {}
        for command in self.commands:
            for kind, value in command.customer:
                wanted.setdefault(kind, set()).add(value)
        if not wanted:
            return
        kinds = tuple(sorted(wanted))
        statement, keys = self.loader.customers_by(kinds)
        parameters: dict[str, Any] = {"org": self.org_id}
        for kind, listed in zip(kinds, keys, strict=True):
            parameters |= listed.bound([(int(value) if kind == "id" else value,) for value in sorted(wanted[kind])])
        for row in self.tx.rows(statement, parameters):
            self.state.customers[row[0], row[1]] = customer_from_row(row[2:])

    def coupons(self) -> None:
        """The coupons that are named, the customers' own records of shared ones, and their series' terms."""
        by_id = {item.coupon_id for command in self.commands for item in command.items if item.code is None and item.coupon_id}
        named_rows = self._found(self.loader.coupons_by_id, self.loader.ids, [(key,) for key in sorted(by_id)]) if by_id else []
        shown = {row.id: code_key(row.code) for row in named_rows}
        keys: set[tuple[str, int]] = set()
        for command, customer_id in self._with_customers():
            for item in command.items:
                if item.code is not None and is_well_formed(item.code):
                    keys |= {(code_key(item.code), 0), (code_key(item.code), customer_id)}
                elif item.coupon_id in shown:
                    keys.add((shown[item.coupon_id], customer_id))
        rows = [*named_rows, *(self._found(self.loader.coupons_by_code, self.loader.codes, sorted(keys)) if keys else ())]
        for row in sorted(rows, key=lambda row: (row.revoked_ms is None, row.id)):  # of one code, the live coupon last: it counts
            self.state.coupons[row.id] = coupon_from_row(row)
            self.state.coupon_ids[code_key(row.code), row.holder_id] = row.id
            if row.state in ("PAUSED", "ENDED") or (row.ends_ms is not None and row.ends_ms < self.state.now_ms):
                self.state.halted.add(row.series_id)
        self._series({row.series_id: row.version for row in rows})
        self._lock_coupons()
        self.shown = [
            (self.state.coupons[coupon_id], customer_id)
            for command, customer_id in self._with_customers()
            for coupon_id in self._coupon_ids(command, customer_id)
        ]

    def _found(self, statement: Select[Any], keys: Keys, listed: Sequence[tuple[Any, ...]]) -> list[Any]:
        return self.tx.rows(statement, {"org": self.org_id, **keys.bound(listed)})

    def _series(self, versions: dict[int, int]) -> None:
        """The terms of each series' current version, decoded once per version and process; None when they cannot be used."""
        cache = self.loader.series
        missing = [
            (series_id, version) for series_id, version in versions.items() if (self.org_id, series_id, version) not in cache
        ]
        if missing:
            if len(cache) > SERIES_CACHE_MAX:
                cache.clear()
            for series_id, version, text in self._found(self.loader.terms, self.loader.versions, sorted(missing)):
                cache[self.org_id, series_id, version] = series_from_text(series_id, version, text)
        for series_id, version in versions.items():
            self.state.series[series_id] = cache.get((self.org_id, series_id, version))

    def _lock_coupons(self) -> None:
        """Lock the coupons that may be redeemed, and read them again; a shared code's own row is nobody's to lock."""
        if not self.tx.is_writing or not self.loader.dialect.locks_rows:
            return
        ids = sorted(coupon.id for coupon in self.state.coupons.values() if coupon.holder_id or not self._is_shared(coupon))
        if ids:
            for row in self._found(self.loader.locked_coupons, self.loader.ids, [(coupon_id,) for coupon_id in ids]):
                self.state.coupons[row.id] = coupon_from_row(row)

    def _is_shared(self, coupon: Coupon) -> bool:
        series = self.state.series[coupon.series_id]
        return series is not None and series.terms.client_handling_type is Handling.SHARED

    def standings(self) -> None:
        """What each customer has done in the series of the coupons shown."""
        pairs = sorted({(customer_id, coupon.series_id) for coupon, customer_id in self.shown})
        if not pairs:
            return
        statement = self.loader.locked_standings if self.tx.is_writing else self.loader.standings
        for customer_id, series_id, redeemed, uses, last_ms in self._found(statement, self.loader.pairs, pairs):
            self.state.standings[customer_id, series_id] = Standing(redeemed, uses, last_ms, is_stored=True)

    def uses(self) -> None:
        """How often each customer has redeemed each used coupon: asked where a coupon can be used again, and by every check."""
        used = sorted(
            {
                (customer_id, coupon.series_id, coupon.id)
                for coupon, customer_id in self.shown
                if coupon.redeemed and (not self.tx.is_writing or self._is_reusable(coupon))
            }
        )
        if used:
            for coupon_id, customer_id, count in self._found(self.loader.uses, self.loader.triples, used):
                self.state.uses[coupon_id, customer_id] = count

    def _is_reusable(self, coupon: Coupon) -> bool:
        series = self.state.series[coupon.series_id]
        return series is not None and series.terms.is_multiple_use_allowed

    def series_counters(self) -> None:
        """How often each capped series has been redeemed; a capped series without its counter cannot be judged (788)."""
        capped = sorted(series.id for series in self.state.series.values() if series and series.terms.max_redeem >= 0)
        if not capped:
            return
        statement = self.loader.locked_counters if self.tx.is_writing else self.loader.counters
        found = self._found(statement, self.loader.ids, [(series_id,) for series_id in capped])
        self.state.series_redeemed = {row.series_id: row.redeemed for row in found}
        self.state.series |= dict.fromkeys(set(capped) - self.state.series_redeemed.keys())

    def members(self) -> None:
        """Which customers belong to the audience of a series that has one."""
        pairs = set()
        for coupon, customer_id in self.shown:
            series = self.state.series[coupon.series_id]
            if series and series.terms.has_audience:
                pairs.add((series.id, customer_id))
        if pairs:
            self.state.audience = {tuple(row) for row in self._found(self.loader.audience, self.loader.pairs, sorted(pairs))}

    def given_answers(self, org: Org) -> None:
        """The answers given before under the commands' idempotency keys, and which of their redemptions have been reversed."""
        for position, (command, customer_id) in enumerate(self._with_customers()):
            if isinstance(command, Redeem):
                digest = idempotency.redeem_digest(command, customer_id or None, org)
                if digest:
                    self.state.digests[position] = digest
        digests = sorted(set(self.state.digests.values()))
        if not digests:
            return
        decode = self.loader.answer_decoder.decode
        for digest, fingerprint, created_ms, answer in self._found(
            self.loader.answers, self.loader.digests, [(digest,) for digest in digests]
        ):
            self.state.answers[digest] = StoredAnswer(fingerprint, created_ms, decode(answer), is_stored=True)
        redeemed = {item.redemption_id for stored in self.state.answers.values() for item in stored.answer.items}
        if redeemed:
            rows = self._found(self.loader.reversed_ids, self.loader.ids, [(key,) for key in sorted(redeemed)])
            self.state.reversed_ids = {row.id for row in rows}

    def _with_customers(self) -> Iterable[tuple[Command, int]]:
        """Each command with the first customer that its identifiers mean; 0 for nobody."""
        known = self.state.customers
        for command in self.commands:
            found = next((known[identifier] for identifier in command.customer if identifier in known), None)
            yield command, found.id if found else 0

    def _coupon_ids(self, claim: Claim, customer_id: int) -> Iterable[int]:
        """The coupons that a claim may be about: those named, and the customer's own records of shared codes."""
        state = self.state
        for item in claim.items:
            by_id = state.coupons.get(item.coupon_id or 0) if item.code is None else None
            code = item.code if item.code is not None else by_id.code if by_id else ""
            by_code = state.coupon_ids.get((code_key(code), customer_id)) or state.coupon_ids.get((code_key(code), 0))
            yield from {coupon_id for coupon_id in (by_code, by_id.id if by_id else None) if coupon_id}
