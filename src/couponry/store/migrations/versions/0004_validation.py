"""Validation codes and missed calls, each found by its customer; side effects still to be told, by their redemption.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


_HAS_EFFECTS = sa.text("event = 'SideEffects'")


def upgrade() -> None:
    op.create_index(
        "ix_outbox_side_effects",
        "outbox",
        ["org_id", "subject_id"],
        unique=False,
        postgresql_where=_HAS_EFFECTS,
        sqlite_where=_HAS_EFFECTS,
    )
    op.create_table(
        "otp",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.Column("entity_type", sa.String(length=6), nullable=False),
        sa.Column("entity_value", sa.Text(), nullable=False),
        sa.Column("mac", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger()),
        sa.Column("wrong_tries", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("wrong_tries >= 0", name=op.f("ck_otp_wrong_tries")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_otp")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_otp_customer", "otp", ["org_id", "customer_id", "expires_ms"], unique=False)
    op.create_table(
        "missed_call",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("mobile", sa.Text(), nullable=False),
        sa.Column("called_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_missed_call")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_missed_call_customer", "missed_call", ["org_id", "customer_id", "called_ms"], unique=False)
