"""What one org has to deliver: its outbox is sequenced, and each target that something waits for has a lane as long as it does.

A hanging receiver costs its own lane only. A webhook or gateway that was changed gets a new lane.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

from couponry.core.deliveries import Channel, Due, Outcome, Webhook
from couponry.core.limits import CAUSES_AT_ONCE, CAUSES_AT_ONCE_MIN, DELIVERY_CHUNK_ROWS, ORG_LOOK_MS_MIN
from couponry.core.org_settings import OrgSettings
from couponry.store.deliveries import Deliveries, Overdue, Place, abandon, overdue, targets
from couponry.store.engine import Database, ReadTransaction, StoreError, WriteTransaction
from couponry.store.registry import read_settings
from couponry.store.sequencing import Sequencer
from couponry.store.webhooks import list_webhooks
from couponry.worker.delivery.attempts import Target
from couponry.worker.delivery.lane import Health, Lane
from couponry.worker.pace import Pace

log = structlog.get_logger()

T = TypeVar("T")


class Store:
    """The database for a loop that must not wait for it. `run` does a call on a thread."""

    def __init__(self, database: Database, run: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._database = database
        self._run = run
        self.deliveries = Deliveries(database.dialect)

    async def read(self, work: Callable[[ReadTransaction], T]) -> T:
        """In a transaction of its own."""

        def in_transaction() -> T:
            with self._database.reading() as tx:
                return work(tx)

        result: T = await self._run(in_transaction)
        return result

    async def write(self, work: Callable[[WriteTransaction], T]) -> T:
        """The same, committed."""

        def in_transaction() -> T:
            with self._database.writing() as tx:
                return work(tx)

        result: T = await self._run(in_transaction)
        return result

    async def call(self, work: Callable[[], T]) -> T:
        """What makes its own transactions."""
        result: T = await self._run(work)
        return result


class LaneRows:
    """The rows of one lane."""

    def __init__(self, store: Store, org_id: int, target_id: int) -> None:
        self._store = store
        self._org_id = org_id
        self._target_id = target_id

    async def due(self, now_ms: int, most: int, without: Collection[int], busy: Collection[int], chars: int) -> list[Due]:
        """What is due (`store.deliveries`)."""
        of = (self._org_id, self._target_id)
        return await self._store.read(lambda tx: self._store.deliveries.due(tx, *of, now_ms, most, without, busy, chars))

    async def give_up(self, since_ms: int, now_ms: int, after: Place) -> Overdue:
        """What waits for too long, among the next that wait, fails. It is looked for before anybody is kept from writing."""
        found = await self._store.read(lambda tx: overdue(tx, self._org_id, self._target_id, since_ms, now_ms, after))
        if found.letters:
            await self._store.write(lambda tx: self._store.deliveries.give_up(tx, self._org_id, found.letters, now_ms))
        return found

    async def record(self, outcomes: Sequence[Outcome]) -> None:
        """What came of attempts."""
        await self._store.write(lambda tx: self._store.deliveries.record(tx, self._org_id, outcomes))


class Targets(Protocol):
    """Makes what lanes send to, of what an org has set; None for a target that is gone."""

    def of_webhook(self, org_id: int, webhook: Webhook) -> Target | None: ...

    def of_channel(self, org_id: int, channel: Channel, url: str) -> Target | None: ...


class _Running(NamedTuple):
    lane: Lane | None
    task: asyncio.Task[None]
    setting: Webhook | str


class _Waiting(NamedTuple):
    """What waits for whom, since when, and what is known about these."""

    next_ms: dict[int, int]
    webhooks: dict[int, Webhook]
    settings: OrgSettings


class OrgDelivery:
    """One org's lanes. Health outlives them."""

    def __init__(
        self,
        org_id: int,
        store: Store,
        sequencer: Sequencer,
        makes: Targets,
        clock: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        self._org_id = org_id
        self._store = store
        self._sequencer = sequencer
        self._makes = makes
        self._clock = clock
        self._chance = chance
        self._running: dict[int, _Running] = {}
        self._healths: dict[int, tuple[Webhook | str, Health]] = {}
        self._rest_ms = 0
        self._pace = Pace(self._rest, least=CAUSES_AT_ONCE_MIN, most=CAUSES_AT_ONCE)

    @property
    def is_busy(self) -> bool:
        """Whether something is on its way."""
        return bool(self._running)

    async def turn(self) -> int | None:
        """Sequence what is new, and start lanes; how many ms until something is due for sure, None when nothing is known of.

        Raises StoreError.
        """
        sequenced = await self._store.call(lambda: self._sequencer.step(self._org_id, self._pace.rows))
        self._rest_ms = 0
        self._pace.went(sequenced.causes, sequenced.write_s, others_work=sequenced.others_write)
        waiting = await self._store.read(self._waiting)
        now_ms = self._clock()
        later: list[int] = []
        for target_id, next_ms in waiting.next_ms.items():
            due_ms = max(next_ms, self._start(target_id, waiting)) if next_ms <= now_ms else next_ms
            if target_id not in self._running:
                later.append(max(due_ms - now_ms, ORG_LOOK_MS_MIN))
        if not sequenced.is_all:
            return self._rest_ms
        return ORG_LOOK_MS_MIN if sequenced.causes or self._running else min(later, default=None)

    def _rest(self, seconds: float) -> None:
        """Leave that time to others before the next causes."""
        self._rest_ms = round(seconds * 1000)

    def stop(self) -> None:
        """Begin nothing more."""
        for running in self._running.values():
            if running.lane:
                running.lane.stop()

    async def ended(self) -> None:
        """Wait for what is on its way."""
        if self._running:
            await asyncio.wait([running.task for running in self._running.values()])

    def _waiting(self, tx: ReadTransaction) -> _Waiting:
        next_ms = dict(targets(tx, self._org_id))
        webhooks = list_webhooks(tx, self._org_id) if any(target_id > 0 for target_id in next_ms) else []
        settings = read_settings(tx, self._org_id) if any(target_id < 0 for target_id in next_ms) else OrgSettings()
        found = settings if isinstance(settings, OrgSettings) else OrgSettings()
        return _Waiting(next_ms, {webhook.id: webhook for webhook in webhooks}, found)

    def _start(self, target_id: int, waiting: _Waiting) -> int:
        """Give a target a lane, unless it has one or is left alone for now; until when it is."""
        setting = _setting(target_id, waiting)
        if running := self._running.get(target_id):
            if running.lane and running.setting != setting:
                running.lane.stop()
            return 0
        known, health = self._healths.get(target_id, (setting, Health()))
        if known != setting:
            health = Health()
        self._healths[target_id] = (setting, health)
        if health.until_ms > self._clock():
            return health.until_ms
        target = self._target(target_id, setting)
        rows = LaneRows(self._store, self._org_id, target_id)
        lane = Lane(rows, target, health, self._clock, self._chance) if target else None
        task = asyncio.create_task(self._kept(target_id, lane))
        self._running[target_id] = _Running(lane, task, setting)
        return 0

    def _target(self, target_id: int, setting: Webhook | str) -> Target | None:
        if isinstance(setting, Webhook):
            return self._makes.of_webhook(self._org_id, setting) if setting.is_active else None
        return self._makes.of_channel(self._org_id, Channel(target_id), setting) if target_id < 0 else None

    async def _kept(self, target_id: int, lane: Lane | None) -> None:
        try:
            await (lane.run() if lane else self._abandon(target_id))
        except StoreError as error:
            log.warning("lane_ended", org_id=self._org_id, target=target_id, cause=str(error))
        except Exception:
            log.exception("lane_broken", org_id=self._org_id, target=target_id)
        finally:
            del self._running[target_id]

    async def _abandon(self, target_id: int) -> None:
        """What waits for a target that is switched off, or gone, is a dead letter."""
        problem = "the webhook is switched off, or gone"
        failed = DELIVERY_CHUNK_ROWS
        while failed == DELIVERY_CHUNK_ROWS:
            asked: dict[str, Any] = {"org_id": self._org_id, "target_id": target_id, "problem": problem, "now_ms": self._clock()}
            failed = await self._store.write(partial(abandon, **asked, most=DELIVERY_CHUNK_ROWS))


def _setting(target_id: int, waiting: _Waiting) -> Webhook | str:
    """What a lane is made of; another one needs another lane."""
    if target_id > 0:
        return waiting.webhooks.get(target_id, "")
    match target_id:
        case Channel.SMS | Channel.OTP_SMS:
            return waiting.settings.sms_url
        case Channel.EMAIL | Channel.OTP_EMAIL | Channel.CONTACTS:
            return waiting.settings.email_url
        case Channel.SIDE_EFFECTS:
            return waiting.settings.side_effects_hook_url
        case _:
            return ""
