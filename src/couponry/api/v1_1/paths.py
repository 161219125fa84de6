"""Which v1.1 endpoint a path means, and what is said of a path that means none (README 1, 5)."""

from typing import Final

from couponry.api.v1_1.formats import SUFFIXES
from couponry.core.status import Code

V11: Final = "/v1.1/"
V1: Final = "/v1/"
_ALIASES: Final = frozenset(f"{V1}coupon/{method}" for method in ("issue", "resend", "redeem", "get", "isredeemable", "series"))
# Resources that coupons have: what v1 had of them beyond its aliases is a version that is not served.
_RESOURCES: Final = frozenset({"coupon", "customer", "organization", "store", "communications"})
# Resources of the public v1.1 API that a coupon server has no operation for.
_ELSEWHERE: Final = frozenset({"transaction", "points", "product", "request", "feedback", "associate", "task", "user"})


def canonical(path: str) -> tuple[str, str]:
    """The path without its format suffix, aliases resolved; and the suffix."""
    suffix = next((each for each in SUFFIXES if path.endswith(each)), "")
    plain = path.removesuffix(suffix)
    return (V11 + plain.removeprefix(V1) if plain in _ALIASES else plain), suffix


def unknown(path: str) -> Code:
    """402 for a v1 path of a resource that v1.1 has, 406 for an operation on what is not the coupon server's, else 404."""
    version, _, rest = path.lstrip("/").partition("/")
    resource, _, method = rest.partition("/")
    if not method:
        return Code.UNKNOWN_RESOURCE
    if resource in _ELSEWHERE:
        return Code.OPERATION_UNSUPPORTED
    return Code.VERSION_UNSUPPORTED if f"/{version}/" == V1 and resource in _RESOURCES else Code.UNKNOWN_RESOURCE
