"""What nobody sends by accident. Whatever it is, it is the sender's fault: never a 5xx, never an answer without a body."""

import random
from typing import Any, Final

import msgspec
import pytest

from tests.api.shop import Front, Shop
from tests.api.test_gate import _basic

REDEEM: Final = "/v2/coupon/redeem"
CHECK: Final = "/v2/coupon/is_redeemable"
GOOD: Final = b'{"redemptionRequestList":[{"code":"A"}],"user":{"mobile":"919812300001"},"transactionNumber":"","billAmount":1}'

BODIES: Final = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"5",
    b'"text"',
    b"\0",
    b"\xff\xfe\x00\x00",
    b"\xef\xbb\xbf" + GOOD,
    GOOD + b"}",
    GOOD[:-1],
    GOOD.replace(b"1}", b"NaN}"),
    GOOD.replace(b"1}", b"Infinity}"),
    GOOD.replace(b"1}", b"1" * 5000 + b"}"),
    GOOD.replace(b"1}", b"1e999999999}"),
    GOOD.replace(b"1}", b"-}"),
    GOOD.replace(b"1}", b'"1e-999999999"}'),
    GOOD.replace(b"1}", b'"0E+999999999"}'),
    GOOD.replace(b"1}", b'"\xff"}'),
    GOOD.replace(b"1}", b'"' + b"9" * 100_000 + b'"}'),
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    GOOD.replace(b'"A"', b'"\\ud800"'),
    GOOD.replace(b'"A"', b'"\\udfff\\ud800"'),
    GOOD.replace(b'"A"', b'"\xed\xa0\x80"'),
    GOOD.replace(b'"A"', b'"\xff"'),
    GOOD.replace(b'"A"', b'"\\u0000"'),
    GOOD.replace(b'"A"', '"\u202e\U0001f600ß"'.encode()),
    GOOD.replace(b'"919812300001"', b'"\\u0000"'),
    GOOD.replace(b'"mobile":"919812300001"', b'"id":"' + "٣".encode() * 30 + b'"'),
    GOOD.replace(b'"mobile":"919812300001"', b'"id":' + b"9" * 300),
    GOOD.replace(b'"mobile":"919812300001"', b'"email":"\\u0000@\\u0000","externalId":"' + b"x" * 10_000 + b'"'),
    GOOD.replace(b'"transactionNumber":""', b'"transactionNumber":"\\u0000"'),
    GOOD.replace(b'"transactionNumber":""', b'"transactionNumber":"\xf0\x9f\x98\x80"'),
    GOOD.replace(b'"code":"A"', b'"code":"A","code":"B"'),
    GOOD.replace(b'"code":"A"', b'"__proto__":{},"code":"A"'),
    GOOD.replace(b'"code":"A"', b'"id":-9223372036854775809'),
    GOOD.replace(b'"code":"A"', b'"id":9223372036854775808'),
    GOOD.replace(b'"transactionNumber":""', b'"redemptionTime":"9999-12-31T23:59:59+23:59"'),
    GOOD.replace(b'"transactionNumber":""', b'"redemptionTime":"0001-01-01T00:00:00-23:59"'),
    GOOD.replace(b'"transactionNumber":""', b'"redemptionTime":"' + b"2" * 100_000 + b'"'),
    GOOD.replace(b'{"code":"A"}', b'{"code":"A","customFields":{"\\u0000":"\\u0000"}}'),
    GOOD.replace(b'{"code":"A"}', b"{}," * 99 + b"{}"),
]


@pytest.mark.parametrize("path", [REDEEM, "/v2/coupon/bulk/redeem", "/v3/oauth/token/generate"])
def test_bodies(front: Front, path: str) -> None:
    for body in BODIES:
        raw = front.raw("POST", path, [(b"authorization", _basic()), (b"content-length", b"%d" % len(body))], body)
        assert raw.status < 500, body[:80]
        assert msgspec.json.decode(raw.body)
    assert front.redeem("NOSUCH").status_code == 200


def test_mutations(front: Front) -> None:
    """Seeded noise in a good body: cut, doubled, replaced."""
    chance = random.Random(4)
    for _ in range(300):
        body = bytearray(GOOD)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(body))
            body[at : at + chance.randint(0, 3)] = bytes(chance.randrange(256) for _ in range(chance.randint(0, 3)))
        raw = front.raw("POST", REDEEM, [(b"authorization", _basic())], bytes(body))
        assert raw.status < 500, bytes(body)


@pytest.mark.parametrize(
    "query",
    [
        b"code=%00&mobile=%00",
        b"code=%ff%fe&mobile=9",
        b"code=%ed%a0%80&mobile=9",
        b"code=A&code=B&mobile=1&mobile=2",
        b"code=A&couponId=9999999999999999999999999&mobile=919812300001",
        b"couponId=9999999999999999999999999&mobile=919812300001",
        b"couponId=%D9%A3&mobile=919812300001",
        b"couponId=1,,2&mobile=919812300001",
        b"code=A&id=%D9%A3%D9%A3",
        b"code=A&id=-1",
        b"code=A&id=" + b"9" * 5000,
        b"code=A&email=%00%40%00",
        b"code=A&mobile=919812300001&billAmount=1e999999999",
        b"code=A&mobile=919812300001&billAmount=0E%2B999999999",
        b"code=A&mobile=919812300001&transactionNumber=%00",
        b"code=A&mobile=919812300001&redemptionTime=%00",
        b"code=A&mobile=919812300001&details=%00&coupon_code_case=%00",
        b"code=A&mobile=919812300001&validation_code=%00&validation_type=%00",
        b"&&&===&%%%",
        b"code=" + b"," * 99 + b"&mobile=919812300001",
        b"code=" + b"A" * 100_000 + b"&mobile=919812300001",
    ],
)
def test_queries(front: Front, query: bytes) -> None:
    raw = front.raw("GET", CHECK, [(b"authorization", _basic())], b"", query)
    assert raw.status < 500
    assert msgspec.json.decode(raw.body)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"authorization", b"Basic " + b"\xff" * 20)], 401),
        ([(b"authorization", _basic()), (b"authorization", b"Basic x")], 401),
        ([(b"x-cap-api-oauth-token", b"\xff\xfe")], 401),
        ([(b"x-cap-api-oauth-token", b"." * 4000)], 401),
        ([(b"x-cap-api-oauth-token", b"e30.e30.e30")], 401),
        ([(b"authorization", _basic()), (b"content-length", b"1e9")], 400),
        ([(b"authorization", _basic()), (b"content-length", b"-5")], 400),
        ([(b"authorization", _basic()), (b"content-type", b"\xff")], 415),
        ([(b"authorization", _basic()), (b"idempotency-key", b"a"), (b"idempotency-key", b"b")], 400),
        (
            [
                (b"authorization", _basic()),
                (b"x-cap-api-attribution-lookup-type", b"WECHAT"),
                (b"x-cap-api-attribution-lookup", b"\0\xff"),
            ],
            400,
        ),
        ([(b"authorization", _basic()), (b"x-cap-client-countrycode", b"\xff+99999")], 200),
        ([(b"authorization", _basic()), (b"x-forwarded-for", b"\xff, ,,::1")], 200),
        ([(b"authorization", _basic()), (b"x-cap-request-id", b"\r\nX: y")], 200),
    ],
)
def test_headers(shop: Shop, front: Front, headers: list[tuple[bytes, bytes]], status: int) -> None:
    raw = front.raw("POST", REDEEM, headers, GOOD)
    assert raw.status == status
    assert not [value for name, value in raw.headers if b"\n" in value]


def test_paths(front: Front) -> None:
    paths: list[Any] = [
        "/v2/coupon/redeem//",
        "//v2/coupon/redeem",
        "/v2/../v2/coupon/redeem",
        "/v2/\0",
        "/\udcff",
        "/v2/{x}",
        "/" + "x" * 10_000,
    ]
    for path in paths:
        for method in ("GET", "POST", "TRACE", "get", "\xff"):
            scope_path = path.encode("utf-8", "replace").decode()
            raw = front.raw(method, scope_path, [(b"authorization", _basic())], GOOD)
            assert raw.status in {404, 405}, (method, path)
