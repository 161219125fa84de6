"""The codes that v1.1 reads answer (v1.1-coupon 4, 6-8)."""

from types import MappingProxyType
from typing import Any, Final

from couponry.core.status import Code
from tests.api.shop import MIRA
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


def resent(scene: Scene, **query: str) -> Told:
    """What a resend of one coupon is told."""
    answer = scene.front.ask("GET", "/v1.1/coupon/resend", params=query)
    (coupon,) = answer.json()["response"]["coupons"]["coupon"]
    status = coupon["item_status"]
    return Told(answer.status_code, status["code"], status["message"], "retry-after" in answer.headers)


def without_a_mobile(scene: Scene) -> Told:
    scene.shop.customers({"firstName": "Zoe", "email": "zoe@example.com", "externalId": "ZOE"})
    code = scene.coupon(mobile="", coupon={"customerExternalId": "ZOE", "state": "ISSUED", "issuedOn": "2031-03-09 10:00:00"})
    return resent(scene, code=code, external_id="ZOE")


def written(method: str, **customer: str) -> Any:
    """What was told of the one customer who was registered or changed."""

    def happens(scene: Scene) -> Told:
        answer = scene.front.ask("POST", f"/v1.1/customer/{method}", json={"root": {"customer": customer}})
        (shown,) = answer.json()["response"]["customers"]["customer"]
        status = shown["item_status"]
        return Told(answer.status_code, status["code"], status["message"], "retry-after" in answer.headers)

    return happens


def of_entities(**query: str) -> Any:
    """What was told of the first entity."""

    def happens(scene: Scene) -> Told:
        answer = scene.front.ask("GET", "/v1.1/organization/entities", params=query)
        status = answer.json()["response"]["organization"]["entities"]["entity"][0]["item_status"]
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
        Code.CUSTOMER_REGISTERED: Reach(200, written("add", external_id="NEW-IN-V11")),
        Code.CUSTOMER_UPDATED: Reach(200, written("update", mobile=ARUN, lastname="Das")),
        Code.CUSTOMER_RETRIEVED: Reach(200, asked("customer/get", "customers", "customer", mobile=ARUN)),
        Code.ENTITIES_FOUND: Reach(200, of_entities(type="STORE")),
        Code.ENTITIES_NOT_FOUND: Reach(500, of_entities(type="TILL", id="999999999")),
        Code.NOT_RESENT: Reach(500, lambda it: resent(it, code=it.coupon(resendMessageEnabled=False), **MIRA)),
        Code.SMS_FAILED: Reach(500, without_a_mobile),
        Code.COUPONS_RETRIEVED: Reach(200, of_a_customer(ARUN)),
        Code.NO_SUCH_CUSTOMER_V11: Reach(500, of_a_customer("919899999999")),
    }
)
