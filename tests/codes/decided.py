"""Every code that a rule decides: the request gate's, the request's shape, the customer's, the coupon's (status-codes 2, 4)."""

from types import MappingProxyType
from typing import Any, Final

from couponry.core import ids
from couponry.core.limits import REQUEST_BODY_BYTES_MAX
from couponry.core.status import Code
from couponry.store import schema as t
from tests.api.shop import NOW_MS, TILL
from tests.codes.scene import ARUN, Reach, Scene, Told, told_of_item, warned

REDEEM: Final = "/v2/coupon/redeem"
CHECK: Final = "/v2/coupon/is_redeemable"
LOOKUP: Final = {"X-CAP-API-ATTRIBUTION-LOOKUP": "wx1"}
AGAIN: Final = {"isMultipleUseAllowed": True, "sameUserMultipleRedeem": True}
HOUR_MS: Final = 3600 * 1000


def twice(scene: Scene, customer: str = "", **terms: Any) -> Told:
    """The second redemption of a coupon, perhaps by another customer."""
    code = scene.coupon(**terms)
    assert scene.redeem(code).number == 700
    return scene.redeem(code, **({"user": {"mobile": customer}} if customer else {}))


def read_only(scene: Scene) -> Told:
    """A redeem by a till whose store may only look."""
    place = scene.shop.till("reader", store="reading room")
    scene.shop.change(t.store, place.store_id, access_group_id=scene.shop.access_group("READ"))
    return scene.ask("POST", REDEEM, auth=("reader", "202cb962ac59075b964b07152d234b70"), json={})


def of_unreadable_series(scene: Scene) -> Told:
    code = scene.coupon()
    series = "SELECT series_id FROM coupon WHERE code = '{}'"
    scene.run_sql(f"UPDATE series_version SET terms = '' WHERE series_id = ({series.format(code)})")
    return scene.redeem(code)


def others_coupon_by_id(scene: Scene) -> Told:
    stranger = ids.first_id(ids.COUPON, scene.shop.org_id + 1, 7)
    return scene.redeem(redemptionRequestList=[{"id": stranger}])


def second_of_series(scene: Scene, **terms: Any) -> Told:
    """Another coupon of a series of which one is redeemed."""
    assert scene.redeem(scene.coupon(**terms)).number == 700
    return scene.redeem(scene.shop.coupon(series=scene.last_series))


def one_used_one_not(scene: Scene) -> list[str]:
    used = scene.coupon()
    assert scene.redeem(used).number == 700
    return [scene.coupon(), used]


DECIDED: Final = MappingProxyType(
    {
        # The request gate.
        Code.UNAUTHENTICATED: Reach(401, lambda it: it.ask("GET", CHECK, auth=(TILL, "0" * 32))),
        Code.ACCESS_DENIED: Reach(403, read_only),
        Code.UNKNOWN_RESOURCE: Reach(404, lambda it: it.ask("GET", "/v2/coupon/nosuch")),
        Code.WRONG_METHOD: Reach(405, lambda it: it.ask("DELETE", REDEEM)),
        Code.UNSUPPORTED_MEDIA_TYPE: Reach(415, lambda it: it.ask("POST", REDEEM, data={"code": "A"})),
        Code.BODY_TOO_LARGE: Reach(413, lambda it: it.redeem("A", padding="x" * REQUEST_BODY_BYTES_MAX)),
        Code.MALFORMED: Reach(400, lambda it: it.ask("POST", REDEEM, content=b"{")),
        Code.LOOKUP_TYPE_MISSING: Reach(400, lambda it: it.redeem("A", headers=LOOKUP)),
        Code.UNKNOWN_ATTRIBUTION: Reach(
            400, lambda it: it.redeem("A", headers={**LOOKUP, "X-CAP-API-ATTRIBUTION-LOOKUP-TYPE": "WECHAT"})
        ),
        # The request's own shape.
        Code.INVALID_INPUT: Reach(400, lambda it: it.redeem(*(f"A{number}" for number in range(101)))),
        Code.IDENTIFIER_MISSING: Reach(400, lambda it: it.ask("GET", CHECK, params={"mobile": ARUN})),
        Code.REPEATED_IN_REQUEST: Reach(200, lambda it: told_of_item(it.front.redeem("Twice", "TWICE"))),
        Code.INVALID_AMOUNT: Reach(400, lambda it: it.redeem("A", billAmount="much")),
        # The customer: B1-B4.
        Code.INVALID_CUSTOMER: Reach(400, lambda it: it.redeem("A", user={})),
        Code.CUSTOMER_NOT_FOUND: Reach(400, lambda it: it.redeem("A", user={"mobile": "919899999999"})),
        Code.FRAUD_CUSTOMER: Reach(400, lambda it: it.redeem("A", user={"mobile": "919812300003"})),
        Code.CUSTOMER_BLOCKED: Reach(400, lambda it: it.redeem("A", user={"mobile": "919812300004"})),
        # The coupon: C1-C21.
        Code.INVALID_CODE: Reach(200, lambda it: it.redeem("no code")),
        Code.UNKNOWN_COUPON: Reach(200, lambda it: it.redeem("NOSUCH")),
        Code.UNKNOWN_COUPON_CHECKED: Reach(200, lambda it: it.check("NoSuch")),
        Code.INVALID_ORGANIZATION: Reach(200, others_coupon_by_id),
        Code.SERIES_UNREADABLE: Reach(500, of_unreadable_series),
        Code.TEST_COUPON: Reach(200, lambda it: it.redeem(it.coupon(seriesType="TEST"))),
        Code.REVOKED: Reach(200, lambda it: it.redeem(it.coupon(coupon={"state": "REVOKED"}))),
        Code.SERIES_EXPIRED: Reach(200, lambda it: it.redeem(it.coupon(validTillDate="2031-03-09"))),
        Code.COUPON_EXPIRED: Reach(200, lambda it: it.redeem(it.coupon(coupon={"validTillDateTime": "2031-03-10 12:00:00"}))),
        Code.NOT_ISSUED_TO_CUSTOMER: Reach(200, lambda it: it.redeem(it.coupon(mobile=ARUN))),
        Code.NOT_ISSUED: Reach(200, lambda it: it.redeem(it.coupon(mobile=""))),
        Code.NOT_MEANT_FOR_CUSTOMER: Reach(
            200, lambda it: it.redeem(it.coupon(targetUserDetails={"validUserRegistrationEndTime": NOW_MS - HOUR_MS}))
        ),
        Code.INVALID_STORE: Reach(200, lambda it: it.redeem(it.coupon(redeemAtStore="[1]"))),
        Code.NOT_STARTED: Reach(200, lambda it: it.redeem(it.coupon(redemptionValidFrom="2031-03-11"))),
        Code.OUTSIDE_WINDOW: Reach(200, lambda it: it.redeem(it.coupon(redemptionRange='{"hours":[3]}'))),
        Code.ALREADY_USED: Reach(200, twice),
        Code.ALREADY_USED_BY_CUSTOMER: Reach(200, lambda it: twice(it, isMultipleUseAllowed=True)),
        Code.CODE_LIMIT_REACHED: Reach(200, lambda it: twice(it, ARUN, anyUser=True, redemptionPerCouponMaxLimit=1, **AGAIN)),
        Code.CUSTOMER_LIMIT_REACHED: Reach(200, lambda it: second_of_series(it, maxRedemptionsInSeriesPerUser=1)),
        Code.TOO_SOON: Reach(200, lambda it: second_of_series(it, minDaysBetweenRedemption=2, **AGAIN)),
        Code.SERIES_LIMIT_REACHED: Reach(200, lambda it: second_of_series(it, maxRedeem=1)),
        Code.VALIDATION_REQUIRED: Reach(200, lambda it: it.redeem(it.coupon(isValidationRequired=True))),
        Code.NO_MISSED_CALL: Reach(200, lambda it: it.check(it.coupon(isValidationRequired=True), validation_type="MISSED_CALL")),
        Code.INVALID_VALIDATION_CODE: Reach(
            200, lambda it: it.check(it.coupon(isValidationRequired=True), validation_code="4711")
        ),
        Code.PRE_REDEEM_REFUSED: Reach(200, lambda it: it.redeem(it.coupon(isPreRedeemEventRequired=True))),
        # Several coupons in one request.
        Code.OTHER_COUPON_FAILED: Reach(200, lambda it: it.check(*one_used_one_not(it))),
        Code.ALL_FAILED: Reach(200, lambda it: it.redeem("NOSUCH1", "NOSUCH2")),
        Code.BATCH_REFUSED: Reach(200, lambda it: it.redeem(*one_used_one_not(it))),
        # Success and warnings.
        Code.PROCESSED: Reach(200, lambda it: it.redeem(it.coupon())),
        Code.REDEEMABLE: Reach(200, lambda it: it.check(it.coupon())),
        Code.VALIDATION_NOT_REQUIRED: Reach(
            200,
            lambda it: warned(it.front.redeem(redemptionRequestList=[{"code": it.coupon(), "validationCode": "4711"}])),
        ),
    }
)
