"""The codes that only v1.1 answers (v1.1-coupon 0, 3, 5; README 5)."""

from types import MappingProxyType
from typing import Any, Final

import httpx

from couponry.core.status import Code
from tests.api.shop import MIRA
from tests.codes.scene import Reach, Scene, Told

REDEEM: Final = "/v1.1/coupon/redeem"


def told(response: httpx.Response, *path: str) -> Told:
    """What the request was told, or what lies at the end of a path in its answer."""
    part: Any = response.json()["response"]
    for name in path or ("status",):
        part = part[name]
    return Told(response.status_code, part["code"], part["message"], "retry-after" in response.headers)


def redeemed(scene: Scene, *codes: str) -> httpx.Response:
    """Codes of Mira's, each redeemed by itself."""
    return scene.front.ask("POST", REDEEM, json={"root": {"coupon": [{"code": code, "customer": MIRA} for code in codes]}})


def over_the_limit(scene: Scene) -> Told:
    code = scene.coupon(anyUser=True, redemptionPerCouponMaxLimit=1, isMultipleUseAllowed=True, sameUserMultipleRedeem=True)
    assert told(redeemed(scene, code)).number == 200
    return told(redeemed(scene, code), "coupons", "coupon", "item_status")


def used_by_who_asks(scene: Scene) -> Told:
    code = scene.coupon()
    assert told(redeemed(scene, code)).number == 200
    checked = scene.front.ask("GET", "/v1.1/coupon/isredeemable", params={**MIRA, "code": code})
    return told(checked, "coupons", "redeemable", "item_status")


def with_a_bug(scene: Scene) -> Told:
    """A resource that lost its way to the ledger."""
    resource: Any = scene.front.app._router.find(REDEEM)[0]  # type: ignore[index] # it was found
    resource._redeeming = None
    return told(redeemed(scene, scene.coupon()))


V11: Final = MappingProxyType(
    {
        Code.VERSION_UNSUPPORTED: Reach(402, lambda it: told(it.front.ask("GET", "/v1/customer/get"))),
        Code.OPERATION_UNSUPPORTED: Reach(406, lambda it: told(it.front.ask("GET", "/v1.1/points/isredeemable"))),
        Code.SOME_FAILED: Reach(201, lambda it: told(redeemed(it, it.coupon(), "NOSUCH"))),
        Code.CODE_LIMIT_REACHED_V11: Reach(500, over_the_limit),
        Code.USED_BY_ASKER: Reach(200, used_by_who_asks),
    }
)
V11_FAILED: Final = MappingProxyType({Code.PROCESSING_ERROR: Reach(500, with_a_bug)})
