"""Webhooks, deliveries and reminders; the order in which what happened is told.

Revision ID: 0006
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_IS_NEW = sa.text("position IS NULL")
_IS_PLACED = sa.text("position IS NOT NULL")
_IS_WAITING = sa.text("state = 'waiting'")
_IS_FAILED = sa.text("state = 'failed'")
_IS_MESSAGE = sa.text("coupon_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("outbox", sa.Column("position", sa.BigInteger()))
    op.add_column("outbox", sa.Column("identified_by", sa.String(length=64)))
    op.add_column("outbox", sa.Column("rank", sa.SmallInteger(), server_default="1", nullable=False))
    new: dict[str, Any] = {"postgresql_where": _IS_NEW, "sqlite_where": _IS_NEW}
    op.create_index("ix_outbox_new", "outbox", ["org_id", "rank", "created_ms", "id"], unique=False, **new)
    placed: dict[str, Any] = {"postgresql_where": _IS_PLACED, "sqlite_where": _IS_PLACED}
    _vacuum_soon("outbox")
    op.create_index("uq_outbox_position", "outbox", ["org_id", "position"], unique=True, **placed)
    op.add_column("customer", sa.Column("unsubscribed", sa.String(length=32)))
    _make_webhooks()
    _make_deliveries()
    _make_reminders()


def _make_webhooks() -> None:
    op.create_table(
        "webhook",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("wire_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_names", sa.Text(), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("enrichments", sa.Text(), nullable=False),
        sa.Column("connections_max", sa.Integer(), nullable=False),
        sa.Column("sla_s", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("consumer_group_id", sa.String(length=36), nullable=False),
        sa.Column("secret_number", sa.Integer(), nullable=False),
        sa.Column("rotated_ms", sa.BigInteger()),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.BigInteger()),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.BigInteger()),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_webhook")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_webhook_wire_id", "webhook", ["org_id", "wire_id"], unique=True)
    op.create_index("uq_webhook_name", "webhook", ["org_id", "name"], unique=True)


def _make_deliveries() -> None:
    op.create_table(
        "delivery",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(length=24), nullable=False),
        sa.Column("target_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger()),
        sa.Column("coupon_id", sa.BigInteger()),
        sa.Column("address", sa.Text()),
        sa.Column("is_repeat", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger()),
        sa.Column("body_chars", sa.Integer(), server_default="0", nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("begun_ms", sa.BigInteger()),
        sa.Column("done_ms", sa.BigInteger()),
        sa.Column("http_status", sa.Integer()),
        sa.Column("took_ms", sa.Integer()),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("ref_id", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed', 'skipped')", name=op.f("ck_delivery_state")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_delivery")),
        sqlite_with_rowid=False,
    )
    for name, columns, where in (
        ("ix_delivery_due", ["org_id", "target_id", "is_repeat", "next_ms", "id"], _IS_WAITING),
        ("ix_delivery_chain", ["org_id", "target_id", "customer_id", "is_repeat", "id"], _IS_WAITING),
        ("ix_delivery_failed", ["org_id", "id"], _IS_FAILED),
        ("ix_delivery_failed_at", ["org_id", "target_id", "id"], _IS_FAILED),
        ("ix_delivery_outbox", ["org_id", "outbox_id"], None),
        ("ix_delivery_customer", ["org_id", "customer_id", "address"], None),
        ("ix_delivery_request", ["org_id", "request_id"], None),
        ("ix_delivery_ref", ["org_id", "ref_id"], None),
        ("ix_delivery_coupon", ["org_id", "coupon_id", "id"], _IS_MESSAGE),
    ):
        op.create_index(name, "delivery", columns, unique=False, postgresql_where=where, sqlite_where=where)
    _vacuum_soon("delivery")


def _make_reminders() -> None:
    op.create_table(
        "reminder",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("coupon_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reminder", sa.String(length=32), nullable=False),
        sa.Column("sent_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "coupon_id", "reminder", name=op.f("pk_reminder")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "series_notice",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic", sa.String(length=32), nullable=False),
        sa.Column("about", sa.String(length=19), nullable=False),
        sa.Column("reached", sa.BigInteger()),
        sa.PrimaryKeyConstraint("org_id", "series_id", "topic", name=op.f("pk_series_notice")),
        sqlite_with_rowid=False,
    )


def _vacuum_soon(table: str) -> None:
    """A queue's indexes hold what is done in front of what is new until PostgreSQL has vacuumed: every look walks past it."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.01)")
