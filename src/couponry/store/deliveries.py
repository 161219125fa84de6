"""Deliveries as lanes work on them: what is due at a target, and what came of it.

Among the waiting deliveries of one customer at one target, a chain, a later one is never due before an earlier one. Whoever adds
to chains (`store.sequencing`, `store.delivery_log`) and whoever holds them back meet at a lock: else a new delivery could be due
while the one before it is put off. What is sent again is in chains of its own: what happened after it was told long ago.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, func, literal_column, select, text, union_all

from couponry.core.deliveries import DeliveryState, Due, Outcome
from couponry.core.limits import DELIVERY_CHUNK_ROWS, LANE_CHARS_MAX, LANE_REPEATS_PART, PROBLEM_CHARS_MAX
from couponry.store import schema as t
from couponry.store.dialect import Dialect
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.neighbours import commit_lazily
from couponry.store.selects import Keyed
from couponry.store.statements import Row, Write, org_parameter

# Spelt out, or neither database would know that its index on these rows alone will do.
IS_WAITING: Final = t.delivery.c.state == literal_column("'waiting'")
_DUE: Final = (
    *(t.delivery.c.id, t.delivery.c.outbox_id, t.delivery.c.event, t.delivery.c.target_id),
    *(func.coalesce(t.delivery.c.customer_id, 0), t.delivery.c.address, t.delivery.c.body, t.delivery.c.attempts),
    *(t.delivery.c.created_ms, t.delivery.c.since_ms, t.delivery.c.is_repeat, t.delivery.c.expires_ms),
)
_STILL_WAITING: Final = "delivery.state || '' = 'waiting'"
_CHAINS_HELD: Final = 0x63686E73
_HOLD: Final = text("SELECT pg_advisory_xact_lock(CAST(:kind AS int), CAST(:org AS int))")
_TARGETS: Final = text("""
    WITH RECURSIVE target(id) AS (
        SELECT (SELECT target_id FROM delivery WHERE org_id = :org AND state = 'waiting' ORDER BY target_id, is_repeat LIMIT 1)
        UNION ALL
        SELECT (
            SELECT target_id FROM delivery WHERE org_id = :org AND state = 'waiting' AND target_id > target.id
            ORDER BY target_id, is_repeat LIMIT 1
        )
        FROM target WHERE target.id IS NOT NULL
    )
    SELECT target.id, (
        SELECT next_ms FROM delivery WHERE org_id = :org AND state = 'waiting' AND target_id = target.id AND is_repeat = FALSE
        ORDER BY next_ms, id LIMIT 1
    ), (
        SELECT next_ms FROM delivery WHERE org_id = :org AND state = 'waiting' AND target_id = target.id AND is_repeat = TRUE
        ORDER BY next_ms, id LIMIT 1
    )
    FROM target WHERE target.id IS NOT NULL
""")
_ABANDON: Final = text("""
    UPDATE delivery SET state = 'failed', done_ms = :now, problem = :problem
    WHERE org_id = :org AND id IN (
        SELECT id FROM delivery WHERE org_id = :org AND state = 'waiting' AND target_id = :target
        ORDER BY is_repeat, next_ms, id LIMIT :most
    )
""")
_WALK: Final = text("""
    SELECT id, is_repeat, next_ms, since_ms, expires_ms, problem FROM delivery
    WHERE org_id = :org AND state = 'waiting' AND target_id = :target AND (is_repeat, next_ms, id) > (:is_repeat, :next_ms, :id)
    ORDER BY is_repeat, next_ms, id LIMIT :most
""")
_TOO_LONG: Final = "it waited for too long"


class Place(NamedTuple):
    """Where a walk over what waits for a target has come to."""

    is_repeat: bool
    next_ms: int
    id: int


START: Final = Place(is_repeat=False, next_ms=-1, id=0)


class Overdue(NamedTuple):
    """What a step of such a walk found to be too old, each with why; and up to where it looked, None at the end."""

    letters: Sequence[tuple[int, str]]
    place: Place | None


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
    found = tx.rows(_TARGETS, {"org": org_id})
    return {target_id: min(at_ms for at_ms in first_ms if at_ms is not None) for target_id, *first_ms in found}


def abandon(tx: WriteTransaction, org_id: int, target_id: int, problem: str, *, now_ms: int, most: int) -> int:
    """Fail what waits for a target that is gone, some of it; how many were failed."""
    asked = {"org": org_id, "target": target_id, "now": now_ms, "problem": problem, "most": most}
    return int(tx.connection.execute(_ABANDON, asked).rowcount)


def overdue(tx: ReadTransaction, org_id: int, target_id: int, since_ms: int, now_ms: int, after: Place) -> Overdue:
    """What waits for a target and was first tried before `since_ms`, or is of no use any more, among the next `after` a place.

    Most of it is found at the start, for nothing is due before it is tried.
    """
    asked = {"org": org_id, "target": target_id, **after._asdict(), "most": DELIVERY_CHUNK_ROWS}
    rows = tx.rows(_WALK, asked)
    old = [(row.id, row.problem or _TOO_LONG) for row in rows if row.since_ms < since_ms or (row.expires_ms or now_ms) < now_ms]
    is_last = len(rows) < DELIVERY_CHUNK_ROWS
    return Overdue(old, None if is_last else Place(bool(rows[-1].is_repeat), rows[-1].next_ms, rows[-1].id))


class Deliveries:
    """The hot statements of one dialect, compiled once."""

    def __init__(self, dialect: Dialect) -> None:
        row = t.delivery.c
        self._ids, self._busy = dialect.keys("ids", BigInteger()), dialect.keys("busy", BigInteger())
        ids, busy = (select(*keys.columns).select_from(keys.source) for keys in (self._ids, self._busy))
        at_target = (row.org_id == org_parameter(), row.target_id == bindparam("target"), IS_WAITING)
        is_free = (row.next_ms <= bindparam("now"), row.id.not_in(ids), func.coalesce(row.customer_id, 0).not_in(busy))
        arms = []
        for value, most in (("FALSE", "most"), ("TRUE", "repeats")):
            wanted = select(row.is_repeat, row.next_ms, row.id, row.body_chars).where(*at_target, *is_free)
            wanted = wanted.where(row.is_repeat == literal_column(value)).order_by(row.next_ms, row.id)
            arms.append(select(wanted.limit(bindparam(most)).subquery(f"some_{most}")))
        self._first = dialect.read(union_all(*arms))
        keys = dialect.keys("due", BigInteger())
        self._due = Keyed(dialect, select(*_DUE).select_from(keys.probing(t.delivery, "id")), keys)
        attempt = ("state", "next_ms", "begun_ms", "done_ms", "http_status", "took_ms", "problem")
        self._attempts = only(dialect.update(t.delivery, ("id",), ("attempts",), attempt), _STILL_WAITING)
        self._put_off = only(dialect.update(t.delivery, ("id",), (), ("next_ms",)), _STILL_WAITING)
        self._behind = put_off_chains(dialect)
        self._given_up = only(dialect.update(t.delivery, ("id",), (), ("state", "done_ms", "problem")), _STILL_WAITING)

    def due(
        self,
        tx: ReadTransaction,
        org_id: int,
        target_id: int,
        now_ms: int,
        most: int,
        without: Collection[int] = (),
        busy: Collection[int] = (),
        chars: int = LANE_CHARS_MAX,
    ) -> list[Due]:
        """What is due at a target, those of one customer in their order, and no more text than `chars`, but one at least.

        What is sent again, however much there is, only has its part. Left out are the deliveries `without`, which the caller has
        in hand, and all of the customers `busy`, of whom it has enough: a customer with thousands must not keep it from the
        others. Two statements.
        """
        asked: dict[str, object] = {"org": org_id, "target": target_id, "now": now_ms, "most": most}
        asked["repeats"] = max(1, most // LANE_REPEATS_PART)
        asked |= self._ids.bound([(row_id,) for row_id in without]) | self._busy.bound([(customer_id,) for customer_id in busy])
        first = sorted(tx.read(self._first, asked))
        live = _within(chars, [row for row in first if not row[0]])
        ids = live + _within(chars // LANE_REPEATS_PART, [row for row in first if row[0]])
        found = {row[0]: row for row in self._due.rows(tx, org_id, [(row_id,) for row_id in ids])}
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
                is_repeat=bool(row[10]),
                expires_ms=row[11],
            )
            for row in (found[row_id] for row_id in ids)
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
            (self._behind, [_chain(each) for each in later if each.due.customer_id]),
        ):
            if listed:
                tx.dialect.run(tx.connection, write, org_id, listed)

    def give_up(self, tx: WriteTransaction, org_id: int, letters: Sequence[tuple[int, str]], now_ms: int) -> None:
        """Fail what still waits of these, each with why; one statement."""
        if letters:
            rows = [(DeliveryState.FAILED.value, now_ms, why, row_id) for row_id, why in sorted(letters)]
            tx.dialect.run(tx.connection, self._given_up, org_id, rows)


def _within(chars: int, rows: Sequence[Row]) -> list[int]:
    """The ids of the first rows, at least of one, whose bodies together are no longer than that."""
    ids: list[int] = []
    for *_, row_id, length in rows:
        chars -= length
        if ids and chars < 0:
            break
        ids.append(row_id)
    return ids


def _chain(outcome: Outcome) -> tuple[object, ...]:
    due = outcome.due
    return outcome.again_ms, due.target_id, due.customer_id, due.is_repeat


def last_of_chains(dialect: Dialect, *, is_repeat: bool) -> Keyed:
    """(target_id, customer_id, next_ms, id) of the last that waits in each chain, by (target_id, customer_id)."""
    keys, row = dialect.keys("chains", BigInteger(), BigInteger()), t.delivery.c
    target_id, customer_id = keys.columns
    of_chain = (row.org_id == org_parameter()) & (row.target_id == target_id) & (row.customer_id == customer_id)
    last = dialect.first_of_each(
        keys,
        (row.target_id, row.customer_id, row.next_ms, row.id),
        of_chain & (row.is_repeat == literal_column(str(is_repeat).upper())) & IS_WAITING,
        1,
        index="ix_delivery_chain",
        order=(row.id.desc(),),
    )
    return Keyed(dialect, last, keys)


def put_off_chains(dialect: Dialect) -> Write:
    """Lets nothing of chains be due before a time; a row is (next_ms, target_id, customer_id, is_repeat)."""
    chain = ("target_id", "customer_id", "is_repeat")
    write = only(dialect.update(t.delivery, chain, (), ("next_ms",)), "delivery.state = 'waiting'")
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
