"""Step 1: what the campaign is called, and when it runs."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import falcon.asgi
from msgspec.structs import replace
from wtforms import Form, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, ValidationError

from couponry.console.campaigns.flow import StepPage, nothing
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.launching import instant_ms
from couponry.core.limits import CUSTOM_FIELD_CHARS_MAX, NAME_CHARS_MAX


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The step."""
    return {"/campaigns/drafts/{draft}/campaign": CampaignStep(parts, pages)}


class CampaignForm(Form):
    """A campaign as a person describes it."""

    name = StringField(
        "Name",
        [InputRequired("A campaign needs a name."), Length(max=NAME_CHARS_MAX)],
        description="What you and your colleagues call it; customers do not see it.",
        render_kw={"maxlength": NAME_CHARS_MAX},
    )
    description = TextAreaField(
        "Description",
        [Length(max=CUSTOM_FIELD_CHARS_MAX)],
        description="What it is for, in your own words.",
        render_kw={"maxlength": CUSTOM_FIELD_CHARS_MAX, "rows": 3},
    )
    starts_local = StringField(
        "Starts", description="For the calendar; leave it empty to start at the launch.", render_kw={"type": "datetime-local"}
    )
    ends_local = StringField(
        "Ends",
        description="From then on nothing of it is issued or redeemed; leave it empty to end it by hand.",
        render_kw={"type": "datetime-local"},
    )

    def __init__(self, *given: Any, zone: ZoneInfo, now_ms: int, **more: Any) -> None:  # noqa: ANN401 - as WTForms has it
        super().__init__(*given, **more)
        self._zone, self._now_ms = zone, now_ms

    def validate_starts_local(self, field: StringField) -> None:
        """A date and time."""
        _instant(field.data, self._zone)

    def validate_ends_local(self, field: StringField) -> None:
        """A date and time, after the start and to come."""
        ends_ms = _instant(field.data, self._zone)
        try:
            starts_ms = instant_ms(self.starts_local.data or "", self._zone)
        except ValueError:
            return
        if ends_ms is not None and ends_ms <= max(self._now_ms, starts_ms or 0):
            raise ValidationError("It must end after it starts, and not be over already.")


class CampaignStep(StepPage):
    """The step."""

    STEP = "campaign"

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """What was filled in."""
        if found := await self.opened(visit, resp, draft, nothing):
            content = found[0].content
            form = self._form(visit, obj=content)
            self.show(visit, resp, found[0], "campaigns/campaign.html", form=form)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Keep it."""
        found = await self.opened(visit, resp, draft, nothing)
        if not found:
            return
        form = self._form(visit, visit.form)
        if not form.validate():
            self.show(visit, resp, found[0], "campaigns/campaign.html", form=form, status=422)
            return
        values = {name: (text or "").strip() for name, text in form.data.items()}
        await self.save(visit, resp, found[0], replace(found[0].content, **values))

    def _form(self, visit: Visit, *given: Any, **more: Any) -> CampaignForm:  # noqa: ANN401 - as WTForms has it
        return CampaignForm(*given, zone=visit.session.org.zone, now_ms=visit.now_ms, **more)


def _instant(text: str | None, zone: ZoneInfo) -> int | None:
    try:
        return instant_ms(text or "", zone)
    except (ValueError, OverflowError) as error:
        raise ValidationError("That is no date and time.") from error
