"""Figures per day, kept in the ledger's transactions; and what they are made of: discounts, and the stores of refusals.

Revision ID: 0008
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

from couponry.core.figures import discount_given
from couponry.core.limits import MONEY_SCALE
from couponry.core.model import Terms
from couponry.store import schema as t
from couponry.store.counting import Counting
from couponry.store.dialect import Dialect, Postgresql, Sqlite
from couponry.store.engine import WriteTransaction
from couponry.store.recount import ranges, recounted
from couponry.store.rows import scaled, series_from_text
from couponry.store.statements import Row

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_STORES = """
    UPDATE refusal SET store_id = COALESCE((
        SELECT till.store_id FROM till WHERE till.org_id = refusal.org_id AND till.id = refusal.till_id
    ), 0)
"""
_TERMS = sa.text("SELECT terms FROM series_version WHERE org_id = :org AND series_id = :series AND version = :version")
_REDEEMED = sa.text(
    "SELECT id, series_id, series_version, amount FROM redemption WHERE org_id = :org AND id > :after AND id <= :last"
)


def upgrade() -> None:
    op.add_column("redemption", sa.Column("discount", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("refusal", sa.Column("store_id", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_redemption_time", "redemption", ["org_id", "redeemed_ms", "id"], unique=False)
    op.create_index("ix_refusal_time", "refusal", ["org_id", "refused_ms", "id"], unique=False)
    op.create_index("ix_refusal_series", "refusal", ["org_id", "series_id", "refused_ms", "id"], unique=False)
    _make_tables()
    op.execute(_STORES)
    connection = op.get_bind()
    dialect: Dialect = Sqlite() if connection.dialect.name == "sqlite" else Postgresql()
    for org_id, zone in connection.execute(sa.text("SELECT id, time_zone FROM org ORDER BY id")).all():
        _discount(connection, dialect, org_id)
        tally = recounted(connection, org_id, ZoneInfo(zone))
        Counting(dialect, t.CAPPED_STRIPE).add(WriteTransaction(connection, dialect), org_id, tally)


def _make_tables() -> None:
    counted = ("issued", "redeemed", "reversed", "revoked", "refused", "discount")
    for name, own, counts, looked_up_by in (
        ("daily_figure", ("store_id", sa.BigInteger()), counted, ["series_id", "store_id", "day"]),
        ("daily_refusal", ("status", sa.Text()), ("refused",), ["series_id", "day"]),
    ):
        key = {
            "org_id": sa.BigInteger(),
            "day": sa.Integer(),
            "series_id": sa.BigInteger(),
            own[0]: own[1],
            "stripe": sa.SmallInteger(),
        }
        op.create_table(
            name,
            *(sa.Column(column, kind, autoincrement=False, nullable=False) for column, kind in key.items()),
            *(sa.Column(count, sa.BigInteger(), nullable=False, server_default="0") for count in counts),
            sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
            sqlite_with_rowid=False,
        )
        op.create_index(f"ix_{name}_series", name, ["org_id", *looked_up_by], unique=False)


def _discount(connection: sa.Connection, dialect: Dialect, org_id: int) -> None:
    """What past redemptions gave, by the terms that each was decided under; nothing where these cannot be read."""
    known: dict[tuple[int, int], Terms | None] = {}
    write = dialect.update(t.redemption, key=("id",), added=(), assigned=("discount",))
    for bounds in ranges(connection, "redemption", org_id):
        rows = list(_given(connection, connection.execute(_REDEEMED, bounds).all(), org_id, known))
        if rows:
            dialect.run(connection, write, org_id, rows)


def _given(
    connection: sa.Connection, made: Iterable[Row], org_id: int, known: dict[tuple[int, int], Terms | None]
) -> Iterator[Row]:
    for redemption_id, series_id, version, amount in made:
        key = (series_id, version)
        if key not in known:
            text = connection.execute(_TERMS, {"org": org_id, "series": series_id, "version": version}).scalar()
            series = series_from_text(*key, text) if text else None
            known[key] = series.terms if series else None
        terms = known[key]
        given = scaled(discount_given(terms, None if amount is None else Decimal(amount) / MONEY_SCALE)) if terms else 0
        if given:
            yield given, redemption_id
