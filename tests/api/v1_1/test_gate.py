"""The request gate as v1.1 answers it: the same order and codes as V2's, in v1.1's envelope and either format (README 3-5)."""

import asyncio
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import pytest

from couponry.core.limits import REQUEST_BODY_BYTES_MAX
from couponry.store import schema as t
from tests.api.shop import MIRA, SECRET, TILL, Front, Shop
from tests.api.v1_1.plain import from_json, from_xml
from tests.ledger.stranger import holding

REDEEM: Final = "/v1.1/coupon/redeem"
CHECK: Final = "/v1.1/coupon/isredeemable"
LOOKUP: Final = {"X-CAP-API-ATTRIBUTION-LOOKUP": "wx1"}
GOOD: Final = {"root": {"coupon": {"code": "NOSUCH", "customer": MIRA}}}
MALFORMED: Final = "Input is invalid, Please check request parameters or input xml/json"
BUSY: Final = "Unable to process coupon. Please try again later"


def told(response: httpx.Response) -> tuple[int, str, str, str]:
    """HTTP status, code, message and format of the request as a whole."""
    is_xml = response.headers["content-type"] == "application/xml; charset=utf-8"
    body = from_xml(response.content) if is_xml else from_json(response.json())
    status = body["response"]["status"]
    assert status["success"] == ("true" if response.status_code < 300 else "false")
    return response.status_code, status["code"], status["message"], "xml" if is_xml else "json"


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize(
    ("faults", "http", "code", "message"),
    [
        (["credential", "access", "path"], 401, "401", "Please check your username/password or authentication token"),
        (["access", "path", "media type"], 403, "4000", "Not authorized. Access is denied!"),
        (["path", "method", "media type"], 404, "404", "Incorrect resource"),
        (["method", "media type", "syntax"], 405, "405", "Incorrect HTTP Method"),
        (["media type", "syntax", "lookup"], 415, "415", "Unsupported media type"),
        (["size", "lookup"], 413, "413", "Request body too large"),
        (["syntax", "batch", "lookup"], 400, "400", MALFORMED),
        (["batch", "lookup", "org"], 400, "629", "Invalid Input"),
        (["lookup", "org", "shape"], 400, "1061", "X-CAP-API-ATTRIBUTION-LOOKUP-TYPE header is missing"),
        (["unknown lookup", "org"], 400, "91021", "Invalid attribution TILL passed."),
        (["org", "shape"], 500, "795", "Configuration is invalid. Please report to Capillary Support"),
        (["shape"], 400, "400", MALFORMED),
        (["key"], 400, "629", "Invalid Input"),
    ],
)
def test_order(shop: Shop, front: Front, form: str, faults: list[str], http: int, code: str, message: str) -> None:
    body: Any = GOOD
    headers = {"Accept": f"application/{form}", "Content-Type": "application/json"}
    if "access" in faults:
        shop.change(t.store, shop.store_id, access_group_id=shop.access_group("READ"))
    if "org" in faults:
        shop.change(t.org, shop.org_id, time_zone="Mars/Olympus", version=2)
    if "shape" in faults:
        body = {"root": {"coupon": []}}
    if "batch" in faults:
        body = {"root": {"coupon": [{"code": "A"}] * 101}}
    if "size" in faults:
        body = {"root": "x" * REQUEST_BODY_BYTES_MAX}
    if "media type" in faults:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    if "lookup" in faults or "unknown lookup" in faults:
        headers |= LOOKUP
    if "unknown lookup" in faults:
        headers["X-CAP-API-ATTRIBUTION-LOOKUP-TYPE"] = "WECHAT"
    if "key" in faults:
        headers["Idempotency-Key"] = "not a key"
    response = front.ask(
        "PATCH" if "method" in faults else "POST",
        "/v1.1/coupon/nosuch" if "path" in faults else REDEEM,
        auth=(TILL, "0" * 32) if "credential" in faults else (TILL, SECRET),
        headers=headers,
        content=b"<root" if "syntax" in faults else httpx.Request("POST", "http://x", json=body).content,
    )
    assert told(response) == (http, code, message, form)
    assert response.headers["x-cap-requestid"]


@pytest.mark.parametrize(
    "path",
    [
        REDEEM,
        f"{REDEEM}/",
        f"{REDEEM}.json",
        f"{REDEEM}.xml",
        f"{REDEEM}.xml/",
        "/v1/coupon/redeem",
        "/v1/coupon/redeem/",
        "/v1/coupon/redeem.xml",
    ],
)
def test_spellings_of_a_path(front: Front, path: str) -> None:
    """README 1: aliases, suffixes and trailing slashes mean the same endpoint."""
    assert told(front.ask("POST", path, json=GOOD)) == (
        *(500, "500", "All requests have failed due to errors"),
        "xml" if ".xml" in path else "json",
    )


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1.1/coupon", "404"),
        ("/v1.1/coupon/nosuch", "404"),
        ("/v1.1/coupon/redeem/more", "404"),
        ("/v1.1/coupon/redeem.csv", "404"),
        ("/v1.1/coupon/redeem.json.json", "404"),
        ("/v1.1/nosuch/get", "404"),
        ("/v1/coupon/list", "402"),
        ("/v1/customer/get.xml", "402"),
        ("/v1/nosuch/get", "404"),
        ("/v1/coupon", "404"),
        ("/v1.1/transaction/add", "406"),
        ("/v1.1/points/redeem.xml", "406"),
        ("/v1/points/redeem", "406"),
    ],
)
def test_unknown_paths(front: Front, path: str, code: str) -> None:
    assert told(front.ask("POST", path, json={}))[:2] == (int(code), code)


@pytest.mark.parametrize("path", ["/v1.2/coupon/redeem", "//v1.1/coupon/redeem", "/v11/coupon/redeem", "/V1.1/coupon/redeem"])
def test_paths_beside_the_prefix(front: Front, path: str) -> None:
    """Prevents a spelling that leads around the gate: what is below no prefix is 404, with or without a credential."""
    assert front.ask("POST", path, json=GOOD, auth=(TILL, "0" * 32)).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_wrong_methods(front: Front, method: str) -> None:
    response = front.ask(method, REDEEM)
    assert response.status_code == 405
    assert method == "HEAD" or told(response)[1] == "405"


def test_rate_limits(shop: Shop) -> None:
    """v1.1 and V2 redeems share a limit, and so do the aliases (README 8)."""
    with shop.front(rate_limit_redeem=3) as front:
        assert front.redeem("NOSUCH").status_code == 200
        answers = [front.ask("POST", path, json=GOOD) for path in (REDEEM, "/v1/coupon/redeem.xml", f"{REDEEM}/") * 3]
        limited = next(answer for answer in answers if answer.status_code == 429)
        assert told(limited)[1:3] == ("429", "Rate limit exceeded")
        assert 0 < int(limited.headers["retry-after"]) <= 60


def test_draining(shop: Shop) -> None:
    with shop.front() as front:
        ledger: Any = front.app._router.find("/readyz")[0]._ledger  # type: ignore[index,union-attr] # it was found
        front.run(ledger.drain())
        response = front.ask("GET", f"{CHECK}.xml?code=A")
        assert told(response) == (500, "790", BUSY, "xml")
        assert (response.headers["retry-after"], response.headers["connection"]) == ("1", "close")


def test_full_queue(shop: Shop) -> None:
    """789, once the one place there is has been taken by a request that waits for a lock."""
    code = shop.coupon()
    with shop.front(queue_commands_max=1) as front, holding(shop.database.url):
        body = {"root": {"coupon": {"code": code, "customer": MIRA}}}
        assert told(front.run(_second(front, body))) == (500, "789", BUSY, "json")


async def _second(front: Front, body: Any) -> httpx.Response:
    """The answer to the one that does not wait."""
    both = [asyncio.create_task(front.asking("POST", REDEEM, json=body)) for _ in range(2)]
    done, waiting = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    return done.pop().result()


@pytest.mark.parametrize("query", ["", "format=xml"])
def test_access_is_asked_for_what_a_method_does(shop: Shop, front: Front, query: str) -> None:
    """README 2.4: a check reads, a redeem writes."""
    shop.change(t.store, shop.store_id, access_group_id=shop.access_group("READ"))
    asked = urlencode({**MIRA, "code": "A"})
    assert front.ask("GET", f"{CHECK}?{asked}&{query}").status_code == 200
    assert front.ask("POST", f"/v1.1/coupon/issue?{query}", json=GOOD).status_code == 403


def test_others_keep_their_form(front: Front) -> None:
    """Prevents v1.1's envelope, and its switches, from reaching V2 and the admin API."""
    assert "errors" in front.ask("GET", "/v2/coupon/nosuch?format=xml", headers={"Accept": "application/xml"}).json()
    assert front.ask("GET", "/v2/coupon/nosuch.xml").headers["content-type"].startswith("application/json")
    assert front.ask("POST", "/v2/coupon/redeem", content=b"<root/>", headers={"Content-Type": "text/xml"}).status_code == 415
