"""What a message would say: to a customer who is not there, about a coupon that nobody has."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from couponry.core.expiry import local_time, new_coupon_expiry
from couponry.core.generation import ORG_KEY_BYTES, CodeMaker, shape_of
from couponry.core.limits import SMS_CHARS_BEFORE_SHORT
from couponry.core.messages import COUPON_SUBJECT, values
from couponry.core.model import Customer, Handling, Org, Terms
from couponry.core.org_settings import OrgSettings
from couponry.core.segments import Segments, segments
from couponry.core.series import Series
from couponry.core.tags import unknown_tags
from couponry.core.telling import ToldCoupon
from couponry.core.templates import render

MIRA: Final = Customer(
    id=1, first_name="Mira", last_name="Rao", mobile="919812300001", email="mira.rao@example.com", external_id="CRM-77"
)
TAGS: Final = {
    "first_name": "the customer's first name",
    "cust_name": "the customer's whole name",
    "voucher_code": "the coupon's code",
    "voucher_expiry_date": "the day on which the coupon expires",
    "offer_name": "the name of the offer",
    "customer_mobile": "the customer's mobile",
    "customer_email": "the customer's e-mail",
    "customer_barcode": "the customer's external id",
    "optout": "how to unsubscribe, as the settings say it",
}
"""The tags that a person may pick, and what they stand for; others mean the same."""


class Sample(Struct, frozen=True):
    """A message as it would be sent. `is_short` when the short template's words stand in for a text that is too long."""

    sms: str
    size: Segments
    is_short: bool
    email_subject: str
    email: str
    unknown_tags: Sequence[str]


def sample_code(terms: Terms, settings: OrgSettings) -> str:
    """A code as the series has them; of no serial, and under no org's key. Empty where codes come from elsewhere."""
    if terms.client_handling_type is Handling.SHARED:
        return terms.generic_code or ""
    if terms.client_handling_type is Handling.UPLOADED or terms.external_issual:
        return ""
    shape = shape_of(terms, settings)
    return CodeMaker(bytes(ORG_KEY_BYTES), 0, shape).codes(shape.capacity // 2, 1)[0]


def sample_message(org: Org, series: Series, now_ms: int) -> Sample:
    """What Mira is sent when a coupon is issued to her now."""
    terms = series.terms
    code = sample_code(terms, org.settings) or "YOURCODE"
    today = local_time(now_ms // 1000, series.zone).date()
    expires = new_coupon_expiry(terms, today, series.expires_local)
    coupon = ToldCoupon(1, series.id, code, MIRA.id, now_ms, expires, None, None, 0)
    known = values(org, MIRA, [coupon], series)
    whole, short = render(terms.sms_template, known), render(terms.short_sms_template, known)
    is_short = bool(short) and (not whole or len(whole) > SMS_CHARS_BEFORE_SHORT)
    sms = short if is_short else whole
    unknown = [*unknown_tags(terms.sms_template), *unknown_tags(terms.short_sms_template)]
    return Sample(sms, segments(sms), is_short, render(COUPON_SUBJECT, known), whole or short, list(dict.fromkeys(unknown)))
