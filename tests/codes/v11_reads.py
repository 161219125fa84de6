"""The codes that v1.1 reads answer (v1.1-coupon 4, 6-8)."""

from types import MappingProxyType
from typing import Any, Final

from couponry.core.status import Code
from tests.codes.scene import ARUN, Reach, Scene, Told
from tests.codes.v11 import told


def of_a_customer(mobile: str) -> Any:
    """What was told of the one customer whose coupons were asked for."""

    def happens(scene: Scene) -> Told:
        answer = scene.front.ask("GET", "/v1.1/customer/coupons", params={"mobile": mobile})
        (customer,) = answer.json()["response"]["customers"]["customer"]
        status = customer["item_status"]
        return Told(answer.status_code, status["code"], status["message"], "retry-after" in answer.headers)

    return happens


def asked(path: str, *item: str, **query: Any) -> Any:
    """What the item was told that a read found, or did not."""

    def happens(scene: Scene) -> Told:
        return told(scene.front.ask("GET", f"/v1.1/{path}", params=query), *item, "item_status")

    return happens


READ_IN_V11: Final = MappingProxyType(
    {
        Code.NOT_FOUND_BY_GET: Reach(500, asked("coupon/get", "coupons", "coupon", code="NoSuch")),
        Code.SERIES_FETCHED: Reach(200, asked("coupon/series", "series", "items", "item", id="5001")),
        Code.COUPONS_RETRIEVED: Reach(200, of_a_customer(ARUN)),
        Code.NO_SUCH_CUSTOMER_V11: Reach(500, of_a_customer("919899999999")),
    }
)
