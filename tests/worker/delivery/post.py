"""A shop's post office: deliveries written by hand, and rounds of the very lanes that a worker has, by the shop's clock."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import count
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import insert, select

from couponry.core.deliveries import Webhook
from couponry.core.limits import ORG_LOOK_MS_MIN
from couponry.core.validation import Vault
from couponry.core.webhook_drafts import Draft
from couponry.outbound import Signer
from couponry.store import schema as t
from couponry.store.engine import Database
from couponry.store.presence import Ownership
from couponry.store.sequencing import FanOut, Sequencer
from couponry.store.webhooks import Names, create_webhook
from couponry.worker.delivery.deliverer import DelivererParts, Made
from couponry.worker.delivery.org import OrgDelivery, Store
from tests.api.shop import Shop
from tests.receiver import LOOPBACK
from tests.store.outboxes import fan_out

VAULT = Vault(b"k" * 32)
SIGNER = Signer(b"only for this test")


@dataclass
class Post:
    """One org's deliveries. `allowed` are networks that may be reached, loopback unless said otherwise."""

    shop: Shop
    allowed: tuple[str, ...] = (LOOPBACK,)
    fan_out: FanOut = fan_out
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    database: Database | None = None

    @property
    def parts(self) -> DelivererParts:
        return DelivererParts(
            database=self.database or self.shop.database,
            ownership=Ownership(self.shop.database),
            fan_out=self.fan_out,
            vault=VAULT,
            signer=SIGNER,
            allowed=tuple(ip_network(network) for network in self.allowed),
            clock=self.shop.clock,
            chance=lambda: 0.5,
        )

    def webhook(self, url: str, connections_max: int = 4, headers: Mapping[str, str] = MappingProxyType({})) -> Webhook:
        name = f"w{next(self.numbers)}"
        draft = Draft(
            name=name,
            url=url,
            event_names=frozenset({"CouponIssue"}),
            headers=dict(headers),
            connections_max=connections_max,
            sla_s=30,
        )
        with self.shop.database.writing() as tx:
            made = create_webhook(tx, self.shop.org_id, draft, Names(name, name), VAULT, till_id=None, now_ms=self.shop.clock())
        assert isinstance(made, Webhook)
        return made

    def put(self, target_id: int, *customer_ids: int | None, **columns: Any) -> list[int]:
        """A waiting delivery about each of these customers, in this order; their ids."""
        now_ms = self.shop.clock()
        rows: list[dict[str, Any]] = []
        for customer_id in customer_ids:
            serial = next(self.numbers)
            row = {"org_id": self.shop.org_id, "id": serial, "outbox_id": serial, "event": "CouponIssue", "target_id": target_id}
            times = {"next_ms": now_ms, "created_ms": now_ms, "since_ms": now_ms}
            told = {"body": msgspec.json.encode({"n": serial}).decode(), "problem": "", "request_id": "r", "ref_id": "f"}
            rows.append(row | times | told | {"customer_id": customer_id, "state": "waiting", "attempts": 0} | columns)
        with self.shop.database.writing() as tx:
            tx.connection.execute(insert(t.delivery), rows)
        return [row["id"] for row in rows]

    def round(self) -> None:
        """Everything that is due now, until nothing is."""
        self.run(_until_all_is_told)

    def run(self, work: Callable[[OrgDelivery], Coroutine[Any, Any, Any]]) -> None:
        """`work` with the org's lanes, and then what is on its way."""

        async def all_of_it() -> None:
            parts = self.parts
            store = Store(parts.database, asyncio.to_thread)
            made = Made(parts, store)
            org = OrgDelivery(
                self.shop.org_id,
                store,
                Sequencer(parts.database, parts.fan_out, parts.clock),
                made,
                parts.clock,
                parts.chance,
            )
            try:
                await work(org)
                await org.ended()
            finally:
                await made.close()

        asyncio.run(all_of_it())

    def rows(self, *names: str) -> list[tuple[Any, ...]]:
        """Columns of all deliveries, in the order of their ids."""
        wanted = select(*(t.delivery.c[name] for name in names)).where(t.delivery.c.org_id == self.shop.org_id)
        with self.shop.database.reading() as tx:
            return [tuple(row) for row in tx.rows(wanted.order_by(t.delivery.c.id), {})]


async def _until_all_is_told(org: OrgDelivery) -> None:
    """The first causes are told a few at a time."""
    while (after_ms := await org.turn()) is not None and after_ms < ORG_LOOK_MS_MIN:
        pass
