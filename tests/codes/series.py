"""The codes that series endpoints answer (v2-coupon 11)."""

from types import MappingProxyType
from typing import Any, Final

import httpx

from couponry.core.status import Code
from tests.codes.scene import Reach, Scene, Told, told

PATH: Final = "/v2/coupon/series"
LEAST: Final = {"description": "Ten off", "discountType": "ABS", "discountValue": 10, "clientHandlingType": "DISC_CODE"}


def create(scene: Scene, **fields: Any) -> httpx.Response:
    return scene.front.ask("POST", PATH, json={"CouponSeriesV2": {**LEAST, **fields}})


def without_a_field(scene: Scene) -> Told:
    answer = told(create(scene, description=""))
    assert answer.message == "Field description is mandatory."
    return answer._replace(message=answer.message.replace("description", "NoSuch"))


def code_of_another(scene: Scene) -> Told:
    own = create(scene).json()["id"]
    return scene.ask("PUT", f"{PATH}/{own}", json={"seriesCode": "MON"})


def only_properties(scene: Scene) -> Told:
    own = create(scene).json()["id"]
    response = scene.front.ask("PUT", PATH, json={"id": own, "customPropertyMap": {"a": "b"}})
    (warning,) = response.json()["warnings"]
    return Told(response.status_code, warning["code"], warning["message"], "retry-after" in response.headers)


SERIES: Final = MappingProxyType(
    {
        Code.FIELD_MISSING: Reach(400, without_a_field),
        Code.SERIES_CODE_TAKEN: Reach(400, lambda it: told(create(it, seriesCode="mon"))),
        Code.SERIES_CODE_OF_ANOTHER: Reach(400, code_of_another),
        Code.SERIES_CODE_EMPTY: Reach(400, lambda it: told(create(it, seriesCode=" "))),
        Code.SHARED_CODE_EMPTY: Reach(400, lambda it: told(create(it, clientHandlingType="GENERIC"))),
        Code.INVALID_SERIES_ID: Reach(400, lambda it: it.ask("GET", PATH, params={"ids": 4711})),
        Code.INVALID_EXCLUSIONS: Reach(400, lambda it: told(create(it, mutualExclusiveSeriesIds="none"))),
        Code.INVALID_SERIES_FIELD: Reach(400, lambda it: told(create(it, discountType="HALF"))),
        Code.SERIES_FIELDS_SAVED: Reach(200, only_properties),
    }
)
