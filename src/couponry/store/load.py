"""Load: everything that a batch may touch, in a number of statements that does not depend on the batch's size.

Order matters twice. Locks are taken coupon first, then the customer's counters, then the series' counters, each sorted by key, so
two batches cannot deadlock. And the answers given before are read after the locks, so a repeat that waited for the first sees it.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from couponry.core import idempotency
from couponry.core.codes import code_key, is_well_formed
from couponry.core.commands import Claim, Command, Redeem
from couponry.core.limits import SERIES_CACHE_MAX
from couponry.core.model import Coupon, Handling, Org, Standing
from couponry.core.plan import Answer
from couponry.core.series import Series
from couponry.core.state import State, StoredAnswer
from couponry.store.dialect import Dialect, Row
from couponry.store.engine import ReadTransaction, Stage
from couponry.store.rows import COUPON_COLUMNS, coupon_from_row, customer_from_row, org_from_rows, series_from_text
from couponry.store.selects import Selects

_COUPON_WIDTH = len(COUPON_COLUMNS)


class Loader:
    """The selects of one dialect, and the versions of orgs and of series terms, which never change once written.

    What cannot be used (788, 795) is not kept, so that a repair counts at once.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.locks_rows = dialect.locks_rows
        self.selects = Selects(dialect)
        self.decode_answer = msgspec.msgpack.Decoder(Answer).decode
        self.orgs: dict[tuple[int, int], Org] = {}
        self.series: dict[tuple[int, int, int], Series] = {}

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
        """What `decide` needs for these commands of one org. In a write transaction, rows that limits depend on are locked."""
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
        tx.stage = Stage.COUPONS
        batch.uses()
        batch.series_counters()
        batch.members()
        if tx.is_writing:
            batch.given_answers(state.org)
        return state


class _Batch:
    """One load: the steps in order, each filling its part of the state."""

    state: State

    def __init__(self, loader: Loader, tx: ReadTransaction, org_id: int, commands: Sequence[Command]) -> None:
        self.loader = loader
        self.selects = loader.selects
        self.tx = tx
        self.org_id = org_id
        self.commands = commands
        self.claims: list[tuple[Claim, int]] = []
        """Each command with the first customer that its identifiers mean; 0 for nobody."""
        self.shown: list[tuple[Coupon, int]] = []
        """Every coupon found, with every customer who shows it."""

    def org(self) -> Org | None:
        """The org by its current version; None when its settings cannot be used (795)."""
        (row,) = self.tx.read(self.selects.org, {"org": self.org_id})
        version = self.org_id, row[-1]
        org = self.loader.orgs.get(version)
        if org is None:
            org = org_from_rows(row, self.tx.read(self.selects.labels, {"org": self.org_id}))
            if org:
                self.loader.orgs[version] = org
        return org

    def customers(self) -> None:
        """Whom the identifiers of all commands mean."""
        wanted: dict[str, set[str]] = {}
        for command in self.commands:
            for kind, value in command.customer:
                wanted.setdefault(kind, set()).add(value)
        known = self.state.customers
        if wanted:
            for kind, value, *row in self.selects.customers(self.tx, self.org_id, wanted):
                known[kind, value] = customer_from_row(row)
        for command in self.commands:
            found = next((known[identifier] for identifier in command.customer if identifier in known), None)
            self.claims.append((command, found.id if found else 0))

    def coupons(self) -> None:
        """The coupons that are named, the customers' own records of shared ones, and their series' terms."""
        rows = self._named_coupons()
        self._take(rows)
        self._take(self._own_records(rows))
        if self.tx.is_writing and self.loader.locks_rows:
            self._lock_coupons()
        for claim, customer_id in self.claims:
            for coupon_id in self._coupon_ids(claim, customer_id):
                self.shown.append((self.state.coupons[coupon_id], customer_id))

    def _take(self, rows: list[Row]) -> None:
        """Coupons into the state, with their series."""
        rows.sort(key=_live_last)
        state = self.state
        versions: dict[int, int] = {}
        for row in rows:
            coupon = coupon_from_row(row)
            versions[coupon.series_id], campaign_state, campaign_ends_ms = row[_COUPON_WIDTH:]
            state.coupons[coupon.id] = coupon
            state.coupon_ids[code_key(coupon.code), coupon.holder_id] = coupon.id
            if campaign_state and (campaign_state != "ACTIVE" or (campaign_ends_ms or state.now_ms) < state.now_ms):
                state.halted.add(coupon.series_id)
        self._series(versions)

    def _named_coupons(self) -> list[Row]:
        """By code or id. An id may be that of somebody's record of a shared code, so the code's own row is found too."""
        by_id = {item.coupon_id for claim, _ in self.claims for item in claim.items if item.code is None and item.coupon_id}
        rows = self.selects.coupons_by_id.rows(self.tx, self.org_id, [(coupon_id,) for coupon_id in sorted(by_id)])
        keys = {(code_key(code), 0) for _, _, code, holder_id, *_ in rows if holder_id}
        for claim, _ in self.claims:
            keys.update((code_key(item.code), 0) for item in claim.items if item.code and is_well_formed(item.code))
        return rows + self.selects.coupons_by_code.rows(self.tx, self.org_id, sorted(keys))

    def _own_records(self, rows: list[Row]) -> list[Row]:
        """The customers' own records of the shared codes among these."""
        by_id = {row[0]: code_key(row[2]) for row in rows if self._is_shared(self.state.coupons[row[0]])}
        if not by_id:
            return []
        shared = set(by_id.values())
        keys = {
            (key, customer_id)
            for claim, customer_id in self.claims
            for item in claim.items
            if customer_id and (key := code_key(item.code) if item.code else by_id.get(item.coupon_id or 0)) in shared
        }
        return self.selects.coupons_by_code.rows(self.tx, self.org_id, sorted(keys))

    def _series(self, versions: dict[int, int]) -> None:
        """The terms of each series' version, decoded once per process; None when they cannot be used."""
        cache, org_id = self.loader.series, self.org_id
        found = {series_id: cache.get((org_id, series_id, version)) for series_id, version in versions.items()}
        missing = [(series_id, versions[series_id]) for series_id, series in found.items() if series is None]
        if missing and len(cache) > SERIES_CACHE_MAX:
            cache.clear()
        for series_id, version, text in self.selects.terms.rows(self.tx, org_id, sorted(missing)):
            found[series_id] = series = series_from_text(series_id, version, text)
            if series:
                cache[org_id, series_id, version] = series
        self.state.series.update(found)

    def _lock_coupons(self) -> None:
        """Lock the coupons that may be redeemed, and read them again; a shared code's own row is nobody's to lock."""
        ids = sorted(coupon.id for coupon in self.state.coupons.values() if coupon.holder_id or not self._is_shared(coupon))
        for row in self.selects.locked_coupons.rows(self.tx, self.org_id, [(coupon_id,) for coupon_id in ids]):
            coupon = coupon_from_row(row)
            self.state.coupons[coupon.id] = coupon

    def _is_shared(self, coupon: Coupon) -> bool:
        series = self.state.series[coupon.series_id]
        return series is not None and series.terms.client_handling_type is Handling.SHARED

    def _coupon_ids(self, claim: Claim, customer_id: int) -> Iterable[int]:
        """The coupons that a claim may be about: those named, and the customer's own records of shared codes."""
        state = self.state
        for item in claim.items:
            by_id = state.coupons.get(item.coupon_id or 0) if item.code is None else None
            key = code_key(item.code if item.code is not None else by_id.code if by_id else "")
            by_code = state.coupon_ids.get((key, customer_id)) or state.coupon_ids.get((key, 0))
            if by_code:
                yield by_code
            if by_id and by_id.id != by_code:
                yield by_id.id

    def standings(self) -> None:
        """What each customer has done in the series of the coupons shown."""
        select = self.selects.locked_standings if self.tx.is_writing else self.selects.standings
        pairs = sorted({(customer_id, coupon.series_id) for coupon, customer_id in self.shown})
        for customer_id, series_id, redeemed, uses, last_ms in select.rows(self.tx, self.org_id, pairs):
            self.state.standings[customer_id, series_id] = Standing(redeemed, uses, last_ms, is_stored=True)

    def uses(self) -> None:
        """How often each customer has redeemed each used coupon: asked where a coupon can be used again, and by every check."""
        triples = {
            (customer_id, coupon.series_id, coupon.id)
            for coupon, customer_id in self.shown
            if coupon.redeemed and (not self.tx.is_writing or self._is_reusable(coupon))
        }
        for coupon_id, customer_id, count in self.selects.uses.rows(self.tx, self.org_id, sorted(triples)):
            self.state.uses[coupon_id, customer_id] = count

    def _is_reusable(self, coupon: Coupon) -> bool:
        series = self.state.series[coupon.series_id]
        return series is not None and series.terms.is_multiple_use_allowed

    def series_counters(self) -> None:
        """How often each capped series has been redeemed; a capped series without its counter cannot be judged (788)."""
        capped = sorted(series.id for series in self.state.series.values() if series and series.terms.max_redeem >= 0)
        select = self.selects.locked_counters if self.tx.is_writing else self.selects.counters
        found = select.rows(self.tx, self.org_id, [(series_id,) for series_id in capped])
        self.state.series_redeemed = dict(found)
        self.state.series |= dict.fromkeys(series_id for series_id in capped if series_id not in self.state.series_redeemed)

    def members(self) -> None:
        """Which customers belong to the audience of a series that has one."""
        pairs = set()
        for coupon, customer_id in self.shown:
            series = self.state.series[coupon.series_id]
            if series and series.terms.has_audience:
                pairs.add((series.id, customer_id))
        self.state.audience = set(self.selects.members.rows(self.tx, self.org_id, sorted(pairs)))

    def given_answers(self, org: Org) -> None:
        """The answers given before under the commands' idempotency keys, and which of their redemptions have been reversed."""
        state = self.state
        for position, (claim, customer_id) in enumerate(self.claims):
            digest = idempotency.redeem_digest(claim, customer_id or None, org) if isinstance(claim, Redeem) else None
            if digest:
                state.digests[position] = digest
        digests = [(digest,) for digest in sorted(set(state.digests.values()))]
        for digest, fingerprint, created_ms, answer in self.selects.answers.rows(self.tx, self.org_id, digests):
            state.answers[digest] = StoredAnswer(fingerprint, created_ms, self.loader.decode_answer(answer), is_stored=True)
        redeemed = {item.redemption_id for stored in state.answers.values() for item in stored.answer.items}
        rows = self.selects.reversed_ids.rows(self.tx, self.org_id, [(redemption_id,) for redemption_id in sorted(redeemed)])
        state.reversed_ids = {redemption_id for (redemption_id,) in rows}


def _live_last(row: Row) -> tuple[bool, int]:
    """Of the coupons that share a code, the live one is read last, and counts; before it the one revoked last."""
    coupon_id, *_, revoked_ms, _redeemed, _uses = row[:_COUPON_WIDTH]
    return revoked_ms is None, coupon_id
