"""What customers and an org's contacts are sent (events 5): by which channel, in which words, when, or why not.

A message about several coupons of one customer is one message, and is found by the first of them. Bodies are text for an SMS, and
`core.emails` for an e-mail; what tells a validation code is sealed (`opened`), so that the code lies nowhere in the clear.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from couponry.core import emails
from couponry.core.deliveries import Channel, DeliveryState, NewDelivery
from couponry.core.events import ISSUE_LIMIT, coupon_expires_ms
from couponry.core.expiry import local_time
from couponry.core.limits import MESSAGE_CHARS_MAX, MESSAGE_KEPT_MS, SMS_CHARS_BEFORE_SHORT
from couponry.core.model import Customer, Org
from couponry.core.org_settings import OrgSettings
from couponry.core.series import Series
from couponry.core.telling import OTP_MESSAGE, Cause, Facts, ToldCoupon, ToldOtp
from couponry.core.templates import render
from couponry.core.validation import Vault

ISSUE: Final = "IssueMessage"
RESEND: Final = "ResendMessage"
REMINDERS: Final[Mapping[str, Channel]] = {"ReminderSms": Channel.SMS, "ReminderEmail": Channel.EMAIL}
"""Causes about a coupon that is going to expire, by their channel."""
OFFER_EXPIRY: Final = "OfferExpiry"
"""A cause about a series that is going to expire."""

COUPON_SUBJECT: Final = "{{ offer_name }}: your voucher"
"""Of e-mails that tell of a coupon."""
_REMINDER: Final = "Hello {{ cust_name }}, your voucher {{ voucher_code }} expires on {{ voucher_expiry_date }}"
_REMINDER_SUBJECT: Final = "{{ offer_name }}: your voucher expires on {{ voucher_expiry_date }}"
_OLD: Final = "it happened more than a day ago"
_DAYS_LOOKED_AT: Final = 4


class Messages:
    """The messages of one batch of causes."""

    def __init__(self, org: Org, facts: Facts, vault: Vault) -> None:
        self._org = org
        self._facts = facts
        self._vault = vault
        self._next_ms = opening_ms(facts.now_ms, org.settings, org.zone)

    def deliveries(self, cause: Cause, ref_id: str) -> list[NewDelivery]:
        """What a cause is told by; nothing for one that nobody is sent a message about."""
        if cause.event == OTP_MESSAGE:
            return self._of_otp(cause, ref_id)
        if cause.event in {ISSUE_LIMIT, OFFER_EXPIRY}:
            return self._to_contacts(cause, ref_id)
        if cause.event in {ISSUE, RESEND, *REMINDERS}:
            return [self._to_customer(cause, ref_id)]
        return []

    def _to_customer(self, cause: Cause, ref_id: str) -> NewDelivery:
        told = self._facts.customers.get(cause.customer_id or 0)
        coupons = [coupon for coupon in self._facts.coupons_of(cause) if coupon.revoked_ms is None]
        series = self._facts.series.get(coupons[0].series_id) if coupons else None
        channel = REMINDERS.get(cause.event) or (Channel.SMS if told is None or told.customer.mobile else Channel.EMAIL)
        blank = _blank(cause, ref_id, channel, coupons[0].id if coupons else cause.subject_ids[0])
        if told is None or told.customer.gone:
            return _skipped(blank, "the customer is gone")
        if series is None:
            return _skipped(blank, "the series cannot be read" if coupons else "the coupon is revoked")
        address = told.customer.mobile if channel is Channel.SMS else told.customer.email
        if why := self._why_not(cause, coupons, series) or _unreachable(address, told.customer, channel):
            return _skipped(blank, why)
        known = values(self._org, told.customer, coupons, series)
        text = self._text(cause, channel, series, known)
        if not text or len(text) > MESSAGE_CHARS_MAX:
            return _skipped(blank, "the message is too long" if text else "the template says nothing")
        if channel is Channel.EMAIL:
            subject = render(_REMINDER_SUBJECT if cause.event in REMINDERS else COUPON_SUBJECT, known)
            text = emails.about_coupons(subject, text, [coupon.code for coupon in coupons]).body()
        return replace(blank, address=address, body=text, next_ms=self._next_ms)

    def _why_not(self, cause: Cause, coupons: Sequence[ToldCoupon], series: Series) -> str:
        return _OLD if self._is_old(cause) else _why_not(cause.event, coupons, series, self._next_ms)

    def _is_old(self, cause: Cause) -> bool:
        """Nobody is sent news of last week: after an upgrade, or when no worker was there for days."""
        return self._facts.now_ms - cause.created_ms > MESSAGE_KEPT_MS

    def _text(self, cause: Cause, channel: Channel, series: Series, known: Mapping[str, str]) -> str:
        """The short template's words where an SMS would be too long, or where there is no other (rules 2)."""
        terms, short = series.terms, series.terms.short_sms_template
        template = (cause.event == RESEND and self._org.settings.resend_template) or terms.sms_template
        text = render(_REMINDER if cause.event in REMINDERS else template, known)
        is_long = channel is Channel.SMS and len(text) > SMS_CHARS_BEFORE_SHORT
        return ((is_long or not text) and render(short, known)) or text

    def _of_otp(self, cause: Cause, ref_id: str) -> list[NewDelivery]:
        """At once, whatever the hour and whatever the customer wants no messages about: they are waiting for it.

        In nobody's order: it must not wait for a message that is to be sent in the morning.
        """
        otp = self._facts.otps.get(cause.subject_ids[0])
        told = self._facts.customers.get(cause.customer_id or 0)
        code = self._vault.open(self._org.id, otp.id, otp.sealed) if otp else None
        blank = replace(_blank(cause, ref_id, Channel.OTP_SMS, None), customer_id=None)
        if otp is None or told is None or told.customer.gone:
            return [_skipped(blank, "the customer is gone")]
        if why := _why_not_code(otp, self._facts.now_ms):
            return [_skipped(blank, why)]
        if code is None:
            return [_skipped(blank, "the code was sealed with another secret")]
        known = {**_names(self._org, told.customer), "validation_code": code}
        made = []
        for kind, address in dict.fromkeys((target.kind, target.value) for target in otp.message.channels):
            channel = Channel.OTP_SMS if kind == "mobile" else Channel.OTP_EMAIL
            text = _otp_text(otp, channel, known)
            body = b64encode(self._vault.seal(self._org.id, cause.id, text)).decode()
            made.append(replace(blank, target_id=channel, address=address, body=body, expires_ms=otp.expires_ms))
        return made

    def _to_contacts(self, cause: Cause, ref_id: str) -> list[NewDelivery]:
        series_id, *left = cause.subject_ids
        series = self._facts.series.get(series_id)
        name = f"{series.terms.description} (series {series_id})" if series else f"Series {series_id}"
        if cause.event == OFFER_EXPIRY:
            day = f" on {_day(series.expires_local)}" if series else ""
            mail = emails.plain(
                f"{name} expires{day}", f"The offer {name} expires{day}. From then on, nothing of it is redeemed."
            )
        else:
            count = f"{left[0]} more" if left else "few more"
            mail = emails.plain(f"{name} is almost used up", f"The offer {name} may be issued {count} times.")
        blank = replace(_blank(cause, ref_id, Channel.CONTACTS, None), customer_id=None)
        if self._is_old(cause):
            return [_skipped(blank, _OLD)]
        return [replace(blank, address=address, body=mail.body()) for address in self._org.settings.contact_emails]


def unwanted(event: str, customer_id: int, channel: Channel, cause: Cause | None, facts: Facts) -> str:
    """Why a message that waited for a while is not to be sent any more; empty when it is. `cause`: None once forgotten."""
    told = facts.customers.get(customer_id or (cause.customer_id if cause else None) or 0)
    if told.customer.gone if told else cause is not None:
        return "the customer is gone"
    if event == OTP_MESSAGE:
        otp = facts.otps.get(cause.subject_ids[0]) if cause else None
        return _why_not_code(otp, facts.now_ms) if otp else ""
    if told is None or cause is None:
        return ""
    coupons = [coupon for coupon in facts.coupons_of(cause) if coupon.revoked_ms is None]
    if not coupons:
        return "the coupon is revoked"
    series = facts.series.get(coupons[0].series_id)
    why = _why_not(event, coupons, series, facts.now_ms) if series else ""
    return why or _unsubscribed(told.customer, channel)


def opened(vault: Vault, org_id: int, outbox_id: int, event: str, body: str) -> str | None:
    """What a message says; None when it was sealed with another secret."""
    return vault.open(org_id, outbox_id, b64decode(body)) if event == OTP_MESSAGE and body else body


def values(org: Org, customer: Customer, coupons: Sequence[ToldCoupon], series: Series) -> dict[str, str]:
    """What the tags of a template stand for (events 5); several codes stand in a row."""
    codes = ", ".join(coupon.code for coupon in coupons)
    expires = coupons[0].expires_local if coupons else None
    day = _day(datetime.fromisoformat(expires) if expires else series.expires_local)
    return {
        **_names(org, customer),
        "voucher": codes,
        "voucher_code": codes,
        "offer_name": series.terms.description,
        "valid_days_from_create": day,
        "voucher_expiry_date": day,
    }


def opening_ms(now_ms: int, settings: OrgSettings, zone: ZoneInfo) -> int:
    """Now, or the next instant at which the org's clock lets messages be sent. Where clocks change, hours come twice or never."""
    first, end = settings.min_sms_hour, settings.max_sms_hour
    local = local_time(now_ms // 1000, zone)
    if first <= local.hour < end:
        return now_ms
    for days in range(_DAYS_LOOKED_AT):
        opens = datetime.combine(local.date() + timedelta(days), time(first), zone)
        at_ms = round(opens.timestamp()) * 1000
        if at_ms > now_ms and first <= local_time(at_ms // 1000, zone).hour < end:
            return at_ms
    return now_ms


def _otp_text(otp: ToldOtp, channel: Channel, known: Mapping[str, str]) -> str:
    message = otp.message
    if channel.is_sms:
        return render(message.template, known)
    subject, body = message.email_subject or message.template, message.email_body or message.template
    return emails.from_templates(subject, body, known).body()


def _names(org: Org, customer: Customer) -> dict[str, str]:
    full = f"{customer.first_name} {customer.last_name}".strip()
    return {
        **dict.fromkeys(("first_name", "firstname"), customer.first_name),
        "last_name": customer.last_name,
        **dict.fromkeys(("full_name", "fullname", "cust_name"), full),
        "customer_mobile": customer.mobile or "",
        "customer_email": customer.email or "",
        "customer_barcode": customer.external_id or customer.card_number or "",
        "optout": org.settings.opt_out,
    }


def _unreachable(address: str | None, customer: Customer, channel: Channel) -> str:
    if not address:
        return "there is no mobile and no e-mail" if channel is Channel.EMAIL else "there is no mobile"
    return _unsubscribed(customer, channel)


def _unsubscribed(customer: Customer, channel: Channel) -> str:
    return f"unsubscribed from {channel.name}" if channel.name in customer.unsubscribed else ""


def _why_not(event: str, coupons: Sequence[ToldCoupon], series: Series, at_ms: int) -> str:
    """Why a message about coupons should not be sent at that time: none of them is of any use by then."""
    if series.terms.is_sms_disabled:
        return "messages of the series are switched off"
    if all(_is_used_up(coupon, series) for coupon in coupons) or (event in REMINDERS and coupons[0].redeemed):
        return "the coupon is redeemed"
    is_late = all((coupon_expires_ms(coupon, series) or 0) < at_ms for coupon in coupons)
    return "the coupon has expired by then" if is_late else ""


def _is_used_up(coupon: ToldCoupon, series: Series) -> bool:
    """Whether nobody can redeem it again (rules 5): as far as can be told from the coupon alone."""
    terms, most = series.terms, series.terms.redemption_per_coupon_max_limit
    return coupon.redeemed > 0 and (not terms.is_multiple_use_allowed or 0 < most <= coupon.redeemed)


def _why_not_code(otp: ToldOtp, at_ms: int) -> str:
    if otp.is_used:
        return "the code is used"
    return "the code has expired" if otp.expires_ms <= at_ms else ""


def _day(local: datetime) -> str:
    return f"{local.day:02}-{local.month:02}-{local.year:04}"


def _blank(cause: Cause, ref_id: str, channel: Channel, coupon_id: int | None) -> NewDelivery:
    return NewDelivery(
        outbox_id=cause.id,
        event=cause.event,
        target_id=channel,
        customer_id=cause.customer_id,
        body="",
        request_id=cause.request_id,
        ref_id=ref_id,
        coupon_id=coupon_id,
    )


def _skipped(delivery: NewDelivery, why: str) -> NewDelivery:
    return replace(delivery, state=DeliveryState.SKIPPED, problem=why)
