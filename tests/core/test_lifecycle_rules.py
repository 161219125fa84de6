"""What revocation and expiry judge alike, and revocation: a line per case, ending in its code (v2-coupon 9-10, rules 9).

Expiries are in `test_redate.py`, reversals in `test_reversal.py`, amendments in `test_amend.py`.
"""

from datetime import date
from typing import Any, Final

import pytest

from couponry.core.commands import kinds
from couponry.core.decide import decide
from couponry.core.model import Handling, Standing
from couponry.core.plan import Event, RedateAnswer, RevokeAnswer, RevokedCoupon
from couponry.core.state import State
from couponry.core.status import Code
from tests.core.test_several_coupons import rows
from tests.core.world import (
    CODE,
    DAY_MS,
    MIRA,
    NOBODY,
    NOOR,
    NOW,
    ask,
    coupon,
    coupon_id,
    customer,
    issue,
    ms,
    pool_coupon,
    redate,
    redeem,
    redemption_id,
    reverse,
    revoke,
    series,
    state,
    statuses,
    stored,
    told,
)

OK: Final = Code.PROCESSED
MISSING: Final = Code.NOT_IN_SERIES
MANY: Final[dict[str, Any]] = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
SHARED: Final[dict[str, Any]] = {"client_handling_type": Handling.SHARED, "generic_code": "MONSOON"}
MONSOON: Final = "MONSOON"


def world(**terms: Any) -> State:
    """Of series 1 Mira holds MIRAS and USED, which she has redeemed, Noor NOORS, and nobody POOL; GONE is revoked.

    OTHER is Mira's of series 2. MONSOON is the shared code of series 3, of which she holds a record. Series 4 is over.
    """
    used = {"redeemed": 1, "uses": 1}
    coupons = [
        coupon(1, "MIRAS"),
        coupon(2, "USED", **used),
        coupon(3, "NOORS", customer_id=2),
        pool_coupon(4, "POOL"),
        coupon(5, "GONE", is_revoked=True),
        coupon(6, "OTHER", series_id=2),
        pool_coupon(7, MONSOON, series_id=3),
        coupon(8, MONSOON, series_id=3, holder_id=1),
        coupon(9, "LATE", series_id=4),
    ]
    all_series = [series(1, **terms), series(2), series(3, **SHARED), series(4, valid_till_date=date(2031, 3, 9)), series(5)]
    found = state(coupons, all_series, [customer(1), customer(2), customer(3, gone=True)])
    found.series[5] = None
    found.standings = {
        (1, 1): Standing(1, 1, NOW, is_stored=True, issued=3, last_issued_ms=NOW - DAY_MS),
        (2, 1): Standing(is_stored=True, issued=1, last_issued_ms=NOW),
        (1, 3): Standing(is_stored=True, issued=1, last_issued_ms=NOW),
    }
    found.uses = {(coupon_id(2), 1): 1}
    found.unredeemed = {(1, 1): [coupon_id(1)], (2, 1): [coupon_id(3)], (1, 3): [coupon_id(8)]}
    return found


# Whom and what a request is about: judged alike for revocation and expiry, before any coupon is.

REQUESTS: Final[list[tuple[str, dict[str, Any], Code]]] = [
    ("a series", {}, OK),
    ("an unknown series", {"series_id": 9}, Code.INVALID_SERIES_ID),
    ("an unreadable one", {"series_id": 5}, Code.SERIES_UNREADABLE),
    ("one that is over", {"series_id": 4}, Code.SERIES_EXPIRED),
    ("a customer", {"customer": (MIRA,)}, OK),
    ("no identifier", {"customer": ()}, Code.INVALID_CUSTOMER),
    ("identifiers of two", {"customer": (MIRA, NOOR)}, Code.INVALID_CUSTOMER),
    ("a customer merged away", {"customer": (("id", "3"),)}, Code.INVALID_CUSTOMER),
    ("nobody", {"customer": (NOBODY,)}, Code.CUSTOMER_NOT_FOUND),
    ("a shared code's series, and no customer", {"series_id": 3}, Code.EXPIRY_NEEDS_CUSTOMER),
    ("a shared code's series, and a customer", {"series_id": 3, "customer": (MIRA,)}, OK),
    # Of two faults, the series' is told.
    ("unknown series, nobody", {"series_id": 9, "customer": (NOBODY,)}, Code.INVALID_SERIES_ID),
    ("series over, nobody", {"series_id": 4, "customer": (NOBODY,)}, Code.SERIES_EXPIRED),
]
EXPIRY: Final = ms("2031-05-01 23:59:59")


@pytest.mark.parametrize("row", REQUESTS, ids=lambda row: row[0])
def test_request(row: tuple[str, dict[str, Any], Code]) -> None:
    _, fields, code = row
    for command in (revoke("NOPE", **fields), redate(("NOPE", EXPIRY), **fields)):
        there = world()
        before = rows(there)
        is_shared = code is Code.EXPIRY_NEEDS_CUSTOMER and command.rows_max and hasattr(command, "codes")
        assert statuses(there, [command]) == [Code.SHARED_CODE_NEEDS_CUSTOMER if is_shared else code]
        assert rows(there) == before


def test_halted_campaign_refuses_the_request() -> None:
    there = world()
    there.halted = {1}
    assert statuses(there, [revoke("MIRAS"), redate(("MIRAS", EXPIRY))]) == [Code.SERIES_EXPIRED] * 2


@pytest.mark.parametrize(
    ("code", "fields", "answered"),
    [
        ("MIRAS", {}, OK),
        (" miras ", {}, OK),
        ("NOPE", {}, OK),
        ("LATE", {}, Code.SERIES_EXPIRED),
        (MONSOON, {}, Code.SHARED_CODE_NEEDS_CUSTOMER),
        (MONSOON, {"customer": (MIRA,)}, OK),
        ("MIRAS", {"customer": (NOBODY,)}, Code.CUSTOMER_NOT_FOUND),
        ("NOPE", {"customer": (NOBODY,)}, Code.CUSTOMER_NOT_FOUND),
    ],
)
def test_one_code_names_its_series(code: str, fields: dict[str, Any], answered: Code) -> None:
    """Without a series id, one code is enough; an unknown one is that coupon's failure, not the request's."""
    revoked = ask(RevokeAnswer, world(), revoke(code, series_id=None, **fields))
    assert revoked.status is answered
    if answered is OK:
        assert (len(revoked.revoked), revoked.failed) == ((0, ((MISSING, code),)) if code == "NOPE" else (1, ()))
    redated = ask(RedateAnswer, world(), redate((code, EXPIRY), series_id=None, **fields))
    assert redated.status is (Code.EXPIRY_NEEDS_CUSTOMER if answered is Code.SHARED_CODE_NEEDS_CUSTOMER else answered)
    if answered is OK:
        assert redated.items == (Code.EXPIRY_CODE_UNKNOWN if code == "NOPE" else None,)
        assert redated.series_id == {"NOPE": -1, MONSOON: 3}.get(code, 1)


# Revoke: listed codes.

REVOKED: Final[list[tuple[str, dict[str, Any], Code | None]]] = [
    ("MIRAS", {}, None),
    (" miras ", {}, None),
    ("NOORS", {}, None),
    ("POOL", {}, None),
    ("USED", {}, Code.REDEEMED),
    ("GONE", {}, Code.REVOKED),
    ("OTHER", {}, MISSING),
    ("NOPE", {}, MISSING),
    ("", {}, MISSING),
    ("no code", {}, MISSING),
    ("MIRAS", {"customer": (MIRA,)}, None),
    ("NOORS", {"customer": (MIRA,)}, MISSING),
    ("POOL", {"customer": (MIRA,)}, MISSING),
    (MONSOON, {"customer": (MIRA,), "series_id": 3}, None),
    (MONSOON, {"customer": (NOOR,), "series_id": 3}, MISSING),
    ("MIRAS", {"customer": (MIRA,), "series_id": 3}, MISSING),
]


@pytest.mark.parametrize("row", REVOKED, ids=lambda row: f"{row[0]} {row[1]}")
def test_revoke(row: tuple[str, dict[str, Any], Code | None]) -> None:
    """A line per code: what it is asked with, and why it is not revoked."""
    code, fields, refused = row
    there = world()
    before = rows(there)
    plan = decide(there, [revoke(code, request_id="r-1", **fields)])
    answer = told(RevokeAnswer, plan.outcomes[0])
    if refused:
        assert (answer.status, answer.revoked, answer.failed) == (OK, (), ((refused, code),))
        assert [*plan.revoked, *plan.events] == []
        assert rows(there) == before
        return
    (coupon_revoked,) = plan.revoked
    assert answer.revoked == (RevokedCoupon(coupon_revoked.id, coupon_revoked.code, coupon_revoked.customer_id),)
    named_by = kinds(fields.get("customer"))
    assert plan.events == [Event("CouponRevoke", coupon_revoked.id, coupon_revoked.customer_id, "r-1", (), named_by)]
    assert there.coupons[coupon_revoked.id].is_revoked
    assert not there.coupons[coupon_id(7)].is_revoked  # the shared code itself is nobody's to revoke


LEFT: Final[list[tuple[str, dict[str, Any], dict[str, Any], Code | None]]] = [
    ("single use, unused", {}, {}, None),
    ("single use, used", {}, {"redeemed": 1}, Code.REDEEMED),
    ("once per customer, used", {"is_multiple_use_allowed": True}, {"redeemed": 1}, Code.REDEEMED),
    ("many uses", MANY, {"redeemed": 1}, None),
    ("two of two", MANY | {"redemption_per_coupon_max_limit": 2}, {"redeemed": 2}, Code.REDEEMED),
    ("one of two", MANY | {"redemption_per_coupon_max_limit": 2}, {"redeemed": 1}, None),
    ("the customer's limit", MANY | {"max_redemptions_in_series_per_user": 1}, {"redeemed": 1}, Code.REDEEMED),
    ("the customer's limit, not yet", MANY | {"max_redemptions_in_series_per_user": 2}, {"redeemed": 1}, None),
    ("the series' cap is of no matter", MANY | {"max_redeem": 1}, {"redeemed": 1}, None),
    ("its own expiry is of no matter", {}, {"expires_local": "2031-01-01T23:59:59"}, None),
]


@pytest.mark.parametrize("row", LEFT, ids=lambda row: row[0])
def test_redemptions_left_can_be_revoked(row: tuple[str, dict[str, Any], dict[str, Any], Code | None]) -> None:
    """405 only where nothing is left: a coupon of many uses can be revoked in the midst of them (rules 9)."""
    _, terms, fields, refused = row
    times = fields.get("redeemed", 0)
    there = state([coupon(**fields)], [series(**terms)], series_redeemed={1: times})
    there.standings = {(1, 1): Standing(times, times, NOW, is_stored=True)}
    there.uses = {(coupon_id(1), 1): times}
    answer = ask(RevokeAnswer, there, revoke(CODE))
    assert (answer.failed, len(answer.revoked)) == (((refused, CODE),) if refused else (), int(not refused))


def test_codes_are_revoked_independently() -> None:
    there = world()
    answer = ask(RevokeAnswer, there, revoke("NOPE", "MIRAS", "USED", "POOL", "OTHER", "miras"))
    assert [each.code for each in answer.revoked] == ["MIRAS", "POOL"]
    assert answer.revoked[1].customer_id is None
    assert answer.failed == ((MISSING, "NOPE"), (Code.REDEEMED, "USED"), (MISSING, "OTHER"), (Code.REVOKED, "miras"))


# Revoke: all that a customer holds unredeemed.


@pytest.mark.parametrize(
    ("fields", "codes"),
    [
        ({"customer": (MIRA,)}, ["MIRAS"]),
        ({"customer": (NOOR,)}, ["NOORS"]),
        ({"customer": (MIRA,), "series_id": 2}, []),
        ({"customer": (MIRA,), "series_id": 3}, [MONSOON]),
        ({"customer": (NOOR,), "series_id": 3}, []),
    ],
)
def test_revoke_what_a_customer_holds(fields: dict[str, Any], codes: list[str]) -> None:
    there = world()
    answer = ask(RevokeAnswer, there, revoke(**fields))
    assert (answer.status, [each.code for each in answer.revoked], answer.failed) == (OK, codes, ())
    assert ask(RevokeAnswer, there, revoke(**fields)).revoked == ()


def held(count: int) -> State:
    coupons = [coupon(serial, f"C{serial}") for serial in range(1, count + 1)]
    return state(coupons, unredeemed={(1, 1): [each.id for each in coupons]})


@pytest.mark.parametrize(("count", "code", "revoked"), [(99, OK, 99), (100, OK, 100), (101, Code.BATCH_LIMIT_EXCEEDED, 0)])
def test_at_most_a_hundred(count: int, code: Code, revoked: int) -> None:
    there = held(count)
    plan = decide(there, [revoke(customer=(MIRA,))])
    assert (plan.outcomes[0].answer.status, len(plan.revoked), len(plan.events)) == (code, revoked, revoked)
    assert sum(each.is_revoked for each in there.coupons.values()) == revoked


def test_what_was_used_meanwhile_is_spared() -> None:
    """Redeemed or revoked by an earlier request of the batch."""
    plan = decide(held(4), [redeem("C1"), revoke("C2"), revoke(customer=(MIRA,))])
    assert [each.code for each in plan.revoked] == ["C2", "C3", "C4"]


# Revoke: what it does to the counts.


@pytest.mark.parametrize(
    ("code", "fields", "issued"),
    [
        ("MIRAS", {}, {(1, 1): 2, (2, 1): 1, (1, 3): 1}),
        ("NOORS", {}, {(1, 1): 3, (2, 1): 0, (1, 3): 1}),
        ("POOL", {}, {(1, 1): 3, (2, 1): 1, (1, 3): 1}),
        (MONSOON, {"series_id": 3, "customer": (MIRA,)}, {(1, 1): 3, (2, 1): 1, (1, 3): 0}),
    ],
)
def test_revoked_coupon_no_longer_counts_for_its_customer(code: str, fields: dict[str, Any], issued: dict[Any, int]) -> None:
    """L8 counts what was not revoked; what was issued and redeemed in the series stays as it was (rules 2)."""
    there = world()
    there.series_issued, there.series_redeemed = {1: 9}, {1: 4}
    assert statuses(there, [revoke(code, **fields)]) == [OK]
    assert {of: each.issued for of, each in there.standings.items()} == issued
    assert there.standings[1, 1].last_issued_ms == NOW - DAY_MS
    assert (there.series_issued, there.series_redeemed) == ({1: 9}, {1: 4})


def test_coupon_that_redeeming_made_never_counted() -> None:
    """Prevents a count below what was issued: a record made, or a code bound, by redeeming was no issue."""
    there = state([coupon(issued_by_redemption=True)], standings={(1, 1): Standing(is_stored=True, issued=2)})
    assert statuses(there, [revoke(CODE)]) == [OK]
    assert there.standings[1, 1].issued == 2


def test_revoked_coupon_is_out_of_circulation() -> None:
    there = state([coupon(redeemed=1, uses=1)], [series(**MANY)], standings={(1, 1): Standing(1, 1, NOW)})
    there.redemptions, there.active = {redemption_id(1): stored()}, {(1, 1): {redemption_id(1): NOW}}
    assert statuses(there, [revoke(CODE), redeem(), reverse(redemption_id(1))]) == [OK, Code.REVOKED, Code.REVOKED]
    assert ask(RedateAnswer, there, redate((CODE, EXPIRY))).items == (Code.REVOKED,)
    assert ask(RevokeAnswer, there, revoke(CODE)).failed == ((Code.REVOKED, CODE),)


def test_coupon_issued_before_in_the_batch_can_be_revoked() -> None:
    there = state([pool_coupon(1, "P1")], [series(client_handling_type=Handling.UPLOADED)], pools={1: [coupon_id(1)]})
    plan = decide(there, [issue(), revoke("P1", customer=(MIRA,))])
    assert [outcome.answer.status for outcome in plan.outcomes] == [OK, OK]
    assert [each.customer_id for each in plan.revoked] == [1]
    assert there.standings[1, 1].issued == 0
