"""Deliveries as people look at them: the log, dead letters, and sending again.

Sending again sets the delivery that is there back to waiting, so that body and event id stay what they were and an event has one
row for each webhook, however often it was sent. Repeats are in chains of their own: they wait for repeats before them, by their
old order, and keep nobody waiting who is told of something new.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    String,
    and_,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)

from couponry.core.deliveries import Channel, Delivery, DeliveryState, TargetCount
from couponry.core.limits import (
    DELIVERIES_COUNTED_MAX,
    DELIVERIES_LISTED_MAX,
    DELIVERY_CHUNK_ROWS,
    DELIVERY_WALKED_MAX,
    MINUTE_MS,
)
from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store.deliveries import hold_chains, last_of_chains, put_off_chains
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.statements import Probe, Row

# Spelt out, as in `store.deliveries`.
_IS_FAILED: Final = t.delivery.c.state == literal_column("'failed'")
_IS_MESSAGE: Final = t.delivery.c.coupon_id.is_not(None)
_NAMES: Final = Delivery.__struct_fields__
_COLUMNS: Final = (
    *(t.delivery.c[name] for name in _NAMES if name != "happened_ms"),
    func.coalesce(t.outbox.c.created_ms, t.delivery.c.created_ms).label("happened_ms"),
)
_MESSAGES: Final = (Channel.SMS, Channel.EMAIL, Channel.CONTACTS, Channel.OTP_SMS, Channel.OTP_EMAIL)
_SKEW_MS: Final = MINUTE_MS
"""How far the clocks of workers may differ: ids follow the times of whoever made them."""
# The first id whose row, or the next one there is, was made at that time or later: half the ids fall away at each step.
_FIRST_MADE: Final = text("""
    WITH RECURSIVE part(low, high) AS (
        SELECT (SELECT MIN(id) FROM delivery WHERE org_id = :org), (SELECT MAX(id) + 1 FROM delivery WHERE org_id = :org)
        UNION ALL
        SELECT
            CASE WHEN (
                SELECT created_ms FROM delivery WHERE org_id = :org AND id >= (low + high) / 2 ORDER BY id LIMIT 1
            ) < :at THEN (low + high) / 2 + 1 ELSE low END,
            CASE WHEN (
                SELECT created_ms FROM delivery WHERE org_id = :org AND id >= (low + high) / 2 ORDER BY id LIMIT 1
            ) < :at THEN high ELSE (low + high) / 2 END
        FROM part WHERE low < high
    )
    SELECT MIN(high) FROM part
""")


class Chunk(NamedTuple):
    """What one transaction of a longer work has done. `next_id` is where the next one goes on after; None at the end."""

    done: int
    next_id: int | None


def of_cause(tx: ReadTransaction, org_id: int, outbox_id: int) -> list[Delivery]:
    """What was made of a cause, for whatever target."""
    return _log(tx, org_id, "ix_delivery_outbox", t.delivery.c.outbox_id == outbox_id)


def of_request(tx: ReadTransaction, org_id: int, request_id: str) -> list[Delivery]:
    """What a request led to."""
    return _log(tx, org_id, "ix_delivery_request", t.delivery.c.request_id == request_id)


def of_ref(tx: ReadTransaction, org_id: int, ref_id: str) -> list[Delivery]:
    """What events of a reference (events 1) led to."""
    return _log(tx, org_id, "ix_delivery_ref", t.delivery.c.ref_id == ref_id)


def of_coupon(tx: ReadTransaction, org_id: int, coupon_id: int, *, limit: int, before_id: int | None = None) -> list[Delivery]:
    """What was sent about a coupon, newest first."""
    row = t.delivery.c
    wanted = _deliveries(org_id, "ix_delivery_coupon").where(_IS_MESSAGE, row.coupon_id == coupon_id)
    if before_id is not None:
        wanted = wanted.where(row.id < before_id)
    return _read(tx, wanted.order_by(row.coupon_id.desc(), row.id.desc()).limit(limit))


def messages_sent(tx: ReadTransaction, org_id: int, *, limit: int, before_id: int | None = None) -> list[Delivery]:
    """The newest messages of an org, for its mailbox: among so many deliveries that it may look at."""
    row = t.delivery.c
    walked = select(row.id).where(row.org_id == org_id)
    if before_id is not None:
        walked = walked.where(row.id < before_id)
    (last,) = walked.order_by(row.id.desc()).limit(DELIVERY_WALKED_MAX).subquery("walked").c
    since = select(func.min(last)).scalar_subquery()
    wanted = _deliveries(org_id).where(row.id >= since, or_(*(row.target_id == each for each in _MESSAGES)))
    if before_id is not None:
        wanted = wanted.where(row.id < before_id)
    return _read(tx, wanted.order_by(row.id.desc()).limit(limit))


def read_delivery(tx: ReadTransaction, org_id: int, delivery_id: int) -> Delivery | None:
    """One delivery."""
    found = _read(tx, _deliveries(org_id).where(t.delivery.c.id == delivery_id))
    return found[0] if found else None


def dead_letters(
    tx: ReadTransaction, org_id: int, *, limit: int, before_id: int | None = None, target_id: int | None = None
) -> list[Delivery]:
    """What has failed for good, newest first; of one target if one is asked for."""
    row = t.delivery.c
    index = "ix_delivery_failed" if target_id is None else "ix_delivery_failed_at"
    wanted = _deliveries(org_id, index).where(_IS_FAILED)
    if target_id is not None:
        wanted = wanted.where(row.target_id == target_id)
    if before_id is not None:
        wanted = wanted.where(row.id < before_id)
    return _read(tx, wanted.order_by(row.id.desc()).limit(limit))


def replay(tx: WriteTransaction, org_id: int, delivery_id: int, now_ms: int) -> Problem | None:
    """Try a dead letter again; `unknown`, or `state` where it is none. One that nothing could be made of is made anew."""
    letter = read_delivery(tx, org_id, delivery_id)
    if letter is None:
        return Problem("unknown", f"there is no delivery {delivery_id}")
    if letter.state is not DeliveryState.FAILED:
        return Problem("state", f"delivery {delivery_id} is {letter.state}")
    _again(tx, org_id, [letter.id], now_ms)
    return None


def replay_all(tx: WriteTransaction, org_id: int, target_id: int, now_ms: int, *, after_id: int = 0) -> Chunk:
    """Try the dead letters of a target again, oldest first, so many in a transaction."""
    row = t.delivery.c
    failed = (
        select(row.id)
        .select_from(_by("ix_delivery_failed_at"))
        .where(row.org_id == org_id, _IS_FAILED, row.target_id == target_id, row.id > after_id)
    )
    ids = [found_id for (found_id,) in _rows(tx, failed.order_by(row.id).limit(DELIVERY_CHUNK_ROWS))]
    _again(tx, org_id, ids, now_ms)
    return Chunk(len(ids), ids[-1] if len(ids) == DELIVERY_CHUNK_ROWS else None)


def send_again(
    tx: WriteTransaction, org_id: int, target_id: int, from_ms: int, until_ms: int, now_ms: int, *, after_id: int = 0
) -> Chunk:
    """Send again what was made for a target between two times and was delivered or has failed, so much in a transaction.

    What still waits is sent anyway. Each chunk looks at a bounded number of deliveries, whatever their targets.
    """
    row = t.delivery.c
    first_id = max(after_id + 1, _first_made(tx, org_id, from_ms - _SKEW_MS))
    walked = select(row.id, row.target_id, row.state, row.created_ms).where(row.org_id == org_id, row.id >= first_id)
    rows = tx.rows(walked.order_by(row.id).limit(DELIVERY_WALKED_MAX), {})
    done = (DeliveryState.DELIVERED, DeliveryState.FAILED)
    ids = [
        found.id
        for found in rows
        if found.target_id == target_id and found.state in done and from_ms <= found.created_ms < until_ms
    ]
    _again(tx, org_id, ids, now_ms)
    is_last = len(rows) < DELIVERY_WALKED_MAX or rows[-1].created_ms > until_ms + _SKEW_MS
    return Chunk(len(ids), None if is_last else rows[-1].id)


def target_counts(tx: ReadTransaction, org_id: int, target_ids: Collection[int]) -> list[TargetCount]:
    """What waits and what has failed, by target; beyond `DELIVERIES_COUNTED_MAX` it is only known that there is more."""
    states = (DeliveryState.WAITING, DeliveryState.FAILED)
    asked = [_counted(org_id, target_id, state) for target_id in sorted(set(target_ids)) for state in states]
    if not asked:
        return []
    found = {(target_id, state): counted for target_id, state, *counted in _rows(tx, union_all(*asked))}
    waiting, failed = ({target_id: found[target_id, state] for target_id in target_ids} for state in states)
    return [
        TargetCount(target_id, waiting=waiting[target_id][0], oldest_ms=waiting[target_id][1], failed=failed[target_id][0])
        for target_id in target_ids
    ]


def _counted(org_id: int, target_id: int, state: DeliveryState) -> Select[*tuple[Any, ...]]:
    row = t.delivery.c
    is_in = row.state == literal_column(f"'{state.value}'")
    source = _by("ix_delivery_due" if state is DeliveryState.WAITING else "ix_delivery_failed_at")
    some = (
        select(row.created_ms)
        .select_from(source)
        .where(row.org_id == org_id, row.target_id == target_id, is_in)
        .limit(DELIVERIES_COUNTED_MAX)
    )
    times = some.subquery("times")
    named = (literal(target_id, BigInteger).label("target_id"), literal(state.value, String).label("state"))
    return select(*named, func.count().label("counted"), func.min(times.c.created_ms).label("oldest_ms")).select_from(times)


def _again(tx: WriteTransaction, org_id: int, ids: Sequence[int], now_ms: int) -> None:
    """Set deliveries back to waiting. Their causes are made anew where nothing could be made of them."""
    if not ids:
        return
    hold_chains(tx, org_id)
    row, cause = t.delivery.c, t.outbox.c
    these = select(row.id, row.target_id, row.customer_id, row.outbox_id).where(row.org_id == org_id, row.id.in_(ids))
    found = tx.rows(these, {})
    untold = [each.outbox_id for each in found if each.target_id == Channel.UNTOLD]
    if untold:
        is_one = and_(cause.org_id == org_id, cause.id.in_(untold))
        tx.connection.execute(update(t.outbox).where(is_one).values(position=None))
        letter = and_(row.org_id == org_id, row.target_id == Channel.UNTOLD, row.outbox_id.in_(select(cause.id).where(is_one)))
        tx.connection.execute(delete(t.delivery).where(letter))
    _repeat(tx, org_id, [tuple(each)[:3] for each in found if each.target_id != Channel.UNTOLD], now_ms)


def _repeat(tx: WriteTransaction, org_id: int, letters: Sequence[Row], now_ms: int) -> None:
    """Let (id, target_id, customer_id) wait again, each behind what waits of its chain, which waits for those before it."""
    if not letters:
        return
    chains = sorted({(target_id, customer_id) for _, target_id, customer_id in letters if customer_id is not None})
    last = {(row[0], row[1]): row[2] for row in last_of_chains(tx.dialect, is_repeat=True).rows(tx, org_id, chains)}
    due_ms = {chain: max(now_ms, last.get(chain, 0)) for chain in chains}
    anew = {"state": DeliveryState.WAITING.value, "is_repeat": True, "since_ms": now_ms, "done_ms": None, "problem": ""}
    write = tx.dialect.update(t.delivery, ("id",), (), ("attempts", *anew, "next_ms"))
    rows = [(0, *anew.values(), due_ms.get((target_id, who), now_ms), row_id) for row_id, target_id, who in letters]
    tx.dialect.run(tx.connection, write, org_id, sorted(rows, key=lambda row: row[-1]))
    if chains:
        tx.dialect.run(tx.connection, put_off_chains(tx.dialect), org_id, [(due_ms[chain], *chain, True) for chain in chains])


def _first_made(tx: ReadTransaction, org_id: int, at_ms: int) -> int:
    ((first_id,),) = tx.rows(_FIRST_MADE, {"org": org_id, "at": at_ms})
    return first_id or 0


def _deliveries(org_id: int, index: str = "") -> Select[Any]:
    same_cause = (t.outbox.c.org_id == t.delivery.c.org_id) & (t.outbox.c.id == t.delivery.c.outbox_id)
    source = (_by(index) if index else t.delivery).outerjoin(t.outbox, same_cause)
    return select(*_COLUMNS).select_from(source).where(t.delivery.c.org_id == org_id)


def _by(index: str) -> Probe:
    """Deliveries by one of their indexes: to have them in order, SQLite would rather walk through all of an org's."""
    probe = Probe(select(literal_column("1")).subquery("one"), t.delivery, true())
    probe.index, probe.is_alone = index, True
    return probe


def _log(tx: ReadTransaction, org_id: int, index: str, condition: ColumnElement[bool]) -> list[Delivery]:
    """In the order of their ids, which is not asked for, lest PostgreSQL walk, too."""
    found = _read(tx, _deliveries(org_id, index).where(condition).limit(DELIVERIES_LISTED_MAX))
    return sorted(found, key=lambda each: each.id)


def _read(tx: ReadTransaction, wanted: Select[Any]) -> list[Delivery]:
    found = [dict(zip(_NAMES, row, strict=True)) for row in _rows(tx, wanted)]
    return [Delivery(**{**values, "state": DeliveryState(values["state"])}) for values in found]


def _rows(tx: ReadTransaction, wanted: Select[Any] | CompoundSelect[Any]) -> list[Row]:
    """Straight on the driver, as a hot read: SQLAlchemy would take a probe by an index alone for a cartesian product."""
    return tx.read(tx.dialect.read(wanted), {})
