"""J1-J11, a line per case: what differs from a series that Mira can be issued a coupon of, and the code that is answered.

Each line is asked in all three forms; `AS_ISSUED` holds the words that differ. Where codes come from is in
`test_issue_sources.py`, what several coupons make of it in `test_issue_forms.py`.
"""

from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from couponry.core.model import Handling, Standing, TargetUser
from couponry.core.status import Code
from tests.core.scene import AS_ISSUED, Form, Scene
from tests.core.world import CODE, DAY_MS, MIRA, NOBODY, NOOR, NOW, coupon_id, ms

OK: Final = Code.PROCESSED
FORMS: Final[tuple[Form, ...]] = ("one", "each", "several")
SEVERAL_ALLOWED: Final = Scene(terms={"is_multiple_vouchers_per_user_allowed": True})
SHARED: Final = Scene(terms={"client_handling_type": Handling.SHARED, "generic_code": "MONSOON"})
HOLDS: Final = Scene(state={"live": {(1, 1): (coupon_id(1),)}})
SAMOA: Final = ZoneInfo("Pacific/Pago_Pago")

Row = tuple[str, Scene, Code]


def at(moment: str, **terms: Any) -> Scene:
    return Scene(terms=terms, state={"now_ms": ms(moment)})


def received(moment: str, series_id: int = 2, customer_id: int = 1) -> Scene:
    """A coupon of a series that excludes the one of which another is asked for."""
    return Scene(terms={"mutual_exclusive_series_ids": "[2, 3]"}, state={"received": {(customer_id, series_id): ms(moment)}})


def issued(times: int, **terms: int) -> Scene:
    """Mira was issued so many coupons of series 1, long ago, and none of them was revoked."""
    return Scene(terms=terms, state={"standings": {(1, 1): Standing(issued=times, last_issued_ms=NOW - 99 * DAY_MS)}})


def gap(days: int, last: str) -> Scene:
    standings = {(1, 1): Standing(issued=1, last_issued_ms=ms(last))}
    return Scene(terms={"min_days_between_vouchers": days}, state={"standings": standings})


def cap(most: int, series_issued: int) -> Scene:
    return Scene(terms={"max_create": most}, state={"series_issued": {1: series_issued}})


SERIES: Final[list[Row]] = [
    ("J1 known", Scene(), OK),
    ("J1 unknown", Scene(claim={"series_ids": (9,)}), Code.UNKNOWN_SERIES),
    ("J2 external", Scene(terms={"external_issual": True}), Code.WRONG_SOURCE),
    ("J2 unknown source", Scene(claim={"source_is_known": False}), Code.WRONG_SOURCE),
    ("J3 unreadable", Scene(unreadable={"is": True}), Code.SERIES_UNREADABLE),
    ("J3 last millisecond", at("2031-03-10 23:59:59.999", valid_till_date=date(2031, 3, 10)), OK),
    ("J3 midnight", at("2031-03-11 00:00", valid_till_date=date(2031, 3, 10)), Code.SERIES_EXPIRED),
    (
        "J3 an exact time",
        at("2031-03-10 10:00:01", valid_till_date_time=datetime(2031, 3, 10, 10)),  # noqa: DTZ001 - local to the series
        Code.SERIES_EXPIRED,
    ),
    ("J3 its campaign's end", Scene(terms={"owner_validity": NOW - 1000}), Code.SERIES_EXPIRED),
    ("J3 its campaign's last second", Scene(terms={"owner_validity": NOW}), OK),
    ("J3 campaign ended or paused", Scene(state={"halted": {1}}), Code.SERIES_EXPIRED),
    ("J3 another campaign ended", Scene(state={"halted": {2}}), OK),
    ("J3 not before its redemption starts is of no matter", Scene(terms={"redemption_valid_from": date(2031, 3, 11)}), OK),
    ("a test series is issued, it only never redeems", Scene(terms={"series_type": "TEST"}), OK),
]

CUSTOMER: Final[list[Row]] = [
    ("J4 no identifier", Scene(claim={"customer": ()}), Code.INVALID_CUSTOMER),
    ("J4 two identifiers of one customer", Scene(claim={"customer": (MIRA, ("id", "1"))}), OK),
    ("J4 identifiers of two customers", Scene(claim={"customer": (MIRA, NOOR)}), Code.INVALID_CUSTOMER),
    ("J4 merged away or deleted", Scene(customer={"gone": True}), Code.INVALID_CUSTOMER),
    ("J4 nobody", Scene(claim={"customer": (NOBODY,)}), Code.CUSTOMER_NOT_FOUND),
    ("J4 one identifier is nobody's", Scene(claim={"customer": (MIRA, NOBODY)}), Code.CUSTOMER_NOT_FOUND),
    ("J4 NONE", Scene(customer={"fraud_status": "NONE"}), OK),
    ("J4 MARKED", Scene(customer={"fraud_status": "MARKED"}), OK),
    ("J4 NOT_FRAUD", Scene(customer={"fraud_status": "NOT_FRAUD"}), OK),
    ("J4 CONFIRMED", Scene(customer={"fraud_status": "CONFIRMED"}), Code.FRAUD_CUSTOMER_AT_ISSUE),
    ("J4 RECONFIRMED", Scene(customer={"fraud_status": "RECONFIRMED"}), Code.FRAUD_CUSTOMER_AT_ISSUE),
    ("J4 INTERNAL", Scene(customer={"fraud_status": "INTERNAL"}), Code.FRAUD_CUSTOMER_AT_ISSUE),
    (
        "J4 the org blocks another status",
        Scene(customer={"fraud_status": "MARKED"}, settings={"blocking_fraud_statuses": frozenset({"MARKED"})}),
        Code.FRAUD_CUSTOMER_AT_ISSUE,
    ),
    ("J4 SUSPENDED", Scene(customer={"status_label": "SUSPENDED"}), Code.CUSTOMER_BLOCKED),
    ("J4 a label that blocks redemption alone", Scene(customer={"status_label": "REDEMPTION_BLOCKED"}), OK),
    ("J5 outside the audience", Scene(terms={"has_audience": True}), Code.NOT_MEANT_FOR_CUSTOMER),
    ("J5 in the audience", Scene(terms={"has_audience": True}, state={"audience": {(1, 1)}}), OK),
    (
        "J5 in the audience of another series",
        Scene(terms={"has_audience": True}, state={"audience": {(2, 1), (1, 2)}}),
        Code.NOT_MEANT_FOR_CUSTOMER,
    ),
    (
        "J5 outside, though any user may redeem",
        Scene(terms={"has_audience": True, "any_user": True}),
        Code.NOT_MEANT_FOR_CUSTOMER,
    ),
    ("J5 loyalty customers only", Scene(terms={"issue_to_loyalty": True}), OK),
    (
        "J5 loyalty customers only, and this is none",
        Scene(terms={"issue_to_loyalty": True}, customer={"is_loyalty": False}),
        Code.NOT_MEANT_FOR_CUSTOMER,
    ),
    ("J5 no loyalty customer", Scene(customer={"is_loyalty": False}), OK),
    (
        "J5 targetUserDetails is for redemption",
        Scene(terms={"target_user_details": TargetUser(0)}, customer={"transaction_count": 5}),
        OK,
    ),
]

COUPON: Final[list[Row]] = [
    ("J6 183 days ago", received("2030-09-08 00:00"), Code.EXCLUDED),
    ("J6 184 days ago, by a second", received("2030-09-07 23:59:59"), OK),
    ("J6 today", received("2031-03-10 12:00"), Code.EXCLUDED),
    ("J6 another listed series", received("2031-03-01", 3), Code.EXCLUDED),
    ("J6 a series that is not listed", received("2031-03-01", 4), OK),
    ("J6 somebody else", received("2031-03-01", 2, 2), OK),
    ("J6 nothing listed", received("2031-03-01") | Scene(terms={"mutual_exclusive_series_ids": "[-1]"}), OK),
    ("J6 an empty list", received("2031-03-01") | Scene(terms={"mutual_exclusive_series_ids": "[]"}), OK),
    (
        "J6 by the org's calendar, where it is still 9 March",
        received("2030-09-07 23:59:59") | Scene(settings={"zone": SAMOA}),
        Code.EXCLUDED,
    ),
    ("J7 holds one", HOLDS, Code.HOLDS_A_COUPON),
    ("J7 holds one, several are allowed", HOLDS | SEVERAL_ALLOWED, OK),
    ("J7 holds one of another series", Scene(state={"live": {(1, 2): (coupon_id(1),)}}), OK),
    ("J7 somebody else holds one", Scene(state={"live": {(2, 1): (coupon_id(1),)}}), OK),
    ("J7 it was redeemed in this batch", HOLDS | Scene(coupon={"redeemed": 1}), OK),
    ("J7 it is revoked", HOLDS | Scene(coupon={"is_revoked": True}), OK),
    ("J7 a shared code", HOLDS | SHARED | Scene(coupon={"holder_id": 1}), Code.HOLDS_A_COUPON),
    (
        "J7 a shared code, of which there are never several",
        HOLDS | SHARED | SEVERAL_ALLOWED | Scene(coupon={"holder_id": 1}),
        Code.HOLDS_A_COUPON,
    ),
    (
        "J7 a shared code that was redeemed: its record stays",
        HOLDS | SHARED | Scene(coupon={"holder_id": 1, "redeemed": 1}),
        Code.HOLDS_A_COUPON,
    ),
    ("J7 a shared code, the record revoked", HOLDS | SHARED | Scene(coupon={"holder_id": 1, "is_revoked": True}), OK),
    ("J8 one left", issued(1, max_vouchers_per_user=2), OK),
    ("J8 none left", issued(2, max_vouchers_per_user=2), Code.CUSTOMER_HAS_ENOUGH),
    ("J8 lowered below what was issued", issued(9, max_vouchers_per_user=2), Code.CUSTOMER_HAS_ENOUGH),
    ("J8 none at all", Scene(terms={"max_vouchers_per_user": 0}), Code.CUSTOMER_HAS_ENOUGH),
    ("J8 unlimited", issued(9, max_vouchers_per_user=-1), OK),
    ("J9 five days, four since", gap(5, "2031-03-06 00:00"), Code.ISSUED_TOO_SOON),
    ("J9 five days, five since", gap(5, "2031-03-05 23:59:59"), OK),
    ("J9 one day, since midnight", gap(1, "2031-03-10 00:00"), Code.ISSUED_TOO_SOON),
    ("J9 one day, a second before midnight", gap(1, "2031-03-09 23:59:59"), OK),
    (
        "J9 one day, on one day of the org",
        gap(1, "2031-03-09 23:59:59") | Scene(settings={"zone": SAMOA}),
        Code.ISSUED_TOO_SOON,
    ),
    ("J9 zero days", gap(0, "2031-03-10 11:59:59"), OK),
    ("J9 switched off", gap(-1, "2031-03-10 11:59:59"), OK),
    ("J9 never issued", Scene(terms={"min_days_between_vouchers": 5}), OK),
    ("J10 one left", cap(100, 99), OK),
    ("J10 none left", cap(100, 100), Code.SERIES_LIMIT_REACHED),
    ("J10 none at all", cap(0, 0), Code.SERIES_LIMIT_REACHED),
    ("J10 unlimited", cap(-1, 10**9), OK),
    ("J11 no code", Scene(state={"fresh_codes": {1: []}}), Code.NO_CODE_LEFT),
    ("J11 all codes taken", Scene(state={"taken": {1: 3}}), Code.NO_CODE_LEFT),
    ("J11 the last code", Scene(state={"taken": {1: 2}}), OK),
    ("J11 an empty pool", Scene(terms={"client_handling_type": Handling.UPLOADED}), Code.NO_CODE_LEFT),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("row", [*SERIES, *CUSTOMER, *COUPON], ids=lambda row: row[0])
def test_rule(row: Row, form: Form) -> None:
    _, scene, code = row
    assert scene.issue_code(form) is AS_ISSUED[form].get(code, code)


@pytest.mark.parametrize("form", FORMS)
def test_refusal_issues_nothing(form: Form) -> None:
    """Whatever refuses, there is neither a coupon nor a customer who counts one."""
    for _, scene, code in (*SERIES, *CUSTOMER, *COUPON):
        issued = scene.issued(form)
        coupons = [coupon for item in issued.items for coupon in item.coupons]
        assert len(coupons) == (code is OK)


# What the rules make of a coupon that is already held (rules 6).

RESENT: Final = HOLDS | Scene(terms={"do_not_resend_existing_voucher": False})
TOLD: Final = (Code.RESENT,)


@pytest.mark.parametrize(
    ("scene", "code", "warnings"),
    [
        (HOLDS, Code.HOLDS_A_COUPON, ()),
        (RESENT, OK, TOLD),
        (RESENT | Scene(customer={"mobile": None, "external_id": "C-1"}, claim={"customer": (("id", "1"),)}), OK, None),
        (RESENT | Scene(terms={"is_sms_disabled": True}), OK, TOLD),
        # Only J7 is answered by the coupon that is there; what comes before it still refuses.
        (RESENT | received("2031-03-01"), Code.EXCLUDED, ()),
        (RESENT | Scene(terms={"has_audience": True}), Code.NOT_MEANT_FOR_CUSTOMER, ()),
        # What comes after it is not asked: nothing is issued.
        (RESENT | issued(2, max_vouchers_per_user=1), OK, TOLD),
        (RESENT | cap(1, 1), OK, TOLD),
        (RESENT | Scene(state={"fresh_codes": {1: []}}), OK, TOLD),
        (RESENT | SHARED | Scene(coupon={"holder_id": 1}), OK, TOLD),
    ],
)
def test_existing_coupon(scene: Scene, code: Code, warnings: tuple[Code, ...] | None) -> None:
    for form in ("one", "each"):
        issued = scene.issued(form)
        item = issued.items[0] if issued.items else None
        assert (item.status if item else issued.status) is code
        if code is not OK:
            assert item is None or item.coupons == ()
            continue
        assert item is not None
        assert [(each.coupon_id, each.code) for each in item.coupons] == [(coupon_id(1), CODE)]
        assert item.warnings == ((Code.RESENT, Code.NOT_COMMUNICATED) if warnings is None else warnings)
    several = scene.issued("several")
    assert several.status is (Code.HOLDS_A_COUPON if code is OK else code)
