"""A series as rules see it: one version of its terms, with the texts inside the terms parsed once."""

from datetime import datetime
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from couponry.core import expiry, limits
from couponry.core.model import OrgEntity, Place, Terms

_ANY: Final[frozenset[int]] = frozenset()
_T = TypeVar("_T")


class Window(Struct, frozen=True, gc=False):
    """`redemptionRange` (rules 7): days of month, days of week (0 = Sunday) and hours; an empty set means any."""

    days_of_month: frozenset[int] = _ANY
    days_of_week: frozenset[int] = _ANY
    hours: frozenset[int] = _ANY

    def is_open(self, local: datetime) -> bool:
        """Whether all three match the redeeming store's wall clock."""
        return (
            (not self.days_of_month or local.day in self.days_of_month)
            and (not self.days_of_week or local.isoweekday() % 7 in self.days_of_week)
            and (not self.hours or local.hour in self.hours)
        )


ANY_TIME: Final = Window()


class Scope(Struct, frozen=True, gc=False):
    """Where a series may be redeemed (rules 8); all empty means everywhere."""

    tills: frozenset[int] = _ANY
    stores: frozenset[int] = _ANY
    zones: frozenset[int] = _ANY
    concepts: frozenset[int] = _ANY

    @property
    def is_everywhere(self) -> bool:
        """Whether nothing restricts the place."""
        return not (self.tills or self.stores or self.zones or self.concepts)

    def admits(self, place: Place) -> bool:
        """Whether the till, its store, or one of the zones or concepts above it is listed, or nothing is."""
        return (
            self.is_everywhere
            or place.till_id in self.tills
            or place.store_id in self.stores
            or not self.zones.isdisjoint(place.zone_ids)
            or not self.concepts.isdisjoint(place.concept_ids)
        )


class Series(Struct, frozen=True):
    """A series' current version: its terms, and what rules need of them in the form they need it."""

    id: int
    version: int
    terms: Terms
    zone: ZoneInfo
    expires_local: datetime
    expires_ms: int
    window: Window
    scope: Scope
    exclusions: frozenset[int] = _ANY


def series_from_terms(series_id: int, version: int, terms: Terms) -> Series:
    """Parse what the terms hold as text. Raises ValueError when they cannot be used, which is 788 at redemption, 744 at save."""
    zone = ZoneInfo(terms.zone)
    expires_local = expiry.series_expiry_local(terms, zone)
    return Series(
        id=series_id,
        version=version,
        terms=terms,
        zone=zone,
        expires_local=expires_local,
        expires_ms=expiry.last_ms(expires_local, zone),
        window=window_from_text(terms.redemption_range),
        scope=_scope(terms),
        exclusions=ids_from_text(terms.mutual_exclusive_series_ids) - {series_id},
    )


def json_from_text(text: str, kind: type[_T]) -> _T:
    """JSON text inside the terms. Raises ValueError, or msgspec's own, also for what is too long or nested too deeply."""
    if len(text) > limits.TERMS_BYTES_MAX:
        msg = f"JSON text of over {limits.TERMS_BYTES_MAX} characters"
        raise ValueError(msg)
    try:
        return msgspec.json.decode(text, type=kind)
    except RecursionError as error:
        msg = "JSON text is nested too deeply"
        raise ValueError(msg) from error


def window_from_text(text: str) -> Window:
    """Parse `redemptionRange`: JSON text whose parts are a number, a numeric string, or a list of them; -1 means any."""
    parts = json_from_text(text, dict[str, Any])
    days_of_week = _numbers(parts.get("dow"), 0, 7)
    return Window(
        days_of_month=_numbers(parts.get("dom"), 1, 31),
        days_of_week=frozenset(day % 7 for day in days_of_week),
        hours=_numbers(parts.get("hours"), 0, 23),
    )


def _numbers(part: object, least: int, most: int) -> frozenset[int]:
    listed = part if isinstance(part, list) else [] if part is None else [part]
    numbers = frozenset(_whole(entry) for entry in listed)
    if -1 in numbers:
        return _ANY
    if any(not least <= number <= most for number in numbers):
        msg = f"redemptionRange holds a number outside {least}-{most}"
        raise ValueError(msg)
    return numbers


def _whole(entry: object) -> int:
    if isinstance(entry, bool) or not isinstance(entry, int | str):
        msg = "redemptionRange holds something that is not a whole number"
        raise ValueError(msg)
    return int(entry)


def ids_from_text(text: str) -> frozenset[int]:
    """Parse JSON text such as `[310, 311]` (`mutualExclusiveSeriesIds`, `redeemAtStore`, `storeIdsJson`); -1 or [] is none."""
    listed = json_from_text(text, list[int])
    return _ANY if -1 in listed else frozenset(listed)


def _scope(terms: Terms) -> Scope:
    stores_or_tills = ids_from_text(terms.redeem_at_store) | ids_from_text(terms.store_ids_json)
    return Scope(
        tills=_listed(terms, "TILL") | stores_or_tills,
        stores=_listed(terms, "STORE") | stores_or_tills,
        zones=_listed(terms, "ZONE"),
        concepts=_listed(terms, "CONCEPT"),
    )


def _listed(terms: Terms, kind: str) -> frozenset[int]:
    entities: tuple[OrgEntity, ...] = terms.redemption_org_entity_details
    return frozenset(entity.org_entity_id for entity in entities if entity.redemption_org_entity_type == kind)
