"""Apply: the rows of a plan, written in bulk. Counters are sums over the plan's redemptions, added to what is stored.

A row that another transaction has written meanwhile makes an insert collide or an update miss; both are conflicts, and the batch
is decided again from fresh state.
"""

from collections import Counter

import msgspec

from couponry.core.codes import code_key
from couponry.core.limits import CODE_CHARS_MAX
from couponry.core.model import Redemption
from couponry.core.plan import Plan, Refusal
from couponry.core.state import State
from couponry.store import schema as t
from couponry.store.dialect import Dialect, Row
from couponry.store.engine import Stage, WriteTransaction
from couponry.store.rows import scaled
from couponry.store.serials import BatchIds


class Applier:
    """The bulk writes of one dialect. `stripe` is where this process counts uncapped series, so that processes seldom meet."""

    def __init__(self, dialect: Dialect, stripe: int) -> None:
        assert stripe != t.CAPPED_STRIPE, "the capped stripe is for those who hold its lock"
        self._stripe = stripe
        self._encode = msgspec.msgpack.Encoder().encode
        self._new_coupons = dialect.insert(
            t.coupon,
            (
                *("id", "series_id", "code", "code_key", "holder_id", "customer_id", "issued_ms", "expires_local"),
                *("issued_by_redemption", "redeemed", "uses", "created_ms"),
            ),
        )
        self._coupon_uses = dialect.update(t.coupon, key=("id",), added=("redeemed", "uses"), assigned=())
        self._bindings = dialect.update(
            t.coupon, key=("id",), added=(), assigned=("customer_id", "issued_ms", "expires_local", "issued_by_redemption")
        )
        self._redemptions = dialect.insert(
            t.redemption,
            (
                *(
                    "id",
                    "coupon_id",
                    "use_number",
                    "series_id",
                    "series_version",
                    "customer_id",
                    "customer_use_number",
                    "till_id",
                ),
                *("store_id", "redeemed_ms", "amount", "transaction_number", "custom_fields", "request_id"),
            ),
        )
        self._new_standings = dialect.insert_about_customers(
            t.customer_series, ("customer_id", "series_id", "redeemed", "uses", "last_redeemed_ms")
        )
        self._standings = dialect.update(
            t.customer_series, key=("customer_id", "series_id"), added=("redeemed", "uses"), assigned=("last_redeemed_ms",)
        )
        self._counters = dialect.insert_or_add(
            t.series_counter, key=("series_id", "stripe"), added=("redeemed",), latest=("last_redeemed_ms",)
        )
        self._new_answers = dialect.insert(t.idempotency, ("fingerprint", "created_ms", "answer", "digest"))
        self._answers = dialect.update(t.idempotency, key=("digest",), added=(), assigned=("fingerprint", "created_ms", "answer"))
        self._outbox = dialect.insert(t.outbox, ("id", "event", "subject_id", "customer_id", "request_id", "created_ms"))
        self._refusals = dialect.insert(
            t.refusal,
            (
                *("id", "status", "code_sent", "coupon_id", "series_id", "customer_id", "till_id", "transaction_number"),
                *("amount", "evaluated_ms", "refused_ms", "request_id"),
            ),
        )

    def apply(self, tx: WriteTransaction, org_id: int, state: State, plan: Plan, ids: BatchIds) -> None:
        """Write the plan that was decided over `state`. Raises StoreError when the rows are no longer as loaded."""
        tx.stage = Stage.COUPONS
        self._write_coupons(tx, org_id, plan)
        tx.stage = Stage.COUNTERS
        self._write_standings(tx, org_id, state, plan)
        tx.stage = Stage.COUPONS
        tx.write(self._redemptions, org_id, [_redemption_row(redemption) for redemption in plan.redemptions])
        self._write_counters(tx, org_id, state, plan)
        self._write_answers(tx, org_id, plan)
        tx.write(self._refusals, org_id, [_refusal_row(next(ids.refusals), plan.now_ms, refusal) for refusal in plan.refusals])
        tx.stage = Stage.OUTBOX
        tx.write(
            self._outbox,
            org_id,
            [
                (next(ids.outbox), "CouponRedeem", done.id, done.customer_id, done.request_id, plan.now_ms)
                for done in plan.redemptions
            ],
        )

    def _write_coupons(self, tx: WriteTransaction, org_id: int, plan: Plan) -> None:
        uses = Counter(redemption.coupon_id for redemption in plan.redemptions)
        new = [
            (
                *(coupon.id, coupon.series_id, coupon.code, code_key(coupon.code), coupon.holder_id, coupon.customer_id),
                *(coupon.issued_ms, coupon.expires_local, True, uses[coupon.id], uses.pop(coupon.id), plan.now_ms),
            )
            for coupon in sorted(plan.new_coupons, key=lambda coupon: (coupon.code, coupon.holder_id))
        ]
        tx.write(self._new_coupons, org_id, new)
        tx.write(self._coupon_uses, org_id, [(count, count, coupon_id) for coupon_id, count in sorted(uses.items())])
        tx.write(
            self._bindings,
            org_id,
            [(bound.customer_id, bound.issued_ms, bound.expires_local, True, bound.id) for bound in plan.bound_coupons],
        )

    def _write_standings(self, tx: WriteTransaction, org_id: int, state: State, plan: Plan) -> None:
        """Before the redemptions: two writers who both find no row yet meet here, in key order, and not at a redemption."""
        by_customer = Counter((redemption.customer_id, redemption.series_id) for redemption in plan.redemptions)
        standings: list[Row] = []
        new_standings: list[Row] = []
        for (customer_id, series_id), count in sorted(by_customer.items()):
            standing = state.standings[customer_id, series_id]
            last_ms = standing.last_redeemed_ms  # not the plan's time: another process may have redeemed at a later one before us
            if standing.is_stored:
                standings.append((count, count, last_ms, customer_id, series_id))
            else:
                new_standings.append((customer_id, series_id, count, count, last_ms))
        tx.write(self._standings, org_id, standings)
        tx.write(self._new_standings, org_id, new_standings)

    def _write_counters(self, tx: WriteTransaction, org_id: int, state: State, plan: Plan) -> None:
        by_series = Counter(redemption.series_id for redemption in plan.redemptions)
        tx.write(
            self._counters,
            org_id,
            sorted((series_id, self._stripe_of(state, series_id), count, plan.now_ms) for series_id, count in by_series.items()),
        )

    def _stripe_of(self, state: State, series_id: int) -> int:
        series = state.series[series_id]
        assert series is not None, "a redemption was decided under readable terms"
        return t.CAPPED_STRIPE if series.terms.max_redeem >= 0 else self._stripe

    def _write_answers(self, tx: WriteTransaction, org_id: int, plan: Plan) -> None:
        new: list[Row] = []
        replaced: list[Row] = []
        for digest, kept in sorted({kept.digest: kept for kept in plan.kept}.items()):
            row = (kept.fingerprint, plan.now_ms, self._encode(kept.answer), digest)
            (replaced if kept.replaces else new).append(row)
        tx.write(self._answers, org_id, replaced)
        tx.write(self._new_answers, org_id, new)


def _redemption_row(redemption: Redemption) -> Row:
    fields = msgspec.json.encode(dict(redemption.custom_fields)).decode() if redemption.custom_fields else None
    return (
        *(redemption.id, redemption.coupon_id, redemption.use_number, redemption.series_id, redemption.series_version),
        *(redemption.customer_id, redemption.customer_use_number, redemption.till_id, redemption.store_id),
        *(redemption.redeemed_ms, scaled(redemption.amount), redemption.transaction_number, fields, redemption.request_id),
    )


def _refusal_row(refusal_id: int, now_ms: int, refusal: Refusal) -> Row:
    # Anything may be sent as a code: of any length, and with NUL, which PostgreSQL has no place for.
    code_sent = refusal.code_sent[: CODE_CHARS_MAX + 1].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return (
        *(refusal_id, refusal.status.name, code_sent, refusal.coupon_id, refusal.series_id, refusal.customer_id),
        *(refusal.till_id, refusal.transaction_number, scaled(refusal.amount), refusal.at_ms, now_ms, refusal.request_id),
    )
