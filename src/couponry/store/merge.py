"""Two customers become one: what was the victim's is the survivor's from then on, all in one transaction (rules 11).

Merges run beside redemptions. The customers' rows are locked first, against `Dialect.insert_about_customers`: whoever counts for
the victim for the first time in a series waits for the merge, finds the victim gone, and is decided again (721). Whoever counts
there not for the first time needs the victim's counter, which the merge locks and deletes; then it is the first time, too. The
other locks follow in the ledger's order. Only the customers' come earlier than there, so a merge hardly waits for a lock: it
gives up and is tried again, and who would have waited for it goes on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, String, case, delete, select, text, update

from couponry.core.deliveries import Channel
from couponry.core.figures import Tally
from couponry.core.limits import COUNT_MAX
from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store.counting import Counting, zone_of
from couponry.store.engine import Stage, WriteTransaction
from couponry.store.erasure import withhold
from couponry.store.neighbours import hold_customers
from couponry.store.statements import Row, org_parameter

# The victim's uses are numbered on after the survivor's. The survivor's counter still says how many those were.
_MOVE_REDEMPTIONS: Final = text("""
    UPDATE redemption SET customer_id = :survivor, customer_use_number = customer_use_number + COALESCE((
        SELECT own.uses FROM customer_series AS own
        WHERE own.org_id = :org AND own.customer_id = :survivor AND own.series_id = redemption.series_id
    ), 0)
    WHERE org_id = :org AND customer_id = :victim
""")
_MOVE_COUPONS: Final = text("""
    UPDATE coupon SET customer_id = :survivor, holder_id = CASE WHEN holder_id = 0 THEN 0 ELSE :survivor END
    WHERE org_id = :org AND customer_id = :victim
""")
# There is no index by customer: one step for each series that has an audience.
_AUDIENCES: Final = text("""
    WITH RECURSIVE listed(id) AS (
        SELECT MIN(series_id) FROM series_audience WHERE org_id = :org
        UNION ALL
        SELECT (SELECT MIN(series_id) FROM series_audience WHERE org_id = :org AND series_id > listed.id)
        FROM listed WHERE listed.id IS NOT NULL
    )
    SELECT member.series_id, member.customer_id FROM listed JOIN series_audience AS member
    ON member.org_id = :org AND member.series_id = listed.id AND member.customer_id IN (:victim, :survivor)
""")


class _Pair(NamedTuple):
    org_id: int
    victim_id: int
    survivor_id: int

    @property
    def parameters(self) -> dict[str, int]:
        return {"org": self.org_id, "victim": self.victim_id, "survivor": self.survivor_id}


def merge(tx: WriteTransaction, org_id: int, victim_id: int, survivor_id: int, now_ms: int) -> Problem | None:
    """Give all that is the victim's to the survivor. The victim keeps its row with its identifiers, and is 721 from now on.

    Of a shared code that both hold, the survivor's record stays, with the uses of both, and the victim's is revoked. Raises
    StoreError when something was locked: try again.
    """
    if victim_id == survivor_id:
        return Problem("invalid", "a customer cannot be merged into itself")
    pair = _Pair(org_id, victim_id, survivor_id)
    tx.hurry()
    tx.stage = Stage.CUSTOMERS
    hold_customers(tx, org_id, alone=True)  # against bulk issues, which lock no customer
    people = _locked_people(tx, pair)
    problem = _problem(pair, people)
    if problem:
        return problem
    tx.stage = Stage.COUPONS
    doubles = _coupons_and_redemptions(tx, pair, now_ms)
    tx.stage = Stage.COUNTERS
    _standings(tx, pair, Counter(was.series_id for was in doubles if not was.issued_by_redemption))
    tx.stage = Stage.CUSTOMERS
    _audiences(tx, pair)
    _people(tx, pair, people, now_ms)
    _count_revoked(tx, pair, doubles, now_ms)
    withhold(tx, org_id, victim_id, (Channel.SMS, Channel.EMAIL), "the customer was merged into another", now_ms)
    return None


def _locked_people(tx: WriteTransaction, pair: _Pair) -> dict[int, Any]:
    """Both rows FOR UPDATE: against FOR KEY SHARE, too, which `Dialect.locked` would let pass."""
    customer = t.customer.c
    wanted = select(t.customer).where(customer.org_id == pair.org_id, customer.id.in_((pair.victim_id, pair.survivor_id)))
    return {row.id: row for row in tx.rows(wanted.order_by(customer.id).with_for_update(), {})}


def _problem(pair: _Pair, people: Mapping[int, Any]) -> Problem | None:
    for customer_id in (pair.victim_id, pair.survivor_id):
        if customer_id not in people:
            return Problem("unknown", f"there is no customer {customer_id}")
        row = people[customer_id]
        if row.deleted_ms is not None:
            return Problem("gone", f"customer {customer_id} was deleted")
        if row.merged_into_id is not None:
            return Problem("gone", f"customer {customer_id} was merged into {row.merged_into_id}")
    return None


def _coupons_and_redemptions(tx: WriteTransaction, pair: _Pair, now_ms: int) -> list[Any]:
    """Lock, then move. The coupons that were revoked for the survivor's own."""
    redemption, coupon = t.redemption.c, t.coupon.c
    keys = tx.dialect.keys("whose", BigInteger())
    whose = {org_parameter().key: pair.org_id, **keys.bound([(pair.victim_id,)])}
    made = select(redemption.id).select_from(keys.probing(t.redemption, "customer_id", index="uq_redemption_customer_use"))
    tx.rows(tx.dialect.locked(made.order_by(redemption.id), t.redemption), whose)
    held = select(t.coupon).select_from(keys.probing(t.coupon, "customer_id", index="ix_coupon_customer"))
    doubles = _doubles(tx, pair, tx.rows(tx.dialect.locked(held.order_by(coupon.id), t.coupon), whose))
    if doubles:
        _join(tx, pair, doubles, now_ms)
    tx.connection.execute(_MOVE_REDEMPTIONS, pair.parameters)
    tx.connection.execute(_MOVE_COUPONS, pair.parameters)
    return [was for was, _ in doubles]


def _join(tx: WriteTransaction, pair: _Pair, doubles: Sequence[tuple[Any, Any]], now_ms: int) -> None:
    """The survivor's own record of a shared code takes over what was done with the victim's, so that every limit counts both."""
    redemption = t.redemption.c
    ids = {was.id: own.id for was, own in doubles}
    uses = {was.id: own.uses for was, own in doubles}
    tx.connection.execute(
        update(t.redemption)
        .where(redemption.org_id == pair.org_id, redemption.coupon_id.in_(ids))
        .values(
            coupon_id=case(ids, value=redemption.coupon_id),
            use_number=redemption.use_number + case(uses, value=redemption.coupon_id),
        )
    )
    count = tx.dialect.update(t.coupon, key=("id",), added=("redeemed", "uses"), assigned=())
    tx.write(count, pair.org_id, [(was.redeemed, was.uses, own.id) for was, own in doubles])
    revoke = tx.dialect.update(t.coupon, key=("id",), added=(), assigned=("redeemed", "uses", "revoked_ms", "revision"))
    tx.write(revoke, pair.org_id, [(0, 0, now_ms, was.id, was.id) for was, _ in doubles])


def _count_revoked(tx: WriteTransaction, pair: _Pair, revoked: Sequence[Any], now_ms: int) -> None:
    if revoked:
        tally = Tally(zone_of(tx, pair.org_id))
        for coupon in revoked:
            tally.count("revoked", now_ms, coupon.series_id)
        Counting(tx.dialect).add(tx, pair.org_id, tally)


def _doubles(tx: WriteTransaction, pair: _Pair, coupons: Sequence[Any]) -> list[tuple[Any, Any]]:
    """The victim's live records of shared codes of which the survivor has one, each with the survivor's."""
    records = {coupon.code_key: coupon for coupon in coupons if coupon.holder_id and not coupon.revision}
    if not records:
        return []
    keys = tx.dialect.keys("wanted", String(), BigInteger(), BigInteger())
    probe = keys.probing(t.coupon, "code_key", "holder_id", "revision", index="uq_coupon_code")
    wanted = select(t.coupon.c.code_key, t.coupon.c.id, t.coupon.c.uses).select_from(probe).order_by(t.coupon.c.id)
    bound = keys.bound([(code_key, pair.survivor_id, 0) for code_key in sorted(records)])
    found = tx.rows(tx.dialect.locked(wanted, t.coupon), {org_parameter().key: pair.org_id, **bound})
    return [(records[own.code_key], own) for own in found]


def _standings(tx: WriteTransaction, pair: _Pair, lost: Counter[int]) -> None:
    """Add up what both have done in each series. A last redemption counts only while it is active."""
    standing = t.customer_series.c
    both = select(t.customer_series).where(
        standing.org_id == pair.org_id, standing.customer_id.in_((pair.victim_id, pair.survivor_id))
    )
    rows = tx.rows(tx.dialect.locked(both.order_by(standing.customer_id, standing.series_id), t.customer_series), {})
    own = {row.series_id: row for row in rows if row.customer_id == pair.survivor_id}
    changed: list[Row] = []
    new: list[Row] = []
    for row in rows:
        if row.customer_id == pair.survivor_id:
            continue
        summed = [row, own[row.series_id]] if row.series_id in own else [row]
        issued_ms = _latest(one.last_issued_ms for one in summed)
        redeemed_ms = _latest(one.last_redeemed_ms for one in summed if one.redeemed)
        counts = (row.issued - lost[row.series_id], row.redeemed, row.uses)
        (changed if row.series_id in own else new).append((*counts, issued_ms, redeemed_ms, pair.survivor_id, row.series_id))
    counted, latest_names = ("issued", "redeemed", "uses"), ("last_issued_ms", "last_redeemed_ms")
    key = ("customer_id", "series_id")
    tx.write(tx.dialect.update(t.customer_series, key=key, added=counted, assigned=latest_names), pair.org_id, changed)
    tx.write(tx.dialect.insert(t.customer_series, (*counted, *latest_names, *key)), pair.org_id, new)
    tx.connection.execute(delete(t.customer_series).where(standing.org_id == pair.org_id, standing.customer_id == pair.victim_id))


def _audiences(tx: WriteTransaction, pair: _Pair) -> None:
    member = t.series_audience.c
    rows = tx.rows(_AUDIENCES, pair.parameters)
    mine, theirs = ({row.series_id for row in rows if row.customer_id == each} for each in (pair.survivor_id, pair.victim_id))
    insert = tx.dialect.insert(t.series_audience, ("series_id", "customer_id"))
    tx.write(insert, pair.org_id, [(series_id, pair.survivor_id) for series_id in sorted(theirs - mine)])
    if theirs:
        of_victim = (member.org_id == pair.org_id, member.customer_id == pair.victim_id, member.series_id.in_(theirs))
        tx.connection.execute(delete(t.series_audience).where(*of_victim))


def _people(tx: WriteTransaction, pair: _Pair, people: Mapping[int, Any], now_ms: int) -> None:
    count = min(sum(row.transaction_count for row in people.values()), COUNT_MAX)
    for customer_id, values in (
        (pair.survivor_id, {"transaction_count": count}),
        (pair.victim_id, {"merged_into_id": pair.survivor_id}),
    ):
        same = (t.customer.c.org_id == pair.org_id, t.customer.c.id == customer_id)
        tx.connection.execute(update(t.customer).where(*same).values(updated_ms=now_ms, **values))


def _latest(instants: Iterable[int | None]) -> int | None:
    return max((at_ms for at_ms in instants if at_ms is not None), default=None)
