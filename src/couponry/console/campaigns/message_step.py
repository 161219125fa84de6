"""Step 4: what customers are told, how it looks, how many parts it has, and a message to oneself."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import falcon.asgi
from msgspec import Struct
from msgspec.structs import replace
from wtforms import BooleanField, Form, TextAreaField
from wtforms.validators import Length, ValidationError

from couponry.console.campaigns.flow import StepPage, path_of
from couponry.console.campaigns.terms_step import fields_of
from couponry.console.gate import Resource
from couponry.console.pages import HTML, Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core import emails
from couponry.core.deliveries import Channel
from couponry.core.identifiers import is_email, normal_mobile
from couponry.core.launching import CampaignDraft
from couponry.core.limits import DAY_MS, EXPIRY_REMINDERS_MAX, SERIES_TEMPLATE_CHARS_MAX, TEST_MESSAGES_A_DAY_MAX
from couponry.core.message_samples import TAGS, Sample, sample_message
from couponry.core.model import Org, Terms
from couponry.core.problem import Problem
from couponry.core.rules.series import changed_terms
from couponry.core.series import Series, series_from_terms
from couponry.core.status import Code
from couponry.core.terms_words import in_labels
from couponry.store import audit, tallies
from couponry.store.drafts import Draft
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.offering import drafted
from couponry.store.offers import Offered, read_series
from couponry.store.trial_messages import send_test

_CHANNELS: Final[Mapping[str, Literal["SMS", "EMAIL"]]] = {"SMS": "SMS", "E-MAIL": "EMAIL", "EMAIL": "EMAIL"}
_PARTS_OF_REMINDER: Final = 3


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The step, its preview, and the message to oneself."""
    at = "/campaigns/drafts/{draft}/message"
    return {at: MessageStep(parts, pages), f"{at}/preview": MessagePreview(parts, pages), f"{at}/test": MessageTest(parts, pages)}


class MessageForm(Form):
    """What customers are told."""

    send = BooleanField("Send each customer a message at the launch", description="By SMS; by e-mail to who has no mobile.")
    smsTemplate = TextAreaField(  # noqa: N815 - the wire's name
        "Message",
        [Length(max=SERIES_TEMPLATE_CHARS_MAX)],
        description="Tags in double braces become what is known of the customer and the coupon.",
        render_kw={"rows": 4, "maxlength": SERIES_TEMPLATE_CHARS_MAX},
    )
    shortSMSTemplate = TextAreaField(  # noqa: N815 - the wire's name
        "Short message",
        [Length(max=SERIES_TEMPLATE_CHARS_MAX)],
        description="Sent by SMS instead, when the message has become longer than 160 characters.",
        render_kw={"rows": 2, "maxlength": SERIES_TEMPLATE_CHARS_MAX},
    )
    reminders = TextAreaField(
        "Reminders",
        description="One a line: days before the coupon expires, SMS or e-mail, and when. Such as: 3 SMS 10:00",
        render_kw={"rows": 3},
    )
    resendMessageEnabled = BooleanField(  # noqa: N815 - the wire's name
        "Messages may be sent again", default=True, description="When a customer asks for it at the till or on the phone."
    )
    isSMSDisabled = BooleanField(  # noqa: N815 - the wire's name
        "No messages of this series at all", description="Not at the launch, nor when a till issues a coupon, nor reminders."
    )

    def validate_reminders(self, field: TextAreaField) -> None:
        """Lines of three parts."""
        reminders_of(field.data or "")


class Told(Struct, frozen=True):
    """The terms that the step is about, as they are stored: those of a series that there is, or of the draft."""

    offered: Offered | None


class MessageStep(StepPage):
    """The step."""

    STEP = "message"

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """What was filled in, and how it looks."""
        if found := await self.opened(visit, resp, draft, _told):
            one, told = found
            series = series_of(visit.session.org, one, told.offered, one.content.fields or fields_of(one, visit), visit.now_ms)
            if isinstance(series, Problem):
                self._pages.go(visit, resp, path_of(one.id, "terms"), "Fill in the terms first; the message names them.")
                return
            self._show(visit, resp, one, MessageForm(data=data_of(one.content, series.terms)), series)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Judge it with the terms, and keep it."""
        found = await self.opened(visit, resp, draft, _told)
        if not found:
            return
        one, told = found
        form = MessageForm(visit.form)
        series = judged(form, visit, one, told.offered)
        if not isinstance(series, Series):
            problem = series.text if isinstance(series, Problem) else ""
            self._show(visit, resp, one, form, None, status=422, problem=in_labels(problem))
            return
        fields = {**one.content.fields, **wire_of(form, told.offered)}
        await self.save(visit, resp, one, replace(one.content, fields=fields, send=bool(form.send.data)))

    def _show(
        self,
        visit: Visit,
        resp: falcon.asgi.Response,
        draft: Draft,
        form: MessageForm,
        series: Series | None,
        **context: Any,  # noqa: ANN401 - whatever the template names
    ) -> None:
        sample = sample_message(visit.session.org, series, visit.now_ms) if series else None
        settings = visit.session.org.settings
        gateways = {"SMS": bool(settings.sms_url), "E-mail": bool(settings.email_url)}
        context = {"problem": "", "tags": TAGS, "gateways": gateways, **context}
        self.show(visit, resp, draft, "campaigns/message.html", form=form, sample=sample, **context)


class MessagePreview(StepPage):
    """How the message looks while one writes it."""

    STEP = "message"

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """A part of a page."""
        found = await self.opened(visit, resp, draft, _told)
        if not found:
            return
        one, told = found
        form = MessageForm(visit.form)
        series = judged(form, visit, one, told.offered)
        sample = sample_message(visit.session.org, series, visit.now_ms) if isinstance(series, Series) else None
        problem = in_labels(series.text) if isinstance(series, Problem) else " ".join(form.reminders.errors)
        resp.content_type = HTML
        resp.text = self._pages.filled(visit, "campaigns/sample.html", sample=sample, problem=problem)


class MessageTest(StepPage):
    """A message to oneself: a delivery like any other."""

    STEP = "message"

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Send what is saved."""
        found = await self.opened(visit, resp, draft, _told)
        if not found:
            return
        one, told = found
        org = visit.session.org
        series = series_of(org, one, told.offered, one.content.fields or fields_of(one, visit), visit.now_ms)
        to = _address(visit.form.text("address"), org)
        if isinstance(series, Problem) or to is None:
            why = "That is neither a mobile nor an e-mail address." if to is None else "Fill in the terms first."
            self._pages.go(visit, resp, path_of(one.id, "message"), why)
            return
        sample = sample_message(org, series, visit.now_ms)
        sent = await self._parts.back_office.write(lambda tx: _sent(tx, visit, one.id, to, sample))
        if isinstance(sent, Code):
            self._pages.failed(visit, resp, sent)
            return
        if sent is None:
            self._pages.go(visit, resp, path_of(one.id, "message"), "That was enough for today; look at the preview instead.")
            return
        has_gateway = org.settings.sms_url if to[0] is Channel.SMS else org.settings.email_url
        where = "It is on its way." if has_gateway else "There is no gateway, so it stays in the mailbox here."
        self._pages.go(visit, resp, path_of(one.id, "message"), f"The test message was handed over. {where}")


def series_of(org: Org, draft: Draft, offered: Offered | None, fields: Mapping[str, Any], now_ms: int) -> Series | Problem:
    """The series as it will be: a new one of these fields, or one that there is with these changes."""
    terms: Terms | Problem
    if offered is not None:
        terms = changed_terms(offered.series.terms, fields, now_ms, series_id=offered.series.id)
    elif draft.content.series_id is not None:
        return Problem("unknown", "there is no such series")
    else:
        made = drafted(fields, org, now_ms, fields.get("seriesCode") or "NEW")
        terms = made if isinstance(made, Problem) else made.terms
    if isinstance(terms, Problem):
        return terms
    return series_from_terms(offered.series.id if offered else 0, offered.series.version + 1 if offered else 1, terms)


def judged(form: MessageForm, visit: Visit, draft: Draft, offered: Offered | None) -> Series | Problem | None:
    """The series with what was written; None where the form's own fields say what is wrong."""
    if not form.validate():
        return None
    before = draft.content.fields or ({} if offered else fields_of(draft, visit))
    return series_of(visit.session.org, draft, offered, {**before, **wire_of(form, offered)}, visit.now_ms)


def reminders_of(text: str) -> list[dict[str, Any]]:
    """`3 SMS 10:00` lines as the wire has them. Raises ValidationError."""
    found = []
    for line in text.splitlines():
        words = line.replace(",", " ").split()
        if not words:
            continue
        channel = _CHANNELS.get(words[1].upper()) if len(words) == _PARTS_OF_REMINDER else None
        if channel is None or not (words[0].isascii() and words[0].isdigit() and len(words[0]) <= len("366")):
            raise ValidationError("Write a reminder as: 3 SMS 10:00")
        found.append({"daysBefore": int(words[0]), "channel": channel, "timeOfDay": words[2].zfill(len("10:00"))})
    if len(found) > EXPIRY_REMINDERS_MAX:
        raise ValidationError(f"There can be {EXPIRY_REMINDERS_MAX} reminders.")
    return found


def _told(tx: ReadTransaction, draft: Draft) -> Told:
    series_id = draft.content.series_id
    found = read_series(tx, draft.org_id, [series_id], unreadable=[]) if series_id is not None else []
    return Told(found[0] if found else None)


def data_of(content: CampaignDraft, terms: Terms) -> dict[str, Any]:
    lines: Sequence[str] = [f"{each.days_before} {each.channel} {each.time_of_day}" for each in terms.expiry_reminders]
    return {
        "send": content.send if "message" in content.steps else content.makes_job and content.whom != "codes",
        "smsTemplate": terms.sms_template,
        "shortSMSTemplate": terms.short_sms_template,
        "reminders": "\n".join(lines),
        "resendMessageEnabled": terms.resend_message_enabled,
        "isSMSDisabled": terms.is_sms_disabled,
    }


def wire_of(form: MessageForm, offered: Offered | None) -> dict[str, Any]:
    """The wire's fields; of a series that there is, those that differ from it."""
    fields: dict[str, Any] = {
        "smsTemplate": (form.smsTemplate.data or "").strip(),
        "shortSMSTemplate": (form.shortSMSTemplate.data or "").strip(),
        "resendMessageEnabled": bool(form.resendMessageEnabled.data),
        "isSMSDisabled": bool(form.isSMSDisabled.data),
        "expiryReminders": reminders_of(form.reminders.data or ""),
    }
    if offered is None:
        return fields
    before = data_of(CampaignDraft(), offered.series.terms)
    before["expiryReminders"] = reminders_of(before["reminders"])
    return {name: value for name, value in fields.items() if before[name] != value}


def _address(text: str, org: Org) -> tuple[Channel, str] | None:
    """The channel and the normal form of an address that was typed in."""
    if "@" in text:
        return (Channel.EMAIL, text.lower()) if is_email(text) else None
    mobile = normal_mobile(text, org.country_code, org.settings.mobile_digits) if text else None
    return (Channel.SMS, mobile) if mobile else None


def _sent(tx: WriteTransaction, visit: Visit, draft_id: int, to: tuple[Channel, str], sample: Sample) -> int | None:
    """The delivery's id; None when this person has sent enough for a day."""
    channel, address = to
    who, day_ms = (visit.org_id, visit.session.person.id), visit.now_ms - visit.now_ms % DAY_MS
    if not tallies.count(tx, who, "test messages", day_ms, TEST_MESSAGES_A_DAY_MAX):
        return None
    body = sample.sms if channel is Channel.SMS else emails.plain(sample.email_subject, sample.email).body()
    delivery_id = send_test(tx, visit.org_id, channel, address, body, request_id=visit.request_id, now_ms=visit.now_ms)
    after = {"delivery": delivery_id, "channel": channel.name}
    audit.record(tx, visit.actor(), "send a test message", ("draft", draft_id), after=after)
    return delivery_id
