"""Campaign Manager: from a name to a launch, and everything that may come between."""

import re
from datetime import datetime
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, event, select

from couponry.core.launching import CampaignDraft
from couponry.core.roles import Role
from couponry.store import registry
from couponry.store import schema as t
from couponry.store.audit import entries
from couponry.store.campaigns import Campaign, create_campaign
from couponry.store.campaigns import Draft as CampaignFields
from couponry.store.drafts import create_draft
from tests.api.shop import Shop
from tests.console.browser import Browser, Page

TERMS = {
    "description": "Monsoon 15",
    "discountType": "PERC",
    "discountValue": "15",
    "discountUpto": "200",
    "minBillAmount": "500",
    "clientHandlingType": "DISC_CODE",
    "randomCodeLength": "10",
    "alphaNumeric": "y",
    "unambiguousCode": "y",
    "validTillDate": "2031-04-30",
    "expiryStrategyType": "SERIES_EXPIRY",
    "days": ["6", "0"],
    "doNotResendExistingVoucher": "y",
}

MESSAGE = {
    "send": "y",
    "smsTemplate": "Hi {{first_name}}: {{voucher_code}}",
    "shortSMSTemplate": "{{voucher_code}}",
    "reminders": "",
}


def rows(shop: Shop, table: Any, *columns: str) -> list[tuple[Any, ...]]:
    with shop.database.reading() as tx:
        wanted = select(*(table.c[name] for name in columns)).where(table.c.org_id == shop.org_id)
        return [tuple(row) for row in tx.rows(wanted, {})]


def acts(shop: Shop) -> list[str]:
    with shop.database.reading() as tx:
        return [entry.action for entry in entries(tx, shop.org_id, limit=50)]


def version_of(page: Page) -> str:
    return page.text.partition('name="version" value="')[2].partition('"')[0]


def wrong(page: Page, name: str) -> str:
    """What is said at a field."""
    found = re.search(rf'id="{name}-wrong">(.*?)</p>', page.text, re.DOTALL)
    assert found, f"nothing is wrong with {name}"
    return unescape(found[1])


def ms(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Asia/Kolkata")).timestamp() * 1000)


def approve(browser: Browser) -> Page:
    """The newest of what waits for a second person."""
    browser.get("/approvals/1")
    return browser.post("/approvals/1/decide", note="fine", verdict="approve")


class Flow:
    """One draft, filled in step by step."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        page = browser.post("/campaigns/drafts")
        self.at = str(page.response.url.path).removeprefix("/console").removesuffix("/campaign")

    def step(self, name: str, /, **fields: Any) -> Page:
        version = version_of(self.browser.get(f"{self.at}/{name}"))
        return self.browser.post(f"{self.at}/{name}", **{"version": version, **fields})

    @classmethod
    def at_draft(cls, browser: Browser, number: int) -> "Flow":
        """A draft that there is."""
        flow = cls.__new__(cls)
        flow.browser, flow.at = browser, f"/campaigns/drafts/{number}"
        return flow

    def step_post(self, path: str, **fields: Any) -> Page:
        return self.browser.post(f"{self.at}/{path}", **fields)

    def ready(self, whom: str = "everyone", terms: dict[str, Any] | None = None, **campaign: str) -> "Flow":
        self.step("campaign", **{"name": "Monsoon", "description": "Rain", "starts_local": "", "ends_local": "", **campaign})
        self.step("terms", **{**TERMS, **(terms or {})})
        self.step("audience", whom=whom, count="1")
        self.step(
            "message",
            send="y",
            smsTemplate="Hi {{first_name}}: {{voucher_code}}",
            shortSMSTemplate="{{voucher_code}}",
            reminders="",
        )
        return self

    def launch(self, **fields: str) -> Page:
        version = version_of(self.browser.get(f"{self.at}/check"))
        return self.browser.post(f"{self.at}/launch", **{"version": version, "when": "now", **fields})


def test_from_a_name_to_a_launch(shop: Shop, browsers: dict[Role, Browser]) -> None:
    flow = Flow(browsers["marketer"]).ready()
    check = browsers["marketer"].get(f"{flow.at}/check")
    assert "15 % off, at most INR 200, on bills from INR 500." in check.text
    assert "Saturdays and Sundays" in check.text
    page = flow.launch()
    assert page.status == 200, page.text
    assert "Launched." in page.text
    assert [row[0] for row in rows(shop, t.campaign, "name")] == ["Monsoon"]
    ((state, job_id, campaign_id, series_id),) = rows(shop, t.launch, "state", "job_id", "campaign_id", "series_id")
    assert state == "launched"
    assert (series_id, campaign_id) in rows(shop, t.series, "id", "campaign_id")
    assert rows(shop, t.job, "id", "series_id", "kind") == [(job_id, series_id, "issue")]
    assert acts(shop)[:4] == ["launch", "make job", "create campaign", "create series"]


def test_a_double_click_launches_once(shop: Shop, browsers: dict[Role, Browser]) -> None:
    flow = Flow(browsers["marketer"]).ready()
    version = version_of(browsers["marketer"].get(f"{flow.at}/check"))
    pages = [browsers["marketer"].post(f"{flow.at}/launch", version=version, when="now") for _ in range(2)]
    assert ["Monsoon" in page.text for page in pages] == [True, True]
    assert len(rows(shop, t.job, "id")) == len(rows(shop, t.campaign, "id")) == 1


def test_a_refusal_stands_at_its_field_in_words(shop: Shop, browsers: dict[Role, Browser]) -> None:
    flow = Flow(browsers["marketer"])
    page = flow.step("terms", **{**TERMS, "discountValue": "150"})
    assert page.status == 422
    assert wrong(page, "discountValue") == "“Discount” must be from 0 to 100. (Code 744)"
    assert 'value="2031-04-30"' in page.text, "what was filled in is still there"
    page = flow.step("terms", **{**TERMS, "clientHandlingType": "GENERIC"})
    assert "(Code 754)" in wrong(page, "genericCode")
    page = flow.step("terms", **{**TERMS, "maxCreate": "many", "hours": "10-25", "stores": "blr01, nowhere"})
    assert "integer" in wrong(page, "maxCreate")
    page = flow.step("terms", **{**TERMS, "hours": "10-25", "stores": "blr01, nowhere"})
    assert wrong(page, "hours") == "Hours are 0 to 23, such as 10-13, 17."
    assert wrong(page, "stores") == "There is no store with the code nowhere."


def test_a_taken_series_code_stops_the_launch(shop: Shop, browsers: dict[Role, Browser]) -> None:
    flow = Flow(browsers["marketer"]).ready(terms={"seriesCode": "mon"})
    assert "The series code mon is taken." in browsers["marketer"].get(f"{flow.at}/check").text
    page = flow.launch()
    assert page.status == 422
    assert rows(shop, t.campaign, "id") == []


def test_drafts_survive_back_reload_and_another_day(shop: Shop, browsers: dict[Role, Browser]) -> None:
    flow = Flow(browsers["marketer"]).ready()
    shop.clock.ms += 3_600_000
    page = browsers["admin"].get(f"{flow.at}/terms")
    filled = page.form(f"/console{flow.at}/terms")
    assert {
        name: filled[name] for name in ("discountValue", "discountUpto", "minBillAmount", "validTillDate", "randomCodeLength")
    } == {
        "discountValue": "15",
        "discountUpto": "200",
        "minBillAmount": "500",
        "validTillDate": "2031-04-30",
        "randomCodeLength": "10",
    }
    assert "3 SMS 10:00" in browsers["admin"].get(f"{flow.at}/message").text
    stale = browsers["marketer"].post(f"{flow.at}/campaign", version="1", name="Other")
    assert "Somebody changed this draft meanwhile" in stale.text
    assert "Monsoon" in browsers["marketer"].get("/campaigns/drafts").text
    assert "The draft is removed." in browsers["marketer"].post(f"{flow.at}/remove").text
    assert browsers["marketer"].get(flow.at).status == 404


def test_previews_say_what_is_being_filled_in(shop: Shop, browsers: dict[Role, Browser]) -> None:
    flow = Flow(browsers["marketer"])
    terms = browsers["marketer"].post(f"{flow.at}/terms/preview", **{**TERMS, "stores": "blr01"})
    assert "At store blr01." in terms.text
    assert re.search(r"<span class=\"code\">[A-Z2-9]{10}<", terms.text)
    assert "Discount" in browsers["marketer"].post(f"{flow.at}/terms/preview", **{**TERMS, "discountValue": "-1"}).text
    flow.ready()
    message = browsers["marketer"].post(
        f"{flow.at}/message/preview", **{**MESSAGE, "smsTemplate": "Hi {{first_name}} ☔ {{nobody}}"}
    )
    assert "Hi Mira ☔" in message.text
    assert "UCS-2: 1 SMS part" in message.text
    assert "Nobody knows nobody" in message.text


def test_a_test_message_is_a_delivery(shop: Shop, browsers: dict[Role, Browser]) -> None:
    flow = Flow(browsers["marketer"]).ready()
    page = flow.step_post("message/test", address="98123 00009")
    assert "stays in the mailbox" in page.text
    flow.step_post("message/test", address="me@example.com")
    sent = rows(shop, t.delivery, "target_id", "address", "event", "state")
    assert sorted(sent) == [(-2, "me@example.com", "TestMessage", "waiting"), (-1, "919812300009", "TestMessage", "waiting")]
    assert "neither a mobile" in flow.step_post("message/test", address="x").text


def test_a_file_is_an_audience(shop: Shop, browsers: dict[Role, Browser]) -> None:
    flow = Flow(browsers["marketer"])
    sent = {"file": ("people.csv", b"name,mobile\nMira,9812300001\nNobody,9812399999\n", "text/csv")}
    page = browsers["marketer"].post(f"{flow.at}/audience/file", files=sent, identifier="mobile", column="2")
    assert "of these, 1 name a customer" in page.text
    assert "people.csv" in page.text
    bad = {"file": ("people.csv", b"\xff\xfe\0", "text/csv")}
    page = browsers["marketer"].post(f"{flow.at}/audience/file", files=bad, identifier="mobile", column="2")
    assert "cannot be read" in page.text
    flow.ready("file")
    flow.launch()
    ((request,),) = rows(shop, t.job, "request")
    assert '"uploadId":1,"identifier":"mobile","column":1' in request


def test_a_segment_counts_its_customers(shop: Shop, browsers: dict[Role, Browser]) -> None:
    flow = Flow(browsers["marketer"])
    page = flow.step("audience", whom="segment", count="1", status_labels="SUSPENDED", look="1")
    assert "This audience has 1 customer." in page.text
    page = flow.step("audience", whom="segment", count="1", stores="nowhere", redeemed="NONE")
    assert page.status == 422
    assert "There is no store nowhere." in page.text
    assert "There is no series NONE." in page.text
    page = flow.step(
        "audience", whom="segment", count="1", redeemed="mon", registered_from="2031-01-01", registered_to="2030-01-01"
    )
    assert "The last day is before the first." in page.text


def test_a_scheduled_launch_can_be_cancelled_and_set_again(shop: Shop, browsers: dict[Role, Browser]) -> None:
    marketer = browsers["marketer"]
    flow = Flow(marketer).ready()
    assert "Say when" in flow.launch(when="later", due="2020-01-01T10:00").text
    page = flow.launch(when="later", due="2031-03-20T10:00")
    assert "Scheduled." in page.text
    assert rows(shop, t.job, "id") == []
    at = page.response.url.path
    assert rows(shop, t.campaign, "starts_ms") == [(ms("2031-03-20T10:00"),)], "it starts with its launch"
    assert "20 Mar 2031, 10:00" in marketer.get("/campaigns", state="scheduled").text
    assert "cancelled" in marketer.post(f"{at}/launches/1/cancel").text
    assert "That was not done" in marketer.post(f"{at}/launches/1/cancel").text
    assert "Scheduled for another time." in marketer.post(f"{at}/launches/1/again", due="2031-03-21T10:00").text
    assert "Launched." in marketer.post(f"{at}/launches/1/again", due="").text
    assert "That was not done" in marketer.post(f"{at}/launches/1/again", due="").text
    assert len(rows(shop, t.job, "id")) == 1
    assert rows(shop, t.campaign, "starts_ms") == [(None,)]


def test_a_campaign_is_renamed_and_prolonged(shop: Shop, browsers: dict[Role, Browser]) -> None:
    marketer = browsers["marketer"]
    at = Flow(marketer).ready(ends_local="2031-12-31T10:00").launch().response.url.path
    filled = marketer.get(f"{at}/change").form(f"{at}/change")
    assert (filled["name"], filled["ends_local"]) == ("Monsoon", "2031-12-31T10:00")
    assert marketer.post(f"{at}/change", **{**filled, "ends_local": "2020-01-01T00:00"}).status == 422
    assert "Changed." in marketer.post(f"{at}/change", **{**filled, "name": "Monsoon II", "ends_local": "2032-01-31T10:00"}).text
    assert rows(shop, t.campaign, "name", "ends_ms") == [("Monsoon II", ms("2032-01-31T10:00"))]
    assert acts(shop)[0] == "change campaign"
    assert browsers["auditor"].get(f"{at}/change").status == 403


def test_what_may_cost_much_takes_a_second_person(shop: Shop, browsers: dict[Role, Browser]) -> None:
    shop.set(launchApprovalAbove="100")
    marketer = browsers["marketer"]
    flow = Flow(marketer).ready()
    page = flow.launch()
    assert "A second person has to approve this launch." in page.text
    assert rows(shop, t.launch, "state") == [("asked",)]
    assert rows(shop, t.campaign, "id") == rows(shop, t.job, "id") == []
    approve(marketer)
    assert rows(shop, t.launch, "state") == [("asked",)], "nobody approves what they asked for"
    approve(browsers["admin"])
    assert rows(shop, t.launch, "state") == [("launched",)]
    assert len(rows(shop, t.job, "id")) == 1


def test_what_was_asked_can_be_taken_back(shop: Shop, browsers: dict[Role, Browser]) -> None:
    shop.set(launchApprovalAbove="0")
    flow = Flow(browsers["marketer"]).ready()
    flow.launch()
    assert "Campaign" in flow.step_post("cancel").text
    page = approve(browsers["admin"])
    assert "not asked for any more" in page.text
    assert rows(shop, t.job, "id") == []
    flow.launch()
    assert rows(shop, t.launch, "state") == [("asked",)]


def test_moves_are_recorded(shop: Shop, browsers: dict[Role, Browser]) -> None:
    at = Flow(browsers["marketer"]).ready().launch().response.url.path
    for move, said in (("pause", "Paused"), ("resume", "Resumed."), ("end", "Ended for good.")):
        assert said in browsers["marketer"].post(f"{at}/move/{move}").text
    assert "That was not done" in browsers["marketer"].post(f"{at}/move/pause").text
    assert acts(shop)[:3] == ["end", "resume", "pause"]
    assert browsers["marketer"].post(f"{at}/move/fly").status == 404


def test_a_copy_has_everything_but_dates(shop: Shop, browsers: dict[Role, Browser]) -> None:
    marketer = browsers["marketer"]
    at = Flow(marketer).ready(ends_local="2031-12-31T10:00").launch().response.url.path
    page = marketer.post(f"{at}/copy")
    assert page.form("/console/campaigns/drafts/2/campaign")["name"] == "Copy of Monsoon"
    assert page.form("/console/campaigns/drafts/2/campaign")["ends_local"] == ""
    terms = marketer.get("/campaigns/drafts/2/terms").form("/console/campaigns/drafts/2/terms")
    assert (terms["discountValue"], terms["discountUpto"], terms["validTillDate"], terms["seriesCode"]) == ("15", "200", "", "")
    assert "3 SMS 10:00" in marketer.get("/campaigns/drafts/2/message").text


def test_more_can_be_launched_in_a_campaign(shop: Shop, browsers: dict[Role, Browser]) -> None:
    marketer = browsers["marketer"]
    at = Flow(marketer).ready().launch().response.url.path
    page = marketer.post(f"{at}/more")
    assert page.status == 200
    flow = Flow.at_draft(marketer, 2)
    flow.step("audience", whom="everyone", count="1")
    flow.step("message", **{**MESSAGE, "smsTemplate": "Again: {{voucher_code}}"})
    assert "Launched." in flow.launch().text
    assert len(rows(shop, t.campaign, "id")) == 1
    assert len(rows(shop, t.job, "id")) == 2
    assert max(rows(shop, t.series_version, "version")) == (2,), "the message changed, so there is a next version"


def test_terms_have_a_history_in_words(shop: Shop, browsers: dict[Role, Browser]) -> None:
    shop.set(launchApprovalAbove="-1")
    marketer, number = browsers["marketer"], rows(shop, t.series, "id")[0][0]
    page = marketer.get(f"/series/{number}/terms")
    filled = {**page.form(f"/console/series/{number}/terms"), "discountUpto": "250", "days": ["6"], "minBillAmount": ""}
    page = marketer.post(f"/series/{number}/terms", **filled)
    assert "This is version 2 now." in page.text
    said = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page.text))
    assert "At most INR 200 INR 250" in said
    assert "Days and hours any time Saturdays" in said
    assert "marketer@example.com" in said
    again = marketer.get(f"/series/{number}/terms").form(f"/console/series/{number}/terms")
    assert "Nothing was different" in marketer.post(f"/series/{number}/terms", **{**again, "days": ["6"]}).text
    assert browsers["auditor"].get(f"/series/{number}/versions").status == 200
    assert browsers["auditor"].get(f"/series/{number}/terms").status == 403


def test_messages_of_a_series_can_be_changed(shop: Shop, browsers: dict[Role, Browser]) -> None:
    marketer, number = browsers["marketer"], rows(shop, t.series, "id")[0][0]
    at = f"/series/{number}/messages"
    assert "3 SMS" in marketer.post(f"{at}/preview", **{**MESSAGE, "reminders": "soon"}).text
    assert "Hi Mira" in marketer.post(f"{at}/preview", **MESSAGE).text
    assert marketer.post(at, **{**MESSAGE, "reminders": "soon"}).status == 422
    page = marketer.post(at, **MESSAGE)
    assert "Saved. This is version 2." in page.text
    assert "3 SMS 10:00" in page.text
    assert "Hi {{first_name}}" in marketer.get(f"/series/{number}/versions").text
    assert browsers["support"].get(at).status == browsers["support"].post(at).status == 403


def test_the_calendar_shows_whole_months(shop: Shop, browsers: dict[Role, Browser]) -> None:
    shop.add(
        t.campaign,
        id=7001,
        name="Spring",
        description="",
        starts_ms=ms("2031-03-28"),
        ends_ms=ms("2031-04-05"),
        state="ACTIVE",
        created_ms=0,
    )
    shop.add(
        t.campaign,
        id=7002,
        name="Long ago",
        description="",
        starts_ms=None,
        ends_ms=ms("2030-04-05"),
        state="ENDED",
        created_ms=0,
    )
    march = browsers["auditor"].get("/calendar", month="2031-03").text
    assert march.count('class="span') == 1 + 1
    assert "Long ago" not in march
    assert "Spring" in browsers["auditor"].get("/calendar", month="2031-04").text
    assert "No campaign runs" in browsers["auditor"].get("/calendar", month="2031-05").text
    assert "March 2031" in browsers["auditor"].get("/calendar", month="<script>").text


def test_campaigns_are_found_by_name_and_state(shop: Shop, browsers: dict[Role, Browser]) -> None:
    for number, (name, state, starts_ms) in enumerate(
        (("100% wool", "ACTIVE", None), ("Silk", "PAUSED", None), ("Later", "ACTIVE", ms("2032-01-01")))
    ):
        shop.add(
            t.campaign, id=7001 + number, name=name, description="", starts_ms=starts_ms, ends_ms=None, state=state, created_ms=0
        )
    for query, found in (
        ({"q": "0% W"}, "100% wool"),
        ({"state": "paused"}, "Silk"),
        ({"state": "scheduled"}, "Later"),
        ({"q": "%i%"}, ""),
    ):
        text = browsers["support"].get("/campaigns", **query).text
        assert {name for name in ("100% wool", "Silk", "Later") if f">{name}</a>" in text} == ({found} if found else set())


@pytest.mark.parametrize("role", ["support", "auditor"])
def test_who_may_only_see_makes_nothing(shop: Shop, browsers: dict[Role, Browser], role: Role) -> None:
    flow = Flow(browsers["marketer"]).ready()
    at = "/campaigns/7001"
    for path in (
        f"{flow.at}/launch",
        f"{flow.at}/terms",
        f"{flow.at}/remove",
        "/campaigns/drafts",
        f"{at}/move/end",
        f"{at}/copy",
        f"{at}/more",
    ):
        assert browsers[role].post(path).status == 403, path
    assert browsers[role].get(f"{flow.at}/check").status == 403
    assert browsers[role].get("/campaigns").status == browsers[role].get("/calendar").status == 200
    assert "New campaign" not in browsers[role].get("/campaigns").text


def test_what_is_not_there_or_anothers_is_missing(shop: Shop, browsers: dict[Role, Browser]) -> None:
    with shop.database.writing() as tx:
        other = registry.create_org(tx, name="Other", time_zone="UTC", currency="EUR", country_code="49", now_ms=0)
        assert isinstance(other, int)
        owner = registry.create_user(tx, other, email="o@example.com", password_hash="x", role="admin")
        assert isinstance(owner, int)
        create_draft(tx, other, owner, CampaignDraft(name="Theirs"), 0)
        assert isinstance(create_campaign(tx, other, CampaignFields(name="Theirs"), 0), Campaign)
    marketer = browsers["marketer"]
    for path in (
        "/campaigns/7001",
        "/campaigns/x",
        "/campaigns/drafts/1/terms",
        "/campaigns/drafts/1",
        "/series/1/versions",
        "/series/x/terms",
    ):
        assert marketer.get(path).status == 404, path
    for path in (
        "/campaigns/7001/move/end",
        "/campaigns/7001/copy",
        "/campaigns/7001/launches/1/cancel",
        "/campaigns/drafts/9/terms/preview",
    ):
        assert marketer.post(path).status == 404, path
    assert (
        "Theirs" not in marketer.get("/campaigns").text + marketer.get("/calendar").text + marketer.get("/campaigns/drafts").text
    )


def test_hostile_text_is_shown_harmless(shop: Shop, browsers: dict[Role, Browser]) -> None:
    marketer, evil = browsers["marketer"], "<script>alert(1)</script>\"'=cmd()"
    flow = Flow(marketer).ready(name=evil, description=evil, terms={"description": evil, "termsAndConditions": evil})
    pages = [marketer.get(f"{flow.at}/{step}") for step in ("campaign", "terms", "audience", "message", "check")]
    launched = flow.launch()
    pages += [launched, *(marketer.get(path) for path in ("/campaigns", "/calendar", "/campaigns/drafts"))]
    pages += [marketer.post(f"{launched.response.url.path}/copy")]
    for page in pages:
        assert page.status == 200
        assert "<script>alert" not in page.text


def test_bad_input_is_never_a_failure(shop: Shop, browsers: dict[Role, Browser]) -> None:
    flow, big = Flow(browsers["marketer"]), "9" * 5000
    for step, fields in (
        ("campaign", {"name": "x", "ends_local": "9999-99-99T99:99"}),
        ("campaign", {"name": "x", "starts_local": "0001-01-01T00:00"}),
        ("terms", {**TERMS, "maxCreate": big}),
        ("terms", {**TERMS, "discountValue": "1e999999"}),
        ("terms", {**TERMS, "discountValue": "NaN"}),
        ("terms", {**TERMS, "validTillDate": "0000-00-00", "validTillTime": "99:99"}),
        ("terms", {**TERMS, "mutualExclusiveSeriesIds": "x]"}),
        ("terms", {**TERMS, "stores": "#" + big}),
        ("terms", {**TERMS, "couponPrefix": "☔"}),
        ("audience", {"whom": "segment", "count": big}),
        ("audience", {"whom": "segment", "count": "1", "registered_from": "x", "redeemed": big, "stores": "#²"}),
        ("audience", {"whom": "other"}),
        ("message", {**MESSAGE, "reminders": big}),
        ("message", {**MESSAGE, "smsTemplate": "x" * 20_000}),
    ):
        assert flow.step(step, **fields).status in {422, 200}, (step, fields)
        assert browsers["marketer"].get(f"{flow.at}/check").status == 200


# Per page, the session's own three among them. Change them knowingly.
PINNED = {
    "/campaigns": 6,
    "/calendar": 4,
    "/campaigns/drafts": 4,
    "one": 10,
    "versions": 11,
    "terms": 9,
    "audience": 8,
    "message": 4,
    "check": 13,
}


def test_a_page_costs_the_same_whatever_there_is(shop: Shop, browsers: dict[Role, Browser]) -> None:
    shop.set(launchApprovalAbove="-1")
    marketer = browsers["marketer"]
    at = Flow(marketer).ready(terms={"stores": "blr01"}).launch().response.url.path
    number = rows(shop, t.launch, "series_id")[0][0]
    flow = Flow(marketer).ready("segment", terms={"stores": "blr01"})
    paths = {"one": at, "versions": f"/series/{number}/versions"} | {
        step: f"{flow.at}/{step}" for step in ("terms", "audience", "message", "check")
    }
    few = {name: count_of(marketer, paths.get(name, name)) for name in PINNED}
    for _ in range(3):
        more = Flow(marketer).ready(terms={"stores": "blr01"})
        more.launch()
        Flow(marketer).ready()
        marketer.post(f"{at}/more")
        shop.series()
    with shop.database.writing() as tx:
        attached = t.series.update().where(t.series.c.org_id == shop.org_id).values(campaign_id=7001)
        tx.connection.execute(attached)
    for value in ("20", "25", "30"):
        filled = marketer.get(f"/series/{number}/terms").form(f"/console/series/{number}/terms")
        marketer.post(f"/series/{number}/terms", **{**filled, "discountValue": value, "days": ["6"]})
    assert {name: count_of(marketer, paths.get(name, name)) for name in PINNED} == few == PINNED


def count_of(browser: Browser, path: str) -> int:
    """How many statements a page takes."""
    kept: list[str] = []

    def keep(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("BEGIN", "DISCARD", "UPDATE console_session")):
            kept.append(statement)

    event.listen(Engine, "before_cursor_execute", keep)
    try:
        assert browser.get(path).status == 200
    finally:
        event.remove(Engine, "before_cursor_execute", keep)
    return len(kept)


def test_terms_that_may_cost_more_take_a_second_person(shop: Shop, browsers: dict[Role, Browser]) -> None:
    shop.set(launchApprovalAbove="100")
    marketer, number = browsers["marketer"], rows(shop, t.series, "id")[0][0]
    filled = marketer.get(f"/series/{number}/terms").form(f"/console/series/{number}/terms")
    assert "version 2" in marketer.post(f"/series/{number}/terms", **{**filled, "discountValue": "10"}).text, "this costs less"
    page = marketer.post(f"/series/{number}/terms", **{**filled, "version": "2", "discountValue": "90"})
    assert "a second person has to approve them" in page.text
    assert max(rows(shop, t.series_version, "version")) == (2,)
    assert "this is version 3 now" in approve(browsers["admin"]).text
    assert max(rows(shop, t.series_version, "version")) == (3,)
