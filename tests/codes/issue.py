"""The codes that issue endpoints answer: J0-J13 and what cuts an issue of several short (v2-coupon 1-3; status-codes 3, 4)."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from couponry.core.status import Code
from tests.api.shop import MIRA
from tests.codes.scene import ARUN, Reach, Scene, Told

ISSUE: Final = "/v2/coupon/issue"
BULK: Final = "/v2/coupon/bulk/issue"
SEVERAL: Final = "/v2/coupon/issue/multiple"
LEENA: Final = {"mobile": "919812300003"}
SHY: Final = {"externalId": "CRM-SHY"}
MANY: Final = {"isMultipleVouchersPerUserAllowed": True}
POOL: Final = {"clientHandlingType": "DISC_CODE_PIN", **MANY}


def issue(scene: Scene, path: str = ISSUE, **fields: Any) -> Told:
    return scene.ask("POST", path, json={"customer": MIRA, **fields})


def again(**terms: Any) -> Callable[[Scene], Told]:
    """What the second issue of a new series is told."""

    def happens(scene: Scene) -> Told:
        made = scene.series(**terms)
        assert scene.front.ask("POST", ISSUE, json={"seriesId": made, "customer": MIRA}).status_code == 200
        return issue(scene, seriesId=made)

    return happens


def excluded(scene: Scene) -> Told:
    first = scene.series()
    assert scene.front.ask("POST", ISSUE, json={"seriesId": first, "customer": MIRA}).status_code == 200
    return issue(scene, seriesId=scene.series(mutualExclusiveSeriesIds=f"[{first}]"))


def cut(pool: int = 0, **terms: Any) -> Callable[[Scene], Told]:
    """What three coupons of a new series are told when there are fewer; the number of those missing is not the code's."""

    def happens(scene: Scene) -> Told:
        made = scene.series(**terms)
        for _ in range(pool):
            scene.shop.coupon(series=scene.last_series, mobile="")
        answer = issue(scene, SEVERAL, seriesId=made, count=3)
        return answer._replace(message=answer.message.replace("issue 2", "issue {n}"))

    return happens


def warned(scene: Scene, body: dict[str, Any]) -> Told:
    """The warning that comes with a coupon."""
    response = scene.front.ask("POST", ISSUE, json=body)
    (warning,) = response.json()["warnings"]
    return Told(response.status_code, warning["code"], warning["message"], "retry-after" in response.headers)


def resent(scene: Scene) -> Told:
    body = {"seriesId": scene.series(doNotResendExistingVoucher=False), "customer": MIRA}
    assert scene.front.ask("POST", ISSUE, json=body).status_code == 200
    return warned(scene, body)


def nobody_to_tell(scene: Scene) -> Told:
    scene.shop.customers({"firstName": "Shy", **SHY})
    return warned(scene, {"seriesId": scene.series(), "customer": SHY})


def unnamed(scene: Scene) -> Told:
    """The one series of a bulk issue that is not there."""
    response = scene.front.ask("POST", BULK, json={"seriesIds": ["NoSuch"], "customer": MIRA})
    (error,) = response.json()["response"][0]["errors"]
    return Told(response.status_code, error["code"], error["message"], "retry-after" in response.headers)


ISSUED: Final = MappingProxyType(
    {
        Code.SERIES_ID_MISSING: Reach(400, issue),
        Code.SERIES_ID_MISSING_FOR_SEVERAL: Reach(400, lambda it: issue(it, SEVERAL, seriesId=[5001])),
        Code.COUNT_TOO_SMALL: Reach(400, lambda it: issue(it, SEVERAL, seriesId=5001, count=0)),
        Code.COUNT_TOO_LARGE: Reach(400, lambda it: issue(it, SEVERAL, seriesId=5001, count=501)),
        Code.UNKNOWN_SERIES: Reach(400, lambda it: issue(it, seriesId=4711)),
        Code.UNKNOWN_SERIES_NAMED: Reach(200, unnamed),
        Code.WRONG_SOURCE: Reach(400, lambda it: issue(it, seriesId=it.series(externalIssual=True))),
        Code.FRAUD_CUSTOMER_AT_ISSUE: Reach(400, lambda it: issue(it, seriesId=5001, customer=LEENA)),
        Code.EXCLUDED: Reach(400, excluded),
        Code.HOLDS_A_COUPON: Reach(400, again()),
        Code.CUSTOMER_HAS_ENOUGH: Reach(400, again(maxVouchersPerUser=1, **MANY)),
        Code.ISSUED_TOO_SOON: Reach(400, again(minDaysBetweenVouchers=1, **MANY)),
        Code.NO_CODE_LEFT: Reach(400, lambda it: issue(it, seriesId=it.series(**POOL), customer={"mobile": ARUN})),
        Code.ONE_PER_CUSTOMER: Reach(200, cut()),
        Code.ONE_SHARED_CODE: Reach(200, lambda it: cut(clientHandlingType="GENERIC", genericCode=it.new_name())(it)),
        Code.CUT_BY_SERIES: Reach(200, cut(maxCreate=1, **MANY)),
        Code.CUT_BY_CUSTOMER: Reach(200, cut(maxVouchersPerUser=1, **MANY)),
        Code.CUT_BY_POOL: Reach(200, cut(pool=1, **POOL)),
        Code.CUT: Reach(200, cut(minDaysBetweenVouchers=1, **MANY)),
        Code.NOT_COMMUNICATED: Reach(200, nobody_to_tell),
        Code.RESENT: Reach(200, resent),
    }
)
