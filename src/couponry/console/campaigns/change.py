"""A campaign's name and dates, changed after its launch."""

from collections.abc import Mapping
from functools import partial

import falcon.asgi
from msgspec.structs import asdict

from couponry.console.campaigns.campaign_step import CampaignForm
from couponry.console.campaigns.one import CampaignPage
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.launching import instant_ms, local_text
from couponry.core.problem import Problem
from couponry.store import audit, campaigns
from couponry.store.campaigns import Campaign
from couponry.store.engine import WriteTransaction

_NAMES = ("name", "description", "starts_ms", "ends_ms")


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The form."""
    return {"/campaigns/{number}/change": Change(parts, pages)}


class Change(CampaignPage):
    """The form."""

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """As it is."""
        read = partial(campaigns.read_campaign, org_id=visit.org_id, campaign_id=number_of(number) or 0)
        one = await self._parts.back_office.read(read)
        if not isinstance(one, Campaign):
            self.answer(visit, resp, number, one)
            return
        zone = visit.session.org.zone
        dates = {"starts_local": local_text(one.starts_ms, zone), "ends_local": local_text(one.ends_ms, zone)}
        form = CampaignForm(data={"name": one.name, "description": one.description, **dates}, zone=zone, now_ms=visit.now_ms)
        self._pages.show(visit, resp, "campaigns/change.html", one=one, form=form, problem="")

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Keep it."""
        zone = visit.session.org.zone
        form = CampaignForm(visit.form, zone=zone, now_ms=visit.now_ms)
        read = partial(campaigns.read_campaign, org_id=visit.org_id, campaign_id=number_of(number) or 0)
        one = await self._parts.back_office.read(read)
        if not isinstance(one, Campaign):
            self.answer(visit, resp, number, one)
        elif not form.validate():
            self._pages.show(visit, resp, "campaigns/change.html", status=422, one=one, form=form, problem="")
        else:
            dates = (instant_ms(form.starts_local.data or "", zone), instant_ms(form.ends_local.data or "", zone))
            draft = campaigns.Draft(form.name.data or "", form.description.data or "", *dates)
            done = await self._parts.back_office.write(partial(_changed, visit, one.id, draft))
            self.answer(visit, resp, number, done)


def _changed(visit: Visit, campaign_id: int, draft: campaigns.Draft, tx: WriteTransaction) -> Problem | str:
    before = campaigns.read_campaign(tx, visit.org_id, campaign_id)
    after = campaigns.change_campaign(tx, visit.org_id, campaign_id, draft, visit.now_ms)
    if isinstance(before, Problem) or isinstance(after, Problem):
        return after if isinstance(after, Problem) else Problem("unknown", "there is no such campaign")
    was, now = ({name: asdict(each)[name] for name in _NAMES} for each in (before, after))
    audit.record(tx, visit.actor(), "change campaign", ("campaign", campaign_id), before=was, after=now)
    return "Changed."
