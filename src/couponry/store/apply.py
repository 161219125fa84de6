"""Apply: the rows of a plan, written in bulk. Counters are sums over the plan's rows, added to what is stored.

A row that another transaction has written meanwhile makes an insert collide or an update miss; both are conflicts, and the batch
is decided again from fresh state.
"""

from collections import Counter, defaultdict

import msgspec

from couponry.core.codes import code_key
from couponry.core.lifecycle import counts_as_issued
from couponry.core.limits import CODE_CHARS_MAX
from couponry.core.plan import Event, NewCoupon, Plan, Refusal
from couponry.core.state import State
from couponry.store import schema as t
from couponry.store.counting import Counting, tallied
from couponry.store.dialect import Dialect
from couponry.store.engine import Stage, WriteTransaction
from couponry.store.rows import REDEMPTION_MADE, fields_as_text, redemption_row, scaled
from couponry.store.serials import BatchIds
from couponry.store.statements import Row

_IN_HAND = ("customer_id", "issued_ms", "expires_local", "issued_by_redemption", "issued_till_id", "issue_details")


class Applier:
    """The bulk writes of one dialect. `stripe` is where this process counts uncapped series, so that processes seldom meet."""

    def __init__(self, dialect: Dialect, stripe: int) -> None:
        assert stripe != t.CAPPED_STRIPE, "the capped stripe is for those who hold its lock"
        self._stripe = stripe
        self._encode = msgspec.msgpack.Encoder().encode
        self._new_coupons = dialect.insert(
            t.coupon,
            ("id", "series_id", "code", "code_key", "holder_id", *_IN_HAND, "redeemed", "uses", "created_ms"),
        )
        self._given_coupons = dialect.update(t.coupon, key=("id",), added=(), assigned=_IN_HAND)
        self._coupon_uses = dialect.update(t.coupon, key=("id",), added=("redeemed", "uses"), assigned=())
        self._expiries = dialect.update(t.coupon, key=("id",), added=(), assigned=("expires_local",))
        self._revocations = dialect.update(t.coupon, key=("id",), added=(), assigned=("revoked_ms", "revision"))
        self._redemptions = dialect.insert(t.redemption, REDEMPTION_MADE)
        self._otps = dialect.update(t.otp, key=("id",), added=("wrong_tries",), assigned=("used_ms",))
        self._missed_calls = dialect.update(t.missed_call, key=("id",), added=(), assigned=("used_ms",))
        undone = ("reversed_ms", "reversed_till_id", "reversal_reason")
        self._reversals = dialect.update(t.redemption, key=("id",), added=(), assigned=undone)
        bill = ("amount", "transaction_number", "bill_id", "custom_fields")
        self._amendments = dialect.update(t.redemption, key=("id",), added=(), assigned=bill)
        standing = ("customer_id", "series_id"), ("issued", "redeemed", "uses"), ("last_issued_ms", "last_redeemed_ms")
        self._new_standings = dialect.insert_about_customers(t.customer_series, (*standing[1], *standing[2], *standing[0]))
        self._standings = dialect.update(t.customer_series, key=standing[0], added=standing[1], assigned=standing[2])
        self._counters = dialect.insert_or_add(
            t.series_counter,
            key=("series_id", "stripe"),
            added=("issued", "redeemed"),
            latest=("last_issued_ms", "last_redeemed_ms"),
        )
        self._new_answers = dialect.insert(t.idempotency, ("fingerprint", "created_ms", "answer", "digest"))
        self._answers = dialect.update(t.idempotency, key=("digest",), added=(), assigned=("fingerprint", "created_ms", "answer"))
        self._outbox = dialect.insert(
            t.outbox, ("id", "event", "subject_id", "subject_ids", "customer_id", "identified_by", "request_id", "created_ms")
        )
        self._refusals = dialect.insert(
            t.refusal,
            (
                *("id", "status", "code_sent", "coupon_id", "series_id", "customer_id", "till_id", "transaction_number"),
                *("amount", "evaluated_ms", "refused_ms", "request_id", "store_id"),
            ),
        )
        self._counting = Counting(dialect, stripe)

    def apply(self, tx: WriteTransaction, org_id: int, state: State, plan: Plan, ids: BatchIds) -> None:
        """Write the plan that was decided over `state`. Raises StoreError when the rows are no longer as loaded."""
        tx.stage = Stage.COUPONS
        self._write_coupons(tx, org_id, plan)
        tx.stage = Stage.COUNTERS
        self._write_standings(tx, org_id, state, plan)
        tx.stage = Stage.VALIDATION
        self._write_validations(tx, org_id, plan)
        tx.stage = Stage.COUPONS
        tx.write(self._redemptions, org_id, [redemption_row(redemption) for redemption in plan.redemptions])
        self._write_changed_redemptions(tx, org_id, plan)
        self._write_counters(tx, org_id, state, plan)
        self._write_answers(tx, org_id, plan)
        tx.write(self._refusals, org_id, [_refusal_row(next(ids.refusals), plan.now_ms, refusal) for refusal in plan.refusals])
        tx.stage = Stage.OUTBOX
        tx.write(self._outbox, org_id, [_event_row(next(ids.outbox), plan.now_ms, event) for event in plan.events])
        if state.org:
            self._counting.add(tx, org_id, tallied(plan, state.org.zone))

    def _write_coupons(self, tx: WriteTransaction, org_id: int, plan: Plan) -> None:
        uses = Counter(redemption.coupon_id for redemption in plan.redemptions)
        new = []
        for given in sorted(plan.new_coupons, key=lambda given: (given.coupon.code, given.coupon.holder_id)):
            coupon = given.coupon
            key = (coupon.id, coupon.series_id, coupon.code, code_key(coupon.code), coupon.holder_id)
            new.append((*key, *_in_hand(given), uses[coupon.id], uses.pop(coupon.id, 0), plan.now_ms))
        tx.write(self._new_coupons, org_id, new)
        tx.write(self._given_coupons, org_id, [(*_in_hand(given), given.coupon.id) for given in plan.given_coupons])
        redeemed = Counter(uses)
        redeemed.subtract(undone.coupon_id for undone in plan.reversals if not undone.is_consumed)
        changed = [(count, uses[coupon_id], coupon_id) for coupon_id, count in sorted(redeemed.items())]
        tx.write(self._coupon_uses, org_id, changed)
        tx.write(self._expiries, org_id, [(expires, coupon_id) for coupon_id, expires in sorted(dict(plan.redated).items())])
        tx.write(self._revocations, org_id, [(plan.now_ms, coupon.id, coupon.id) for coupon in plan.revoked])

    def _write_standings(self, tx: WriteTransaction, org_id: int, state: State, plan: Plan) -> None:
        """Before the redemptions: two writers who both find no row yet meet here, in key order, and not at a redemption."""
        changes: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
        for redemption in plan.redemptions:
            change = changes[redemption.customer_id, redemption.series_id]
            change[1] += 1
            change[2] += 1
        for undone in plan.reversals:
            changes[undone.customer_id, undone.series_id][1] -= not undone.is_consumed
        for given in (*plan.new_coupons, *plan.given_coupons):
            if counts_as_issued(given.coupon):
                changes[given.coupon.customer_id or 0, given.coupon.series_id][0] += 1
        for coupon in plan.revoked:
            if counts_as_issued(coupon):
                changes[coupon.customer_id or 0, coupon.series_id][0] -= 1
        standings: list[Row] = []
        new_standings: list[Row] = []
        for key, change in sorted(changes.items()):
            if key not in state.standings:  # made or bound by redeeming, and not redeemed by this batch after all
                continue
            standing = state.standings[key]
            # The state's times, not the plan's: another process may have redeemed at a later one before us.
            row = (*change, standing.last_issued_ms, standing.last_redeemed_ms, *key)
            (standings if standing.is_stored else new_standings).append(row)
        tx.write(self._standings, org_id, standings)
        tx.write(self._new_standings, org_id, new_standings)

    def _write_validations(self, tx: WriteTransaction, org_id: int, plan: Plan) -> None:
        """Codes that were used, or tried in vain: each is one row to write, whatever happened to it in the batch."""
        tries = Counter(plan.wrong_tries)
        used = set(plan.codes_used)
        codes = [(tries[code_id], plan.now_ms if code_id in used else None, code_id) for code_id in sorted(used | tries.keys())]
        tx.write(self._otps, org_id, codes)
        tx.write(self._missed_calls, org_id, [(plan.now_ms, call_id) for call_id in plan.calls_used])

    def _write_changed_redemptions(self, tx: WriteTransaction, org_id: int, plan: Plan) -> None:
        undone = [
            (None if each.is_consumed else plan.now_ms, each.till_id, each.reason or None, each.redemption_id)
            for each in plan.reversals
        ]
        tx.write(self._reversals, org_id, undone)
        amended = {each.id: each for each in plan.amended}
        rows = [
            (scaled(each.amount), each.transaction_number, each.bill_id, fields_as_text(each.custom_fields), each.id)
            for each in amended.values()
        ]
        tx.write(self._amendments, org_id, rows)

    def _write_counters(self, tx: WriteTransaction, org_id: int, state: State, plan: Plan) -> None:
        """Issues and redemptions of a series, each on the stripe that its own cap asks for; a revocation lowers neither."""
        redeemed = Counter(redemption.series_id for redemption in plan.redemptions)
        new = (*plan.new_coupons, *plan.given_coupons)
        issued = Counter(given.coupon.series_id for given in new if not given.coupon.issued_by_redemption)
        reversed_ = Counter(undone.series_id for undone in plan.reversals if not undone.is_consumed)
        rows: defaultdict[tuple[int, int], list[int | None]] = defaultdict(lambda: [0, 0, None, None])
        for series_id, count in issued.items():
            row = rows[series_id, self._stripe_of(state, series_id, is_issue=True)]
            row[0], row[2] = count, plan.now_ms
        for series_id in redeemed.keys() | reversed_.keys():
            row = rows[series_id, self._stripe_of(state, series_id, is_issue=False)]
            row[1] = redeemed[series_id] - reversed_[series_id]
            row[3] = plan.now_ms if redeemed[series_id] else None
        tx.write(self._counters, org_id, [(*key, *row) for key, row in sorted(rows.items())])

    def _stripe_of(self, state: State, series_id: int, *, is_issue: bool) -> int:
        series = state.series[series_id]
        assert series is not None, "all that counts was decided under readable terms"
        cap = series.terms.max_create if is_issue else series.terms.max_redeem
        return t.CAPPED_STRIPE if cap >= 0 else self._stripe

    def _write_answers(self, tx: WriteTransaction, org_id: int, plan: Plan) -> None:
        new: list[Row] = []
        replaced: list[Row] = []
        for digest, kept in sorted({kept.digest: kept for kept in plan.kept}.items()):
            row = (kept.fingerprint, plan.now_ms, self._encode(kept.answer), digest)
            (replaced if kept.replaces else new).append(row)
        tx.write(self._answers, org_id, replaced)
        tx.write(self._new_answers, org_id, new)


def _in_hand(given: NewCoupon) -> Row:
    coupon = given.coupon
    whose = (coupon.customer_id, coupon.issued_ms, coupon.expires_local, coupon.issued_by_redemption)
    return (*whose, given.till_id, given.details)


def _event_row(event_id: int, now_ms: int, event: Event) -> Row:
    ids = msgspec.json.encode(event.subject_ids).decode() if event.subject_ids else None
    return (event_id, event.name, event.subject_id, ids, event.customer_id, event.identified_by or None, event.request_id, now_ms)


def _refusal_row(refusal_id: int, now_ms: int, refusal: Refusal) -> Row:
    # Anything may be sent as a code: of any length, and with NUL, which PostgreSQL has no place for.
    code_sent = refusal.code_sent[: CODE_CHARS_MAX + 1].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return (
        *(refusal_id, refusal.status.name, code_sent, refusal.coupon_id, refusal.series_id, refusal.customer_id),
        *(refusal.till_id, refusal.transaction_number, scaled(refusal.amount), refusal.at_ms, now_ms, refusal.request_id),
        refusal.store_id,
    )
