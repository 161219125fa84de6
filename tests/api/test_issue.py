"""`POST /v2/coupon/issue`, `/bulk/issue` and `/issue/multiple` over HTTP (v2-coupon 1-3; status-codes 4, J0)."""

import base64
from typing import Any, Final

import httpx
import msgspec
import pytest
from sqlalchemy import select

from couponry.core.status import Code
from couponry.store import schema as t
from tests.api.holdings import series_id
from tests.api.shop import BASIC, MIRA, Front, Shop, code_of
from tests.api.test_issue_golden import examples
from tests.api.test_redeem import mira

ISSUE: Final = "/v2/coupon/issue"
BULK: Final = "/v2/coupon/bulk/issue"
SEVERAL: Final = "/v2/coupon/issue/multiple"
MON: Final = 5001
LOOKUP: Final = {"X-CAP-API-ATTRIBUTION-LOOKUP": "wx1"}


def issue(front: Front, path: str = ISSUE, **fields: Any) -> httpx.Response:
    """Ask for Mira; `headers` and `query` apart, `fields` are those of the body."""
    headers, query = fields.pop("headers", {}), fields.pop("query", "")
    ids = {"seriesIds": [MON]} if path == BULK else {"seriesId": MON}
    return front.ask("POST", path + query, json={**ids, "customer": MIRA, **fields}, headers=headers)


def error(code: Code, **gaps: str) -> dict[str, Any]:
    message = code.message
    for name, value in gaps.items():
        message = message.replace(f"{{{name}}}", value)
    return {"status": False, "code": code.number, "message": message}


def shape(value: Any) -> Any:
    """Names and types, without the values."""
    match value:
        case dict():
            return {name: shape(each) for name, each in value.items()}
        case list():
            return [shape(each) for each in value]
        case _:
            return type(value).__name__


def shape_of(example: str) -> Any:
    golden = examples()
    return shape({**golden[example], **({"customer": golden["customer"]} if "customer" in golden[example] else {})})


class TestOne:
    def test_issued(self, front: Front) -> None:
        response = issue(front, customer={"id": "", "mobile": "9812300001", "email": "Mira@Example.com"})
        body = response.json()
        assert response.status_code == 200
        assert "idempotency-replayed" not in response.headers
        assert shape(body) == shape_of("one")
        assert len(body["code"]) == 8
        assert body["id"] > 0
        assert body == {
            "code": body["code"],
            "seriesId": MON,
            "description": "Monsoon 15",
            "discountCode": "MON15",
            "validTill": "2031-04-30T00:00:00+05:30",
            "validTillDateTime": "2031-04-30T23:59:59+05:30",
            "discountType": "PERC",
            "discountValue": 15.0,
            "discountUpto": 200.0,
            "discountOn": "BILL",
            "detailedInfo": "15 percent, up to 200",
            "customer": mira(),
            "redemptionCount": 0,
            "id": body["id"],
            "warnings": [],
        }
        assert front.redeem(body["code"]).json()["redemptionStatus"]["code"] == 700

    def test_existing_coupon_is_resent(self, shop: Shop, front: Front) -> None:
        shop.series(seriesCode="AGAIN", doNotResendExistingVoucher=False)
        again = series_id(shop, "AGAIN")
        first, second = (issue(front, seriesId=again).json() for _ in range(2))
        warning = {"status": True, "code": 700, "message": "Coupon resent successfully"}
        assert second == {**first, "warnings": [warning]}

    def test_refused(self, front: Front) -> None:
        assert issue(front).status_code == 200
        response = issue(front)
        assert response.status_code == 400
        assert response.json() == {"errors": [error(Code.HOLDS_A_COUPON)], "warnings": []}
        response = issue(front, seriesId=5999)
        assert response.json() == examples()["one refused"]

    def test_expiry_is_shown_as_reads_show_it(self, shop: Shop) -> None:
        """A day that ends twice, and an org that has moved since the series was made."""
        shop.change(t.org, shop.org_id, time_zone="Africa/Cairo", version=2)
        shop.series(seriesCode="TWICE", validTillDate="2031-10-30")
        for zone, version in (("Africa/Cairo", 3), ("Asia/Kolkata", 4)):
            shop.change(t.org, shop.org_id, time_zone=zone, version=version)
            with shop.front() as fresh:
                issued = issue(fresh, seriesId=series_id(shop, "TWICE"), customer={"mobile": f"91981230000{version - 2}"}).json()
                (read,) = fresh.ask("GET", f"/v2/coupon?couponCodes={issued['code']}").json()["data"]
            assert (issued["validTill"], issued["validTillDateTime"]) == (read["validTill"], read["validTillDateTime"])

    @pytest.mark.parametrize("case", ["LOWER", "lower"])
    def test_code_case(self, front: Front, case: str) -> None:
        code = issue(front, query=f"?coupon_code_case={case}").json()["code"]
        assert code == code.lower() != code.upper() or code.isdigit()

    def test_details_are_kept(self, shop: Shop, front: Front) -> None:
        metadata = {"sourceType": "CAMPAIGN", "sourceId": 77, "sourceActivity": None, "notes": "n", "reason": "", "more": 1}
        assert issue(front, metadata=metadata).status_code == 200
        assert kept_details(shop) == [{"sourceType": "CAMPAIGN", "sourceId": "77", "notes": "n"}]

    def test_attribution(self, shop: Shop, front: Front) -> None:
        """An issue is recorded for the looked-up till."""
        other = shop.till("till2", store="s2")
        shop.client()
        token = front.ask("POST", "/v3/oauth/token/generate", json={"key": "Qk7f", "secret": "pLz8"}, auth=None).json()
        headers = {"X-CAP-API-OAUTH-TOKEN": token["data"]["accessToken"], "X-CAP-API-ATTRIBUTION-ENTITY-CODE": "till2"}
        response = front.ask("POST", ISSUE, json={"seriesId": MON, "customer": MIRA}, auth=None, headers=headers)
        assert response.status_code == 200
        with shop.database.reading() as tx:
            (row,) = tx.rows(select(t.coupon.c.issued_till_id).where(t.coupon.c.org_id == shop.org_id), {})
        assert row.issued_till_id == other.till_id


class TestEach:
    def test_partial(self, front: Front) -> None:
        response = issue(front, BULK, seriesIds=[MON, "5999", 2**80, -7, "junk"], customer={"mobile": "919812300001"})
        body = response.json()
        assert response.status_code == 200
        assert (body["totalCount"], body["failureCount"]) == (5, 4)
        assert shape(body["response"][:2]) == shape_of("bulk")["response"]
        assert [item["entityId"] for item in body["response"]] == [MON, 5999, -1, -7, -1]
        for item, sent in zip(body["response"][1:], ("5999", str(2**80), "-7", "junk"), strict=True):
            assert item["result"] is None
            assert item["errors"] == [error(Code.UNKNOWN_SERIES_NAMED, x=sent)]

    def test_twice_is_two_coupons(self, shop: Shop, front: Front) -> None:
        shop.series(seriesCode="MANY", isMultipleVouchersPerUserAllowed=True)
        many = series_id(shop, "MANY")
        items = issue(front, BULK, seriesIds=[many, many, MON, MON]).json()["response"]
        assert [len(item["errors"]) for item in items] == [0, 0, 0, 1]
        assert items[3]["errors"] == [error(Code.HOLDS_A_COUPON)]
        assert len({item["result"]["id"] for item in items[:3]}) == 3

    @pytest.mark.parametrize(
        ("customer", "code"),
        [({}, 721), ({"mobile": "919812399999"}, 701), ({"mobile": "919812300001", "externalId": "CRM-78"}, 721)],
    )
    def test_customer_failures_are_of_the_request(self, front: Front, customer: dict[str, str], code: int) -> None:
        response = issue(front, BULK, customer=customer)
        assert response.status_code == 400
        assert response.json().keys() == {"errors", "warnings"}
        assert code_of(response.json()) == code

    def test_source(self, shop: Shop, front: Front) -> None:
        item = issue(front, BULK, query="?source=NEWSPAPER").json()["response"][0]
        assert item["errors"] == [error(Code.WRONG_SOURCE)]
        assert issue(front, BULK, query="?source=line&accountId=a-1").json()["failureCount"] == 0
        assert kept_details(shop) == [{"source": "LINE", "accountId": "a-1"}]

    def test_all_fail(self, front: Front) -> None:
        response = issue(front, BULK, seriesIds=[1, 2])
        assert response.status_code == 200
        assert response.json()["failureCount"] == 2


class TestSeveral:
    def test_issued(self, shop: Shop, front: Front) -> None:
        shop.series(seriesCode="MANY", isMultipleVouchersPerUserAllowed=True, customPropertyMap={"a": "b"})
        body = issue(front, SEVERAL, seriesId=str(series_id(shop, "MANY")), count=3).json()
        expected = shape_of("multiple")
        expected["coupons"] *= 2
        expected["coupons"] = expected["coupons"][:3]
        expected["couponConfig"]["customPropertyMap"] = {"a": "str"}
        assert shape(body) == expected
        assert (body["totalCount"], body["successCount"], body["failureCount"]) == (3, 3, 0)
        assert len({coupon["code"] for coupon in body["coupons"]}) == 3
        assert body["customer"] == mira()
        assert front.redeem(*(coupon["code"] for coupon in body["coupons"])).json()["redemptionStatus"]["code"] == 700

    def test_500(self, shop: Shop, front: Front) -> None:
        shop.series(seriesCode="MANY", isMultipleVouchersPerUserAllowed=True)
        body = issue(front, SEVERAL, seriesId=series_id(shop, "MANY"), count=500).json()
        assert len({coupon["couponId"] for coupon in body["coupons"]}) == 500

    def test_cut(self, front: Front) -> None:
        response = issue(front, SEVERAL, count=2)
        body = response.json()
        assert response.status_code == 200
        assert shape({**body, "couponConfig": 0}) == shape({**shape_example("multiple cut"), "couponConfig": 0})
        assert body["errors"] == [error(Code.ONE_PER_CUSTOMER)]
        assert (body["totalCount"], body["successCount"], body["failureCount"]) == (2, 1, 1)

    def test_none(self, front: Front) -> None:
        assert issue(front, SEVERAL).json()["totalCount"] == 1, "one unless told otherwise"
        response = issue(front, SEVERAL, count=2)
        assert response.status_code == 400
        assert response.json() == {"errors": [error(Code.HOLDS_A_COUPON)]}


def shape_example(name: str) -> Any:
    golden = examples()
    return {**golden[name], "customer": golden["customer"]}


def rename(shop: Shop, table: str, name: str) -> None:
    """Take a table away from the server, or give it back."""
    with shop.database.writing() as tx:
        tx.connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {name}")


def survive(front: Front, method: str, path: str, good: bytes, parts: tuple[bytes, ...]) -> None:
    """Send the body cut short, and with each part replaced by whatever does not belong there: never a 5xx, always an answer."""
    values = [b"\0", b"\xff", b"1e999", b"-1", b"9" * 300, b'"\\u0000"', b'"\\ud800"', b"[]", b"{}", b"null", b"[[[[[]]]]]"]
    values += [b'"' + b"9" * 10_000 + b'"', '"\u202e\U0001f600"'.encode(), b"[" * 10_000, b"1.5", b"true"]
    cuts = [good[:at] for at in range(0, len(good), 7)]
    basic = b"Basic " + base64.b64encode(":".join(BASIC).encode())
    for body in (b"", b"null", b"[]", b"5", *cuts, *(good.replace(part, value) for part in parts for value in values)):
        raw = front.raw(method, path, [(b"authorization", basic), (b"content-length", b"%d" % len(body))], body)
        assert raw.status < 500, body[:80]
        assert msgspec.json.decode(raw.body)


def kept_details(shop: Shop) -> list[Any]:
    with shop.database.reading() as tx:
        rows = tx.rows(select(t.coupon.c.issue_details).where(t.coupon.c.org_id == shop.org_id), {})
    return [msgspec.json.decode(row.issue_details) if row.issue_details else None for row in rows]


SHAPES: Final[dict[str, list[tuple[dict[str, Any], Code]]]] = {
    ISSUE: [
        ({"seriesId": None}, Code.SERIES_ID_MISSING),
        ({"seriesId": " "}, Code.SERIES_ID_MISSING),
        ({"seriesId": [5001]}, Code.INVALID_INPUT),
        ({"seriesId": True}, Code.INVALID_INPUT),
        ({"seriesId": 5001.0}, Code.INVALID_INPUT),
        ({"seriesId": "x"}, Code.UNKNOWN_SERIES),
        ({"seriesId": 0}, Code.UNKNOWN_SERIES),
        ({"seriesId": -5001}, Code.UNKNOWN_SERIES),
        ({"seriesId": 2**80}, Code.UNKNOWN_SERIES),
        ({"seriesId": "9" * 4000}, Code.UNKNOWN_SERIES),
        ({"seriesId": None, "customer": {}}, Code.SERIES_ID_MISSING),
        ({"seriesId": 5999, "customer": {}}, Code.INVALID_CUSTOMER),
        ({"customer": None}, Code.INVALID_CUSTOMER),
        ({"customer": {"mobile": " ", "id": ""}}, Code.INVALID_CUSTOMER),
        ({"customer": "mira"}, Code.INVALID_INPUT),
        ({"customer": {"mobile": "919899999999"}}, Code.CUSTOMER_NOT_FOUND),
        ({"metadata": {"sourceType": "x" * 51}}, Code.INVALID_INPUT),
        ({"metadata": {"notes": "x" * 1001}}, Code.INVALID_INPUT),
        ({"metadata": {"reason": "\0"}}, Code.INVALID_INPUT),
        ({"metadata": {"reason": {}}}, Code.INVALID_INPUT),
        ({"metadata": "why"}, Code.INVALID_INPUT),
    ],
    BULK: [
        ({"seriesIds": None}, Code.SERIES_ID_MISSING),
        ({"seriesIds": []}, Code.SERIES_ID_MISSING),
        ({"seriesIds": [5001, None]}, Code.SERIES_ID_MISSING),
        ({"seriesIds": [""]}, Code.SERIES_ID_MISSING),
        ({"seriesIds": 5001}, Code.INVALID_INPUT),
        ({"seriesIds": [[5001]]}, Code.INVALID_INPUT),
        ({"seriesIds": [5001] * 101}, Code.BATCH_LIMIT_EXCEEDED),
        ({"seriesIds": [5001] * 101, "customer": {}, "headers": LOOKUP}, Code.BATCH_LIMIT_EXCEEDED),
        ({"seriesIds": [], "headers": LOOKUP}, Code.LOOKUP_TYPE_MISSING),
        ({"seriesIds": [5999], "customer": {}}, Code.INVALID_CUSTOMER),
        ({"query": f"?accountId={'x' * 51}"}, Code.INVALID_INPUT),
        ({"query": "?accountId=%00"}, Code.INVALID_INPUT),
        ({"query": f"?source={'x' * 51}"}, Code.INVALID_INPUT),
    ],
    SEVERAL: [
        ({"seriesId": None}, Code.SERIES_ID_MISSING_FOR_SEVERAL),
        ({"seriesId": [5001]}, Code.SERIES_ID_MISSING_FOR_SEVERAL),
        ({"seriesId": [5001], "count": 0}, Code.SERIES_ID_MISSING_FOR_SEVERAL),
        ({"seriesId": {}}, Code.INVALID_INPUT),
        ({"count": 0}, Code.COUNT_TOO_SMALL),
        ({"count": -1, "customer": {}}, Code.COUNT_TOO_SMALL),
        ({"count": 501}, Code.COUNT_TOO_LARGE),
        ({"count": 2**80, "seriesId": 5999}, Code.COUNT_TOO_LARGE),
        ({"count": "2"}, Code.INVALID_INPUT),
        ({"count": 1.5}, Code.INVALID_INPUT),
        ({"customer": {}}, Code.INVALID_CUSTOMER),
        ({"customer": {"id": 0}}, Code.CUSTOMER_NOT_FOUND),
        ({"seriesId": 5999}, Code.UNKNOWN_SERIES),
    ],
}


@pytest.mark.parametrize(("path", "fields", "code"), [(path, *case) for path, cases in SHAPES.items() for case in cases])
def test_shapes(front: Front, path: str, fields: dict[str, Any], code: Code) -> None:
    response = issue(front, path, **fields)
    is_bare = path == SEVERAL and "headers" not in fields
    assert response.status_code == 400
    assert response.json() == {"errors": [error(code)], **({} if is_bare else {"warnings": []})}


@pytest.mark.parametrize("path", [ISSUE, BULK, SEVERAL])
class TestAllForms:
    def test_explicit_key(self, front: Front, path: str) -> None:
        headers = {"Idempotency-Key": "issue:1"}
        first, again = (issue(front, path, headers=headers) for _ in range(2))
        assert first.status_code == 200
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json() == first.json()
        other = issue(front, path, headers=headers, metadata={"notes": "another body"})
        assert (other.status_code, code_of(other.json())) == (400, 629)
        assert issue(front, path, headers={"Idempotency-Key": "no blanks"}).status_code == 400

    def test_refusal_replays(self, front: Front, path: str) -> None:
        headers = {"X-CAP-IDEMPOTENCY-KEY": "issue:2"}
        nobody = {"mobile": "919899999999"}
        first, again = (issue(front, path, headers=headers, customer=nobody) for _ in range(2))
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert again.headers["idempotency-replayed"] == "true"

    def test_blocked_customers(self, front: Front, path: str) -> None:
        for mobile, code in (("919812300003", Code.FRAUD_CUSTOMER_AT_ISSUE), ("919812300004", Code.CUSTOMER_BLOCKED)):
            body = issue(front, path, customer={"mobile": mobile}).json()
            assert (body["response"][0] if path == BULK else body)["errors"] == [error(code)]

    def test_access(self, shop: Shop, front: Front, path: str) -> None:
        shop.change(t.store, shop.store_id, access_group_id=shop.access_group("READ"))
        assert issue(front, path).status_code == 403
        assert front.ask("GET", path, auth=BASIC).status_code == 405

    def test_service_failure(self, shop: Shop, front: Front, path: str) -> None:
        """Nothing is kept under the key, so that the retry is judged (README 10)."""
        headers = {"Idempotency-Key": "issue:3"}
        rename(shop, "outbox", "away")
        response = issue(front, path, headers=headers)
        assert (response.status_code, response.headers["retry-after"]) == (500, "1")
        assert response.json()["errors"] == [error(Code.OUTBOX_UNAVAILABLE)]
        rename(shop, "away", "outbox")
        again = issue(front, path, headers=headers)
        assert again.status_code == 200
        assert "idempotency-replayed" not in again.headers

    def test_hostile_bodies(self, front: Front, path: str) -> None:
        good = b'{"seriesId":5001,"seriesIds":[5001],"customer":{"mobile":"919812300001"},"metadata":{"notes":"n"}}'
        parts = (b"5001", b'"919812300001"', b'{"mobile":"919812300001"}', b'"n"', b'{"notes":"n"}')
        survive(front, "POST", path, good, parts)


def test_rate_limits(shop: Shop) -> None:
    """Single and multiple issues share a limit; bulk issues have their own."""
    with shop.front(rate_limit_v2_issue=1, rate_limit_bulk_issue=1) as front:
        assert [issue(front, path, count=0, seriesId="", seriesIds=[]).status_code for path in (ISSUE, BULK)] == [400, 400]
        assert [issue(front, path).status_code for path in (ISSUE, SEVERAL, BULK)] == [429, 429, 429]
