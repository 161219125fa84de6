"""Health, metrics, and the API's description (design 4)."""

import io
import json
import sys
from collections.abc import Iterator

import pytest
import structlog

from couponry import telemetry
from couponry.api import openapi
from couponry.core.status import Code
from tests.api.shop import Front, Shop
from tests.house.sources import ROOT


def test_health(front: Front) -> None:
    for path in ("/healthz", "/readyz", "/healthz/"):
        response = front.ask("GET", path, auth=None)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_metrics(shop: Shop, front: Front) -> None:
    front.redeem(shop.coupon())
    front.redeem("A", user={})
    response = front.ask("GET", "/metrics", auth=None)
    assert response.headers["content-type"] == telemetry.METRICS_TYPE
    lines = response.text.splitlines()
    assert 'couponry_request_seconds_count{route="/v2/coupon/redeem",status="200"} 1.0' in lines
    assert 'couponry_request_seconds_count{route="/v2/coupon/redeem",status="400"} 1.0' in lines
    assert 'couponry_batched_commands_total{lane="write-0"} 2.0' in lines or 'lane="write-1"} 2.0' in response.text
    assert "couponry_in_flight 0.0" in lines
    assert any(line.startswith("process_resident_memory_bytes") for line in lines)


def test_paths_do_not_become_metrics(front: Front) -> None:
    """A scanner must not make a time series of each path that it tries."""
    for number in range(3):
        front.ask("GET", f"/nosuch{number}", auth=None)
        front.ask("GET", f"/v2/nosuch{number}", auth=None)
    assert "nosuch" not in front.ask("GET", "/metrics", auth=None).text


def test_openapi_is_served_and_committed(front: Front) -> None:
    """Run `python -c "from couponry.api import openapi; print(openapi.rendered().decode(), end='')" > docs/openapi.json`."""
    assert (ROOT / "docs" / "openapi.json").read_bytes() == openapi.rendered()
    response = front.ask("GET", "/openapi.json", auth=None)
    assert response.content == openapi.rendered()
    assert response.json()["openapi"] == "3.1.0"


def test_openapi_describes_every_route(front: Front) -> None:
    described = json.loads(openapi.rendered())["paths"]
    routed = {"/v2/coupon/redeem", "/v2/coupon/bulk/redeem", "/v2/coupon/is_redeemable", "/v3/oauth/token/generate"}
    routed |= {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"}
    assert described.keys() == routed
    for path, methods in described.items():
        for method in methods:
            assert front.ask(method.upper(), path, auth=None).status_code not in {404, 405}


@pytest.mark.parametrize(
    ("path", "method", "letter"), [("/v2/coupon/redeem", "post", "R"), ("/v2/coupon/is_redeemable", "get", "Q")]
)
def test_openapi_names_every_code(path: str, method: str, letter: str) -> None:
    text = json.dumps(json.loads(openapi.rendered())["paths"][path][method]["responses"])
    missing = [
        code for code in Code if letter in code.on.split() and not code.topic and f"{code.number} {code.message}" not in text
    ]
    assert not missing


def test_openapi_has_no_dangling_reference() -> None:
    text = openapi.rendered().decode()
    schemas = json.loads(text)["components"]["schemas"]
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= schemas.keys()


def test_docs_load_nothing(front: Front) -> None:
    response = front.ask("GET", "/docs", auth=None)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert "://" not in response.text
    assert "<script" not in response.text
    assert "/v2/coupon/is_redeemable" in response.text


class TestLogs:
    @pytest.fixture
    def lines(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
        """What is written to standard error."""
        written = io.StringIO()
        monkeypatch.setattr(sys, "stderr", written)
        telemetry.configure_logging("info")
        yield written
        structlog.reset_defaults()

    def test_success_leaves_no_line(self, shop: Shop, front: Front, lines: io.StringIO) -> None:
        front.redeem(shop.coupon())
        front.redeem("NOSUCH")
        assert lines.getvalue() == ""

    def test_failure_leaves_one_json_line_without_personal_data(self, front: Front, lines: io.StringIO) -> None:
        front.redeem("A", user={"mobile": "919899999999", "email": "x@example.com"}, headers={"X-CAP-REQUEST-ID": "r-1"})
        line = json.loads(lines.getvalue())
        assert line.pop("timestamp")
        assert line == {
            "event": "request_failed",
            "level": "info",
            "request_id": "r-1",
            "method": "POST",
            "route": "/v2/coupon/redeem",
            "status": 400,
        }

    def test_credentials_are_not_logged(self, front: Front, lines: io.StringIO) -> None:
        front.ask("POST", "/v3/oauth/token/generate", json={"key": "K3y", "secret": "s3cr3t"}, auth=None)
        front.ask("GET", "/v2/coupon/is_redeemable", auth=("t1ll", "0" * 32))
        text = lines.getvalue()
        assert text.count("request_failed") == 2
        assert not any(word in text for word in ("K3y", "s3cr3t", "t1ll", "0" * 32))
