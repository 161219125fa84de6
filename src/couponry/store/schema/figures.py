"""Figures: sums over rows, kept in the transactions that write these (`store.counting`)."""

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Text

from couponry.store.schema.table import org_id, org_table

# A cube in which 0 stands for all: a row for each (day, 0, 0), (day, series, 0), (day, 0, store) and (0, series, store), so that
# no page sums more than its days times its lines. `day` is `date.toordinal()` by the org's calendar. `stripe` as in
# `series_counter`: processes that count at the same time count in rows of their own. A discount is net of what was reversed.
daily_figure = org_table(
    "daily_figure",
    org_id(),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("store_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stripe", SmallInteger, primary_key=True, autoincrement=False),
    *(
        Column(name, BigInteger, nullable=False, server_default="0")
        for name in ("issued", "redeemed", "reversed", "revoked", "refused", "discount")
    ),
    Index("ix_daily_figure_series", "org_id", "series_id", "store_id", "day"),
)
daily_refusal = org_table(
    "daily_refusal",
    org_id(),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("status", Text, primary_key=True),
    Column("stripe", SmallInteger, primary_key=True, autoincrement=False),
    Column("refused", BigInteger, nullable=False, server_default="0"),
    Index("ix_daily_refusal_series", "org_id", "series_id", "day"),
)
