"""What an org's hooks bring about beyond 683, which needs no hook (v1.1-coupon 3)."""

from types import MappingProxyType
from typing import Final

from couponry.core.status import Code
from tests.codes import v11
from tests.codes.scene import Reach, Scene, Told


def untold(scene: Scene) -> Told:
    """A hook at an address that may not be reached."""
    scene.shop.set(sideEffectsHookUrl="http://127.0.0.1/effects")
    answer = v11.redeemed(scene, scene.coupon())
    (warning,) = answer.json()["response"]["coupons"]["coupon"]["item_status"]["warnings"]["warning"]
    return Told(answer.status_code, warning["code"], warning["message"], "retry-after" in answer.headers)


HOOKED: Final = MappingProxyType({Code.SIDE_EFFECTS_QUEUED: Reach(200, untold)})
