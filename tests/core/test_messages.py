import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from couponry.core import emails
from couponry.core.deliveries import Channel, DeliveryState, NewDelivery
from couponry.core.emails import email_from_body
from couponry.core.limits import DAY_MS
from couponry.core.messages import Messages, opened, opening_ms
from couponry.core.model import Customer, Org
from couponry.core.org_settings import OrgSettings
from couponry.core.telling import Cause, Facts, ToldOtp
from couponry.core.validation import DEFAULT_TEMPLATE, Message, Vault
from couponry.core.validation import Channel as Target
from tests.core.telling_world import (
    COUPON,
    CUSTOMER,
    NOW,
    ORG,
    OUTBOX,
    SECOND,
    SERIES,
    cause,
    coupon,
    customer,
    facts,
    org,
    terms,
)

VAULT = Vault(b"secret of the installation")
WAITING, SKIPPED = DeliveryState.WAITING, DeliveryState.SKIPPED


def sent(told: Cause, known: Facts, org_: Org | None = None) -> list[NewDelivery]:
    return Messages(org_ or org(), known, VAULT).deliveries(told, "ref")


def only(told: Cause, known: Facts, org_: Org | None = None) -> NewDelivery:
    (one,) = sent(told, known, org_)
    return one


def test_issue_by_sms() -> None:
    assert only(cause("IssueMessage", COUPON), facts()) == NewDelivery(
        outbox_id=OUTBOX,
        event="IssueMessage",
        target_id=Channel.SMS,
        customer_id=CUSTOMER,
        body="Hi Mira, use 3084110052 before 30-04-2031",
        request_id="5670FF17B7D58",
        ref_id="ref",
        coupon_id=COUPON,
        address="919812300001",
        next_ms=NOW,
    )


def test_issue_by_email_without_a_mobile() -> None:
    mira = customer(mobile=None, first_name="<Mira>")
    one = only(cause("IssueMessage", COUPON, SECOND), facts(customer_=mira))
    mail = email_from_body(one.body)
    assert (one.target_id, one.address, mail.subject) == (Channel.EMAIL, "mira@example.com", "Monsoon 15: your voucher")
    assert mail.text == "Hi <Mira>, use 3084110052, 5686110077 before 30-04-2031"
    assert "<p>Hi &lt;Mira&gt;, use 3084110052, 5686110077" in mail.html
    assert re.findall(r'src="cid:([^"]+)" alt="([^"]+)"', mail.html) == [
        ("code-0@couponry", "3084110052"),
        ("code-1@couponry", "5686110077"),
    ]
    assert [(cid, image[:4]) for cid, image in mail.images()] == [
        ("code-0@couponry", b"\x89PNG"),
        ("code-1@couponry", b"\x89PNG"),
    ]


NOBODY = customer(mobile=None, email=None)


@pytest.mark.parametrize(
    ("event", "changed", "why"),
    [
        ("IssueMessage", {"customer_": NOBODY}, "there is no mobile and no e-mail"),
        ("IssueMessage", {"customer_": customer(gone=True)}, "the customer is gone"),
        ("IssueMessage", {"customers": {}}, "the customer is gone"),
        ("IssueMessage", {"customer_": customer(unsubscribed={"SMS"})}, "unsubscribed from SMS"),
        ("ResendMessage", {"customer_": customer(unsubscribed={"SMS", "EMAIL"})}, "unsubscribed from SMS"),
        ("IssueMessage", {"customer_": customer(mobile=None, unsubscribed={"EMAIL"})}, "unsubscribed from EMAIL"),
        ("IssueMessage", {"terms_": terms(is_sms_disabled=True)}, "messages of the series are switched off"),
        ("IssueMessage", {"terms_": terms(sms_template="{{nope}}", short_sms_template="")}, "the template says nothing"),
        ("IssueMessage", {"terms_": terms(sms_template="x" * 20_001, short_sms_template="")}, "the message is too long"),
        ("IssueMessage", {"series": {}}, "the series cannot be read"),
        ("IssueMessage", {"coupons": {COUPON: coupon(COUPON, "A", revoked_ms=1)}}, "the coupon is revoked"),
        ("ReminderSms", {"customer_": customer(mobile=None)}, "there is no mobile"),
        ("ReminderSms", {"coupons": {COUPON: coupon(COUPON, "A", redeemed=1)}}, "the coupon is redeemed"),
        (
            "ReminderEmail",
            {"coupons": {COUPON: coupon(COUPON, "A", expires_local="2031-03-01T05:59:59")}},
            "the coupon has expired by then",
        ),
    ],
)
def test_skipped_with_a_reason(event: str, changed: dict[str, Any], why: str) -> None:
    one = only(cause(event, COUPON), facts(**changed))
    assert (one.state, one.problem, one.body, one.address, one.coupon_id) == (SKIPPED, why, "", None, COUPON)


TAGS = (
    *("first_name", "firstname", "last_name", "full_name", "fullname", "cust_name", "voucher", "voucher_code", "offer_name"),
    *("valid_days_from_create", "voucher_expiry_date", "customer_mobile", "customer_email", "customer_barcode", "optout"),
    "validation_code",
)


@pytest.mark.parametrize(
    ("told", "count"),
    [
        (cause("IssueMessage", COUPON), 1),
        (cause("ResendMessage", COUPON), 1),
        (cause("ReminderSms", COUPON), 1),
        (cause("CouponIssueLimit", SERIES, 4), 2),
    ],
)
def test_nobody_is_sent_the_past(told: Cause, count: int) -> None:
    """After an upgrade, or days without a worker, the outbox holds what nobody waits for any more."""
    of, known = org(contact_emails=("a@example.com", "b@example.com")), facts(now_ms=NOW + DAY_MS)
    assert [one.state for one in sent(told, known, of)] == [WAITING] * count
    old = only(told, replace(known, now_ms=NOW + DAY_MS + 1), of)
    assert (old.state, old.problem, old.body, old.address) == (SKIPPED, "it happened more than a day ago", "", None)


def test_every_tag() -> None:
    template = "|".join(f"{{{{ {tag} }}}}" for tag in TAGS)
    own = {COUPON: coupon(COUPON, "A-1", expires_local="2031-04-02T23:59:59")}
    known = facts(terms_=terms(sms_template=template, short_sms_template=""), coupons=own)
    assert only(cause("IssueMessage", COUPON), known, org(opt_out="STOP to 12345")).body == (
        "Mira|Mira|Rao|Mira Rao|Mira Rao|Mira Rao|A-1|A-1|Monsoon 15|02-04-2031|02-04-2031|919812300001|mira@example.com|CRM-77"
        "|STOP to 12345|"
    )


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ("x" * 160, "x" * 160),
        ("x" * 161, "short 3084110052"),
        ("{{voucher}}" + "x" * 150, "3084110052" + "x" * 150),
        ("{{voucher}}" + "x" * 151, "short 3084110052"),
        ("{{fullname}}{{nope}}" + "x" * 153, "short 3084110052"),
        ("", "short 3084110052"),
        ("{{ nope }}", "short 3084110052"),
    ],
)
def test_short_template(template: str, body: str) -> None:
    known = facts(terms_=terms(sms_template=template, short_sms_template="short {{voucher}}"))
    assert only(cause("IssueMessage", COUPON), known).body == body


def test_long_words_stay_in_an_email_and_without_a_short_template() -> None:
    known = facts(terms_=terms(sms_template="x" * 161), customer_=customer(mobile=None))
    assert email_from_body(only(cause("IssueMessage", COUPON), known).body).text == "x" * 161
    assert (
        only(cause("IssueMessage", COUPON), facts(terms_=terms(sms_template="x" * 161, short_sms_template=""))).body == "x" * 161
    )


def test_resend_has_the_template_of_the_org() -> None:
    ours = org(resend_template="Again: {{voucher}}")
    assert only(cause("ResendMessage", COUPON), facts(), ours).body == "Again: 3084110052"
    assert only(cause("ResendMessage", COUPON), facts()).body == "Hi Mira, use 3084110052 before 30-04-2031"
    assert only(cause("IssueMessage", COUPON), facts(), ours).body == "Hi Mira, use 3084110052 before 30-04-2031"


def test_reminder_says_when() -> None:
    one = only(cause("ReminderSms", COUPON), facts())
    assert (one.target_id, one.body) == (Channel.SMS, "Hello Mira Rao, your voucher 3084110052 expires on 30-04-2031")
    assert email_from_body(only(cause("ReminderEmail", COUPON), facts()).body).subject.endswith("expires on 30-04-2031")


def test_contacts() -> None:
    ours = org(contact_emails=("a@b.example", "c@d.example"))
    limit, expiry = (
        sent(cause(*args, customer_id=None), facts(), ours)
        for args in (("CouponIssueLimit", SERIES, 20), ("OfferExpiry", SERIES))
    )
    for mails in (limit, expiry):
        assert [(one.target_id, one.address, one.customer_id) for one in mails] == [
            (Channel.CONTACTS, "a@b.example", None),
            (Channel.CONTACTS, "c@d.example", None),
        ]
    assert "20 more times" in email_from_body(limit[0].body).text
    assert email_from_body(expiry[0].body).subject == "Monsoon 15 (series 5001) expires on 30-04-2031"
    assert sent(cause("OfferExpiry", SERIES), facts()) == []


def otp_facts(message: Message, **changed: Any) -> Facts:
    told = ToldOtp(7, CUSTOMER, VAULT.seal(ORG, 7, "538214"), message, NOW + 1, is_used=False)
    return facts(otps={7: replace(told, **changed)})


BOTH = (Target("mobile", "919812300001"), Target("email", "mira@example.com"))


def test_code_is_told_on_every_channel_and_sealed() -> None:
    quiet = org(min_sms_hour=9, max_sms_hour=10)
    sms, mail = sent(
        cause("OtpMessage", 7), otp_facts(Message(BOTH, email_body="<p>{{first_name}}: <b>{{validation_code}}</b></p>")), quiet
    )
    assert [(one.target_id, one.address, one.customer_id, one.next_ms, one.state) for one in (sms, mail)] == [
        (Channel.OTP_SMS, "919812300001", None, 0, WAITING),
        (Channel.OTP_EMAIL, "mira@example.com", None, 0, WAITING),
    ]
    assert not [one for one in (sms, mail) if "538214" in one.body or "OTP" in one.body]
    said, mailed = (opened(VAULT, ORG, OUTBOX, "OtpMessage", one.body) for one in (sms, mail))
    assert said == DEFAULT_TEMPLATE.replace("{{ validation_code }}", "538214")
    letter = email_from_body(mailed or "")
    assert (letter.subject, letter.text, letter.html) == (said, "Mira: 538214", "<p>Mira: <b>538214</b></p>")
    assert opened(VAULT, ORG + 1, OUTBOX, "OtpMessage", sms.body) is None
    assert opened(Vault(b"other"), ORG, OUTBOX, "OtpMessage", sms.body) is None
    assert opened(VAULT, ORG, OUTBOX, "IssueMessage", "text") == "text"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"is_used": True}, "the code is used"),
        ({"expires_ms": NOW}, "the code has expired"),
        ({"sealed": b"x" * 22}, "the code was sealed with another secret"),
    ],
)
def test_code_that_is_of_no_use(changed: dict[str, Any], why: str) -> None:
    one = only(cause("OtpMessage", 7), otp_facts(Message(BOTH), **changed))
    assert (one.state, one.problem, one.body) == (SKIPPED, why, "")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            "<style>p{color:red}</style><p>Dear&nbsp;you<br>code {{validation_code}}</p>\n<p>Bye</p>",
            "Dear you\ncode 538214\nBye",
        ),
        ("1 < 2 and {{validation_code}}", "1 < 2 and 538214"),
        ("<" * 2000, "<" * 2000),
    ],
)
def test_text_part_of_somebodys_html(body: str, text: str) -> None:
    mail = emails.from_templates("Code {{validation_code}}\r\nBcc: x@y", body, {"validation_code": "538214"})
    assert (mail.subject, mail.text) == ("Code 538214 Bcc: x@y", text)


def naive_opening(now_ms: int, first: int, end: int, zone: ZoneInfo) -> int:
    """Minute by minute, until the clock on the wall says that it is open."""
    at_s = now_ms // 1000
    while not first <= datetime.fromtimestamp(at_s, zone).hour < end:
        at_s += 60 - at_s % 60
    return now_ms if at_s == now_ms // 1000 else at_s * 1000


# Spring and autumn of zones that change their clocks at night, at midnight, by half an hour, and by a whole day.
CHANGES = [
    ("Europe/Berlin", 2031, 3, 30),
    ("Europe/Berlin", 2031, 10, 26),
    ("America/Santiago", 2031, 9, 7),
    ("Africa/Cairo", 2030, 4, 26),
    ("Africa/Cairo", 2030, 10, 31),
    ("Australia/Lord_Howe", 2031, 4, 6),
    ("Australia/Lord_Howe", 2031, 10, 5),
    ("Asia/Kolkata", 2031, 1, 1),
    ("Pacific/Apia", 2011, 12, 30),
]


@given(st.sampled_from(CHANGES), st.integers(-36 * 60, 36 * 60), st.integers(0, 23), st.integers(1, 24))
@example(CHANGES[0], 60, 2, 3)
@example(CHANGES[4], 22 * 60, 0, 23)
def test_next_opening(change: tuple[str, int, int, int], minutes: int, first: int, hours: int) -> None:
    zone, end = ZoneInfo(change[0]), min(first + hours, 24)
    now_ms = int((datetime(*change[1:], tzinfo=ZoneInfo("UTC")) + timedelta(minutes=minutes)).timestamp()) * 1000 + 741
    settings = OrgSettings(min_sms_hour=first, max_sms_hour=end)
    assert opening_ms(now_ms, settings, zone) == naive_opening(now_ms, first, end, zone)


def test_message_waits_for_the_morning_of_its_org() -> None:
    ours = org("Asia/Kolkata", min_sms_hour=16, max_sms_hour=20)  # now it is 15:30 there
    assert only(cause("IssueMessage", COUPON), facts(), ours).next_ms == NOW - 741 + 30 * 60_000


OURS = {
    *("!doctype", "html", "head", "meta", "title", "/title", "/head", "body", "p", "br", "/p", "img", "strong", "/strong"),
    *("/body", "/html"),
}


@given(st.text(max_size=300), st.text(max_size=30), st.text(max_size=30))
def test_whatever_customers_are_called(template: str, first_name: str, last_name: str) -> None:
    who = Customer(CUSTOMER, first_name=first_name, last_name=last_name, mobile="1")
    for mobile in ("1", None):
        known = facts(terms_=terms(sms_template=template + "{{fullname}}"), customer_=replace(who, mobile=mobile, email="a@b"))
        one = only(cause("IssueMessage", COUPON), known)
        assert "\0" not in one.body
        one.body.encode()
        if one.target_id == Channel.EMAIL and one.body:
            mail = email_from_body(one.body)
            assert "\n" not in mail.subject
            assert set(re.findall("<(/?[a-z0-9!]*)", mail.html.lower())) <= OURS
