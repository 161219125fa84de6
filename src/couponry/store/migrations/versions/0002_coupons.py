"""What is offered, what is in circulation, and what was answered.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _series()
    _counters()
    _coupons()
    _redemptions()
    _answers()


def _series() -> None:
    op.create_table(
        "campaign",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("starts_ms", sa.BigInteger()),
        sa.Column("ends_ms", sa.BigInteger()),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('ACTIVE', 'PAUSED', 'ENDED')", name=op.f("ck_campaign_state")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_campaign")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "series",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code_key", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger()),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.BigInteger()),
        sa.ForeignKeyConstraint(["org_id", "campaign_id"], ["campaign.org_id", "campaign.id"], name=op.f("fk_series_campaign")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_series")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_series_campaign", "series", ["org_id", "campaign_id"], unique=False)
    op.create_index("uq_series_code", "series", ["org_id", "code_key"], unique=True)
    op.create_table(
        "series_version",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.BigInteger()),
        sa.ForeignKeyConstraint(["org_id", "series_id"], ["series.org_id", "series.id"], name=op.f("fk_series_version_series")),
        sa.PrimaryKeyConstraint("org_id", "series_id", "version", name=op.f("pk_series_version")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "series_audience",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("org_id", "series_id", "customer_id", name=op.f("pk_series_audience")),
        sqlite_with_rowid=False,
    )


def _counters() -> None:
    op.create_table(
        "series_counter",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stripe", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("issued", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("redeemed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("issued_elsewhere", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("redeemed_elsewhere", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("issued_max", sa.BigInteger(), server_default="-1", nullable=False),
        sa.Column("redeemed_max", sa.BigInteger(), server_default="-1", nullable=False),
        sa.Column("last_issued_ms", sa.BigInteger()),
        sa.Column("last_redeemed_ms", sa.BigInteger()),
        sa.CheckConstraint(
            "issued_max < 0 OR issued_elsewhere + issued <= issued_max", name=op.f("ck_series_counter_issued_within_cap")
        ),
        sa.CheckConstraint(
            "redeemed_max < 0 OR redeemed_elsewhere + redeemed <= redeemed_max",
            name=op.f("ck_series_counter_redeemed_within_cap"),
        ),
        sa.PrimaryKeyConstraint("org_id", "series_id", "stripe", name=op.f("pk_series_counter")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "customer_series",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("issued", sa.Integer(), server_default="0", nullable=False),
        sa.Column("redeemed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("uses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_issued_ms", sa.BigInteger()),
        sa.Column("last_redeemed_ms", sa.BigInteger()),
        sa.CheckConstraint("issued >= 0", name=op.f("ck_customer_series_issued")),
        sa.CheckConstraint("redeemed >= 0 AND redeemed <= uses", name=op.f("ck_customer_series_redeemed")),
        sa.PrimaryKeyConstraint("org_id", "customer_id", "series_id", name=op.f("pk_customer_series")),
        sqlite_with_rowid=False,
    )


def _coupons() -> None:
    op.create_table(
        "coupon",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("code_key", sa.String(length=40), nullable=False),
        sa.Column("holder_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("customer_id", sa.BigInteger()),
        sa.Column("issued_ms", sa.BigInteger()),
        sa.Column("issued_till_id", sa.BigInteger()),
        sa.Column("issue_details", sa.Text()),
        sa.Column("issued_by_redemption", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("expires_local", sa.String(length=19)),
        sa.Column("revoked_ms", sa.BigInteger()),
        sa.Column("redeemed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("uses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("customer_id IS NULL OR issued_ms IS NOT NULL", name=op.f("ck_coupon_issued")),
        sa.CheckConstraint("holder_id = 0 OR holder_id = customer_id", name=op.f("ck_coupon_holder")),
        sa.CheckConstraint("redeemed >= 0 AND redeemed <= uses", name=op.f("ck_coupon_redeemed")),
        sa.CheckConstraint("revision = CASE WHEN revoked_ms IS NULL THEN 0 ELSE id END", name=op.f("ck_coupon_revision")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_coupon")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_coupon_customer", "coupon", ["org_id", "customer_id"], unique=False)
    op.create_index("ix_coupon_series", "coupon", ["org_id", "series_id", "id"], unique=False)
    op.create_index("uq_coupon_code", "coupon", ["org_id", "code_key", "holder_id", "revision"], unique=True)


def _redemptions() -> None:
    op.create_table(
        "redemption",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("coupon_id", sa.BigInteger(), nullable=False),
        sa.Column("use_number", sa.Integer(), nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("series_version", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_use_number", sa.Integer(), nullable=False),
        sa.Column("till_id", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("redeemed_ms", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger()),
        sa.Column("transaction_number", sa.Text(), nullable=False),
        sa.Column("bill_id", sa.BigInteger()),
        sa.Column("custom_fields", sa.Text()),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("reversed_ms", sa.BigInteger()),
        sa.Column("reversed_till_id", sa.BigInteger()),
        sa.Column("reversal_reason", sa.Text()),
        sa.CheckConstraint("amount IS NULL OR amount >= 0", name=op.f("ck_redemption_amount")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_redemption")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_redemption_customer_use", "redemption", ["org_id", "customer_id", "series_id", "customer_use_number"], unique=True
    )
    op.create_index("uq_redemption_use", "redemption", ["org_id", "coupon_id", "use_number"], unique=True)


def _answers() -> None:
    op.create_table(
        "idempotency",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=48), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "digest", name=op.f("pk_idempotency")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "outbox",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event", sa.String(length=24), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger()),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_outbox")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "refusal",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("code_sent", sa.Text(), nullable=False),
        sa.Column("coupon_id", sa.BigInteger()),
        sa.Column("series_id", sa.BigInteger()),
        sa.Column("customer_id", sa.BigInteger()),
        sa.Column("till_id", sa.BigInteger(), nullable=False),
        sa.Column("transaction_number", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger()),
        sa.Column("evaluated_ms", sa.BigInteger()),
        sa.Column("refused_ms", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_refusal")),
        sqlite_with_rowid=False,
    )
