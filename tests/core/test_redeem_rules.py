"""B1-B4 and C1-C21, a line per case: what differs from a redeemable coupon, and the code that a redeem is answered.

A check is answered the same, in its own words (`AS_CHECKED`), unless the line ends with another code. Limits (C14-C19) are in
`test_limits.py`, expiries in `test_expiry.py`, windows in `test_windows.py`.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from couponry.core import ids
from couponry.core.model import OrgEntity, TargetUser
from couponry.core.status import Code
from tests.core.scene import AS_CHECKED, Scene
from tests.core.world import CODE, DAY_MS, MIRA, NOBODY, NOOR, NOW, ORG, coupon_id, ms

OK: Final = Code.PROCESSED

Row = tuple[str, Scene, Code] | tuple[str, Scene, Code, Code]


def till(entity_id: int) -> OrgEntity:
    return OrgEntity("TILL", entity_id)


def users(**fields: int) -> Scene:
    return Scene(terms={"target_user_details": TargetUser(**fields)})


CUSTOMER: Final[list[Row]] = [
    ("B1 no identifier", Scene(claim={"customer": ()}), Code.INVALID_CUSTOMER),
    ("B1 an identifier", Scene(claim={"customer": (MIRA,)}), OK),
    ("B1 two identifiers of one customer", Scene(claim={"customer": (MIRA, ("id", "1"))}), OK),
    ("B1 identifiers of two customers", Scene(claim={"customer": (MIRA, NOOR)}), Code.INVALID_CUSTOMER),
    ("B1 merged away or deleted", Scene(customer={"gone": True}), Code.INVALID_CUSTOMER),
    ("B2 nobody", Scene(claim={"customer": (NOBODY,)}), Code.CUSTOMER_NOT_FOUND),
    ("B2 one identifier is nobody's", Scene(claim={"customer": (MIRA, NOBODY)}), Code.CUSTOMER_NOT_FOUND),
    ("B3 NONE", Scene(customer={"fraud_status": "NONE"}), OK),
    ("B3 MARKED", Scene(customer={"fraud_status": "MARKED"}), OK),
    ("B3 NOT_FRAUD", Scene(customer={"fraud_status": "NOT_FRAUD"}), OK),
    ("B3 CONFIRMED", Scene(customer={"fraud_status": "CONFIRMED"}), Code.FRAUD_CUSTOMER),
    ("B3 RECONFIRMED", Scene(customer={"fraud_status": "RECONFIRMED"}), Code.FRAUD_CUSTOMER),
    ("B3 INTERNAL", Scene(customer={"fraud_status": "INTERNAL"}), Code.FRAUD_CUSTOMER),
    (
        "B3 the org blocks another status",
        Scene(customer={"fraud_status": "MARKED"}, settings={"blocking_fraud_statuses": frozenset({"MARKED"})}),
        Code.FRAUD_CUSTOMER,
    ),
    (
        "B3 the org does not block this one",
        Scene(customer={"fraud_status": "CONFIRMED"}, settings={"blocking_fraud_statuses": frozenset({"MARKED"})}),
        OK,
    ),
    ("B4 SUSPENDED", Scene(customer={"status_label": "SUSPENDED"}), Code.CUSTOMER_BLOCKED),
    ("B4 a label that blocks redemption alone", Scene(customer={"status_label": "REDEMPTION_BLOCKED"}), Code.CUSTOMER_BLOCKED),
    ("B4 a label that does not block redemption", Scene(customer={"status_label": "ISSUAL_BLOCKED"}), OK),
]

COUPON: Final[list[Row]] = [
    ("C1 empty", Scene(item={"code": ""}), Code.INVALID_CODE),
    ("C1 blank", Scene(item={"code": " \t"}), Code.INVALID_CODE),
    ("C1 40 characters", Scene(item={"code": "A" * 40}), Code.UNKNOWN_COUPON),
    ("C1 41 characters", Scene(item={"code": "A" * 41}), Code.INVALID_CODE),
    ("C1 hyphen, underscore, digit", Scene(item={"code": "-_0"}), Code.UNKNOWN_COUPON),
    ("C1 blank inside", Scene(item={"code": "H4TQ 9ZKM"}), Code.INVALID_CODE),
    ("C1 dot", Scene(item={"code": "H4TQ.9ZKM"}), Code.INVALID_CODE),
    ("C1 letter beyond ASCII", Scene(item={"code": "ÄPFEL"}), Code.INVALID_CODE),
    ("C1 line end", Scene(item={"code": "A\nB"}), Code.INVALID_CODE),
    ("C1 surrounding blanks are trimmed", Scene(item={"code": f"  {CODE}\n"}), OK),
    ("C2 unknown code", Scene(item={"code": "H4TQ9ZKX"}), Code.UNKNOWN_COUPON),
    ("C2 case is ignored", Scene(item={"code": CODE.lower()}), OK),
    ("C2 by id", Scene(item={"code": None, "coupon_id": coupon_id(1)}), OK),
    ("C2 unknown id of this org", Scene(item={"code": None, "coupon_id": coupon_id(2)}), Code.UNKNOWN_COUPON),
    ("C2 zero", Scene(item={"code": None, "coupon_id": 0}), Code.UNKNOWN_COUPON),
    ("C2 negative", Scene(item={"code": None, "coupon_id": -1}), Code.UNKNOWN_COUPON),
    ("C2 a number below all ids", Scene(item={"code": None, "coupon_id": 7}), Code.UNKNOWN_COUPON),
    (
        "C2 a redemption's id of another org",
        Scene(item={"code": None, "coupon_id": ids.first_id(ids.REDEMPTION, ORG + 1, 1)}),
        Code.UNKNOWN_COUPON,
    ),
    ("C3 another org's id", Scene(item={"code": None, "coupon_id": coupon_id(1, ORG + 1)}), Code.INVALID_ORGANIZATION),
    ("C4 stored terms unusable", Scene(unreadable={"is": True}), Code.SERIES_UNREADABLE),
    ("C5 TEST", Scene(terms={"series_type": "TEST"}), Code.TEST_COUPON),
    *((f"C5 {kind}", Scene(terms={"series_type": kind}), OK) for kind in ("CAMPAIGN", "LOYALTY", "GOODWILL", "DVS")),
    ("C6 revoked", Scene(coupon={"is_revoked": True}), Code.REVOKED),
    ("C7 yesterday was the last day", Scene(terms={"valid_till_date": date(2031, 3, 9)}), Code.SERIES_EXPIRED),
    ("C7 today is the last day", Scene(terms={"valid_till_date": date(2031, 3, 10)}), OK),
    ("C7 this is the last second", Scene(terms={"valid_till_date_time": datetime(2031, 3, 10, 12, 0, 0)}), OK),  # noqa: DTZ001 - local
    (
        "C7 the last second has passed",
        Scene(terms={"valid_till_date_time": datetime(2031, 3, 10, 11, 59, 59)}),  # noqa: DTZ001 - local to the series
        Code.SERIES_EXPIRED,
    ),
    ("C7 campaign ended or paused", Scene(state={"halted": {1}}), Code.SERIES_EXPIRED),
    ("C7 another series' campaign ended", Scene(state={"halted": {2}}), OK),
    ("C8 own expiry passed", Scene(coupon={"expires_local": "2031-03-10T11:59:59"}), Code.COUPON_EXPIRED),
    ("C8 own expiry is this second", Scene(coupon={"expires_local": "2031-03-10T12:00:00"}), OK),
    ("C8 no own expiry", Scene(coupon={"expires_local": None}), OK),
    ("C9 issued to another", Scene(coupon={"customer_id": 2}), Code.NOT_ISSUED_TO_CUSTOMER),
    ("C9 issued to another, any user", Scene(coupon={"customer_id": 2}, terms={"any_user": True}), OK),
    ("C9 issued to nobody", Scene(coupon={"customer_id": None}), Code.NOT_ISSUED),
    ("C9 issued to nobody, any user", Scene(coupon={"customer_id": None}, terms={"any_user": True}), OK),
    ("C9 external, nobody's", Scene(coupon={"customer_id": None}, terms={"external_issual": True}), OK),
    (
        "C9 external, another's",
        Scene(coupon={"customer_id": 2}, terms={"external_issual": True}),
        Code.NOT_ISSUED_TO_CUSTOMER,
    ),
    ("C10 outside the audience", Scene(terms={"has_audience": True}), Code.NOT_MEANT_FOR_CUSTOMER),
    ("C10 in the audience", Scene(terms={"has_audience": True}, state={"audience": {(1, 1)}}), OK),
    (
        "C10 another is in the audience",
        Scene(terms={"has_audience": True}, state={"audience": {(1, 2)}}),
        Code.NOT_MEANT_FOR_CUSTOMER,
    ),
    ("C10 outside the audience, any user", Scene(terms={"has_audience": True, "any_user": True}), OK),
    ("C10 transactions, off", users(valid_max_user_transaction_limit=-1) | Scene(customer={"transaction_count": 9}), OK),
    ("C10 transactions, none", users(valid_max_user_transaction_limit=0), OK),
    (
        "C10 transactions, one too many",
        users(valid_max_user_transaction_limit=0) | Scene(customer={"transaction_count": 1}),
        Code.NOT_MEANT_FOR_CUSTOMER,
    ),
    ("C10 transactions, as many", users(valid_max_user_transaction_limit=3) | Scene(customer={"transaction_count": 3}), OK),
    (
        "C10 any user does not lift targeting",
        users(valid_max_user_transaction_limit=0) | Scene(customer={"transaction_count": 1}, terms={"any_user": True}),
        Code.NOT_MEANT_FOR_CUSTOMER,
    ),
    ("C10 registered at the start", users(valid_user_registration_start_time=50) | Scene(customer={"registered_ms": 50}), OK),
    (
        "C10 registered before the start",
        users(valid_user_registration_start_time=50) | Scene(customer={"registered_ms": 49}),
        Code.NOT_MEANT_FOR_CUSTOMER,
    ),
    ("C10 registered at the end", users(valid_user_registration_end_time=50) | Scene(customer={"registered_ms": 50}), OK),
    (
        "C10 registered after the end",
        users(valid_user_registration_end_time=50) | Scene(customer={"registered_ms": 51}),
        Code.NOT_MEANT_FOR_CUSTOMER,
    ),
    ("C10 open ends", users() | Scene(customer={"registered_ms": -DAY_MS}), OK),
    ("C11 a till", Scene(terms={"redemption_org_entity_details": (till(11),)}), OK),
    ("C11 another till", Scene(terms={"redemption_org_entity_details": (till(12),)}), Code.INVALID_STORE),
    ("C11 the store's id as a till", Scene(terms={"redemption_org_entity_details": (till(21),)}), Code.INVALID_STORE),
    ("C11 the store", Scene(terms={"redemption_org_entity_details": (OrgEntity("STORE", 21),)}), OK),
    ("C11 another store", Scene(terms={"redemption_org_entity_details": (OrgEntity("STORE", 22),)}), Code.INVALID_STORE),
    (
        "C11 a zone above",
        Scene(terms={"redemption_org_entity_details": (OrgEntity("ZONE", 32),)}, place={"zone_ids": frozenset({31, 32})}),
        OK,
    ),
    (
        "C11 a zone beside",
        Scene(terms={"redemption_org_entity_details": (OrgEntity("ZONE", 33),)}, place={"zone_ids": frozenset({31, 32})}),
        Code.INVALID_STORE,
    ),
    (
        "C11 a concept above",
        Scene(terms={"redemption_org_entity_details": (OrgEntity("CONCEPT", 42),)}, place={"concept_ids": frozenset({41, 42})}),
        OK,
    ),
    (
        "C11 a zone's id as a concept",
        Scene(terms={"redemption_org_entity_details": (OrgEntity("CONCEPT", 31),)}, place={"zone_ids": frozenset({31})}),
        Code.INVALID_STORE,
    ),
    (
        "C11 lists are a union",
        Scene(terms={"redemption_org_entity_details": (till(12), OrgEntity("ZONE", 33)), "store_ids_json": "[21]"}),
        OK,
    ),
    ("C11 redeemAtStore", Scene(terms={"redeem_at_store": "[20, 21]"}), OK),
    ("C11 redeemAtStore takes tills", Scene(terms={"redeem_at_store": "[11]"}), OK),
    ("C11 redeemAtStore, another", Scene(terms={"redeem_at_store": "[20]"}), Code.INVALID_STORE),
    ("C11 storeIdsJson, another", Scene(terms={"store_ids_json": "[20]"}), Code.INVALID_STORE),
    ("C11 [-1] and [] are everywhere", Scene(terms={"redeem_at_store": "[-1]", "store_ids_json": "[]"}), OK),
    ("C11a from tomorrow", Scene(terms={"redemption_valid_from": date(2031, 3, 11)}), Code.NOT_STARTED),
    ("C11a from today", Scene(terms={"redemption_valid_from": date(2031, 3, 10)}), OK),
    ("C11a ten days after issue", Scene(terms={"redemption_valid_after_days": 10}), OK),
    ("C11a eleven days after issue", Scene(terms={"redemption_valid_after_days": 11}), Code.NOT_STARTED),
    ("C11a beyond every calendar", Scene(terms={"redemption_valid_after_days": 2**31 - 1}), Code.NOT_STARTED),
    (
        "C11a 1 is from tomorrow",
        Scene(terms={"redemption_valid_after_days": 1}, coupon={"issued_ms": ms("2031-03-10 00:00")}),
        Code.NOT_STARTED,
    ),
    (
        "C11a 1, issued last night",
        Scene(terms={"redemption_valid_after_days": 1}, coupon={"issued_ms": ms("2031-03-09 23:59:59")}),
        OK,
    ),
    (
        "C11a no issue, no days after it",
        Scene(terms={"redemption_valid_after_days": 99, "any_user": True}, coupon={"customer_id": None, "issued_ms": None}),
        OK,
    ),
    ("C11b before the issue", Scene(coupon={"issued_ms": NOW}, claim={"at_ms": NOW - 1000}), Code.OUTSIDE_WINDOW),
    ("C11b the second of the issue", Scene(coupon={"issued_ms": NOW + 999}, claim={"at_ms": NOW}), OK),
    ("C11b 24 h ahead", Scene(claim={"at_ms": NOW + DAY_MS}), OK),
    ("C11b more than 24 h ahead", Scene(claim={"at_ms": NOW + DAY_MS + 1}), Code.OUTSIDE_WINDOW),
    (
        "C11b as far ahead as can be",
        Scene(claim={"at_ms": 253_402_300_799_999}, terms={"valid_till_date": None}),
        Code.OUTSIDE_WINDOW,
    ),
    ("C11b as long ago as can be", Scene(claim={"at_ms": -62_135_596_800_000}), Code.NOT_STARTED),
    ("C12 no number, none demanded", Scene(claim={"transaction_number": ""}), OK),
    ("C12 demanded", Scene(settings={"transaction_number_required": True}), OK),
    (
        "C12 demanded, blank",
        Scene(settings={"transaction_number_required": True}, claim={"transaction_number": "  "}),
        Code.TRANSACTION_NUMBER_NEEDED,
    ),
    (
        "C12 demanded, absent",
        Scene(settings={"transaction_number_required": True}, claim={"transaction_number": None}),
        Code.TRANSACTION_NUMBER_NEEDED,
        OK,
    ),
    ("C13 the least", Scene(terms={"min_bill_amount": Decimal(1800)}), OK),
    ("C13 below the least", Scene(terms={"min_bill_amount": Decimal("1800.001")}), Code.INVALID_AMOUNT),
    ("C13 the most", Scene(terms={"max_bill_amount": Decimal(1800)}), OK),
    ("C13 above the most", Scene(terms={"max_bill_amount": Decimal("1799.999")}), Code.INVALID_AMOUNT),
    ("C13 a most of 0 is none", Scene(terms={"max_bill_amount": Decimal(0)}), OK),
    ("C13 a most of -1 is none", Scene(terms={"max_bill_amount": Decimal(-1)}), OK),
    ("C13 no bill, no range", Scene(claim={"amount": None}), OK),
    ("C13 no bill, a least", Scene(claim={"amount": None}, terms={"min_bill_amount": Decimal(1)}), Code.INVALID_AMOUNT, OK),
    ("C13 no bill, a most", Scene(claim={"amount": None}, terms={"max_bill_amount": Decimal(1)}), Code.INVALID_AMOUNT, OK),
    ("C13 a bill of nothing", Scene(claim={"amount": Decimal(0)}), OK),
    ("C20 nothing given", Scene(terms={"is_validation_required": True}), Code.VALIDATION_REQUIRED),
    (
        "C20 a code",
        Scene(terms={"is_validation_required": True}, item={"validation_mac": "123456"}),
        Code.INVALID_VALIDATION_CODE,
    ),
    ("C20 a missed call", Scene(terms={"is_validation_required": True}, item={"by_missed_call": True}), Code.NO_MISSED_CALL),
    ("C20 a code that nobody asked for", Scene(item={"validation_mac": "123456"}), OK),
    ("C21 accepted", Scene(terms={"is_pre_redeem_event_required": True}, claim={"hook_accepted": True}), OK),
    (
        "C21 refused",
        Scene(terms={"is_pre_redeem_event_required": True}, claim={"hook_accepted": False}),
        Code.PRE_REDEEM_REFUSED,
        OK,
    ),
    ("C21 not asked", Scene(terms={"is_pre_redeem_event_required": True}), Code.PRE_REDEEM_REFUSED, OK),
    ("C21 refused, but not to be asked", Scene(claim={"hook_accepted": False}), OK),
]


@pytest.mark.parametrize("row", [*CUSTOMER, *COUPON], ids=lambda row: row[0])
def test_rule(row: Row) -> None:
    _, scene, code, *otherwise = row
    assert scene.code("redeem") is code
    said = otherwise[0] if otherwise else code
    assert scene.code("check") is AS_CHECKED.get(said, said)


def test_refused_customer_is_named_when_known() -> None:
    """Prevents a fraud refusal that support cannot find under the customer, and one that names a customer who was not sent."""
    fraud = Scene(customer={"fraud_status": "CONFIRMED"}).redeemed()
    assert fraud.customer is not None
    assert fraud.customer.id == 1
    assert fraud.items == ()
    assert Scene(claim={"customer": (MIRA, NOOR)}).redeemed().customer is None
    assert Scene(claim={"customer": (MIRA, NOBODY)}).redeemed().customer is None


def test_needless_validation_code_is_a_warning() -> None:
    """726: the coupon is redeemed and the code is not consumed."""
    scene = Scene(item={"validation_mac": "123456"})
    assert scene.redeemed().items[0].warnings == (Code.VALIDATION_NOT_REQUIRED,)
    assert scene.checked().items[0].outcome.warnings == (Code.VALIDATION_NOT_REQUIRED,)
    assert Scene().redeemed().items[0].warnings == ()


def test_calendar_days_are_the_orgs() -> None:
    """Prevents counting days in UTC: at 00:30 in Tonga it is still the day before in London."""
    tonga = ZoneInfo("Pacific/Tongatapu")
    scene = Scene(
        terms={"redemption_valid_from": date(2031, 3, 10), "zone": tonga.key},
        state={"now_ms": ms("2031-03-10 00:30", tonga)},
        coupon={"issued_ms": ms("2031-03-01", tonga)},
    )
    assert scene.code("redeem") is Code.NOT_STARTED  # the org is in India, where it is still the 9th
