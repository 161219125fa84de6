"""What a redeem body may hold, and what its first fault is answered with (v2-coupon 4, status-codes 4, README 6)."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from couponry.api.times import instant_ms
from couponry.api.v2.requests import amount_of, coupon_id_of
from couponry.core.status import Code
from tests.api.shop import MIRA, Front, Shop, code_of

GOOD: dict[str, Any] = {"redemptionRequestList": [{"code": "NOSUCH"}], "user": MIRA, "transactionNumber": "", "billAmount": 1}
ALL_TAKEN = 719


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, ALL_TAKEN),
        ({"redemptionRequestList": []}, 629),
        ({"redemptionRequestList": None}, 629),
        ({"redemptionRequestList": [{"code": "A"}] * 101}, 629),
        ({"redemptionRequestList": [{"code": f"A{n}"} for n in range(100)]}, 500),
        ({"redemptionRequestList": {"code": "A"}}, 629),
        ({"redemptionRequestList": "A"}, 629),
        ({"redemptionRequestList": ["A"]}, 629),
        ({"redemptionRequestList": [{"code": 5}]}, 629),
        ({"redemptionRequestList": [{"code": True}]}, 629),
        ({"redemptionRequestList": [{"id": 1.5}]}, 629),
        ({"redemptionRequestList": [{"id": "1x"}]}, 629),
        ({"redemptionRequestList": [{"id": "-1"}]}, 629),
        ({"redemptionRequestList": [{"id": -1}]}, ALL_TAKEN),
        ({"redemptionRequestList": [{"id": 2**80}]}, ALL_TAKEN),
        ({"redemptionRequestList": [{"id": "9" * 4000}]}, ALL_TAKEN),
        ({"redemptionRequestList": [{"code": ""}]}, 702),
        ({"redemptionRequestList": [{"code": "   "}]}, 702),
        ({"redemptionRequestList": [{"code": "a\0b"}]}, 702),
        ({"redemptionRequestList": [{"code": "x" * 100_000}]}, 702),
        ({"redemptionRequestList": [{"id": 1}, {"id": 2}]}, 500),
        ({"redemptionRequestList": [{"code": "A", "unknown": {"deep": [1]}}]}, ALL_TAKEN),
        ({"redemptionRequestList": [{"code": "A", "customFields": {"a": "b", "n": 1.5, "t": True, "none": None}}]}, ALL_TAKEN),
        ({"redemptionRequestList": [{"code": "A", "customFields": {"a": {"b": 1}}}]}, 629),
        ({"redemptionRequestList": [{"code": "A", "customFields": {f"f{n}": 1 for n in range(51)}}]}, 629),
        ({"redemptionRequestList": [{"code": "A", "customFields": {"a": "x" * 1001}}]}, 629),
        ({"redemptionRequestList": [{"code": "A", "customFields": {"a": "\0"}}]}, 629),
        ({"user": "me"}, 629),
        ({"user": {"mobile": 919812300001}}, 629),
        ({"user": {"mobile": "9" * 100_000}}, 701),
        ({"user": {"email": "mira\0@example.com"}}, ALL_TAKEN),
        ({"transactionNumber": 5510}, 629),
        ({"transactionNumber": None}, ALL_TAKEN),
        ({"transactionNumber": "x" * 255}, ALL_TAKEN),
        ({"transactionNumber": "x" * 256}, 629),
        ({"transactionNumber": "\0"}, 629),
        ({"redemptionTime": "2031-03-10 18:20:00"}, ALL_TAKEN),
        ({"redemptionTime": ""}, ALL_TAKEN),
        ({"redemptionTime": "10-03-2031"}, 629),
        ({"redemptionTime": "2031-02-30"}, 629),
        ({"redemptionTime": 1930913400000}, 629),
        ({"redemptionTime": "0001-01-01"}, ALL_TAKEN),
        ({"redemptionTime": "9999-12-31T23:59:59-14:00"}, ALL_TAKEN),
        ({"billAmount": None}, 733),
        ({"billAmount": ""}, 733),
        ({"billAmount": "abc"}, 733),
        ({"billAmount": "NaN"}, 733),
        ({"billAmount": "-Infinity"}, 733),
        ({"billAmount": -0.01}, 733),
        ({"billAmount": "1_000"}, 733),
        ({"billAmount": "１２"}, 733),
        ({"billAmount": 2**80}, 733),
        ({"billAmount": True}, 629),
        ({"billAmount": [1]}, 629),
        ({"billAmount": {"amount": 1}}, 629),
        ({"billAmount": 0}, ALL_TAKEN),
        ({"billAmount": "1800.50"}, ALL_TAKEN),
        ({"billAmount": "abc", "redemptionTime": "never"}, 629),
        ({"billAmount": "abc", "user": {}}, 733),
        ({"code": "NOSUCH", "redemptionRequestList": None}, ALL_TAKEN),
        ({"unknown": 1}, ALL_TAKEN),
    ],
)
def test_first_fault(front: Front, fields: dict[str, Any], code: int) -> None:
    response = front.ask("POST", "/v2/coupon/redeem", json={**GOOD, **fields})
    assert code_of(response.json()) == code
    assert response.status_code == (400 if code in {629, 701, 733} else 200)


def test_missing_amount(front: Front) -> None:
    body = {name: value for name, value in GOOD.items() if name != "billAmount"}
    assert code_of(front.ask("POST", "/v2/coupon/redeem", json=body).json()) == 733


def test_wrong_types_of_a_body_that_cannot_be_parsed(front: Front) -> None:
    """400 comes before 629, also when the fault of type stands first in the body."""
    headers = {"Content-Type": "application/json"}
    broken = front.ask("POST", "/v2/coupon/redeem", content=b'{"user": 5, ', headers=headers)
    assert (broken.status_code, code_of(broken.json())) == (400, 400)
    assert broken.json().keys() == {"errors", "warnings"}
    wrong = front.ask("POST", "/v2/coupon/redeem", content=b'{"user": 5, "x": 1e9999}', headers=headers)
    assert (wrong.status_code, code_of(wrong.json())) == (400, 629)


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        (b"1800", Decimal(1800)),
        (b'"2000"', Decimal(2000)),
        (b'" 12.5 "', Decimal("12.5")),
        (b"0.1", Decimal("0.1")),
        (b"-0.0", Decimal(0)),
        (b"1e3", Decimal(1000)),
        (b"9007199254740991", Decimal(9007199254740991)),
        (b"9007199254740991.001", Code.INVALID_AMOUNT),
        (b"1e400", Code.INVALID_AMOUNT),
        (b"1e-400", Decimal(0)),
        (b"0.12345", Decimal("0.123")),
        (b"1" * 70, Code.INVALID_AMOUNT),
        (b"", Code.INVALID_AMOUNT),
        (b"true", Code.INVALID_INPUT),
    ],
)
def test_amounts_are_exact(written: bytes, amount: Decimal | Code) -> None:
    assert amount_of(msgspec.Raw(written)) == amount


def test_coupon_ids() -> None:
    assert [coupon_id_of(sent) for sent in (None, "", " 7 ", "007", 7, 0, 2**63)] == [None, None, 7, 7, 7, 0, 0]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2031-03-10T12:50:00Z", "2031-03-10T12:50:00+00:00"),
        ("2031-03-10T18:20:00+05:30", "2031-03-10T12:50:00+00:00"),
        ("2031-03-10T18:20:00+0530", "2031-03-10T12:50:00+00:00"),
        ("2031-03-10T18:20:00.250+05:30", "2031-03-10T12:50:00.250+00:00"),
        ("2031-03-10 18:20:00", "2031-03-10T12:50:00+00:00"),
        ("2031-03-10T18:20:00", "2031-03-10T12:50:00+00:00"),
        (" 2031-03-10 ", "2031-03-09T18:30:00+00:00"),
        ("1969-12-31", "1969-12-30T18:30:00+00:00"),
    ],
)
def test_instants(shop: Shop, text: str, utc: str) -> None:
    zone = shop.org().zone
    assert instant_ms(text, zone) == instant_ms(utc, zone)


@pytest.mark.parametrize(
    "text", ["", "now", "20310310", "2031-W10-1", "10-03-2031", "2031-3-10", "2031-03-10T25:00:00", "1930913400000", "2031/03/10"]
)
def test_what_is_no_instant(shop: Shop, text: str) -> None:
    assert instant_ms(text, shop.org().zone) is None
