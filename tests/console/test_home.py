"""Home: figures of a period against the one before, the rows behind each, and files that a spreadsheet runs nothing of."""

import csv
import io
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event

from couponry.core.roles import Role
from couponry.store import schema as t
from couponry.store.doctor import check
from tests.api.shop import NOW_MS, Front, Shop
from tests.console.browser import Browser, Page

DAY_MS = 24 * 3600 * 1000
TODAY = "2031-03-10"


@pytest.fixture
def busy(shop: Shop, front: Front) -> Shop:
    """Mira redeemed two coupons today, one of them on a bill that is a formula, and one was refused; another a week ago."""
    shop.series(seriesCode="FIX", discountType="ABS", discountValue="50", discountUpto="0")
    shop.coupon("OLD1", issuedOn="2031-03-02 10:00:00")
    shop.coupon("NEW1")
    shop.coupon("NEW2")
    shop.coupon("FIX1", "FIX")
    shop.clock.ms = NOW_MS - 7 * DAY_MS
    assert front.redeem("OLD1", transactionNumber="T0").json()["redemptionStatus"]["code"] == 700
    shop.clock.ms = NOW_MS
    assert front.redeem("NEW1", transactionNumber="=cmd()").status_code == 200
    assert front.redeem("FIX1", transactionNumber="<script>").status_code == 200
    front.redeem("NEW1", transactionNumber="T3")
    front.redeem("NOSUCH", transactionNumber="T4")
    return shop


def cells(page: Page) -> list[list[str]]:
    assert page.status == 200, page.text
    assert page.response.headers["content-type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(page.text.removeprefix("\ufeff"))))


def test_figures_of_a_period_against_the_one_before(busy: Shop, admin: Browser) -> None:
    text = admin.get("/", period="7").text
    assert "From 4 Mar 2031 to 10 Mar 2031, against the 7 days before." in text
    # 15 percent of 1800 is more than 200; and 50. A week ago 200.
    assert ">INR 250.00</a><small>INR 200.00 in the 7 days before (+25 %)</small>" in text
    assert ">2</a><small>1 in the 7 days before (+100 %)</small>" in text  # redeemed
    assert ">2</a><small>0 in the 7 days before</small>" in text  # refused
    assert "No coupon has this code." in text
    assert '<svg class="chart stretched"' in text
    assert "style=" not in text
    assert check(busy.database).differences == []


def test_other_periods(busy: Shop, admin: Browser) -> None:
    assert "From 1 Mar 2031 to 10 Mar 2031" in admin.get("/", period="month").text
    assert "From 3 Mar 2031 to 3 Mar 2031" in admin.get("/", **{"from": "2031-03-03", "to": "2031-03-03"}).text
    for wrong in ({"from": "2031-03-10", "to": "2031-03-01"}, {"from": "tomorrow"}, {"to": "0001-01-01"}, {"from": "1991-01-01"}):
        page = admin.get("/", **wrong)
        assert (page.status, 'role="alert"' in page.text) == (200, True), wrong
    assert "Nothing happened in this time" in admin.get("/", **{"from": "2030-01-01", "to": "2030-01-31"}).text


def test_rows_behind_each_figure(busy: Shop, browsers: dict[Role, Browser]) -> None:
    marketer, support = browsers["marketer"], browsers["support"]
    redeemed = marketer.get("/redemptions", **{"from": TODAY, "to": TODAY})
    assert [code in redeemed.text for code in ("NEW1", "FIX1", "OLD1", "INR 200.00")] == [True, True, False, True]
    assert "&lt;script&gt;" in redeemed.text
    assert "/care/coupons/" not in redeemed.text
    assert "/care/coupons/" in support.get("/redemptions").text
    assert "OLD1" in marketer.get("/redemptions", store=busy.store_id).text
    refused = marketer.get("/refusals", status="UNKNOWN_COUPON")
    assert [code in refused.text for code in ("NOSUCH", "No coupon has this code.", "FIX1")] == [True, True, False]
    issued = marketer.get("/issued", **{"from": "2031-03-09", "to": "2031-03-09"})
    assert all(code in issued.text for code in ("NEW1", "NEW2", "FIX1"))
    assert "OLD1" not in issued.text
    assert "There are none in these days" in marketer.get("/issued", **{"from": TODAY, "to": TODAY}).text


def test_rows_of_a_series_and_a_campaign(busy: Shop, admin: Browser) -> None:
    busy.add(t.campaign, id=71, name="<b>Spring", description="", state="ACTIVE", created_ms=0)
    series_id = series_of(busy, "FIX")
    busy.change(t.series, series_id, campaign_id=71)
    for asked in ({"series": series_id}, {"campaign": 71}):
        text = admin.get("/redemptions", **asked).text
        assert ("FIX1" in text, "NEW1" in text) == (True, False)
    assert "&lt;b&gt;Spring" in admin.get("/").text
    for path in ("/redemptions", "/refusals", "/issued", "/csv/redemptions"):
        for wrong in ({"series": 999}, {"campaign": 999}):
            assert admin.get(path, **wrong).status == 404
    assert admin.get("/redemptions", store=999).status == 404
    assert admin.get("/csv/nothing").status == 404


def series_of(shop: Shop, code: str) -> int:
    with shop.database.reading() as tx:
        return int(tx.connection.execute(t.series.select().where(t.series.c.code_key == code)).one().id)


def test_lists_go_on(busy: Shop, admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("couponry.console.figures.CONSOLE_PAGE_ROWS", 1)
    seen, path = [], "/redemptions"
    while path:
        text = admin.get(path).text
        seen += [code for code in ("OLD1", "NEW1", "FIX1") if '<td class="code"><a' in text and f">{code}</a>" in text]
        path = text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&") if 'rel="next"' in text else ""
    assert sorted(seen) == ["FIX1", "NEW1", "OLD1"]


def test_files(busy: Shop, admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    head, *rows = cells(admin.get("/csv/redemptions"))
    assert head[:3] == ["redemptionId", "redeemedOn", "code"]
    found = {row[head.index("code")]: dict(zip(head, row, strict=True)) for row in rows}
    assert found["NEW1"]["billNumber"] == "'=cmd()"
    assert (found["FIX1"]["discount"], found["FIX1"]["redeemedOn"]) == ("50", "2031-03-10T18:20:00+05:30")
    head, *rows = cells(admin.get("/csv/refusals"))
    assert {row[head.index("code")] for row in rows} == {"NEW1", "NOSUCH"}
    assert len(cells(admin.get("/csv/issued"))) == 1 + 4
    monkeypatch.setattr("couponry.console.figures.FIGURE_FILE_ROWS_MAX", 2)
    monkeypatch.setattr("couponry.console.figures.FIGURE_FILE_CHUNK_ROWS", 1)
    assert [len(row) for row in cells(admin.get("/csv/redemptions"))[1:]] == [13, 13, 1]
    days = cells(admin.get("/csv/days", period="7"))
    assert days[-1] == [TODAY, "0", "2", "0", "0", "2", "250"]
    assert len(days) == 1 + 7
    assert [row[1] for row in cells(admin.get("/csv/series")) if row[5] == "2"] == ["MON"]
    assert cells(admin.get("/csv/stores"))[1][1:] == ["blr01", "0", "3", "0", "0", "2", "450"]


@pytest.fixture
def statements(shop: Shop, front: Front) -> Iterator[list[str]]:
    """What the console's threads ask the database."""
    seen: list[str] = []

    def keep(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("BEGIN", "DISCARD", "SET")):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", keep)
    yield seen
    event.remove(Engine, "before_cursor_execute", keep)


def test_statements_do_not_depend_on_what_happened(busy: Shop, front: Front, admin: Browser, statements: list[str]) -> None:
    def cost(path: str) -> int:
        statements.clear()
        assert admin.get(path).status == 200
        return len(statements)

    paths = ("/", "/redemptions", f"/redemptions?store={busy.store_id}", "/refusals", "/issued")
    before = [cost(path) for path in paths]
    for number in range(8):
        busy.series(seriesCode=f"S{number}")
        front.redeem(busy.coupon(series=f"S{number}"), transactionNumber=f"N{number}")
    assert [cost(path) for path in paths] == before
