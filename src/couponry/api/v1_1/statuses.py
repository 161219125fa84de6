"""`status`, `item_status` and their texts, as v1.1 writes them (v1.1-coupon, introduction and 9)."""

from collections.abc import Sequence
from functools import cache
from types import MappingProxyType
from typing import Final

from couponry.api.v1_1.tree import Entries, Node, StatusNumber, Tree, truth
from couponry.core.status import Code

_V11: Final = MappingProxyType({Code.CODE_LIMIT_REACHED: Code.CODE_LIMIT_REACHED_V11})
SUCCESSES: Final = frozenset(
    {
        Code.SUCCESS,
        Code.SOME_FAILED,
        Code.PROCESSED,
        Code.REDEEMABLE,
        Code.RESENT,
        Code.SERIES_FETCHED,
        Code.COUPONS_RETRIEVED,
        Code.CUSTOMER_REGISTERED,
        Code.CUSTOMER_RETRIEVED,
        Code.CUSTOMER_UPDATED,
        Code.ENTITIES_FOUND,
    }
)


def overall(succeeded: Sequence[bool]) -> Code:
    """200 when every item succeeded, 500 when none did, 201 for some."""
    if all(succeeded):
        return Code.SUCCESS
    return Code.SOME_FAILED if any(succeeded) else Code.ALL_FAILED


def status(code: Code, *, is_boolean: bool = False) -> dict[str, Node]:
    """The request's status; only issue writes `success` as a boolean."""
    return dict(_status(code, is_boolean=is_boolean))


@cache
def _status(code: Code, *, is_boolean: bool) -> Tree:
    success = code in SUCCESSES
    return {
        "success": success if is_boolean else truth(success),
        "code": StatusNumber(code.number),
        "message": code.v11_message,
    }


def item_status(
    code: Code, *, names: str = "", days: int = 0, warnings: Sequence[Code] = (), is_boolean: bool = False
) -> dict[str, Node]:
    """An item's status. `names` is what 780 and 707 name, `days` how long 738 says to wait."""
    told = _V11.get(code, code)
    own = status(told, is_boolean=is_boolean)
    if names:
        own["message"] = told.v11_message.replace("{x}", names)
    if days:
        own["message"] = f"{told.v11_message}. Please wait for {days} days"
    if warnings:
        own["warnings"] = warned(warnings)
    return own


def warned(warnings: Sequence[Code]) -> Tree:
    """What went wrong beside the success: always a list (v1.1-coupon 3)."""
    entries: list[Node] = [{"code": StatusNumber(code.number), "message": code.v11_message} for code in warnings]
    return {"warning": Entries(entries, is_always_list=True)}
