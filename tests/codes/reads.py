"""The codes that reads of coupons answer (v2-coupon 12-14)."""

from types import MappingProxyType
from typing import Final

from couponry.core.status import Code
from tests.api.holdings import customer_id
from tests.codes.scene import ARUN, Reach, Scene, Told


def of_a_listed_coupon(scene: Scene) -> Told:
    """The status of a coupon in the detailed list."""
    scene.coupon(mobile=ARUN)  # not Mira's, who holds one whose series cannot be read
    response = scene.front.ask("GET", f"/v2/customers/{customer_id(scene.shop, ARUN)}/coupons")
    status = response.json()["entity"][0]["couponStatus"]
    return Told(response.status_code, status["code"], status["message"], "retry-after" in response.headers)


READ: Final = MappingProxyType(
    {
        Code.FILTERS_MISSING: Reach(400, lambda it: it.ask("GET", "/v2/coupon")),
        Code.BATCH_LIMIT_EXCEEDED: Reach(400, lambda it: it.ask("GET", "/v2/coupon", params={"couponIds": ["1"] * 101})),
        Code.SUCCESS: Reach(200, of_a_listed_coupon),
    }
)
