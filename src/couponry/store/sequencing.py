"""From what happened to what is sent: each cause in the outbox gets its position, and its deliveries, in one transaction.

What deliveries say is made before that transaction, from a consistent view, so that nobody waits while bodies are written. If
another worker was faster, or somebody whom they may name was forgotten meanwhile, or a crash comes between, it writes
nothing: a position is given once, to a row that has none, and only together with the deliveries. Positions follow the order of
commits, since whoever gives them waits for the one before: a reader who has seen a position will never find a lower one that is
new.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog
from sqlalchemy import and_, bindparam, literal_column, select

from couponry.core.deliveries import Channel, DeliveryState, NewDelivery, Webhook
from couponry.core.hook_messages import SIDE_EFFECTS
from couponry.core.limits import (
    CAUSES_AT_ONCE,
    COUPON_TOLD_CHARS,
    COUPONS_TOLD_AT_ONCE,
    EVENT_TOLD_CHARS,
    REDEEM_ITEMS_MAX,
    SIDE_EFFECTS_LEFT_MS,
    TOLD_CHARS_AT_ONCE,
)
from couponry.core.model import Org
from couponry.core.telling import Cause, Facts
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.bulk.inserts import insert_many
from couponry.store.deliveries import hold_chains, last_of_chains, only
from couponry.store.dialect import Dialect, Trouble
from couponry.store.engine import Database, ReadTransaction, Stage, StoreError, WriteTransaction
from couponry.store.neighbours import others_write
from couponry.store.rows import LABEL_COLUMNS, ORG_COLUMNS, org_from_rows
from couponry.store.statements import Row, org_parameter
from couponry.store.telling import CAUSE_COLUMNS, FactReads, cause_from_row
from couponry.store.webhooks import active_webhooks

FanOut = Callable[[Org, Sequence[Cause], Facts, Sequence[Webhook]], Sequence[NewDelivery]]
"""Makes the deliveries of some causes, in their order; pure."""

log = structlog.get_logger()

_DELIVERY: Final = (
    *(
        "id",
        "outbox_id",
        "event",
        "target_id",
        "customer_id",
        "coupon_id",
        "address",
        "expires_ms",
        "body_chars",
        "body",
        "state",
    ),
    *("attempts", "next_ms", "created_ms", "since_ms", "done_ms", "problem", "request_id", "ref_id"),
)
_REDEEM: Final = frozenset({"CouponRedeem", SIDE_EFFECTS})
REQUEST_CAUSES_MAX: Final = len(_REDEEM) * REDEEM_ITEMS_MAX


class Sequenced(NamedTuple):
    """How many causes got their positions, and which targets something new waits for. `is_all`: there were no more.

    `write_s` is how long others could not write on SQLite; `others_write` whether any do, which is asked while there is more.
    """

    causes: int
    target_ids: frozenset[int]
    is_all: bool
    write_s: float = 0
    others_write: bool = False


class _Batch(NamedTuple):
    first: int
    causes: Sequence[Cause]
    deliveries: Sequence[NewDelivery]
    now_ms: int


class Sequencer:
    """Sequences the outboxes of one database, org by org."""

    def __init__(self, database: Database, fan_out: FanOut, clock: Callable[[], int]) -> None:
        self._database = database
        self._fan_out = fan_out
        self._clock = clock
        self._facts = FactReads(database.dialect)
        self._statements = _Statements(database.dialect)

    def step(self, org_id: int, most: int = CAUSES_AT_ONCE) -> Sequenced:
        """Take the oldest causes that have no position. Raises StoreError, a conflict when another worker was faster."""
        now_ms = self._clock()
        with self._database.reading() as tx:
            found = self._statements.new_causes(tx, org_id, now_ms, most)
            org = self._statements.org(tx, org_id) if found else None
            if org is None:
                return Sequenced(0, frozenset(), is_all=True)
            first = serials.upcoming(tx, org_id, serials.POSITION)
            webhooks = active_webhooks(tx, org_id)
            causes = found[: _at_once(found, most, Counter(name for webhook in webhooks for name in webhook.event_names))]
            facts = self._facts.facts(tx, org_id, causes, now_ms)
        batch = _Batch(first, causes, self._made(org, causes, facts, webhooks), now_ms)
        is_all = len(causes) == len(found)
        with self._database.writing() as tx:
            began_s = time.perf_counter()
            do_others = not is_all and others_write(tx)
            self._statements.write(tx, org_id, batch)
        write_s = time.perf_counter() - began_s
        waiting = frozenset(each.target_id for each in batch.deliveries if each.state is DeliveryState.WAITING)
        return Sequenced(len(causes), waiting, is_all, write_s, do_others)

    def _made(self, org: Org, causes: Sequence[Cause], facts: Facts, webhooks: Sequence[Webhook]) -> list[NewDelivery]:
        """The deliveries; one cause that nothing can be made of must not stop all that come after it."""
        try:
            return list(self._fan_out(org, causes, facts, webhooks))
        except Exception:
            log.exception("fan_out_failed", org_id=org.id, causes=len(causes))
        made: list[NewDelivery] = []
        for cause in causes:
            try:
                made += self._fan_out(org, [cause], facts, webhooks)
            except Exception as error:
                log.exception("cause_untold", org_id=org.id, outbox_id=cause.id)
                made.append(_untold(cause, error))
        return made


class _Statements:
    """Of one dialect, compiled once."""

    def __init__(self, dialect: Dialect) -> None:
        row = t.outbox.c
        # The hook is told of side effects at once; only what it was not told then is left to us (`store.side_effects`).
        is_young = and_(row.event == literal_column("'SideEffects'"), row.created_ms > bindparam("young"))
        new = select(*CAUSE_COLUMNS).where(row.org_id == org_parameter(), row.position.is_(None), ~is_young)
        self._new = dialect.read(new.order_by(row.rank, row.created_ms, row.id).limit(bindparam("most")))
        self._org = dialect.read(select(*ORG_COLUMNS).where(t.org.c.id == org_parameter()))
        self._labels = dialect.read(select(*LABEL_COLUMNS).where(t.status_label.c.org_id == org_parameter()))
        self._positions = only(dialect.update(t.outbox, ("id",), (), ("position",)), "outbox.position + 0 IS NULL")
        self._chains = last_of_chains(dialect, is_repeat=False)

    def new_causes(self, tx: ReadTransaction, org_id: int, now_ms: int, most: int) -> list[Cause]:
        """The first without a position, by rank and time, and one more if there is, or what may belong to one request."""
        more = 1 if most > REQUEST_CAUSES_MAX else REQUEST_CAUSES_MAX
        asked = {"org": org_id, "young": now_ms - SIDE_EFFECTS_LEFT_MS, "most": most + more}
        return [cause_from_row(row) for row in tx.read(self._new, asked)]

    def org(self, tx: ReadTransaction, org_id: int) -> Org | None:
        """The org; None, which is logged, when it cannot be read: what it has to tell waits until it can."""
        rows = tx.read(self._org, {"org": org_id})
        org = org_from_rows(rows[0], tx.read(self._labels, {"org": org_id})) if rows else None
        if org is None:
            log.error("org_unreadable", org_id=org_id)
        return org

    def write(self, tx: WriteTransaction, org_id: int, batch: _Batch) -> None:
        """Positions and deliveries. Ids are reserved here and not ahead: they are the order of deliveries, whoever makes them."""
        tx.stage = Stage.OUTBOX
        hold_chains(tx, org_id)
        first = serials.reserve(tx, org_id, serials.POSITION, len(batch.causes))
        if first != batch.first:  # another worker was faster, or somebody was forgotten meanwhile (`store.erasure`)
            raise StoreError(Trouble.CONFLICT, tx.stage)
        tx.write(self._positions, org_id, [(first + place, cause.id) for place, cause in enumerate(batch.causes)])
        if batch.deliveries:
            first_id = serials.reserve(tx, org_id, serials.DELIVERY, len(batch.deliveries))
            # Not as arrays: a quote in those is two characters, and bodies are full of quotes.
            insert_many(tx, t.delivery, _DELIVERY, org_id, self._rows(tx, org_id, batch, first_id))

    def _rows(self, tx: WriteTransaction, org_id: int, batch: _Batch, first_id: int) -> list[Row]:
        """Rows in the order of their causes; none is due before the one before it in its chain."""
        places = {cause.id: place for place, cause in enumerate(batch.causes)}
        ordered = sorted(batch.deliveries, key=lambda each: places[each.outbox_id])
        chains = {(each.target_id, each.customer_id) for each in ordered if each.customer_id is not None}
        last_ms = {(row[0], row[1]): row[2] for row in self._chains.rows(tx, org_id, sorted(chains))}
        rows = []
        for delivery_id, each in enumerate(ordered, first_id):
            next_ms, chain = max(each.next_ms, batch.now_ms), (each.target_id, each.customer_id)
            if chain in chains and each.state is DeliveryState.WAITING:
                next_ms = last_ms[chain] = max(next_ms, last_ms.get(chain, 0))
            rows.append(_row(delivery_id, each, next_ms, batch.now_ms))
        return rows


def _at_once(causes: Sequence[Cause], most: int, receivers: Mapping[str, int]) -> int:
    """How many of these to tell together: not about too many coupons, nor in too much text for all `receivers` of an event."""
    taken = subjects = chars = 0
    for cause in causes[:most]:
        subjects += len(cause.subject_ids)
        chars += max(1, receivers[cause.event]) * (EVENT_TOLD_CHARS + COUPON_TOLD_CHARS * len(cause.subject_ids))
        if taken and (subjects > COUPONS_TOLD_AT_ONCE or chars > TOLD_CHARS_AT_ONCE):
            break
        taken += 1
    return _whole(causes, taken)


def _whole(causes: Sequence[Cause], taken: int) -> int:
    """The same, or a few less, or more if need be: the redemptions of a request are told together, for they are counted."""
    first = last = taken
    while 0 < first < len(causes) and _are_one(causes[first - 1], causes[first]):
        first -= 1
    while last < len(causes) and _are_one(causes[last - 1], causes[last]):
        last += 1
    return taken if last - first > REQUEST_CAUSES_MAX else first or last


def _are_one(cause: Cause, after: Cause) -> bool:
    is_redeem = cause.event in _REDEEM and after.event in _REDEEM
    return is_redeem and (cause.request_id, cause.created_ms) == (after.request_id, after.created_ms)


def _row(delivery_id: int, each: NewDelivery, next_ms: int, now_ms: int) -> Row:
    done_ms = None if each.state is DeliveryState.WAITING else now_ms
    return (
        *(delivery_id, each.outbox_id, each.event, each.target_id, each.customer_id, each.coupon_id, each.address),
        *(each.expires_ms, len(each.body), each.body, each.state.value, 0, next_ms, now_ms, next_ms, done_ms),
        *(each.problem, each.request_id, each.ref_id),
    )


def _untold(cause: Cause, error: Exception) -> NewDelivery:
    return NewDelivery(
        outbox_id=cause.id,
        event=cause.event,
        target_id=Channel.UNTOLD,
        customer_id=cause.customer_id,
        body="",
        request_id=cause.request_id,
        ref_id="",
        state=DeliveryState.FAILED,
        problem=f"nothing could be made of it: {type(error).__name__}",
    )
