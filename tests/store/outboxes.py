"""What tests of sequencing and of deliveries have in common: causes written by hand, and a fan-out that says little."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, event, insert

from couponry.core.deliveries import Channel, NewDelivery, Webhook
from couponry.core.model import Org
from couponry.core.telling import Cause, Facts, Rank
from couponry.core.validation import Vault
from couponry.core.webhook_drafts import Draft
from couponry.store import schema as t
from couponry.store.engine import Database
from couponry.store.webhooks import Names, create_webhook
from tests.core.world import NOW, ORG, coupon_id, redemption_id

VAULT: Final = Vault(b"k" * 32)
NOW_AND_THEN: Final = ("BEGIN", "DISCARD PLANS")


def cause(serial: int, name: str = "CouponIssue", *, at_ms: int = NOW, org_id: int = ORG, **columns: Any) -> dict[str, Any]:
    """A row of the outbox about coupon 1, unless said otherwise."""
    several = columns.pop("coupon_ids", ())
    subject = {"subject_id": coupon_id(1), "subject_ids": msgspec.json.encode(several).decode() if several else None}
    usual = {"customer_id": 1, "position": None, "rank": Rank.USUAL, "request_id": f"r{serial}", **subject}
    return {"org_id": org_id, "id": redemption_id(serial), "event": name, "created_ms": at_ms, **usual, **columns}


def happen(database: Database, *causes: dict[str, Any]) -> None:
    with database.writing() as tx:
        tx.connection.execute(insert(t.outbox), list(causes))


def add_webhook(database: Database, *names: str, name: str = "w", org_id: int = ORG, is_active: bool = True) -> Webhook:
    wanted = Draft(
        name=name,
        url="https://hooks.example.com/",
        event_names=frozenset(names),
        headers={},
        connections_max=4,
        sla_s=30,
        is_active=is_active,
    )
    with database.writing() as tx:
        made = create_webhook(tx, org_id, wanted, Names(name, name), VAULT, till_id=None, now_ms=NOW)
    assert isinstance(made, Webhook)
    return made


def fan_out(org: Org, causes: Sequence[Cause], facts: Facts, webhooks: Sequence[Webhook]) -> list[NewDelivery]:
    """One delivery for each webhook that names the event, one SMS for each message."""
    assert org.id
    made = []
    for one in causes:
        targets = [Channel.SMS] if one.event.endswith("Message") else [w.id for w in webhooks if one.event in w.event_names]
        about = facts.coupons_of(one)
        body = ",".join(coupon.code for coupon in about)
        coupon = about[0].id if about else None
        told: dict[str, Any] = {
            "event": one.event,
            "customer_id": one.customer_id,
            "request_id": one.request_id,
            "ref_id": f"ref{one.id}",
        }
        made += [NewDelivery(outbox_id=one.id, target_id=target, body=body, coupon_id=coupon, **told) for target in targets]
    return made


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """What is asked of a database meanwhile, also straight on the driver."""
    seen: list[tuple[str, Any]] = []
    execute = database.dialect.execute

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _is_many: bool) -> None:
        if not statement.startswith(NOW_AND_THEN):
            seen.append((statement, parameters))

    def keep_and_execute(connection: Connection, sql: str, parameters: Any, *, is_many: bool = False) -> Any:
        seen.append((sql, parameters[0] if is_many else parameters))
        return execute(connection, sql, parameters, is_many=is_many)

    event.listen(database.engine, "before_cursor_execute", keep)
    database.dialect.execute = keep_and_execute  # type: ignore[method-assign] # to see what runs straight on the driver
    try:
        yield seen
    finally:
        database.dialect.execute = execute  # type: ignore[method-assign] # as it was
        event.remove(database.engine, "before_cursor_execute", keep)
