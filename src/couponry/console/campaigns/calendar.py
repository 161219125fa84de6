"""Campaigns in a calendar, month by month."""

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import falcon.asgi

from couponry.console.campaigns.listing import TONES
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.dates import ms_from_local
from couponry.core.expiry import local_time
from couponry.core.limits import CALENDAR_CAMPAIGNS_MAX
from couponry.core.month import Run, month_of, shifted, weeks_of
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store.campaign_reads import Listed, in_time


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """A month."""
    return {"/calendar": Month(parts, pages)}


class Month:
    """One month, with the one before and the one after."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """The grid."""
        zone = visit.session.org.zone
        today = local_time(visit.now_ms // 1000, zone).date()
        month = month_of(visit.query("month"), today)
        after = shifted(month, 1)
        # The grid shows whole weeks, so days of the months beside it too; who runs on those alone is no campaign of this month.
        from_ms, to_ms = (ms_from_local(datetime.combine(day, time()), zone) for day in (month, after))
        found = await self._parts.back_office.read(lambda tx: in_time(tx, visit.org_id, from_ms, to_ms))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        weeks = weeks_of(month, [_run(each, zone) for each in found])
        beside: dict[str, Any] = {"before": f"{shifted(month, -1):%Y-%m}", "after": f"{after:%Y-%m}"}
        is_cut = len(found) >= CALENDAR_CAMPAIGNS_MAX
        context: dict[str, Any] = {"month": month, "today": today, "weeks": weeks, "found": found, "is_cut": is_cut}
        self._pages.show(visit, resp, "campaigns/calendar.html", tones=TONES, **beside, **context)


def _run(campaign: Listed, zone: ZoneInfo) -> Run[Listed]:
    first = local_time(campaign.begins_ms() // 1000, zone).date()
    last = None if campaign.ends_ms is None else local_time(campaign.ends_ms // 1000, zone).date()
    return Run(campaign, first, last)
