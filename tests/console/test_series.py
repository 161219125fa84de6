"""Series pages: how one goes, its coupons and redemptions, bulk work, export and what-if; and who may do what."""

from typing import Any, Final

import pytest
from sqlalchemy import Engine, event

from couponry.core.jobs import JobKind
from couponry.core.roles import Role
from couponry.store import registry
from couponry.store.audit import Entry, entries
from couponry.store.jobs import list_jobs
from tests.api.holdings import series_id
from tests.api.shop import NOW_MS, Front, Shop
from tests.console.browser import Browser

HOSTILE: Final = "<script>alert(1)</script>'\"=cmd()"
SEE: Final = ("", "/coupons", "/redemptions", "/what-if")
MAKE: Final = ("/upload", "/bulk", "/export")


@pytest.fixture
def mon(shop: Shop) -> int:
    return series_id(shop, "MON")


@pytest.fixture
def marketer(browsers: dict[Role, Browser]) -> Browser:
    return browsers["marketer"]


def last_entry(shop: Shop) -> Entry:
    with shop.database.reading() as tx:
        return entries(tx, shop.org_id, limit=1)[0]


def test_series_are_found_by_code_description_and_state(shop: Shop, marketer: Browser, mon: int) -> None:
    shop.series(seriesCode="SUMMER", description="Ice cream", validTillDate="2031-03-01")
    shop.series(seriesCode="LATER", description="Ice skating", redemptionValidFrom="2031-04-01")
    assert [code in marketer.get("/series").text for code in ("MON", "SUMMER", "LATER")] == [True] * 3
    for query, found in (
        ({"q": "ice"}, ["SUMMER", "LATER"]),
        ({"q": "summ"}, ["SUMMER"]),
        ({"state": "expired"}, ["SUMMER"]),
        ({"state": "not yet"}, ["LATER"]),
        ({"state": "open"}, ["MON"]),
        ({"q": "nothing"}, []),
    ):
        text = marketer.get("/series", **query).text
        assert [code for code in ("MON", "SUMMER", "LATER") if f">{code}</a>" in text] == found
    assert f'href="/console/series/{mon}"' in marketer.get("/series").text


def test_a_page_says_how_a_series_goes(shop: Shop, front: Front, marketer: Browser, mon: int) -> None:
    code = shop.coupon()
    assert front.redeem(code).status_code == 200
    front.redeem(code)
    page = marketer.get(f"/series/{mon}")
    assert page.status == 200
    assert "Monsoon 15" in page.text
    assert "The coupon was redeemed already" in page.text
    assert "unless a coupon was to be good for several uses" in page.text
    assert "blr01" in page.text
    assert code in marketer.get(f"/series/{mon}/coupons", show="redeemed").text
    assert code not in marketer.get(f"/series/{mon}/coupons", show="revoked").text
    redeemed = marketer.get(f"/series/{mon}/redemptions", **{"from": "2031-03-10", "to": "2031-03-10", "store": shop.store_id})
    assert code in redeemed.text
    assert code not in marketer.get(f"/series/{mon}/redemptions", to="2031-03-09").text


def test_lists_go_on_where_they_ended(shop: Shop, marketer: Browser, mon: int) -> None:
    codes = [shop.coupon(f"PAGE{number:03}") for number in range(53)]
    first = marketer.get(f"/series/{mon}/coupons")
    assert [code for code in codes if code in first.text] == codes[3:]
    older = first.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = marketer.get(older)
    assert [code for code in codes if code in second.text] == codes[:3]
    assert 'rel="next"' not in second.text


def test_roles(shop: Shop, browsers: dict[Role, Browser], mon: int) -> None:
    for role, browser in browsers.items():
        makes = role in {"admin", "marketer"}
        assert {browser.get(f"/series/{mon}{path}").status for path in SEE} == {200}, role
        assert {browser.get(f"/series/{mon}{path}").status for path in MAKE} == {200 if makes else 403}, role
        if not makes:
            wanted = {"act": "revoke", "coupons": "unredeemed"}
            assert browser.post(f"/series/{mon}/bulk/confirm", **wanted).status == 403
            assert browser.post(f"/series/{mon}/export", what="coupons", file_format="csv").status == 403
    with shop.database.reading() as tx:
        assert list_jobs(tx, shop.org_id, before_id=None, limit=9) == []


def test_another_orgs_series_is_none(shop: Shop, browsers: dict[Role, Browser]) -> None:
    with shop.database.writing() as tx:
        made = registry.create_org(tx, name="Other", time_zone="UTC", currency="EUR", country_code="49", now_ms=NOW_MS)
        assert isinstance(made, int)
    other = Shop(shop.database, org_id=made)
    other.series(seriesCode="FIRST")  # ids begin anew in each org
    other.series(seriesCode="THEIRS")
    theirs = series_id(other, "THEIRS")
    wanted = {"act": "revoke", "coupons": "unissued"}
    for number in (str(theirs), "0", "x", "9" * 30, "%00"):
        for path in (*SEE, *MAKE, "/bulk/confirm", "/upload/1"):
            assert browsers["admin"].get(f"/series/{number}{path}", **wanted).status == 404, (number, path)
        assert browsers["admin"].post(f"/series/{number}/bulk/confirm", **wanted).status == 404
    assert "THEIRS" not in browsers["admin"].get("/series").text


def test_hostile_text_is_shown_harmless(shop: Shop, marketer: Browser) -> None:
    shop.series(seriesCode="EVIL", description=HOSTILE)
    evil = series_id(shop, "EVIL")
    for path in ("/series", *(f"/series/{evil}{path}" for path in SEE)):
        assert "<script>alert" not in marketer.get(path).text
    assert "&lt;script&gt;" in marketer.get("/series", q="<script>").text
    for query in (
        {"before": "-1"},
        {"before": "9" * 40},
        {"state": "\0"},
        {"campaign": "x"},
        {"from": "2031-99-99"},
        {"before": "1-x"},
    ):
        assert marketer.get("/series", **query).status == 200
        assert marketer.get(f"/series/{evil}/redemptions", **query).status == 200
        assert marketer.get(f"/series/{evil}/coupons", **query).status == 200


def test_revoke_asks_counts_and_is_recorded(shop: Shop, front: Front, marketer: Browser, mon: int) -> None:
    redeemed, *_ = [shop.coupon() for _ in range(3)]
    front.redeem(redeemed)
    page = marketer.get(f"/series/{mon}/bulk/confirm", act="revoke", coupons="unredeemed")
    assert "<strong>2</strong> coupons would be changed" in page.text
    done = marketer.post(f"/series/{mon}/bulk/confirm", **page.form(f"/console/series/{mon}/bulk/confirm"))
    assert "The job is on its way" in done.text
    with shop.database.reading() as tx:
        (job,) = list_jobs(tx, shop.org_id, before_id=None, limit=9)
    assert (job.kind, job.request) == (JobKind.REVOKE, {"coupons": "unredeemed", "audience": None})
    entry = last_entry(shop)
    assert (entry.actor, entry.action, entry.subject_id) == ("marketer@example.com", "ask to revoke coupons", str(job.id))
    assert "marketer@example.com" in done.text


def test_re_date_is_refused_in_words(shop: Shop, marketer: Browser, mon: int) -> None:
    shop.coupon()
    path = f"/series/{mon}/bulk/confirm"
    assert "<strong>1</strong> coupon would" in marketer.get(path, act="re-date", coupons="unredeemed", day="2031-04-10").text
    assert "after the series" in marketer.get(path, act="re-date", coupons="unredeemed", day="2032-01-01").text
    assert "That day is over" in marketer.get(path, act="re-date", coupons="unredeemed", day="2031-03-01").text
    for query in ({}, {"act": "delete"}, {"act": "re-date", "coupons": "unredeemed", "day": "soon"}, {"act": "revoke"}):
        assert marketer.get(path, **query).status == 400
    shop.series(seriesCode="OLD", validTillDate="2031-03-01")
    expired = marketer.get(f"/series/{series_id(shop, 'OLD')}/bulk/confirm", act="revoke", coupons="unissued")
    assert (expired.status, "its coupons stay as they are" in expired.text) == (409, True)


def test_export(shop: Shop, marketer: Browser, mon: int) -> None:
    sent = {"what": "redemptions", "file_format": "parquet", "from_day": "2031-03-01", "to_day": "2031-03-10"}
    page = marketer.post(f"/series/{mon}/export", **sent)
    assert "Export of redemptions" in page.text
    with shop.database.reading() as tx:
        (job,) = list_jobs(tx, shop.org_id, before_id=None, limit=9)
    day_ms = 86_400_000
    assert (job.kind, job.request["seriesId"], job.request["format"]) == (JobKind.EXPORT, mon, "parquet")
    assert job.request["to"] - job.request["from"] == 10 * day_ms
    assert last_entry(shop).action == "ask for an export"
    assert marketer.post(f"/series/{mon}/export", what="passwords", file_format="csv").status == 400
    late = marketer.post(f"/series/{mon}/export", what="coupons", file_format="csv", from_day="2031-03-05", to_day="2031-03-01")
    assert "From must be before to" in late.text


def test_what_if(shop: Shop, front: Front, browsers: dict[Role, Browser]) -> None:
    shop.series(seriesCode="AGAIN", isMultipleUseAllowed=True, sameUserMultipleRedeem=True)
    again = series_id(shop, "AGAIN")
    code = shop.coupon(series="AGAIN")
    for number in range(1, 6):
        shop.clock.ms = NOW_MS + number * 60_000
        assert front.redeem(code, billAmount=number * 100).json()["redemptionStatus"]["code"] == 700
    page = browsers["auditor"].get(f"/series/{again}/what-if", days="30", least="250", per_customer="1")
    figures = [part.partition("</dd>")[0].partition("<small>")[0] for part in page.text.split("<dd>")[1:]]
    assert figures == ["5", "1", "4"]
    assert "The bill is below or above" in page.text
    for query, said in (
        ({"days": "0"}, "between 1 and"),
        ({"days": "30", "stores": "999"}, "not a valid choice"),
        ({"days": "30", "from_hour": "25"}, "between 0 and 23"),
        ({"days": "30", "least": "NaN"}, 'class="field wrong"'),
    ):
        refused = browsers["auditor"].get(f"/series/{again}/what-if", **query)
        assert (refused.status, said in refused.text) == (400, True), query
    only = browsers["auditor"].get(
        f"/series/{again}/what-if", days="30", stores=str(shop.store_id), weekdays="0", from_hour="22", to_hour="2"
    )
    assert (only.status, "outside the hours or days" in only.text) == (200, True)


def test_statements_are_as_many_whatever_is_stored(shop: Shop, front: Front, admin: Browser, mon: int) -> None:
    paths = [
        f"/series/{mon}{path}"
        for path in ("", "/coupons?show=issued", "/redemptions", "/bulk/confirm?act=revoke&coupons=unredeemed")
    ]
    paths += ["/series", "/series?q=mon", "/jobs"]
    shop.coupon()
    few = [counted(admin, path) for path in paths]
    for _ in range(30):
        front.redeem(shop.coupon())
        shop.series()
    assert [counted(admin, path) for path in paths] == few
    assert few == PINNED


PINNED: Final = [15, 7, 8, 7, 6, 6, 6]
"""With the session's own and the transaction's beginning."""


def counted(browser: Browser, path: str) -> int:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert browser.get(path).status == 200
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return len([statement for statement in seen if not statement.startswith(("BEGIN", "SET", "DISCARD"))])
