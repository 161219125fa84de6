"""Every code that requests about validation codes are answered with (supporting APIs 5), and the failure of C20."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from couponry.core.status import Code
from tests.api.shop import MIRA
from tests.codes.scene import Reach, Scene, Told

WHOM: Final = {"entityType": "MOBILE", "entityValue": MIRA["mobile"], "action": "COUPON"}


def generating(**body: Any) -> Callable[[Scene], Told]:
    return lambda it: it.ask("POST", "/v2/otp/generate", json={**WHOM, **body})


def validating(**body: Any) -> Callable[[Scene], Told]:
    return lambda it: it.ask("POST", "/v2/otp/validate", json={**WHOM, **body})


def without_codes(scene: Scene) -> Told:
    """What is told of a coupon that has to be validated while the codes cannot be read."""
    strict = scene.coupon(isValidationRequired=True)
    scene.run_sql("ALTER TABLE otp RENAME TO away")
    return scene.redeem(redemptionRequestList=[{"code": strict, "validationCode": "123456"}])


VALIDATED: Final[Mapping[Code, Reach]] = MappingProxyType(
    {
        Code.INVALID_ACTION: Reach(400, generating(action="")),
        Code.INVALID_ENTITY_TYPE: Reach(400, generating(entityType="MOON")),
        Code.INVALID_ENTITY_VALUE: Reach(400, generating(entityValue="")),
        Code.INVALID_CHANNEL: Reach(400, generating(channels=[{"type": "PIGEON"}])),
        Code.CODE_NOT_SENDABLE: Reach(400, generating(entityValue="919812399999")),
        Code.CODE_MISSING: Reach(400, validating(code="")),
        Code.CODE_NOT_VALID: Reach(400, validating(code="no code")),
        Code.NO_VALID_CODE: Reach(400, lambda it: it.ask("GET", "/v2/otp", params={**MIRA, "scope": "POINTS"})),
    }
)
VALIDATION_FAILED: Final[Mapping[Code, Reach]] = MappingProxyType({Code.VALIDATION_UNAVAILABLE: Reach(500, without_codes)})
