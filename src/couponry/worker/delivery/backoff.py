"""When to try again, and when to give up (events 2)."""

from email.utils import parsedate_to_datetime

from couponry.core.limits import AGAIN_MS_MAX, AGAIN_MS_MIN, AGAIN_SPREAD, RETRY_AFTER_MS_MAX

_DOUBLINGS_MAX = (AGAIN_MS_MAX // AGAIN_MS_MIN).bit_length()


def pause_ms(failures: int, chance: float) -> int:
    """How long to leave alone who failed so many times in a row: 5 s doubling to 1 h, 20 % more or less by `chance`, 0 to 1."""
    whole = min(AGAIN_MS_MAX, AGAIN_MS_MIN << min(max(failures, 1) - 1, _DOUBLINGS_MAX))
    return round(whole * (1 + AGAIN_SPREAD * (2 * chance - 1)))


def again_ms(*, attempts: int, since_ms: int, now_ms: int, kept_ms: int, wished_ms: int, chance: float) -> int | None:
    """When to try again after so many attempts, not before what the receiver wished; None once it was tried for long enough."""
    if now_ms - since_ms >= kept_ms:
        return None
    return now_ms + max(pause_ms(attempts, chance), wished_ms)


def wished_ms(retry_after: str | None, now_ms: int) -> int:
    """How long a receiver wishes to be left alone (`Retry-After`: seconds, or a date), within bounds; 0 when it says nothing."""
    if not retry_after:
        return 0
    try:
        wished = int(retry_after[:12]) * 1000 if retry_after[:12].isdecimal() else _until(retry_after) - now_ms
    except (ValueError, OverflowError):
        return 0
    return min(max(wished, 0), RETRY_AFTER_MS_MAX)


def _until(date: str) -> int:
    return round(parsedate_to_datetime(date[:64]).timestamp()) * 1000
