"""Series as they are offered: their current terms with what has become of them."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, Select, func, select

from couponry.core.series import Series
from couponry.store import schema as t
from couponry.store.dialect import Trouble
from couponry.store.engine import ReadTransaction, Stage, StoreError
from couponry.store.rows import series_from_text
from couponry.store.statements import Keys, org_parameter


class SeriesUnreadable(StoreError):
    """Stored terms that cannot be used (788)."""

    def __init__(self, series_id: int) -> None:
        super().__init__(Trouble.BROKEN, Stage.COUPONS, f"terms of series {series_id}")


class Counts(Struct, frozen=True, gc=False):
    """What a series' stripes add up to; times are 0 for what has not happened.

    `redeemed` is of redemptions that count now, `issued` of coupons ever issued, `uploaded` of codes ever uploaded to its pool.
    """

    issued: int = 0
    redeemed: int = 0
    uploaded: int = 0
    last_issued_ms: int = 0
    last_redeemed_ms: int = 0


class Offered(Struct, frozen=True):
    """One series of an org: its current terms, when and at which till it was made, its campaign, and its counts."""

    org_id: int
    series: Series
    created_ms: int
    created_by: int | None
    campaign_id: int | None
    counts: Counts
    campaign_name: str = ""

    @property
    def never_issued(self) -> int:
        """Uploaded codes that were never issued; a revoked one stays what it was, as revocation lowers no count."""
        return max(0, self.counts.uploaded - self.counts.issued)


Read = Callable[[int, int, str], Series | None]
"""A series from its id, version and stored terms; None when they cannot be used."""


def read_series(
    tx: ReadTransaction,
    org_id: int,
    ids: Sequence[int],
    *,
    read: Read = series_from_text,
    unreadable: list[int] | None = None,
) -> list[Offered]:
    """Those of these series that there are, in the order asked for. Two statements, whatever was issued.

    Raises SeriesUnreadable (788) for terms that cannot be used; where there is a list for the ids of such series, they are left
    out and put there.
    """
    wanted = tx.dialect.keys("wanted", BigInteger())
    parameters = {org_parameter().key: org_id, **wanted.bound([(series_id,) for series_id in dict.fromkeys(ids)])}
    counts = {series_id: _counts(row) for series_id, *row in tx.rows(_summed(wanted), parameters)}
    found = {}
    for row in tx.rows(_current(wanted), parameters):
        series = read(row.id, row.version, row.terms)
        if series:
            own = counts.get(row.id, Counts())
            found[row.id] = Offered(org_id, series, row.created_ms, row.created_by, row.campaign_id, own)
        elif unreadable is None:
            raise SeriesUnreadable(row.id)
        else:
            unreadable.append(row.id)
    return [found[series_id] for series_id in dict.fromkeys(ids) if series_id in found]


class Place(Struct, frozen=True):
    """Tills, stores, zones or concepts: any of them that a series is tagged to finds it."""

    kind: str
    ids: Sequence[int]


def list_series(
    tx: ReadTransaction,
    org_id: int,
    *,
    ids: Sequence[int] | None,
    place: Place | None,
    limit: int,
    offset: int,
    unreadable: list[int] | None = None,
) -> list[Offered]:
    """Series newest first; by id, and by what they are tagged to directly, where asked for. Three statements at most.

    `unreadable` is as `read_series` has it.
    """
    series = t.series.c
    found: Select[Any] = select(series.id).where(series.org_id == org_id)
    parameters: dict[str, Any] = {}
    if ids is not None:
        keys = tx.dialect.keys("ids", BigInteger())
        found = found.where(series.id.in_(select(*keys.columns).select_from(keys.source)))
        parameters |= keys.bound([(series_id,) for series_id in ids])
    if place:
        entity = t.series_entity.c
        keys = tx.dialect.keys("places", BigInteger())
        tagged = select(entity.series_id).where(entity.org_id == org_id, entity.entity_type == place.kind)
        tagged = tagged.where(entity.entity_id.in_(select(*keys.columns).select_from(keys.source)))
        found = found.where(series.id.in_(tagged))
        parameters |= keys.bound([(entity_id,) for entity_id in place.ids])
    rows = tx.rows(found.order_by(series.id.desc()).limit(limit).offset(offset), parameters)
    return read_series(tx, org_id, [row.id for row in rows], unreadable=unreadable) if rows else []


def _current(wanted: Keys) -> Select[Any]:
    series, version = t.series.c, t.series_version.c
    is_current = (version.org_id == series.org_id) & (version.series_id == series.id) & (version.version == series.version)
    in_campaign = (t.campaign.c.org_id == series.org_id) & (t.campaign.c.id == series.campaign_id)
    source = wanted.probing(t.series, "id").join(t.series_version, is_current).outerjoin(t.campaign, in_campaign)
    columns = (series.id, series.version, version.terms, series.created_ms, series.created_by, series.campaign_id)
    return select(*columns, t.campaign.c.name.label("campaign_name")).select_from(source)


def _summed(wanted: Keys) -> Select[Any]:
    counter = t.series_counter.c
    sums = (func.sum(column) for column in (counter.issued, counter.redeemed, counter.uploaded))
    latest = (func.max(column) for column in (counter.last_issued_ms, counter.last_redeemed_ms))
    source = wanted.probing(t.series_counter, "series_id")
    return select(counter.series_id, *sums, *latest).select_from(source).group_by(counter.series_id)


def _counts(row: Sequence[Any]) -> Counts:
    return Counts(*(int(value or 0) for value in row))
