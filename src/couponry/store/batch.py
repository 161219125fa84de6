"""One batch's load, step by step: whom and what its commands name, and what is counted about them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from couponry.core import idempotency
from couponry.core.codes import code_key, is_well_formed
from couponry.core.commands import Claim, Command, Issue, Item, Redate, Redeem, Revoke
from couponry.core.limits import SERIES_CACHE_MAX
from couponry.core.model import Coupon, Handling, Org, Standing
from couponry.core.plan import Answer, IssueAnswer
from couponry.core.series import Series
from couponry.core.state import State, StoredAnswer
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.rows import COUPON_COLUMNS, coupon_from_row, customer_from_row, is_halted, org_from_rows, series_from_text
from couponry.store.selects import Selects
from couponry.store.statements import Row

_COUPON_WIDTH = len(COUPON_COLUMNS)
_REVOKED = COUPON_COLUMNS.index(t.coupon.c.revoked_ms)
_DECODE_ANSWER = msgspec.msgpack.Decoder(Answer | IssueAnswer).decode


@dataclass
class Versions:
    """The versions of orgs and of series terms that were read before; they never change once written.

    What cannot be used (788, 795) is not kept, so that a repair counts at once.
    """

    orgs: dict[tuple[int, int], Org] = field(default_factory=dict)
    series: dict[tuple[int, int, int], Series] = field(default_factory=dict)


class Batch:
    """One load: each step fills its part of the state. What only issue and lifecycle need is in modules of their own."""

    state: State

    def __init__(
        self, selects: Selects, versions: Versions, tx: ReadTransaction, org_id: int, commands: Sequence[Command]
    ) -> None:
        self.selects = selects
        self.versions = versions
        self.tx = tx
        self.org_id = org_id
        self.commands = commands
        self.asked: list[tuple[Command, int]] = []
        """Each command with the first customer that its identifiers mean; 0 for nobody."""
        self.named: list[tuple[Sequence[Item], int]] = []
        """The coupons that commands name, with that customer."""
        self.claims: list[tuple[Sequence[Item], int]] = []
        """Those of them that are shown by that customer, or revoked: what is counted about them matters."""
        self.shown: list[tuple[Coupon, int]] = []
        """Every coupon found, with every customer whose doings with it count."""
        self.issues: list[tuple[int, int]] = []
        """Every customer with every series that they are to be issued a coupon of."""

    def org(self) -> Org | None:
        """The org by its current version; None when its settings cannot be used (795)."""
        (row,) = self.tx.read(self.selects.org, {"org": self.org_id})
        version = self.org_id, row[-1]
        org = self.versions.orgs.get(version)
        if org is None:
            org = org_from_rows(row, self.tx.read(self.selects.labels, {"org": self.org_id}))
            if org:
                self.versions.orgs[version] = org
        return org

    def customers(self) -> None:
        """Whom the identifiers of all commands mean."""
        wanted: dict[str, set[str]] = {}
        for command in self.commands:
            for kind, value in command.customer or ():
                wanted.setdefault(kind, set()).add(value)
        known = self.state.customers
        if wanted:
            for kind, value, *row in self.selects.customers(self.tx, self.org_id, wanted):
                known[kind, value] = customer_from_row(row)
        for command in self.commands:
            found = next((known[identifier] for identifier in command.customer or () if identifier in known), None)
            customer_id = found.id if found else 0
            self.asked.append((command, customer_id))
            if isinstance(command, Claim):
                self.claims.append((command.items, customer_id))
            elif isinstance(command, Revoke):
                self.named.append((tuple(map(Item, command.codes)), customer_id))
            elif isinstance(command, Redate):
                self.named.append((tuple(Item(code) for code, _ in command.expiries), customer_id))
            elif isinstance(command, Issue) and customer_id:
                self.issues += [(customer_id, series_id) for series_id in command.series_ids]
        self.named += self.claims

    def heads(self) -> None:
        """The series that commands name by id."""
        wanted = {series_id for _, series_id in self.issues}
        for command in self.commands:
            if isinstance(command, Issue):
                wanted.update(command.series_ids)
            elif isinstance(command, Revoke | Redate) and command.series_id is not None:
                wanted.add(command.series_id)
        versions: dict[int, int] = {}
        for series_id, *head in self.selects.heads.rows(self.tx, self.org_id, [(series_id,) for series_id in sorted(wanted)]):
            versions[series_id] = self._noted(series_id, *head)
        self._series(versions)

    def coupons(self, more_ids: Iterable[int]) -> None:
        """The coupons that are named, and more by their ids; customers' own records of shared ones, and their series' terms."""
        rows = self._named_coupons(more_ids)
        self._take(rows)
        self._take(self._own_records(rows))
        if self.tx.is_writing and self.tx.dialect.locks_rows:
            self._lock_coupons()
        for items, customer_id in self.claims:
            for coupon_id in self._coupon_ids(items, customer_id):
                self.shown.append((self.state.coupons[coupon_id], customer_id))

    def _take(self, rows: list[Row]) -> None:
        """Coupons into the state, with their series."""
        rows.sort(key=_live_last)
        state = self.state
        versions: dict[int, int] = {}
        for row in rows:
            coupon = coupon_from_row(row)
            versions[coupon.series_id] = self._noted(coupon.series_id, *row[_COUPON_WIDTH:])
            state.coupons[coupon.id] = coupon
            state.coupon_ids[code_key(coupon.code), coupon.holder_id] = coupon.id
        self._series(versions)

    def _noted(self, series_id: int, version: int, campaign_state: str | None, campaign_ends_ms: int | None) -> int:
        """Note whether a series' campaign has ended or is paused, and pass its version on."""
        if is_halted(campaign_state, campaign_ends_ms, self.state.now_ms):
            self.state.halted.add(series_id)
        return version

    def _named_coupons(self, more_ids: Iterable[int]) -> list[Row]:
        """By code or id. An id may be that of somebody's record of a shared code, so the code's own row is found too."""
        by_id = {item.coupon_id for items, _ in self.named for item in items if item.code is None and item.coupon_id}
        by_id.update(more_ids)
        rows = self.selects.coupons_by_id.rows(self.tx, self.org_id, [(coupon_id,) for coupon_id in sorted(by_id)])
        keys = {(code_key(code), 0) for _, _, code, holder_id, *_ in rows if holder_id}
        for items, _ in self.named:
            keys.update((code_key(item.code), 0) for item in items if item.code and is_well_formed(item.code))
        return rows + self.selects.coupons_by_code.rows(self.tx, self.org_id, sorted(keys))

    def _own_records(self, rows: list[Row]) -> list[Row]:
        """The customers' own records of the shared codes among these."""
        by_id = {row[0]: code_key(row[2]) for row in rows if self._is_shared(self.state.coupons[row[0]])}
        if not by_id:
            return []
        shared = set(by_id.values())
        keys = {
            (key, customer_id)
            for items, customer_id in self.named
            for item in items
            if customer_id and (key := code_key(item.code) if item.code else by_id.get(item.coupon_id or 0)) in shared
        }
        return self.selects.coupons_by_code.rows(self.tx, self.org_id, sorted(keys))

    def _series(self, versions: dict[int, int]) -> None:
        """The terms of each series' version, decoded once per process; None when they cannot be used."""
        cache, org_id = self.versions.series, self.org_id
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

    def _coupon_ids(self, items: Iterable[Item], customer_id: int) -> Iterable[int]:
        """The coupons that a claim may be about: those named, and the customer's own records of shared codes."""
        state = self.state
        for item in items:
            by_id = state.coupons.get(item.coupon_id or 0) if item.code is None else None
            key = code_key(item.code if item.code is not None else by_id.code if by_id else "")
            by_code = state.coupon_ids.get((key, customer_id)) or state.coupon_ids.get((key, 0))
            if by_code:
                yield by_code
            if by_id and by_id.id != by_code:
                yield by_id.id

    def asks_validation(self, items: Iterable[Item], customer_id: int) -> bool:
        """Whether one of the coupons that a claim may be about is of a series that requires validation."""
        found = (self.state.series[self.state.coupons[each].series_id] for each in self._coupon_ids(items, customer_id))
        return any(series is not None and series.terms.is_validation_required for series in found)

    def standings(self) -> None:
        """What each customer has done in the series of the coupons shown, and in those they are to be issued a coupon of."""
        select = self.selects.locked_standings if self.tx.is_writing else self.selects.standings
        pairs = {(customer_id, coupon.series_id) for coupon, customer_id in self.shown}
        pairs.update(pair for pair in self.issues if pair[1] in self.state.series)
        for customer_id, series_id, redeemed, uses, last_ms, issued, last_issued_ms in select.rows(
            self.tx, self.org_id, sorted(pairs)
        ):
            standing = Standing(redeemed, uses, last_ms, True, issued, last_issued_ms)
            self.state.standings[customer_id, series_id] = standing

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
        """How often each capped series has been redeemed or issued; without its counter it cannot be judged (788)."""
        state = self.state
        redeemed = {coupon.series_id for coupon, _ in self.shown}
        issued = {series_id for _, series_id in self.issues}
        capped = sorted(series_id for series_id in redeemed | issued if self._is_capped(series_id, redeemed, issued))
        select = self.selects.locked_counters if self.tx.is_writing else self.selects.counters
        for series_id, redeemed_count, issued_count in select.rows(self.tx, self.org_id, [(each,) for each in capped]):
            state.series_redeemed[series_id] = redeemed_count
            state.series_issued[series_id] = issued_count
        state.series |= dict.fromkeys(series_id for series_id in capped if series_id not in state.series_redeemed)

    def _is_capped(self, series_id: int, redeemed: set[int], issued: set[int]) -> bool:
        """Whether a cap of the series matters to this batch; a counter that no limit needs is not locked."""
        series = self.state.series.get(series_id)
        if series is None:
            return False
        terms = series.terms
        return (terms.max_redeem >= 0 and series_id in redeemed) or (terms.max_create >= 0 and series_id in issued)

    def members(self) -> None:
        """Which customers belong to the audience of a series that has one."""
        pairs = set()
        for coupon, customer_id in self.shown:
            series = self.state.series[coupon.series_id]
            if series and series.terms.has_audience:
                pairs.add((series.id, customer_id))
        for customer_id, series_id in self.issues:
            series = self.state.series.get(series_id)
            if series and series.terms.has_audience:
                pairs.add((series_id, customer_id))
        self.state.audience = set(self.selects.members.rows(self.tx, self.org_id, sorted(pairs)))

    def given_answers(self, org: Org) -> None:
        """The answers given before under the commands' idempotency keys, and which of their redemptions have been reversed."""
        state = self.state
        for position, (command, customer_id) in enumerate(self.asked):
            if not isinstance(command, Redeem | Issue):
                continue
            digest = idempotency.request_digest(command, customer_id or None, org)
            if digest:
                state.digests[position] = digest
        digests = [(digest,) for digest in sorted(set(state.digests.values()))]
        for digest, fingerprint, created_ms, answer in self.selects.answers.rows(self.tx, self.org_id, digests):
            state.answers[digest] = StoredAnswer(fingerprint, created_ms, _DECODE_ANSWER(answer), is_stored=True)
        redeemed = {found for stored in state.answers.values() for found in idempotency.redemption_ids(stored.answer)}
        rows = self.selects.undone_ids.rows(self.tx, self.org_id, [(redemption_id,) for redemption_id in sorted(redeemed)])
        state.reversed_ids = {redemption_id for (redemption_id,) in rows}


def _live_last(row: Row) -> tuple[bool, int]:
    """Of the coupons that share a code, the live one is read last, and counts; before it the one revoked last."""
    return row[_REVOKED] is None, row[0]
