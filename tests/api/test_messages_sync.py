"""`messagesSync` (J13): an issue or a resend finds its gateway there, or leaves nothing behind (794, 799)."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_network
from typing import Any, Final

import pytest
from sqlalchemy import func, select

from couponry.core.limits import GATEWAY_KNOWN_MS
from couponry.store import schema as t
from couponry.store.doctor import check
from tests.api.holdings import series_id
from tests.api.shop import MIRA, Front, Shop
from tests.api.v1_1.till import ISSUE as V11
from tests.api.v1_1.till import codes_of, post
from tests.receiver import LOOPBACK

ISSUE: Final = "/v2/coupon/issue"
BULK: Final = "/v2/coupon/bulk/issue"
SEVERAL: Final = "/v2/coupon/issue/multiple"
TERMS: Final = {"isMultipleVouchersPerUserAllowed": True, "smsTemplate": "{{voucher}}"}
POST: Final = {"email": "post@example.com"}


@pytest.fixture
def front(shop: Shop) -> Iterator[Front]:
    """The shop sends synchronously, and trusts this machine."""
    shop.set(messagesSync="true")
    shop.series(seriesCode="SYNC", **TERMS)
    shop.customers({"firstName": "Post", **POST})
    with shop.front(allowed_private_networks=(ip_network(LOOPBACK),)) as running:
        yield running


@contextmanager
def gateway(kind: str = "json") -> Iterator[str]:
    """The URL of one that is there while the block lasts."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"{kind}://127.0.0.1:{server.getsockname()[1]}/x"


def issue(shop: Shop, front: Front, series: str = "SYNC", customer: Any = MIRA) -> tuple[int, list[int]]:
    """The code, 0 once issued, and warnings."""
    answer = front.ask("POST", ISSUE, json={"seriesId": series_id(shop, series), "customer": customer})
    body = answer.json()
    if answer.status_code == 200:
        return 0, [warning["code"] for warning in body.get("warnings", [])]
    assert answer.status_code == 500
    return body["errors"][0]["code"], []


def left(shop: Shop) -> tuple[int, int]:
    """Coupons and causes."""
    with shop.database.reading() as tx:
        coupons, causes = (
            tx.connection.execute(select(func.count()).select_from(table)).scalar_one() for table in (t.coupon, t.outbox)
        )
    return coupons, causes


def test_a_gateway_that_comes_and_goes(shop: Shop, front: Front) -> None:
    assert issue(shop, front) == (799, [])
    with gateway() as url:
        shop.set(smsUrl=url)
        shop.clock.ms += 60_000  # by which settings are read again
        assert issue(shop, front) == (0, [])
    shop.clock.ms += GATEWAY_KNOWN_MS
    before = left(shop)
    assert issue(shop, front) == (794, [])
    body: dict[str, Any] = {"customer": MIRA, "seriesIds": [series_id(shop, "MON"), series_id(shop, "SYNC")]}
    assert front.ask("POST", BULK, json=body).json()["errors"][0]["code"] == 794
    body = {"customer": MIRA, "seriesId": series_id(shop, "SYNC"), "count": 3}
    assert front.ask("POST", SEVERAL, json=body).json()["errors"][0]["code"] == 794
    item = {"series_id": str(series_id(shop, "SYNC")), "customer": {"mobile": MIRA["mobile"]}}
    assert codes_of(post(front, item, item, path=V11)) == [794, 794]
    code = shop.coupon(series="SYNC")
    before = (before[0] + 1, before[1])
    answer = front.ask("GET", "/v1.1/coupon/resend", params={"code": code, "format": "json", **MIRA})
    assert codes_of(answer) == [794]
    assert "retry-after" in answer.headers
    assert left(shop) == before
    shop.set(messagesSync="false")
    shop.clock.ms += 60_000
    assert issue(shop, front) == (0, [])
    assert not check(shop.database).differences


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("nonsense", 799),
        ("http//x", 799),
        ("json://[::1", 799),
        ("json://192.168.0.1/x", 799),  # an address that may not be reached
        ("json://127.0.0.1:99999/x", 799),
        ("json://no.such.host.invalid/x", 794),
    ],
)
def test_gateways_that_are_none(shop: Shop, front: Front, url: str, code: int) -> None:
    shop.set(smsUrl=url)
    assert issue(shop, front) == (code, [])


def test_only_what_is_to_be_sent_matters(shop: Shop, front: Front) -> None:
    """Other refusals come first; nobody to tell is a warning; e-mail has a gateway of its own."""
    unknown = {"seriesId": series_id(shop, "SYNC"), "customer": {"mobile": "919812399999"}}
    assert front.ask("POST", ISSUE, json=unknown).json()["errors"][0]["code"] == 701
    shop.series(seriesCode="QUIET", isSMSDisabled="true", **TERMS)
    shop.series(seriesCode="TYPO", **{**TERMS, "smsTemplate": "{{vuocher}}"})
    shop.customers({"firstName": "Shy", "externalId": "CRM-SHY"})
    assert issue(shop, front, "QUIET") == (0, [])
    assert issue(shop, front, customer={"externalId": "CRM-SHY"}) == (0, [724])
    with gateway() as sms, gateway("mailto") as email:
        shop.set(smsUrl=sms)
        assert issue(shop, front, "TYPO") == (799, [])
        assert issue(shop, front) == (0, [])
        assert issue(shop, front, customer=POST) == (799, [])
        shop.set(emailUrl=f"{email}?from=shop@example.com")
        shop.clock.ms += 60_000
        assert issue(shop, front, customer=POST) == (0, [])
