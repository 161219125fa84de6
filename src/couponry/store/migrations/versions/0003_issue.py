"""What issue, lifecycle and reads need: look-ups by customer and series, the pool in order, events about several coupons.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_IN_POOL = sa.text("issued_ms IS NULL AND revoked_ms IS NULL")


def upgrade() -> None:
    op.drop_index("ix_coupon_customer", "coupon")
    op.create_index("ix_coupon_customer", "coupon", ["org_id", "customer_id", "series_id"], unique=False)
    pool = ["org_id", "series_id", "id"]
    op.create_index("ix_coupon_pool", "coupon", pool, unique=False, postgresql_where=_IN_POOL, sqlite_where=_IN_POOL)
    op.create_index("ix_redemption_series", "redemption", ["org_id", "series_id", "redeemed_ms"], unique=False)
    op.add_column("outbox", sa.Column("subject_ids", sa.Text()))
    op.add_column("series", sa.Column("codes_made", sa.BigInteger(), nullable=False, server_default="0"))
