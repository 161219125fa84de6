"""The request gate: of two faults the one that the contract checks first is the answer (status-codes 4, README 5)."""

import asyncio
import base64
import io
import sys
from typing import Any

import httpx
import pytest
import structlog

from couponry import telemetry
from couponry.api.v2 import claims
from couponry.core.limits import REQUEST_BODY_BYTES_MAX
from couponry.store import schema as t
from tests.api.shop import MIRA, SECRET, TILL, Front, Shop, code_of

REDEEM = "/v2/coupon/redeem"
JSON = {"Content-Type": "application/json"}
GOOD: dict[str, Any] = {"redemptionRequestList": [{"code": "NOSUCH"}], "user": MIRA, "billAmount": 1}
LOOKUP = {"X-CAP-API-ATTRIBUTION-LOOKUP": "x"}


def v2(code: int, message: str) -> dict[str, Any]:
    return {"errors": [{"status": False, "code": code, "message": message}], "warnings": []}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/nosuch", 404, 404),
        ("GET", "/v2/coupon/redeem/x", 404, 404),
        ("GET", "/v3/nosuch", 404, 404),
        ("GET", "/nosuch", 404, 404),
        ("GET", "/", 404, 404),
        ("GET", REDEEM, 405, 405),
        ("DELETE", REDEEM, 405, 405),
        ("BREW", REDEEM, 405, 405),
        ("POST", "/v2/coupon/is_redeemable", 405, 405),
        ("POST", "/healthz", 405, 405),
    ],
)
def test_paths_and_methods(front: Front, method: str, path: str, status: int, code: int) -> None:
    response = front.ask(method, path)
    assert response.status_code == status
    assert response.json()["errors"][0]["code"] == code
    assert (response.json().keys() == {"data", "errors"}) == path.startswith("/v3/")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        (None, 200),
        ("text/plain", 415),
        ("application/xml", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonx", 415),
    ],
)
def test_media_types(front: Front, content_type: str | None, status: int) -> None:
    headers = [(b"authorization", _basic()), (b"content-length", b"%d" % len(_body()))]
    if content_type:
        headers.append((b"content-type", content_type.encode()))
    raw = front.raw("POST", REDEEM, headers, _body())
    assert raw.status == status
    assert raw.code == (415 if status == 415 else 719)


def test_body_size(front: Front) -> None:
    """One byte too many is too many, whether the length was announced or not."""
    fits = _body() + b" " * (REQUEST_BODY_BYTES_MAX - len(_body()))
    for body, status in ((fits, 200), (fits + b" ", 413)):
        for announced in ([(b"content-length", b"%d" % len(body))], [(b"transfer-encoding", b"chunked")]):
            raw = front.raw("POST", REDEEM, [(b"authorization", _basic()), *announced], body)
            assert raw.status == status
    assert front.raw("POST", REDEEM, [(b"authorization", _basic())], b"x" * (REQUEST_BODY_BYTES_MAX + 1)).code == 413


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        (["credential", "access", "method", "media type", "syntax"], 401),
        (["access", "method", "media type", "syntax"], 4000),
        (["path", "media type", "syntax"], 404),
        (["method", "media type", "syntax"], 405),
        (["media type", "syntax", "lookup"], 415),
        (["syntax", "batch", "lookup"], 400),
        (["batch", "lookup", "org"], 629),
        (["lookup", "org", "shape"], 1061),
        (["org", "shape", "amount"], 795),
        (["shape", "amount", "customer"], 629),
        (["amount", "customer"], 733),
        (["customer"], 721),
    ],
)
def test_order(shop: Shop, front: Front, faults: list[str], code: int) -> None:
    body = dict(GOOD)
    content = None
    headers = dict(JSON)
    if "access" in faults:
        shop.change(t.store, shop.store_id, access_group_id=shop.access_group("READ"))
    if "org" in faults:
        shop.change(t.org, shop.org_id, time_zone="Mars/Olympus", version=2)
    if "shape" in faults:
        body["transactionNumber"] = 5
    if "batch" in faults:
        body["redemptionRequestList"] = [{"code": "A"}] * 101
    if "amount" in faults:
        body["billAmount"] = "x"
    if "customer" in faults:
        body["user"] = {}
    if "syntax" in faults:
        content = b'{"redemptionRequestList": 5,'
    if "media type" in faults:
        headers["Content-Type"] = "text/plain"
    if "lookup" in faults:
        headers |= LOOKUP
    response = front.ask(
        "PATCH" if "method" in faults else "POST",
        "/v2/nosuch" if "path" in faults else REDEEM,
        auth=(TILL, "0" * 32) if "credential" in faults else (TILL, SECRET),
        headers=headers,
        content=content or httpx.Request("POST", "http://x", json=body).content,
    )
    assert code_of(response.json()) == code


def test_rate_limit(shop: Shop) -> None:
    shop.till("till2", store="s2")
    with shop.front(rate_limit_redeem=3) as front:
        assert [front.redeem("NOSUCH").status_code for _ in range(3)] == [200, 200, 200]
        # The limit slides: should a new minute begin just now, it lets one or two more pass.
        limited = next(answer for answer in (front.redeem("NOSUCH") for _ in range(4)) if answer.status_code != 200)
        assert limited.status_code == 429
        assert limited.json() == v2(429, "Rate limit exceeded")
        assert 0 < int(limited.headers["retry-after"]) <= 60
        assert front.ask("PUT", REDEEM).status_code == 429, "429 comes before 405"
        assert front.check(code="NOSUCH").status_code == 200
        assert front.ask("POST", REDEEM, json=GOOD, auth=("till2", SECRET)).status_code == 200
        assert front.ask("POST", REDEEM, json=GOOD, auth=(TILL, "0" * 32)).status_code == 401


def test_rate_limit_of_a_write_whose_path_is_read_too(shop: Shop) -> None:
    with shop.front(rate_limit_customer_add=1) as front:
        assert 429 in [front.ask("POST", "/v2/customers", json={}).status_code for _ in range(4)]
        assert 429 not in [front.ask("GET", "/v2/customers", params={"mobile": "919812300001"}).status_code for _ in range(4)]


def test_options_is_no_method_of_the_api(shop: Shop) -> None:
    with shop.front() as front:
        assert front.ask("OPTIONS", REDEEM).json()["errors"][0]["code"] == 405


def test_draining(shop: Shop) -> None:
    with shop.front() as front:
        ledger = front.app._router.find("/readyz")[0]._ledger  # type: ignore[index,union-attr] # it was found
        front.run(ledger.drain())
        refused = front.redeem("NOSUCH")
        assert (refused.status_code, refused.headers["retry-after"], refused.headers["connection"]) == (500, "1", "close")
        assert refused.json() == v2(790, "Coupon processing failed, Please try again later")
        assert front.ask("POST", REDEEM, content=b"{", headers=JSON).json()["errors"][0]["code"] == 790
        assert front.ask("POST", REDEEM, content=b"{", headers={"Content-Type": "text/plain"}).status_code == 415
        assert front.ask("POST", REDEEM, auth=(TILL, "0" * 32)).status_code == 401
        assert front.ask("GET", "/readyz").status_code == 503
        assert front.ask("GET", "/healthz").status_code == 200


def test_overload(shop: Shop) -> None:
    """With room for one command, the others of many at once are turned away and told to come back."""
    with shop.front(queue_commands_max=1) as front:

        async def at_once() -> list[httpx.Response]:
            return await asyncio.gather(*(front.asking("POST", REDEEM, json=GOOD) for _ in range(20)))

        front.redeem("NOSUCH")
        responses = front.run(at_once())
        assert {code_of(response.json()) for response in responses} == {719, 789}
        assert {response.headers.get("retry-after") for response in responses if response.status_code == 500} == {"1"}


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [("a.B-9_", True), ("x" * 64, True), ("...", True), ("x" * 65, False), ("a b", False), ("é", False), ("", False)],
)
def test_request_id(front: Front, sent: str, echoed: bool) -> None:
    for path, auth in (("/healthz", None), ("/nosuch", None), (REDEEM, None), (REDEEM, (TILL, SECRET))):
        response = front.ask("POST", path, auth=auth, headers={"X-CAP-REQUEST-ID": sent.encode()}, json=GOOD)
        assert (response.headers["x-cap-requestid"] == sent) == echoed
        assert response.headers["x-cap-requestid"]


def test_made_up_request_ids_are_unique(front: Front) -> None:
    assert len({front.ask("GET", "/healthz").headers["x-cap-requestid"] for _ in range(5)}) == 5


def test_bug_is_730_and_says_nothing(shop: Shop, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in an exception is for the log, with the request's id."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    telemetry.configure_logging("info")

    def broken(*_: object, is_check: bool) -> None:
        raise RuntimeError("the secret plan")

    monkeypatch.setattr(claims, "_from_body", broken)
    response = front.redeem("A", headers={"X-CAP-REQUEST-ID": "bug-1"})
    assert (response.status_code, response.json()) == (500, v2(730, "Unknown error"))
    assert "retry-after" not in response.headers
    assert "secret" not in response.text
    structlog.reset_defaults()
    logged = written.getvalue()
    assert "the secret plan" in logged
    assert "bug-1" in logged


def _basic() -> bytes:
    return b"Basic " + base64.b64encode(f"{TILL}:{SECRET}".encode())


def _body() -> bytes:
    return httpx.Request("POST", "http://x", json=GOOD).content
