"""The rows behind figures: redemptions, refusals and issued coupons of some days, newest first, page by page.

A filter that no index serves looks through a bounded number of rows, and says from where to go on.
"""

from collections.abc import Collection
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import BigInteger, Column, FromClause, Select, Table, bindparam, or_, select

from couponry.core.limits import MONEY_SCALE, ROWS_WALKED_MAX
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.statements import org_parameter

_LATEST: Final = 2**62


class Kind(StrEnum):
    """Rows of what."""

    REDEMPTIONS = "redemptions"
    REFUSALS = "refusals"
    ISSUED = "issued"


class Wanted(Struct, frozen=True, kw_only=True):
    """Which rows: from an instant on, up to another; of a series or a campaign, at a store, refused by the code of that name."""

    kind: Kind
    from_ms: int
    to_ms: int
    series_id: int | None = None
    campaign_id: int | None = None
    store_id: int | None = None
    status: str = ""


Place = tuple[int, int]
"""Where a list goes on: an instant and an id. Issued coupons come by their ids alone."""


class Row(Struct, frozen=True, kw_only=True):
    """One of them. `code` is what was typed, of a refusal; `status` is its code's name."""

    id: int
    at_ms: int
    code: str
    coupon_id: int | None
    series_id: int | None
    customer_id: int | None
    store_id: int | None = None
    till_id: int | None = None
    amount: Decimal | None = None
    discount: Decimal | None = None
    bill: str = ""
    status: str = ""
    reversed_ms: int | None = None


class Page(Struct, frozen=True):
    """Rows, and where to go on; None at the end."""

    rows: list[Row]
    next: Place | None


_TABLES: Final[dict[Kind, Table]] = {Kind.REDEMPTIONS: t.redemption, Kind.REFUSALS: t.refusal, Kind.ISSUED: t.coupon}
_TIMES: Final[dict[Kind, Column[Any]]] = {
    Kind.REDEMPTIONS: t.redemption.c.redeemed_ms,
    Kind.REFUSALS: t.refusal.c.refused_ms,
    Kind.ISSUED: t.coupon.c.issued_ms,
}


def page(tx: ReadTransaction, org_id: int, wanted: Wanted, before: Place | None, limit: int) -> Page:
    """The next rows before a place. Two statements, and one more for a campaign."""
    of_campaign = _series_of(tx, org_id, wanted.campaign_id)
    keys = tx.rows(_keys(wanted, limit + 1), {"org": org_id, **_bounds(wanted, before)})
    is_all = len(keys) <= (ROWS_WALKED_MAX if _is_walked(wanted) else limit)
    found = [key for key in keys if _is_meant(key, wanted) and (of_campaign is None or key.series_id in of_campaign)]
    shown = found[:limit]
    last = shown[-1] if len(found) > limit else keys[-1] if keys and not is_all else None
    place = None if last is None else (last.at_ms or 0, last.id)
    return Page(_rows(tx, org_id, wanted.kind, [key.id for key in shown]), place)


def _is_walked(wanted: Wanted) -> bool:
    """Whether there is no index by all that is asked for."""
    return wanted.kind is Kind.ISSUED or wanted.store_id is not None or wanted.campaign_id is not None or bool(wanted.status)


def _series_of(tx: ReadTransaction, org_id: int, campaign_id: int | None) -> set[int] | None:
    if campaign_id is None:
        return None
    series = t.series.c
    return {row.id for row in tx.rows(select(series.id).where(series.org_id == org_id, series.campaign_id == campaign_id), {})}


def _keys(wanted: Wanted, limit: int) -> Select[Any]:
    """Through an index, as many as are needed to be filtered."""
    table, at = _TABLES[wanted.kind], _TIMES[wanted.kind]
    columns: list[Any] = [table.c.id, table.c.series_id, at.label("at_ms")]
    if wanted.kind is Kind.ISSUED:
        columns.append(table.c.issued_by_redemption)
    else:
        columns.append(table.c.store_id)
    if wanted.kind is Kind.REFUSALS:
        columns.append(table.c.status)
    found = select(*columns).where(table.c.org_id == org_parameter())
    if wanted.series_id is not None:
        found = found.where(table.c.series_id == bindparam("series"))
    if wanted.kind is Kind.ISSUED:
        found = found.where(table.c.id < bindparam("before_id")).order_by(table.c.id.desc())
    else:
        is_before = or_(at < bindparam("before_ms"), table.c.id < bindparam("before_id"))
        found = found.where(at >= bindparam("from"), at <= bindparam("before_ms"), is_before).order_by(
            at.desc(), table.c.id.desc()
        )
    return found.limit(ROWS_WALKED_MAX + 1 if _is_walked(wanted) else limit)


def _bounds(wanted: Wanted, before: Place | None) -> dict[str, int]:
    at_ms, before_id = before or (wanted.to_ms - 1, _LATEST)
    bounds = {"before_id": before_id}
    if wanted.kind is not Kind.ISSUED:
        bounds |= {"from": wanted.from_ms, "before_ms": min(at_ms, wanted.to_ms - 1)}
    return bounds | ({} if wanted.series_id is None else {"series": wanted.series_id})


def _is_meant(key: Any, wanted: Wanted) -> bool:  # noqa: ANN401 - a row of `_keys`
    if wanted.kind is Kind.ISSUED:
        is_issued = key.at_ms is not None and not key.issued_by_redemption
        return is_issued and wanted.from_ms <= key.at_ms < wanted.to_ms
    is_there = wanted.store_id is None or key.store_id == wanted.store_id
    return is_there and (not wanted.status or key.status == wanted.status)


def _rows(tx: ReadTransaction, org_id: int, kind: Kind, ids: Collection[int]) -> list[Row]:
    """All about these, in this order."""
    if not ids:
        return []
    keys, table = tx.dialect.keys("ids", BigInteger()), _TABLES[kind]
    source: FromClause = keys.probing(table, "id")
    columns: list[Any] = [table]
    if kind is Kind.REDEMPTIONS:
        coupon = t.coupon.c
        source = source.outerjoin(t.coupon, (coupon.org_id == org_parameter()) & (coupon.id == table.c.coupon_id))
        columns.append(coupon.code)
    found = tx.rows(select(*columns).select_from(source), {"org": org_id, **keys.bound([(row_id,) for row_id in ids])})
    by_id = {row.id: _row(kind, row) for row in found}
    return [by_id[row_id] for row_id in ids if row_id in by_id]


def _row(kind: Kind, row: Any) -> Row:  # noqa: ANN401 - a row of one of the three tables
    whose = {"id": row.id, "series_id": row.series_id, "customer_id": row.customer_id}
    match kind:
        case Kind.ISSUED:
            return Row(**whose, at_ms=row.issued_ms, code=row.code, coupon_id=row.id, till_id=row.issued_till_id)
        case Kind.REDEMPTIONS:
            return Row(
                **whose,
                at_ms=row.redeemed_ms,
                code=row.code or "",
                coupon_id=row.coupon_id,
                store_id=row.store_id,
                till_id=row.till_id,
                amount=_money(row.amount),
                discount=_money(row.discount),
                bill=row.transaction_number,
                reversed_ms=row.reversed_ms,
            )
        case Kind.REFUSALS:
            return Row(
                **whose,
                at_ms=row.refused_ms,
                code=row.code_sent,
                coupon_id=row.coupon_id,
                store_id=row.store_id or None,
                till_id=row.till_id,
                amount=_money(row.amount),
                bill=row.transaction_number,
                status=row.status,
            )


def _money(thousandths: int | None) -> Decimal | None:
    return None if thousandths is None else Decimal(thousandths) / MONEY_SCALE


class Named(Struct, frozen=True):
    """What a series is called, and the campaign that it belongs to."""

    code: str
    campaign_id: int | None
    campaign: str


def series_named(tx: ReadTransaction, org_id: int, ids: Collection[int]) -> dict[int, Named]:
    """What these series are called. One statement."""
    keys, campaign = tx.dialect.keys("ids", BigInteger()), t.campaign.c
    in_campaign = (campaign.org_id == org_parameter()) & (campaign.id == t.series.c.campaign_id)
    source = keys.probing(t.series, "id").outerjoin(t.campaign, in_campaign)
    found = select(t.series.c.id, t.series.c.code_key, t.series.c.campaign_id, campaign.name).select_from(source)
    rows = tx.rows(found, {"org": org_id, **keys.bound([(series_id,) for series_id in sorted(ids)])})
    return {row.id: Named(row.code_key, row.campaign_id, row.name or "") for row in rows}


def tills_named(tx: ReadTransaction, org_id: int, ids: Collection[int]) -> dict[int, str]:
    """The codes of these tills. One statement."""
    keys = tx.dialect.keys("ids", BigInteger())
    found = select(t.till.c.id, t.till.c.code).select_from(keys.probing(t.till, "id"))
    return {row.id: row.code for row in tx.rows(found, {"org": org_id, **keys.bound([(till_id,) for till_id in sorted(ids)])})}


def has_campaign(tx: ReadTransaction, org_id: int, campaign_id: int) -> bool:
    """Whether the org has this campaign."""
    campaign = t.campaign.c
    return bool(tx.rows(select(campaign.id).where(campaign.org_id == org_id, campaign.id == campaign_id), {}))
