"""What issue, lifecycle and reads need: look-ups by customer and series, the pool in order, events about several coupons.

Revision ID: 0003
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_IN_POOL = sa.text("issued_ms IS NULL AND revoked_ms IS NULL")
_IS_REVERSED = sa.text("reversed_ms IS NOT NULL")

_CURRENT = """
    FROM series JOIN series_version AS v ON v.org_id = series.org_id AND v.series_id = series.id AND v.version = series.version
"""
_UPLOADED = f"""
    UPDATE series_counter SET uploaded = (
        SELECT COUNT(*) FROM coupon
        WHERE coupon.org_id = series_counter.org_id AND coupon.series_id = series_counter.series_id
    )
    WHERE stripe = 0 AND EXISTS (
        SELECT 1 {_CURRENT}
        WHERE series.org_id = series_counter.org_id AND series.id = series_counter.series_id
          AND v.terms LIKE '%"clientHandlingType":"DISC_CODE_PIN"%'
    )
"""  # noqa: S608 - our own text
_PLACED = f"SELECT v.org_id, v.series_id, v.terms {_CURRENT} WHERE v.terms LIKE '%\"redemptionOrgEntityDetails\"%'"


def upgrade() -> None:
    op.drop_index("ix_coupon_customer", "coupon")
    held = ["org_id", "customer_id", "series_id", "issued_ms", "id"]
    op.create_index("ix_coupon_customer", "coupon", held, unique=False)
    pool = ["org_id", "series_id", "id"]
    op.create_index("ix_coupon_pool", "coupon", pool, unique=False, postgresql_where=_IN_POOL, sqlite_where=_IN_POOL)
    op.create_index("ix_redemption_series", "redemption", ["org_id", "series_id", "redeemed_ms"], unique=False)
    past = ["org_id", "series_id", "reversed_ms"]
    op.create_index(
        "ix_redemption_reversed", "redemption", past, unique=False, postgresql_where=_IS_REVERSED, sqlite_where=_IS_REVERSED
    )
    op.create_index("ix_refusal_coupon", "refusal", ["org_id", "coupon_id", "id"], unique=False)
    op.add_column("outbox", sa.Column("subject_ids", sa.Text()))
    op.add_column("series", sa.Column("codes_made", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("customer", sa.Column("extended_fields", sa.Text()))
    op.add_column("customer", sa.Column("status_reason", sa.Text()))
    op.add_column("customer", sa.Column("registered_till_id", sa.BigInteger()))
    op.add_column("customer", sa.Column("updated_till_id", sa.BigInteger()))
    _bar_stripes()
    op.create_table(
        "series_entity",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entity_type", sa.String(length=7), nullable=False),
        sa.Column("entity_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("org_id", "entity_type", "entity_id", "series_id", name=op.f("pk_series_entity")),
        sqlite_with_rowid=False,
    )
    op.execute(_UPLOADED)
    _place_series()


def _bar_stripes() -> None:
    """Count uploads, and add checks to the counters. SQLite adds no check to a table, so there it is made anew."""
    uploaded = sa.Column("uploaded", sa.BigInteger(), nullable=False, server_default="0")
    barred = {kind: f"stripe = 0 OR {kind}_max < 0 OR {kind} = {kind}_max" for kind in ("issued", "redeemed")}
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("series_counter", uploaded)
        for kind, check in barred.items():
            op.create_check_constraint(op.f(f"ck_series_counter_{kind}_barred"), "series_counter", check)
        return
    counts = [
        sa.Column(name, sa.BigInteger(), server_default=default, nullable=False)
        for name, default in (
            *(("issued", "0"), ("redeemed", "0"), ("issued_elsewhere", "0"), ("redeemed_elsewhere", "0")),
            *(("issued_max", "-1"), ("redeemed_max", "-1")),
        )
    ]
    columns = [
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stripe", sa.SmallInteger(), autoincrement=False, nullable=False),
        *counts,
        sa.Column("last_issued_ms", sa.BigInteger()),
        sa.Column("last_redeemed_ms", sa.BigInteger()),
    ]
    names = ", ".join(column.name for column in columns)
    within = {kind: f"{kind}_max < 0 OR {kind}_elsewhere + {kind} <= {kind}_max" for kind in barred}
    op.create_table(
        "series_counter_new",
        *columns,
        uploaded,
        *(sa.CheckConstraint(check, name=op.f(f"ck_series_counter_{kind}_within_cap")) for kind, check in within.items()),
        *(sa.CheckConstraint(check, name=op.f(f"ck_series_counter_{kind}_barred")) for kind, check in barred.items()),
        sa.PrimaryKeyConstraint("org_id", "series_id", "stripe", name=op.f("pk_series_counter")),
        sqlite_with_rowid=False,
    )
    op.execute(f"INSERT INTO series_counter_new ({names}) SELECT {names} FROM series_counter")  # noqa: S608 - the names above
    op.drop_table("series_counter")
    op.rename_table("series_counter_new", "series_counter")


def _place_series() -> None:
    """Enter what series are tagged to already."""
    connection = op.get_bind()
    entity = sa.table("series_entity", *map(sa.column, ("org_id", "entity_type", "entity_id", "series_id")))
    for org_id, series_id, terms in connection.execute(sa.text(_PLACED)).all():
        details = json.loads(terms).get("redemptionOrgEntityDetails", ())
        for kind, entity_id in {(one["redemptionOrgEntityType"], one["orgEntityId"]) for one in details}:
            row = {"org_id": org_id, "entity_type": kind, "entity_id": entity_id, "series_id": series_id}
            connection.execute(sa.insert(entity).values(row))
