"""Files of coupons: chosen, tried out, and handed to a job; hostile ones are refused in words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from couponry.core.jobs import Job, JobKind
from couponry.core.roles import Role
from couponry.store import receiving, registry
from couponry.store.audit import entries
from couponry.store.folder import Folder
from couponry.store.jobs import list_jobs
from tests.api.holdings import series_id
from tests.api.shop import NOW_MS, Front, Shop
from tests.console.browser import Browser, Page

CODES: Final = b"code\r\nNEW-1\r\nNEW-2\r\nnew-1\r\nnot a code\r\n"
PEOPLE: Final = b"mobile\r\n919812300001\r\n919899999999\r\n=cmd()\r\n"


@pytest.fixture
def front(shop: Shop, tmp_path: Path) -> Iterator[Front]:
    with shop.front(files_dir=tmp_path / "files") as running:
        yield running


@pytest.fixture
def marketer(browsers: dict[Role, Browser]) -> Browser:
    return browsers["marketer"]


@pytest.fixture
def pool(shop: Shop) -> int:
    shop.series(seriesCode="POOL", clientHandlingType="DISC_CODE_PIN")
    return series_id(shop, "POOL")


def sent(browser: Browser, series: object, content: bytes, identifier: str = "NOT_TAGGED", **more: str) -> Page:
    files = {"file": ("my codes.csv", content, "text/csv")}
    return browser.post(f"/series/{series}/upload", files=files, identifier=identifier, column="0", **more)


def jobs(shop: Shop) -> list[Job]:
    with shop.database.reading() as tx:
        return list_jobs(tx, shop.org_id, before_id=None, limit=9)


def figures(page: Page) -> list[str]:
    return [part.partition("</dd>")[0].partition("<small>")[0] for part in page.text.split("<dd>")[1:]]


def test_codes_are_tried_out_first_and_then_uploaded_once(shop: Shop, marketer: Browser, pool: int) -> None:
    shop.coupon("NEW-2", series="POOL", mobile="", state="UNISSUED")
    tried = sent(marketer, pool, CODES)
    assert (tried.status, figures(tried)) == (200, ["4", "1", "3"])
    assert "twice in the file" in tried.text
    assert "This cannot be a coupon code" in tried.text
    assert jobs(shop) == []
    form = tried.form(f"/console/series/{pool}/upload/")
    done = marketer.post(f"/series/{pool}/upload/1", **form)
    assert "The file is being worked on" in done.text
    assert marketer.post(f"/series/{pool}/upload/1", **form).text.count("Job 1:") == done.text.count("Job 1:")
    (job,) = jobs(shop)
    assert (job.kind, job.series_id) == (JobKind.UPLOAD, pool)
    name = f"my_codes_{NOW_MS}_{pool}.csv"
    assert job.request == {
        "uploadId": 1,
        "identifier": "NOT_TAGGED",
        "column": 0,
        "tillId": None,
        "uploadedName": name,
        "sentName": "my codes.csv",
    }
    with shop.database.reading() as tx:
        assert [entry.action for entry in entries(tx, shop.org_id, limit=2)] == ["ask for an upload", "upload a file"]
    assert "my codes.csv" in done.text
    assert "marketer@example.com" in done.text


def test_customers_are_looked_up(shop: Shop, marketer: Browser) -> None:
    tried = sent(marketer, series_id(shop, "MON"), PEOPLE, "MOBILE")
    assert figures(tried) == ["3", "1", "2"]
    assert "No customer has this identifier" in tried.text
    by_id = sent(marketer, series_id(shop, "MON"), b"id\r\n99999999999999999999999\r\n-1\r\n", "USER_ID")
    assert figures(by_id) == ["2", "0", "2"]


def test_what_cannot_be_used_is_refused_in_words(
    shop: Shop, marketer: Browser, pool: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mon = series_id(shop, "MON")
    for content, identifier, said in (
        (b"", "NOT_TAGGED", "The file is empty"),
        (b"code\r\n", "NOT_TAGGED", "no row below its header"),
        (b"a,b,c\r\n1,2,3\r\n", "MOBILE", "at most a code column"),
        (b"a,b\r\n1,2\r\n", "NOT_TAGGED", "has one column"),
        (b"\0\r\n1\r\n", "NOT_TAGGED", "not UTF-8 text"),
        (b"\xff\xfe\r\n1\r\n", "NOT_TAGGED", "not UTF-8 text"),
    ):
        page = sent(marketer, pool, content, identifier)
        assert (page.status, said in page.text) == (400, True), (content, page.text)
    assert "takes no file of codes" in sent(marketer, mon, CODES).text
    monkeypatch.setattr(receiving, "UPLOAD_BYTES_MAX", 10)
    assert "larger than" in sent(marketer, pool, CODES).text
    monkeypatch.undo()
    form = marketer.post(f"/series/{pool}/upload", files={"other": ("x.csv", CODES)})
    assert (form.status, "is missing" in form.text) == (400, True)
    assert marketer.post(f"/series/{pool}/upload", file="x").status == 400
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []


def test_whose_file_it_is(shop: Shop, browsers: dict[Role, Browser], pool: int) -> None:
    for role in ("support", "auditor"):
        assert sent(browsers[role], pool, CODES).status == 403
    assert sent(browsers["marketer"], pool, CODES, csrf="guessed").status == 403
    with shop.database.writing() as tx:
        made = registry.create_org(tx, name="Other", time_zone="UTC", currency="EUR", country_code="49", now_ms=NOW_MS)
    assert isinstance(made, int)
    sent(browsers["marketer"], pool, CODES)
    for number in (2, 0, "x"):
        assert browsers["admin"].get(f"/series/{pool}/upload/{number}").status == 404
        assert browsers["admin"].post(f"/series/{pool}/upload/{number}").status == 404


def test_a_hostile_name_and_hostile_cells_are_shown_harmless(shop: Shop, marketer: Browser, pool: int) -> None:
    files = {"file": ("../<script>alert(1)</script>.csv", b"code\r\n<script>alert(2)</script>\r\n", "text/csv")}
    page = marketer.post(f"/series/{pool}/upload", files=files, identifier="NOT_TAGGED", column="0")
    assert page.status == 200
    assert "<script>alert" not in page.text


def test_a_file_that_is_gone(shop: Shop, marketer: Browser, pool: int, tmp_path: Path) -> None:
    sent(marketer, pool, CODES)
    Folder(tmp_path / "files").upload(shop.org_id, 1).unlink()
    page = marketer.get(f"/series/{pool}/upload/1")
    assert (page.status, "not there any more" in page.text) == (409, True)
