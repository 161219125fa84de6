"""The codes that reactivate, revoke, the change of expiries and the update of redemptions answer (v2-coupon 7-10)."""

from types import MappingProxyType
from typing import Any, Final

from couponry.core.status import Code
from tests.api.holdings import series_id
from tests.codes.scene import Reach, Scene, Told

REACTIVATE: Final = "/v2/coupon/reactivate"
REVOKE: Final = "/v2/coupon/revoke"
EXPIRY: Final = "/v2/coupon/bulk/expiry"
REDEEM: Final = "/v2/coupon/redeem"


def redemption(scene: Scene) -> int:
    """The id of a fresh redemption."""
    return int(scene.front.redeem(scene.coupon()).json()["redemption"][0]["redemptionId"])


def update(scene: Scene, *redemption_ids: int) -> Told:
    """What the update as a whole is told."""
    items = [{"redemptionId": each, "billId": 7} for each in redemption_ids]
    response = scene.front.ask("PUT", REDEEM, json={"redemptions": items})
    status = response.json()["entity"]["status"]
    return Told(response.status_code, status["code"], status["message"], "retry-after" in response.headers)


def revoke(scene: Scene, code: str) -> Told:
    """Why a code of the last series is not revoked."""
    body = {"couponSeriesId": series_id(scene.shop, scene.last_series), "couponCodes": [code]}
    response = scene.front.ask("POST", REVOKE, json=body)
    (failed,) = response.json()["entity"]["failedToRevoke"]
    return Told(response.status_code, failed["errorCode"], failed["errorMessage"], "retry-after" in response.headers)


def redeemed_before(scene: Scene) -> Told:
    code = scene.coupon()
    assert scene.redeem(code).number == 700
    return revoke(scene, code)


def shared(scene: Scene) -> int:
    """A series of one code for everybody."""
    return scene.series(clientHandlingType="GENERIC", genericCode=scene.new_name())


def redate(scene: Scene, code: str, date: str) -> Told:
    """Why a coupon of the last series keeps its expiry."""
    made = series_id(scene.shop, scene.last_series)
    body = {"couponSeriesId": made, "couponCodes": [{"couponCode": code, "expiryDate": date}]}
    response = scene.front.ask("PUT", EXPIRY, json=body)
    (failed,) = response.json()["entity"]["unprocessedCoupons"]
    return Told(response.status_code, failed["errorCode"], failed["errorMessage"], "retry-after" in response.headers)


def of_last_series(scene: Scene, date: str, code: str = "") -> Told:
    own = scene.coupon()
    return redate(scene, code or own, date)


def ask_expiry(scene: Scene, **body: Any) -> Told:
    return scene.ask("PUT", EXPIRY, json=body)


CODES: Final = [{"couponCode": "A", "expiryDate": "2031-04-01"}]
CHANGED: Final = MappingProxyType(
    {
        Code.REDEMPTION_ID_MISSING: Reach(400, lambda it: it.ask("POST", REACTIVATE, json={})),
        Code.INVALID_REDEMPTION_IDS: Reach(200, lambda it: it.ask("POST", REACTIVATE, json={"redemptionIds": [4711]})),
        Code.UPDATED: Reach(200, lambda it: update(it, redemption(it))),
        Code.PARTLY_UPDATED: Reach(200, lambda it: update(it, redemption(it), 4711)),
        Code.REVOKE_TARGET_MISSING: Reach(400, lambda it: it.ask("POST", REVOKE, json={"couponSeriesId": 5001})),
        Code.SHARED_CODE_NEEDS_CUSTOMER: Reach(
            200, lambda it: it.ask("POST", REVOKE, json={"couponSeriesId": shared(it), "couponCodes": ["A"]})
        ),
        Code.NOT_IN_SERIES: Reach(200, lambda it: (it.coupon(), revoke(it, "NOSUCH"))[1]),
        Code.REDEEMED: Reach(200, redeemed_before),
        Code.EXPIRY_SERIES_MISSING: Reach(400, ask_expiry),
        Code.EXPIRY_MISSING: Reach(400, lambda it: ask_expiry(it, couponSeriesId=5001)),
        Code.EXPIRY_NEEDS_CUSTOMER: Reach(200, lambda it: ask_expiry(it, couponSeriesId=shared(it), couponCodes=CODES)),
        Code.EXPIRY_CODE_UNKNOWN: Reach(200, lambda it: of_last_series(it, "2031-04-01", "NOSUCH")),
        Code.EXPIRY_IN_PAST: Reach(200, lambda it: of_last_series(it, "2031-03-01")),
        Code.EXPIRY_BEYOND_SERIES: Reach(200, lambda it: of_last_series(it, "2040-01-01")),
    }
)
