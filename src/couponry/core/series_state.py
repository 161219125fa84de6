"""Where a series stands, in one word, for lists."""

from enum import StrEnum

from couponry.core.expiry import local_time
from couponry.core.series import Series


class SeriesState(StrEnum):
    """`HALTED` while its campaign is paused, and once that has ended; `UNUSABLE` when its stored terms cannot be read (788)."""

    OPEN = "open"
    NOT_YET = "not yet"
    HALTED = "halted"
    EXPIRED = "expired"
    UNUSABLE = "unusable"


def state_of(series: Series | None, *, is_halted: bool, now_ms: int) -> SeriesState:
    """As redemption would find it (C7, C11a)."""
    if series is None:
        return SeriesState.UNUSABLE
    if now_ms > series.expires_ms:
        return SeriesState.EXPIRED
    if is_halted:
        return SeriesState.HALTED
    is_early = local_time(now_ms // 1000, series.zone).date() < series.terms.redemption_valid_from
    return SeriesState.NOT_YET if is_early else SeriesState.OPEN
