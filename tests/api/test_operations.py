"""Health, metrics and logs (design 4)."""

import io
import json
import sys
from collections.abc import Iterator

import pytest
import structlog

from couponry import telemetry
from tests.api.shop import Front, Shop


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
