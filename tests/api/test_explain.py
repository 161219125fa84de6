"""`GET /admin/v1/explain` and `GET /admin/v1/refusals`: what a redeem says, at any instant, and nothing changes by it."""

from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from couponry.core import ids
from couponry.store import schema as t
from tests.api.admins import Admin
from tests.api.shop import NOW_MS, Front, Shop
from tests.ledger.rows import rows

MINUTE_MS: Final = 60 * 1000
DAY_MS: Final = 24 * 3600 * 1000
RULES: Final = (
    *("till", "B1", "B2", "B3", "B4", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "C11a", "C11b"),
    *("C12", "C13", "C14", "C15", "C16", "C17", "C18", "C19", "C20", "C21"),
)
AGAIN: Final = {"isMultipleUseAllowed": True, "sameUserMultipleRedeem": True}


@pytest.fixture
def admin(shop: Shop, front: Front) -> Admin:
    return Admin(shop, front)


def guard(explained: dict[str, Any], rule: str) -> dict[str, Any]:
    (found,) = [each for each in explained["guards"] if each["rule"] == rule]
    return dict(found)


def verdicts(explained: dict[str, Any], verdict: str) -> list[str]:
    return [each["rule"] for each in explained["guards"] if each["verdict"] == verdict]


def test_redeemable(shop: Shop, admin: Admin) -> None:
    """Names, nesting and types."""
    explained = admin.explain(code=shop.coupon("h4tq9zkm").upper())
    assert [each["rule"] for each in explained["guards"]] == list(RULES)
    assert verdicts(explained, "passed") == list(RULES)
    assert guard(explained, "C13") == {
        "rule": "C13",
        "name": "bill amount",
        "verdict": "passed",
        "explanation": "bill 1800; any bill will do",
        "inputs": {"bill": "1800"},
        "code": None,
        "message": None,
        "isAfterRefusal": False,
    }
    coupon = explained["coupon"]
    del explained["guards"]
    assert explained == {
        "code": 700,
        "message": "Coupon processing successful",
        "isRedeemable": True,
        "refusedBy": None,
        "instant": "2031-03-10T18:20:00+05:30",
        "instantMs": NOW_MS,
        "coupon": coupon,
        "customerId": coupon["customerId"],
        "tillId": shop.till_id,
        "notes": [],
    }
    assert coupon == {
        "id": coupon["id"],
        "code": "h4tq9zkm",
        "seriesId": coupon["seriesId"],
        "seriesVersion": 1,
        "customerId": coupon["customerId"],
        "issuedAt": "2031-03-09T10:00:00+05:30",
        "isRevoked": False,
        "redeemed": 0,
    }
    assert admin.explain(code=coupon["id"])["coupon"] == coupon


def test_refused(shop: Shop, front: Front, admin: Admin) -> None:
    shop.series(seriesCode="BIG", minBillAmount="500", redeemAtStore="[1]")
    code = shop.coupon(series="BIG")
    explained = admin.explain(code=code, amount="430")
    assert (explained["code"], explained["message"], explained["refusedBy"]) == (735, "Invalid store", "C11")
    assert verdicts(explained, "refused") == ["C11", "C13"]
    amount = guard(explained, "C13")
    assert amount["explanation"] == "min bill 500; bill 430; short by 70: 733"
    assert amount["inputs"] == {"min bill": "500", "bill": "430"}
    assert (amount["code"], amount["message"], amount["isAfterRefusal"]) == (733, "Invalid transaction amount", True)
    assert front.redeem(code, billAmount="430").json()["redemption"][0]["redemptionStatus"]["code"] == 735


@pytest.mark.parametrize(
    ("query", "code", "refused_by"),
    [
        ({"code": "NOSUCH"}, 719, "C2"),
        ({"code": "no code"}, 702, "C1"),
        ({"code": "\0"}, 702, "C1"),
        ({"code": "x" * 41}, 702, "C1"),
        ({"code": "9" * 60}, 702, "C1"),
        ({"code": "9" * 18}, 719, "C2"),
        ({"code": ids.first_id(ids.COUPON, 77, 1)}, 715, "C3"),
        ({"customer": "mobile:919899999999"}, 701, "B2"),
        ({"customer": "nobody@example.com"}, 701, "B2"),
        ({"customer": "externalId:\0"}, 721, "B1"),
        ({"customer": "id:99999999999999999999"}, 701, "B2"),
        ({"customer": ""}, 721, "B1"),
        ({"customer": "919812300003"}, 740, "B3"),
        ({"customer": "919812300004"}, 742, "B4"),
        ({"customer": "CRM-78"}, 703, "C9"),
        ({"customer": "CRM-77"}, 700, None),
        ({"customer": "externalId:CRM-77"}, 700, None),
        ({"customer": "email:MIRA@example.com"}, 700, None),
        ({"customer": "+91 98123 00001"}, 700, None),
        ({"customer": "9812300001"}, 700, None),
        ({"till": "nosuch"}, 91021, "till"),
        ({"till": "\0" * 300}, 91021, "till"),
        ({"till": ""}, 700, None),
        ({"amount": ""}, 700, None),
        ({"time": "2031-05-01"}, 712, "C7"),
        ({"time": "2031-03-09T10:00:00+05:30"}, 719, "C2"),
        ({"time": str(NOW_MS + 365 * DAY_MS)}, 712, "C7"),
        ({"redemptionTime": "2031-03-09 09:00:00"}, 739, "C11b"),
    ],
)
def test_what_is_unknown_is_explained(shop: Shop, admin: Admin, query: dict[str, Any], code: int, refused_by: str | None) -> None:
    explained = admin.explain(**{"code": shop.coupon("MINE"), **query})
    assert (explained["code"], explained["refusedBy"]) == (code, refused_by)
    assert [each["rule"] for each in explained["guards"]] == list(RULES)
    assert all(each["explanation"] for each in explained["guards"])


def test_without_till_the_place_is_not_judged(shop: Shop, admin: Admin) -> None:
    shop.series(seriesCode="ELSEWHERE", redeemAtStore="[1]")
    explained = admin.explain(code=shop.coupon(series="ELSEWHERE"), till="")
    assert (explained["code"], verdicts(explained, "notApplicable")) == (700, ["till", "C11"])


def test_without_customer_the_rest_is_judged(shop: Shop, admin: Admin) -> None:
    explained = admin.explain(code=shop.coupon(), customer="")
    assert verdicts(explained, "notReached") == ["B3", "B4", "C9", "C10", "C15", "C17", "C18"]
    assert verdicts(explained, "refused") == ["B1"]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"code": " "},
        {"code": "A", "time": "soon"},
        {"code": "A", "time": "9" * 18},
        {"code": "A", "redemptionTime": "2031-13-01"},
        {"code": "A", "amount": "much"},
        {"code": "A", "amount": "-1"},
        {"code": "A", "amount": "NaN"},
        {"code": "A", "transactionNumber": "\0"},
        {"code": "A", "transactionNumber": "x" * 256},
    ],
)
def test_bad_questions(admin: Admin, query: dict[str, Any]) -> None:
    answer = admin.ask("GET", "/explain", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["code"] in {629, 733}
    assert answer.json()["detail"]


class TestPast:
    """What had been is not what is."""

    def test_terms_in_force(self, shop: Shop, admin: Admin) -> None:
        code = shop.coupon()
        series_id = admin.explain(code=code)["coupon"]["seriesId"]
        self.change_terms(shop, series_id, NOW_MS + MINUTE_MS, minBillAmount="2000")
        shop.clock.ms = NOW_MS + 2 * MINUTE_MS
        now = admin.explain(code=code)
        assert (now["code"], now["coupon"]["seriesVersion"], now["notes"]) == (733, 2, [])
        before = admin.explain(code=code, time=NOW_MS + MINUTE_MS - 1)
        assert (before["code"], before["coupon"]["seriesVersion"], len(before["notes"])) == (700, 1, 1)
        at = admin.explain(code=code, time=NOW_MS + MINUTE_MS)
        assert (at["code"], at["coupon"]["seriesVersion"]) == (733, 2)
        assert admin.explain(code=code, time=NOW_MS - 1)["code"] == 719

    @staticmethod
    def change_terms(shop: Shop, series_id: int, at_ms: int, **fields: Any) -> None:
        (row,) = [row for row in rows(shop.database, t.series_version, shop.org_id) if row["series_id"] == series_id]
        terms = msgspec.json.encode({**msgspec.json.decode(row["terms"]), **fields}).decode()
        shop.add(t.series_version, series_id=series_id, version=2, terms=terms, created_ms=at_ms)
        shop.change(t.series, series_id, version=2)

    def test_counts(self, shop: Shop, front: Front, admin: Admin) -> None:
        """Redeemed, then reversed: used only between."""
        shop.series(seriesCode="CAPPED", maxRedeem="1")
        code, other = shop.coupon(series="CAPPED"), shop.coupon(series="CAPPED")
        shop.clock.ms = NOW_MS + 1000
        assert front.redeem(code).json()["redemptionStatus"]["code"] == 700
        (redemption,) = rows(shop.database, t.redemption, shop.org_id)
        shop.clock.ms = NOW_MS + 9000
        assert verdicts(admin.explain(code=code), "refused") == ["C14", "C15", "C19"]
        assert verdicts(admin.explain(code=other), "refused") == ["C19"]
        self.reverse(shop, redemption, NOW_MS + 5000)
        for at_ms, refused in (
            (NOW_MS + 999, []),
            (NOW_MS + 1000, ["C14", "C15", "C19"]),
            (NOW_MS + 4999, ["C14", "C15", "C19"]),
            (NOW_MS + 5000, []),
            (NOW_MS + 9000, []),
            (NOW_MS + 99_000, []),
        ):
            assert verdicts(admin.explain(code=code, time=at_ms), "refused") == refused, at_ms - NOW_MS

    @staticmethod
    def reverse(shop: Shop, redemption: dict[str, Any], at_ms: int) -> None:
        """As the rules say (rules 9)."""
        shop.change(t.redemption, redemption["id"], reversed_ms=at_ms)
        shop.change(t.coupon, redemption["coupon_id"], redeemed=0)
        with shop.database.writing() as tx:
            tx.connection.exec_driver_sql("UPDATE series_counter SET redeemed = 0")
            tx.connection.exec_driver_sql("UPDATE customer_series SET redeemed = 0, last_redeemed_ms = NULL")

    def test_state(self, shop: Shop, admin: Admin) -> None:
        """Uploaded, then issued, then revoked."""
        code = shop.coupon("POOL", mobile="")
        coupon_id = admin.explain(code=code)["coupon"]["id"]
        mira = admin.explain(code=code)["customerId"]
        shop.change(t.coupon, coupon_id, customer_id=mira, issued_ms=NOW_MS + 1000, revoked_ms=NOW_MS + 2000, revision=coupon_id)
        shop.clock.ms = NOW_MS + 9000
        for at_ms, expected in (
            (NOW_MS - 1, 719),
            (NOW_MS, 723),
            (NOW_MS + 1000, 700),
            (NOW_MS + 2000, 660),
            (NOW_MS + 9999, 660),
        ):
            assert admin.explain(code=code, time=at_ms)["code"] == expected, at_ms - NOW_MS


def test_shared_code(shop: Shop, front: Front, admin: Admin) -> None:
    """Whoever never had it is judged by the code's own row, whoever has by their own record; another's record means the code."""
    shop.series(seriesCode="SHARED", clientHandlingType="GENERIC", genericCode="ALLOFYOU", anyUser="true", **AGAIN)
    own_row = admin.explain(code="ALLOFYOU")["coupon"]
    assert own_row["customerId"] is None
    assert front.redeem("ALLOFYOU").json()["redemptionStatus"]["code"] == 700
    record = admin.explain(code="allofyou")
    assert record["coupon"]["id"] != own_row["id"]
    assert (record["coupon"]["customerId"], record["coupon"]["redeemed"]) == (record["customerId"], 1)
    assert admin.explain(code="ALLOFYOU", customer="CRM-78")["coupon"] == own_row
    assert admin.explain(code=record["coupon"]["id"], customer="CRM-78")["coupon"] == own_row
    shop.clock.ms = NOW_MS + 1000
    assert admin.explain(code="ALLOFYOU", time=NOW_MS - 1)["code"] == 719
    assert admin.explain(code="ALLOFYOU", time=NOW_MS)["coupon"]["redeemed"] == 1


def test_changes_nothing(shop: Shop, admin: Admin) -> None:
    code = shop.coupon()
    before = [rows(shop.database, table, shop.org_id) for table in t.metadata.sorted_tables if "org_id" in table.c]
    admin.explain(code=code)
    admin.explain(code=code, amount="", customer="", time=0)
    assert before == [rows(shop.database, table, shop.org_id) for table in t.metadata.sorted_tables if "org_id" in table.c]


class TestRefusals:
    """What was refused leads to what explains it."""

    @pytest.fixture
    def refused(self, shop: Shop, front: Front) -> str:
        shop.series(seriesCode="BIG", minBillAmount="500")
        code = shop.coupon(series="BIG")
        assert front.redeem(code, billAmount="430", transactionNumber="INV-1").status_code == 200
        shop.clock.ms += 1000
        assert front.redeem("NOSUCH", user={"externalId": "CRM-78"}).status_code == 200
        shop.clock.ms += 1000
        assert front.redeem(code, billAmount="499.5", redemptionTime="2031-03-10 12:00:00").status_code == 200
        return code

    def listed(self, admin: Admin, **query: Any) -> list[dict[str, Any]]:
        answer = admin.ask("GET", "/refusals", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def test_listed_and_explained(self, admin: Admin, refused: str) -> None:
        items = self.listed(admin)
        assert [item["code"] for item in items] == [733, 719, 733]
        oldest = items[-1]
        assert oldest == {
            "id": oldest["id"],
            "code": 733,
            "message": "Invalid transaction amount",
            "refusedAt": "2031-03-10T18:20:00+05:30",
            "codeSent": refused,
            "couponId": oldest["couponId"],
            "seriesId": oldest["seriesId"],
            "customerId": oldest["customerId"],
            "till": "till1",
            "transactionNumber": "INV-1",
            "amount": 430,
            "requestId": oldest["requestId"],
            "explain": oldest["explain"],
        }
        assert items[0]["amount"] == 499.5
        for item in items:
            link = urlsplit(item["explain"])
            assert link.path == "/admin/v1/explain"
            answer = admin.ask("GET", "/explain", params=parse_qsl(link.query)).json()
            assert (answer["code"], answer["message"]) == (item["code"], item["message"])
            assert answer["customerId"] == item["customerId"]

    def test_issues_cannot_be_explained(self, shop: Shop, front: Front, admin: Admin) -> None:
        shop.series(seriesCode="SMALL", maxCreate="0")
        (made,) = front.ask("GET", "/v2/coupon/series", params={"limit": 1}).json()["entity"]
        front.ask("POST", "/v2/coupon/issue", json={"seriesId": made["id"], "customer": {"mobile": "919812300001"}})
        (item,) = self.listed(admin)
        assert (item["codeSent"], item["couponId"], item["seriesId"], item["explain"]) == ("", None, made["id"], None)

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ({"code": "NOSUCH"}, 1),
            ({"code": "nosuch"}, 1),
            ({"code": "NEVER"}, 0),
            ({"code": "\0"}, 0),
            ({"customer": "CRM-77"}, 2),
            ({"customer": "CRM-78"}, 1),
            ({"customer": "nobody"}, 0),
            ({"till": "till1"}, 3),
            ({"till": "nosuch"}, 0),
            ({"till": "till1", "customer": "CRM-77", "limit": 1}, 1),
        ],
    )
    @pytest.mark.usefixtures("refused")
    def test_filters(self, admin: Admin, query: dict[str, Any], count: int) -> None:
        assert len(self.listed(admin, **query)) == count

    def test_of_a_coupon(self, admin: Admin, refused: str) -> None:
        items = self.listed(admin, code=refused.lower())
        assert [item["code"] for item in items] == [733, 733]
        assert self.listed(admin, code=items[0]["couponId"]) == items

    @pytest.mark.usefixtures("refused")
    def test_pages(self, admin: Admin) -> None:
        seen, cursor = [], ""
        for _ in range(4):
            body = admin.ask("GET", "/refusals", params={"limit": 1, "cursor": cursor}).json()
            seen += [item["id"] for item in body["items"]]
            cursor = body["next"]
            if cursor is None:
                break
        assert seen == [item["id"] for item in self.listed(admin)]
        assert len(seen) == 3

    @pytest.mark.parametrize(
        "query", [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"limit": "9" * 30}, {"cursor": "x"}, {"cursor": "9" * 30}]
    )
    def test_bad_pages(self, admin: Admin, query: dict[str, Any]) -> None:
        answer = admin.ask("GET", "/refusals", params=query)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
