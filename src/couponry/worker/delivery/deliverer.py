"""The deliverer: a loop in a thread of the worker, which looks after every org that is this worker's."""

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog
import uvloop

from couponry.core.deliveries import Channel, Webhook
from couponry.core.limits import (
    DELIVERER_AGAIN_MS,
    DELIVERY_STOP_MS_MAX,
    DELIVERY_STORE_THREADS,
    ORG_LOOK_MS_EACH,
    ORG_LOOK_MS_MAX,
    ORG_LOOK_MS_MIN,
    ORGS_LISTED_MS,
)
from couponry.core.validation import Vault
from couponry.outbound import Sender, Signer
from couponry.outbound.addresses import Network
from couponry.store import side_effects
from couponry.store.engine import Database, StoreError
from couponry.store.presence import Ownership
from couponry.store.registry import org_ids
from couponry.store.sequencing import FanOut, Sequencer
from couponry.store.webhooks import opened
from couponry.worker.delivery.attempts import Target
from couponry.worker.delivery.hooks import HookTarget
from couponry.worker.delivery.judging import MessageJudge
from couponry.worker.delivery.messages import Gateways, MessageTarget
from couponry.worker.delivery.org import OrgDelivery, Store
from couponry.worker.delivery.webhooks import Posts, SealedTarget, WebhookTarget

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class DelivererParts:
    """What a deliverer is put together from. `database` is keyed, and has a connection for each of its threads."""

    database: Database
    ownership: Ownership
    fan_out: FanOut
    vault: Vault
    signer: Signer
    allowed: Sequence[Network]
    clock: Callable[[], int]
    chance: Callable[[], float]


class Deliverer:
    """Runs from `start` to `stop`, in a thread of its own; what breaks it makes it begin anew after a while."""

    def __init__(self, parts: DelivererParts) -> None:
        self._parts = parts
        self._thread = threading.Thread(target=self._run, name="deliverer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._is_up = threading.Event()
        self._is_stopping = threading.Event()

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()
        self._is_up.wait()

    def stop(self) -> None:
        """Finish what is on its way, and record it, for a few seconds at most."""
        self._is_stopping.set()
        loop, stop = self._loop, self._stop
        if loop and stop:
            with suppress(RuntimeError):  # it is broken, and has not begun anew yet
                loop.call_soon_threadsafe(stop.set)
        self._thread.join((DELIVERY_STOP_MS_MAX + 10 * ORG_LOOK_MS_MIN) / 1000)

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(self._main())
            except Exception:
                log.exception("deliverer_broken")
            self._is_up.set()
            self._is_stopping.wait(DELIVERER_AGAIN_MS / 1000)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._is_up.set()
        if self._is_stopping.is_set():  # it was told so just before there was a loop to tell it to
            return
        threads = ThreadPoolExecutor(DELIVERY_STORE_THREADS, "delivery-store")
        store = Store(self._parts.database, partial(self._loop.run_in_executor, threads))
        made = Made(self._parts, store)
        try:
            await _Orgs(self._parts, store, made, self._stop).run()
        finally:
            await made.close()
            threads.shutdown(wait=False, cancel_futures=True)
            self._parts.ownership.release()


class Made:
    """What lanes send to, and the connections that they share."""

    def __init__(self, parts: DelivererParts, store: Store) -> None:
        self._parts = parts
        self._store = store
        self._posts = Posts(parts.allowed)
        self._sender = Sender(parts.signer, parts.allowed, parts.clock, parts.chance)
        self._gateways = Gateways(parts.allowed, self._posts, parts.clock)
        self._judge = MessageJudge(store, parts.database.dialect, parts.clock)

    def of_webhook(self, org_id: int, webhook: Webhook) -> Target | None:
        """A webhook. Headers that another secret sealed cannot be sent, and without them nothing is."""
        headers = opened(webhook, org_id, self._parts.vault)
        if headers is None:
            log.error("webhook_sealed", org_id=org_id, webhook=webhook.wire_id)
            return SealedTarget()
        return WebhookTarget(org_id, webhook, headers, self._parts.signer, self._posts, self._parts.clock)

    def of_channel(self, org_id: int, channel: Channel, url: str) -> Target | None:
        """A gateway, or the org's hook."""
        if channel is Channel.UNTOLD:
            return None
        if channel is Channel.SIDE_EFFECTS:
            return HookTarget(org_id, url, self._sender, self._forget)
        return MessageTarget(org_id, channel, url, self._parts.vault, self._gateways, self._judge)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._posts.close()
        await self._sender.close()
        self._gateways.close()

    async def _forget(self, org_id: int, redemption_ids: Collection[int]) -> None:
        await self._store.write(partial(side_effects.forget, org_id=org_id, redemption_ids=redemption_ids))


class _Orgs:
    """All orgs that are ours, each with a task."""

    def __init__(self, parts: DelivererParts, store: Store, made: Made, stop: asyncio.Event) -> None:
        self._parts = parts
        self._store = store
        self._made = made
        self._stop = stop
        self._sequencer = Sequencer(parts.database, parts.fan_out, parts.clock)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._left: set[int] = set()

    async def run(self) -> None:
        """Until told to stop."""
        while not self._stop.is_set():
            try:
                known = await self._store.read(org_ids)
                ours = await self._store.call(partial(self._parts.ownership.take, known))
            except StoreError as error:
                log.warning("orgs_unknown", cause=str(error))
            else:
                self._look_after(ours)
            await self._rest(ORGS_LISTED_MS)
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=DELIVERY_STOP_MS_MAX / 1000)

    def _look_after(self, ours: Collection[int]) -> None:
        self._left = set(self._tasks) - set(ours)
        for org_id in set(ours) - set(self._tasks):
            task = asyncio.create_task(self._kept(org_id))
            self._tasks[org_id] = task
            task.add_done_callback(partial(self._gone, org_id))

    def _gone(self, org_id: int, _task: asyncio.Task[None]) -> None:
        del self._tasks[org_id]

    async def _kept(self, org_id: int) -> None:
        """Look at an org often while it has something to tell, ever more rarely while it has not."""
        parts = self._parts
        org = OrgDelivery(org_id, self._store, self._sequencer, self._made, parts.clock, parts.chance)
        pause_ms = ORG_LOOK_MS_MIN
        while not self._stop.is_set() and org_id not in self._left:
            due_ms = None
            try:
                due_ms = await org.turn()
                is_idle = due_ms is None and not org.is_busy
            except StoreError as error:
                log.warning("org_waits", org_id=org_id, cause=str(error))
                is_idle = True
            except Exception:
                log.exception("org_broken", org_id=org_id)
                is_idle = True
            pause_ms = min(2 * pause_ms, self._idle_ms) if is_idle else ORG_LOOK_MS_MIN
            await self._rest(pause_ms if due_ms is None else min(due_ms, self._idle_ms))
        org.stop()
        await org.ended()

    @property
    def _idle_ms(self) -> int:
        """How rarely an idle org is looked at: the more there are, the more rarely."""
        return max(5 * ORG_LOOK_MS_MIN, min(ORG_LOOK_MS_MAX, ORG_LOOK_MS_EACH * len(self._tasks)))

    async def _rest(self, pause_ms: int) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_ms / 1000):
                await self._stop.wait()
