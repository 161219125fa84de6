import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from couponry.core import ids
from couponry.core.event_ids import event_id, outbox_id
from couponry.core.events import Enrichment, Events, told_alone
from tests.core.telling_world import (
    COUPON,
    CUSTOMER,
    ORG,
    OUTBOX,
    REDEEMED,
    REDEMPTION,
    SECOND,
    SERIES,
    TILL,
    cause,
    coupon,
    facts,
    terms,
)

# The contract's words, down to the order; only ids of coupons, redemptions and events are ours.
ISSUE = """
{"eventName": "CouponIssue", "eventId": "0b0c7a52-4f0e-4c39-9d0e-6a1f4a2b7c11", "orgId": 1001, "refId": "1001_5001_700130:700131",
 "apiRequestId": "5670FF17B7D58", "createdAt": 1930125600741,
 "data": {"addedAt": 1930125600741, "addedBy": {"id": 4001},
  "coupons": [{"id": 700130, "code": "3084110052", "valid_till": 1935359999000,
    "issued_on": 1930125600000, "customerIdentifiers": {"customerId": 90210}},
   {"id": 700131, "code": "5686110077", "valid_till": 1935359999000,
    "issued_on": 1930125600000, "customerIdentifiers": {"customerId": 90210}}],

  "series_info": {"id": 5001, "description": "Monsoon 15", "seriesType": "UNDEFINED",
   "clientHandlingType": "DISC_CODE", "valid_till": 1935273600000,
   "discount_code": "MON15", "discount_type": "PERC", "discount_value": 15}, "issualType": "SINGLE"}, "loyaltyEventId": null}
"""
REDEEM = """
{"eventName": "CouponRedeem", "eventId": "5d8a7f6e-0d0c-4b7e-8a43-0f5f1f0f9a02", "orgId": 1001, "refId": "1001_5001_880001",
 "apiRequestId": "5670FF17B7D59", "createdAt": 1930913400351,
 "data": {"addedAt": 1930913400351, "addedBy": {"id": 4001},
  "coupon": {"id": 700123, "code": "H4TQ9ZKM", "redemptionId": 880001, "redemptionDate": 1930913400000,
  "series_info": {"id": 5001, "description": "Monsoon 15", "seriesType": "UNDEFINED",
   "clientHandlingType": "DISC_CODE", "valid_till": 1935273600000,
   "discount_code": "MON15", "discount_type": "PERC", "discount_value": 15}},
  "customerIdentifiers": {"customerId": 90210}, "transaction": {"bill_id": 0, "number": "INV-5510"}}, "loyaltyEventId": null}
"""
THEIRS = {"700130": COUPON, "700131": SECOND, "700123": REDEEMED, "880001": REDEMPTION}


def golden(example: str) -> str:
    for theirs, ours in THEIRS.items():
        example = example.replace(theirs, str(ours))
    return json.dumps({**json.loads(example), "eventId": event_id(ORG, OUTBOX)}, separators=(",", ":"))


def body(*args: Any, **changed: Any) -> Any:
    enrichments = changed.pop("enrichments", frozenset())
    told = Events(ORG, changed.pop("facts", facts())).body(cause(*args, **changed), enrichments)
    return told and json.loads(told)


def test_issue_is_told_as_in_the_contract() -> None:
    assert Events(ORG, facts()).body(cause("CouponIssue", COUPON, SECOND)) == golden(ISSUE)


def test_redemption_is_told_as_in_the_contract() -> None:
    told = cause("CouponRedeem", REDEMPTION, created_ms=1_930_913_400_351, request_id="5670FF17B7D59")
    assert Events(ORG, facts()).body(told) == golden(REDEEM)


def test_ref_id_of_one_coupon_and_of_a_series() -> None:
    assert body("CouponIssue", COUPON)["refId"] == f"1001_5001_{COUPON}:{COUPON}"
    assert body("CouponIssueLimit", SERIES)["refId"] == "1001_5001"


def test_reversal() -> None:
    redemption = facts().redemptions[REDEMPTION]
    undone = replace(redemption, reversed_ms=1_930_913_999_999, reversed_till_id=4002, reversal_reason="RETURNED", bill_id=9)
    told = body("CouponReactivate", REDEMPTION, facts=facts(redemptions={REDEMPTION: undone}))
    assert told["refId"] == f"1001_5001_{REDEMPTION}"
    assert (told["data"]["addedBy"], told["data"]["reason"]) == ({"id": 4002}, "RETURNED")
    assert (told["data"]["coupon"]["redemptionId"], told["data"]["coupon"]["reactivationDate"]) == (REDEMPTION, 1_930_913_999_000)
    assert told["data"]["transaction"] == {"bill_id": 9, "number": "INV-5510"}


def test_revocation_and_expiry_change() -> None:
    coupons = {
        COUPON: coupon(COUPON, "A", customer_id=None, issued_ms=None, issued_till_id=None, revoked_ms=1_930_999_999_999),
        SECOND: coupon(SECOND, "B", customer_id=5, expires_local="2031-05-01T12:30:00"),
    }
    revoked = body("CouponRevoke", COUPON, SECOND, facts=facts(coupons=coupons), customer_id=None)["data"]
    assert revoked["addedBy"] == {"id": None}
    assert "issualType" not in revoked
    assert revoked["coupons"][0] == {
        "id": COUPON,
        "code": "A",
        "valid_till": 1_935_359_999_000,
        "issued_on": None,
        "customerIdentifiers": {"customerId": None},
        "revoked_on": 1_930_999_999_000,
    }
    redated = body("CouponExpiryChange", SECOND, facts=facts(coupons=coupons))["data"]["coupons"]
    assert [(each["valid_till"], "revoked_on" in each) for each in redated] == [(1_935_405_000_000, False)]


def test_issue_limit_and_ping() -> None:
    told = body("CouponIssueLimit", SERIES, 20, customer_id=None, facts=facts(terms_=terms(max_create=100)))["data"]
    assert (told["maxCreate"], told["issuesLeft"], told["series_info"]["id"]) == (100, 20, SERIES)
    assert body("Ping", 7)["data"]["message"]


@pytest.mark.parametrize(
    ("enrichments", "added_by", "instore"),
    [
        ({Enrichment.TILL}, {"till": {"code": "blr01.t1", "name": "Till 1"}}, None),
        (
            {Enrichment.STORE},
            {
                "store": {
                    "code": "blr01",
                    "name": "Bengaluru 1",
                    "externalId": "X310",
                    "externalId1": None,
                    "externalId2": None,
                }
            },
            None,
        ),
        ({Enrichment.CUSTOMER}, {}, {"mobile": "919812300001", "email": "mira@example.com", "externalId": "CRM-77"}),
        ({Enrichment.CARDS}, {}, {"cardNumber": "C-1"}),
        ({"nonsense"}, {}, None),
    ],
)
def test_enrichments(enrichments: set[str], added_by: dict[str, Any], instore: dict[str, str] | None) -> None:
    issued, redeemed = (
        body(*args, enrichments=enrichments)["data"] for args in (("CouponIssue", COUPON), ("CouponRedeem", REDEMPTION))
    )
    assert issued["addedBy"] == redeemed["addedBy"] == {"id": TILL, **added_by}
    identifiers = {"customerId": CUSTOMER, **({"instore": instore} if instore else {})}
    assert issued["coupons"][0]["customerIdentifiers"] == redeemed["customerIdentifiers"] == identifiers


@pytest.mark.parametrize(
    ("kinds", "enrichments", "instore"),
    [
        ({"mobile"}, set(), {"mobile": "919812300001"}),
        ({"mobile", "externalId"}, set(), {"mobile": "919812300001", "externalId": "CRM-77"}),
        ({"cardnumber"}, set(), {"cardNumber": "C-1"}),
        ({"cardExternalId"}, set(), {}),
        ({"id"}, set(), None),
        ({"email"}, {Enrichment.CARDS}, {"email": "mira@example.com", "cardNumber": "C-1"}),
    ],
)
def test_what_the_request_named_the_customer_by(kinds: set[str], enrichments: set[str], instore: dict[str, str] | None) -> None:
    issued, redeemed = (
        body(*args, enrichments=enrichments, identified_by=frozenset(kinds))["data"]
        for args in (("CouponIssue", COUPON), ("CouponRedeem", REDEMPTION))
    )
    shown = issued["coupons"][0]["customerIdentifiers"]
    assert shown == redeemed["customerIdentifiers"]
    assert shown.get("instore") == instore


def test_bulk_issue() -> None:
    told = body("CouponIssue", COUPON, SECOND, customer_id=None, request_id="job-5")
    assert told["data"]["issualType"] == "BULK"


def test_what_is_missing_is_left_out() -> None:
    bare = facts(series={}, customers={}, tills={})
    told = body("CouponIssue", COUPON, facts=bare, enrichments=set(Enrichment))["data"]
    assert (told["series_info"], told["coupons"][0]["valid_till"], told["addedBy"]) == ({"id": SERIES}, None, {"id": TILL})
    assert body("CouponIssue", COUPON, facts=facts(coupons={})) is None
    assert body("CouponRedeem", REDEMPTION, facts=facts(redemptions={})) is None
    assert body("IssueMessage", COUPON) is None
    assert body("SideEffects", REDEMPTION) is None


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_far_expiries(zone: str) -> None:
    far = body("CouponIssue", COUPON, facts=facts(terms_=terms(valid_till_date=None, zone=zone)))["data"]
    assert far["coupons"][0]["valid_till"] == 253_402_300_799_000
    assert abs(far["series_info"]["valid_till"] - 253_402_214_400_000) <= 14 * 3_600_000


def test_discount_value_is_a_number() -> None:
    assert (
        body("CouponIssue", COUPON, facts=facts(terms_=terms(discount_value=Decimal("12.50"))))["data"]["series_info"][
            "discount_value"
        ]
        == 12.5
    )


def test_only_redemption_of_its_request() -> None:
    redeemed = [cause("CouponRedeem", REDEMPTION, id=at, request_id=request) for at, request in enumerate("aabc")]
    again = cause("CouponRedeem", REDEMPTION, id=9, request_id="b", created_ms=1)
    assert told_alone([*redeemed, again, cause("CouponIssue", COUPON, id=10, request_id="c")]) == {2, 3, 9}


ORGS = st.integers(1, 2**20 - 1)
SERIALS = st.integers(0, 2**32 - 1)


@given(ORGS, SERIALS, ORGS)
def test_event_ids_are_uuids_that_lead_back(org_id: int, serial: int, other: int) -> None:
    row = ids.first_id(ids.REDEMPTION, org_id, serial)
    told = event_id(org_id, row)
    assert (outbox_id(org_id, told), outbox_id(org_id, told.upper())) == (row, row)
    assert other == org_id or outbox_id(other, told) is None
    digits = told.replace("-", "")
    assert (len(told), digits[12]) == (36, "8")
    for at, digit in enumerate(digits):
        flipped = digits[:at] + ("0" if digit != "0" else "1") + digits[at + 1 :]
        assert outbox_id(org_id, "-".join((flipped[:8], flipped[8:12], flipped[12:16], flipped[16:20], flipped[20:]))) is None


@pytest.mark.parametrize("text", ["", "x", "0b0c7a52-4f0e-4c39-9d0e-6a1f4a2b7c11", "0" * 36, "é" * 36, "٠" * 36, "\0" * 36])
def test_no_event_has_this_id(text: str) -> None:
    assert outbox_id(ORG, text) is None
