"""Deliveries as lanes work on them: what is due at a target, and what came of it.

Among the waiting deliveries of one customer at one target, a chain, a later one is never due before an earlier one. Whoever adds
to chains (`store.sequencing`) and whoever holds them back meet at a lock: else a new delivery could be due while the one before
it is put off.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import BigInteger, bindparam, func, literal_column, select, text

from couponry.core.deliveries import DeliveryState, Due, Outcome
from couponry.core.limits import PROBLEM_CHARS_MAX
from couponry.store import schema as t
from couponry.store.dialect import Dialect
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.neighbours import commit_lazily
from couponry.store.statements import Write, org_parameter

# Spelt out, or neither database would know that its index on these rows alone will do.
IS_WAITING: Final = t.delivery.c.state == literal_column("'waiting'")
_DUE: Final = (
    *(t.delivery.c.id, t.delivery.c.outbox_id, t.delivery.c.event, t.delivery.c.target_id),
    *(func.coalesce(t.delivery.c.customer_id, 0), t.delivery.c.address, t.delivery.c.body, t.delivery.c.attempts),
    *(t.delivery.c.created_ms, t.delivery.c.since_ms),
)
_STILL_WAITING: Final = "delivery.state || '' = 'waiting'"
_CHAINS_HELD: Final = 0x63686E73
_HOLD: Final = text("SELECT pg_advisory_xact_lock(CAST(:kind AS int), CAST(:org AS int))")
_TARGETS: Final = text("""
    WITH RECURSIVE target(id) AS (
        SELECT (SELECT target_id FROM delivery WHERE org_id = :org AND state = 'waiting' ORDER BY target_id, next_ms LIMIT 1)
        UNION ALL
        SELECT (
            SELECT target_id FROM delivery WHERE org_id = :org AND state = 'waiting' AND target_id > target.id
            ORDER BY target_id, next_ms LIMIT 1
        )
        FROM target WHERE target.id IS NOT NULL
    )
    SELECT target.id, (
        SELECT next_ms FROM delivery WHERE org_id = :org AND state = 'waiting' AND target_id = target.id
        ORDER BY next_ms, id LIMIT 1
    )
    FROM target WHERE target.id IS NOT NULL
""")
_ABANDON: Final = text("""
    UPDATE delivery SET state = 'failed', done_ms = :now, problem = :problem
    WHERE org_id = :org AND id IN (
        SELECT id FROM delivery WHERE org_id = :org AND state = 'waiting' AND target_id = :target ORDER BY next_ms, id LIMIT :most
    )
""")


def hold_chains(tx: WriteTransaction, org_id: int) -> None:
    """From here on, nobody else adds to an org's chains or holds one back until the transaction ends. SQLite has one writer."""
    if tx.dialect.locks_rows:
        tx.connection.execute(_HOLD, {"kind": _CHAINS_HELD, "org": org_id})


def only(write: Write, condition: str) -> Write:
    """An update by key of such rows only.

    The condition must not be the very one that a partial index has, or PostgreSQL would rather walk through that index.
    """
    return replace(write, sql=f"{write.sql} AND {condition}")


def targets(tx: ReadTransaction, org_id: int) -> Mapping[int, int]:
    """The targets that something waits for, each with when the first is due. One look-up for each."""
    return {target_id: next_ms for target_id, next_ms in tx.rows(_TARGETS, {"org": org_id})}  # noqa: C416 - rows are no pairs to mypy


def abandon(tx: WriteTransaction, org_id: int, target_id: int, problem: str, *, now_ms: int, most: int) -> int:
    """Fail what waits for a target that is gone, some of it; how many were failed."""
    asked = {"org": org_id, "target": target_id, "now": now_ms, "problem": problem, "most": most}
    return int(tx.connection.execute(_ABANDON, asked).rowcount)


class Deliveries:
    """The hot statements of one dialect, compiled once."""

    def __init__(self, dialect: Dialect) -> None:
        row = t.delivery.c
        self._ids, self._busy = dialect.keys("ids", BigInteger()), dialect.keys("busy", BigInteger())
        ids, busy = (select(*keys.columns).select_from(keys.source) for keys in (self._ids, self._busy))
        at_target = (row.org_id == org_parameter(), row.target_id == bindparam("target"), IS_WAITING)
        is_free = (row.next_ms <= bindparam("now"), row.id.not_in(ids), func.coalesce(row.customer_id, 0).not_in(busy))
        first = (row.next_ms, row.id)
        self._due = dialect.read(select(*_DUE).where(*at_target, *is_free).order_by(*first).limit(bindparam("most")))
        attempt = ("state", "next_ms", "begun_ms", "done_ms", "http_status", "took_ms", "problem")
        self._attempts = only(dialect.update(t.delivery, ("id",), ("attempts",), attempt), _STILL_WAITING)
        self._put_off = only(dialect.update(t.delivery, ("id",), (), ("next_ms",)), _STILL_WAITING)
        self._behind = _behind(dialect)

    def due(
        self,
        tx: ReadTransaction,
        org_id: int,
        target_id: int,
        now_ms: int,
        most: int,
        without: Collection[int] = (),
        busy: Collection[int] = (),
    ) -> list[Due]:
        """What is due at a target, those of one customer in their order; one statement.

        Left out are the deliveries `without`, which the caller has in hand, and all of the customers `busy`, of whom it has
        enough: a customer with thousands must not keep it from the others.
        """
        asked: dict[str, object] = {"org": org_id, "target": target_id, "now": now_ms, "most": most}
        asked |= self._ids.bound([(row_id,) for row_id in without]) | self._busy.bound([(customer_id,) for customer_id in busy])
        return [
            Due(
                id=row[0],
                outbox_id=row[1],
                event=row[2],
                target_id=row[3],
                customer_id=row[4],
                address=row[5],
                body=row[6],
                attempts=row[7],
                created_ms=row[8],
                since_ms=row[9],
            )
            for row in tx.read(self._due, asked)
        ]

    def record(self, tx: WriteTransaction, org_id: int, outcomes: Sequence[Outcome]) -> None:
        """What came of attempts, one for each delivery; three statements at most, beside the lock's.

        What is tried again holds back its chain. The commit does not wait for the disk: what a power cut takes is sent again. A
        delivery that waits no more, since another worker sent it too or an operator took it away, stays as it is.
        """
        if not outcomes:
            return
        commit_lazily(tx)
        later = [each for each in outcomes if each.again_ms is not None]
        if later:
            hold_chains(tx, org_id)
        rows = sorted(outcomes, key=lambda each: each.due.id)
        for write, listed in (
            (self._attempts, [_attempt(each) for each in rows if not each.is_put_off]),
            (self._put_off, [(each.again_ms, each.due.id) for each in rows if each.is_put_off]),
            (self._behind, [(each.again_ms, each.due.target_id, each.due.customer_id) for each in later if each.due.customer_id]),
        ):
            if listed:
                tx.dialect.run(tx.connection, write, org_id, listed)


def _behind(dialect: Dialect) -> Write:
    """Puts off what waits of chains."""
    write = only(dialect.update(t.delivery, ("target_id", "customer_id"), (), ("next_ms",)), "delivery.state = 'waiting'")
    if dialect.locks_rows:
        return only(write, "delivery.next_ms < k.next_ms")
    by_chain = write.sql.replace("UPDATE delivery", "UPDATE delivery INDEXED BY ix_delivery_chain", 1)
    return only(replace(write, sql=by_chain), "delivery.next_ms < ?1")


def _attempt(outcome: Outcome) -> tuple[object, ...]:
    due, done_ms = outcome.due, outcome.done_ms
    problem = outcome.problem[:PROBLEM_CHARS_MAX].encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    if outcome.is_unwanted:
        return 0, DeliveryState.SKIPPED.value, done_ms, None, done_ms, None, None, problem, due.id
    state = DeliveryState.DELIVERED if outcome.is_delivered else DeliveryState.FAILED
    is_over = outcome.again_ms is None
    return (
        *(1, state.value if is_over else DeliveryState.WAITING.value, done_ms if is_over else outcome.again_ms),
        *(outcome.begun_ms, done_ms if is_over else None, outcome.http_status, done_ms - outcome.begun_ms, problem, due.id),
    )
