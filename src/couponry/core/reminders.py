"""When holders are reminded of coupons that expire, and an org's contacts of offers that run out or expire (rules 6).

Days are counted from the date that a coupon shows as its last, times of day are the org's. A time that clocks skip is as late as
if they had not been changed yet, one that comes twice is meant when it comes first; either way it is one instant, whoever asks.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from couponry.core.expiry import coupon_last_ms, local_time
from couponry.core.limits import REMINDER_OPEN_MS, REMINDERS_SETTLED_MS
from couponry.core.model import ExpiryReminder
from couponry.core.series import Series

CAUSES: Final[Mapping[str, str]] = {"SMS": "ReminderSms", "EMAIL": "ReminderEmail"}
"""The causes that reminders are told by, by channel (`core.messages`)."""
LIMIT_TOPIC: Final = "limit"
OFFER_TOPIC: Final = "offer"
NEVER: Final = -1
_OFFER_TIME: Final = "10:00"


class Watched(Struct, frozen=True, gc=False):
    """What there is to look for in one version of a series' terms; a worker keeps it for every series of its orgs.

    `threshold` is how many issues are left when its contacts are told, of `max_create`; -1 for never. `made_ms` is since when
    these are its terms.
    """

    version: int
    zone: ZoneInfo
    expires_local: datetime
    expires_ms: int
    reminders: tuple[ExpiryReminder, ...]
    max_create: int
    threshold: int
    made_ms: int


class Walk(Struct, frozen=True):
    """One reminder's way through the coupons of a series that expire on a day: those issued by `at_ms` are reminded of it.

    `expires_on` is the day, `day` the one that the reminder is of, both ISO. `follows` tells whether coupons without an expiry of
    their own are meant, since the series expires on that day.
    """

    topic: str
    cause: str
    day: str
    expires_on: str
    at_ms: int
    follows: bool


def watched(series: Series, made_ms: int) -> Watched:
    """Reminders are messages of the series, which may be switched off (events 5)."""
    terms = series.terms
    reminders = () if terms.is_sms_disabled else terms.expiry_reminders
    expires = (series.expires_local, series.expires_ms)
    limit = (terms.max_create, terms.issue_limit_threshold)
    return Watched(series.version, series.zone, *expires, reminders, *limit, made_ms)


def topic(reminder: ExpiryReminder) -> str:
    """What a reminder is known by: whoever had it, at whatever time of the day, does not get it again."""
    return f"{reminder.days_before} {reminder.channel}"


def instant_ms(day: date, time_of_day: str, zone: ZoneInfo) -> int:
    """When a zone's clocks show a time of a day (HH:MM)."""
    return int(datetime.combine(day, time.fromisoformat(time_of_day), zone).timestamp()) * 1000


def walks(series: Watched, zone: ZoneInfo, now_ms: int) -> list[Walk]:
    """The walks whose time has come, oldest first: a worker that was not there then walks late, until the next day's are due.

    Midnight is no end, or a reminder at 23:59 would hardly have a minute. What was issued just before a reminder's time is given
    a while to be committed.
    """
    if now_ms > series.expires_ms or not series.reminders:
        return []
    today = local_time(now_ms // 1000, zone).date()
    found = []
    for reminder in series.reminders:
        for day in (today - timedelta(2), today - timedelta(1), today):  # where clocks skip a day, the first is just over
            at_ms = instant_ms(day, reminder.time_of_day, zone)
            expires_on = day + timedelta(reminder.days_before)
            if at_ms + REMINDERS_SETTLED_MS <= now_ms < at_ms + REMINDERS_SETTLED_MS + REMINDER_OPEN_MS:
                follows = series.expires_local.date() == expires_on
                days = (day.isoformat(), expires_on.isoformat())
                found.append(Walk(topic(reminder), CAUSES[reminder.channel], *days, at_ms, follows))
    return found


def is_alive(series: Watched, expires_local: str | None, now_ms: int) -> bool:
    """Whether a coupon has not expired: nobody is reminded of one that has."""
    return now_ms <= (series.expires_ms if expires_local is None else coupon_last_ms(expires_local, series.zone))


def issues_left(series: Watched, issued: int, told_at: int) -> int | None:
    """How many more may be issued, if the contacts are to be told of it now; `told_at` is how many were when they were told.

    Once per crossing: a limit that was raised is crossed again when only so few are left of it.
    """
    if series.threshold < 0 or series.max_create <= 0:
        return None
    crossed_at = max(1, series.max_create - series.threshold)
    return max(0, series.max_create - issued) if issued >= crossed_at > told_at else None


def offer_expires(series: Watched, zone: ZoneInfo, days_before: int, created_ms: int, now_ms: int) -> bool:
    """Whether the contacts are to know by now that the series expires. Whoever made it later than that knows."""
    if days_before <= 0 or not created_ms <= now_ms <= series.expires_ms:
        return False
    at_ms = instant_ms(series.expires_local.date() - timedelta(days_before), _OFFER_TIME, zone)
    return created_ms <= at_ms <= now_ms
