"""Series as the console lists and shows them. Every statement finds its rows by key, and looks at a bounded number of them."""

from collections.abc import Collection
from typing import Any, Final

from msgspec import Struct, structs
from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, exists, func, select

from couponry.core.limits import REACH_COUPONS_MAX, SERIES_WALKED_MAX
from couponry.core.series import Series
from couponry.core.series_state import SeriesState, state_of
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.offers import Counts, read_series
from couponry.store.rows import series_from_text
from couponry.store.statements import org_parameter

_NEWEST: Final = 2**62


class Search(Struct, frozen=True):
    """Which series: `text` in code or description, in a state, of a campaign; older than `before_id`. At most `limit`."""

    text: str
    state: SeriesState | None
    campaign_id: int | None
    before_id: int | None
    limit: int


class Line(Struct, frozen=True):
    """One series in a list, or at the head of its page. `series` is None when its terms cannot be used.

    `code` is how it was last saved, in capitals where nobody can read it any more.
    """

    id: int
    code: str
    series: Series | None
    state: SeriesState
    campaign_id: int | None
    campaign_name: str
    created_ms: int
    counts: Counts = Counts()


class Found(Struct, frozen=True):
    """Series, newest first. Older ones are asked for by `next_id`, None once there are none."""

    lines: list[Line]
    next_id: int | None


class Reach(Struct, frozen=True):
    """How far messages came: of `coupons` in customers' hands, so many were delivered. `is_all` when there are no more."""

    coupons: int
    delivered: int
    is_all: bool


def search(tx: ReadTransaction, org_id: int, wanted: Search, now_ms: int) -> Found:
    """In at most three statements. People make series, so an org has few; of many, so many are looked through at once."""
    series = t.series.c
    is_filtered = bool(wanted.text or wanted.state or wanted.campaign_id is not None)
    most = SERIES_WALKED_MAX if is_filtered else wanted.limit
    heads = _heads().where(series.id < bindparam("before")).order_by(series.id.desc()).limit(most)
    if wanted.campaign_id is not None:
        heads = heads.where(series.campaign_id == wanted.campaign_id)
    rows = tx.rows(heads, {"org": org_id, "before": wanted.before_id or _NEWEST})
    matching, last_id = [], None
    for row in rows:
        line = _line(row, now_ms)
        last_id = line.id
        if _matches(line, wanted):
            matching.append(line)
            if len(matching) == wanted.limit:
                break
    is_end = len(rows) < most and (not rows or last_id == rows[-1].id)
    return Found(_counted(tx, org_id, matching), None if is_end else last_id)


def read_line(tx: ReadTransaction, org_id: int, series_id: int, now_ms: int) -> Line | None:
    """One series. Three statements."""
    rows = tx.rows(_heads().where(t.series.c.id == bindparam("id")), {"org": org_id, "id": series_id})
    return _counted(tx, org_id, [_line(rows[0], now_ms)])[0] if rows else None


def reach(tx: ReadTransaction, org_id: int, series_id: int, *, is_pool: bool) -> Reach:
    """How far messages came, seen from a bounded number of coupons: the newest, or the first of a pool, which is handed out in
    that order. One statement.
    """
    coupon, delivery = t.coupon.c, t.delivery.c
    looked = select(coupon.id, coupon.customer_id).where(
        coupon.org_id == org_parameter(), coupon.series_id == bindparam("series")
    )
    looked_at = looked.order_by(coupon.id if is_pool else coupon.id.desc()).limit(REACH_COUPONS_MAX + 1).subquery()
    told = exists().where(delivery.org_id == org_parameter(), delivery.coupon_id == looked_at.c.id, delivery.state == "delivered")
    rows = tx.rows(select(looked_at.c.customer_id, told.label("told")), {"org": org_id, "series": series_id})
    held = [row for row in rows if row.customer_id is not None]
    return Reach(len(held), sum(bool(row.told) for row in held), len(rows) <= REACH_COUPONS_MAX)


def stores_named(tx: ReadTransaction, org_id: int, store_ids: Collection[int]) -> dict[int, str]:
    """What these stores are called. One statement."""
    keys, store = tx.dialect.keys("ids", BigInteger()), t.store.c
    found = select(store.id, store.code, store.name).select_from(keys.probing(t.store, "id"))
    rows = tx.rows(found, {"org": org_id, **keys.bound([(store_id,) for store_id in sorted(store_ids)])})
    return {row.id: row.name or row.code for row in rows}


class AtLimit(Struct, frozen=True):
    """Of the customers in the newest redemptions, how many have redeemed as often as one may."""

    customers: int
    at_limit: int


def at_limit(tx: ReadTransaction, org_id: int, series_id: int, most: int) -> AtLimit:
    """How many customers have reached `most` redemptions, seen from a bounded number of the newest. One statement."""
    redemption = t.redemption.c
    newest = (
        select(redemption.customer_id, redemption.customer_use_number)
        .where(redemption.org_id == org_parameter(), redemption.series_id == bindparam("series"))
        .order_by(redemption.redeemed_ms.desc(), redemption.id.desc())
        .limit(REACH_COUPONS_MAX)
        .subquery()
    )
    uses = select(func.max(newest.c.customer_use_number).label("uses")).group_by(newest.c.customer_id)
    rows = tx.rows(uses, {"org": org_id, "series": series_id})
    return AtLimit(len(rows), sum(row.uses >= most for row in rows))


def stores_chosen_from(tx: ReadTransaction, org_id: int, limit: int) -> list[tuple[int, str]]:
    """Active stores to choose from, by code. One statement."""
    store = t.store.c
    found = select(store.id, store.code, store.name).where(store.org_id == org_id, store.is_active)
    return [
        (row.id, row.code if row.name in {"", row.code} else f"{row.code} {row.name}")
        for row in tx.rows(found.order_by(store.code).limit(limit), {})
    ]


def _heads() -> Select[Any]:
    series, version, campaign = t.series.c, t.series_version.c, t.campaign.c
    is_current = (version.org_id == series.org_id) & (version.series_id == series.id) & (version.version == series.version)
    in_campaign = (campaign.org_id == series.org_id) & (campaign.id == series.campaign_id)
    columns: tuple[ColumnElement[Any], ...] = (series.id, series.code_key, series.version, version.terms, series.created_ms)
    of_campaign = (series.campaign_id, campaign.name, campaign.state, campaign.ends_ms)
    source = t.series.join(t.series_version, is_current).outerjoin(t.campaign, in_campaign)
    return select(*columns, *of_campaign).select_from(source).where(series.org_id == org_parameter())


def _line(row: Any, now_ms: int) -> Line:  # noqa: ANN401 - a row of `_heads`
    series = series_from_text(row.id, row.version, row.terms)
    is_over = row.ends_ms is not None and row.ends_ms < now_ms
    is_halted = row.state is not None and (row.state != "ACTIVE" or is_over)
    state = state_of(series, is_halted=is_halted, now_ms=now_ms)
    code = series.terms.series_code if series else row.code_key
    return Line(row.id, code, series, state, row.campaign_id, row.name or "", row.created_ms)


def _matches(line: Line, wanted: Search) -> bool:
    if wanted.state and line.state is not wanted.state:
        return False
    text = wanted.text.casefold()
    return not text or text in line.code.casefold() or bool(line.series and text in line.series.terms.description.casefold())


def _counted(tx: ReadTransaction, org_id: int, lines: list[Line]) -> list[Line]:
    offered = read_series(tx, org_id, [line.id for line in lines], unreadable=[]) if lines else []
    counts = {each.series.id: each.counts for each in offered}
    return [structs.replace(line, counts=counts.get(line.id, Counts())) for line in lines]
