"""Who is told of what: webhooks, and every message and event on its way to somebody outside."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    TextClause,
    false,
    text,
)

from couponry.store.schema.table import org_id, org_table, own_id

_IS_WAITING = text("state = 'waiting'")
_IS_FAILED = text("state = 'failed'")
_IS_MESSAGE = text("coupon_id IS NOT NULL")


def _where(condition: TextClause) -> dict[str, Any]:
    return {"postgresql_where": condition, "sqlite_where": condition}


# `wire_id` is what the API calls it. `headers` are sealed: they may be its only authentication. `secret_number` and `rotated_ms`
# tell its secrets apart, which are made of the installation's (`outbound.signatures`); the one before counts for a while.
webhook = org_table(
    "webhook",
    org_id(),
    own_id(),
    Column("wire_id", String(24), nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("event_names", Text, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("enrichments", Text, nullable=False),
    Column("connections_max", Integer, nullable=False),
    Column("sla_s", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("consumer_group_id", String(36), nullable=False),
    Column("secret_number", Integer, nullable=False),
    Column("rotated_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", BigInteger),
    Column("updated_ms", BigInteger, nullable=False),
    Column("updated_by", BigInteger),
    Index("uq_webhook_wire_id", "org_id", "wire_id", unique=True),
    Index("uq_webhook_name", "org_id", "name", unique=True),
)
# `target_id` is a webhook's id, or a channel (`core.deliveries`). `body` never changes once it is written: a
# repeat says the same. Of one customer at one target, one is on its way at a time, in the order of their ids: among those that
# wait, a later one is never due before an earlier one. `since_ms` is since when it is tried, `expires_ms` from when on it is of
# no use. What is sent again (`is_repeat`) is in chains of its own, and is tried anew. `body_chars` stands before the body, which
# SQLite would else read to find it.
delivery = org_table(
    "delivery",
    org_id(),
    own_id(),
    Column("outbox_id", BigInteger, nullable=False),
    Column("event", String(24), nullable=False),
    Column("target_id", BigInteger, nullable=False),
    Column("customer_id", BigInteger),
    Column("coupon_id", BigInteger),
    Column("address", Text),
    Column("is_repeat", Boolean, nullable=False, server_default=false()),
    Column("expires_ms", BigInteger),
    Column("body_chars", Integer, nullable=False, server_default="0"),
    Column("body", Text, nullable=False),
    Column("state", String(9), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_ms", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("begun_ms", BigInteger),
    Column("done_ms", BigInteger),
    Column("http_status", Integer),
    Column("took_ms", Integer),
    Column("problem", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("ref_id", Text, nullable=False),
    CheckConstraint("state IN ('waiting', 'delivered', 'failed', 'skipped')", name="state"),
    Index("ix_delivery_due", "org_id", "target_id", "is_repeat", "next_ms", "id", **_where(_IS_WAITING)),
    Index("ix_delivery_chain", "org_id", "target_id", "customer_id", "is_repeat", "id", **_where(_IS_WAITING)),
    Index("ix_delivery_failed", "org_id", "id", **_where(_IS_FAILED)),
    Index("ix_delivery_failed_at", "org_id", "target_id", "id", **_where(_IS_FAILED)),
    Index("ix_delivery_outbox", "org_id", "outbox_id"),
    Index("ix_delivery_customer", "org_id", "customer_id", "address"),
    Index("ix_delivery_request", "org_id", "request_id"),
    Index("ix_delivery_ref", "org_id", "ref_id"),
    Index("ix_delivery_coupon", "org_id", "coupon_id", "id", **_where(_IS_MESSAGE)),
)
# A reminder is sent once per coupon, whatever happens; `reminder` is its topic (`core.reminders`): days and channel.
reminder = org_table(
    "reminder",
    org_id(),
    Column("coupon_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reminder", String(32), primary_key=True),
    Column("sent_ms", BigInteger, nullable=False),
)
# How far a series' reminders and notices are, by topic: one row that moves on, so that nothing piles up. `about` is the day that
# a walk over the coupons is of, and `reached` the last coupon walked past, NULL at the end; or the expiry that contacts were told
# of; or `reached` is how many were issued when they were told that few are left.
series_notice = org_table(
    "series_notice",
    org_id(),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", String(32), primary_key=True),
    Column("about", String(19), nullable=False),
    Column("reached", BigInteger),
)
