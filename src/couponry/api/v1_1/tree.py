"""The neutral tree of an answer, and what may stand in it where JSON and XML differ (README 3)."""

from collections.abc import Mapping, Sequence
from typing import Final, Union


class Entries:
    """What a singular key holds under a plural one (`coupons: {coupon: ...}`).

    In XML the element repeats. One entry is an object in JSON, several are a list; or always a list, where the contract says so.
    """

    __slots__ = ("is_always_list", "items")

    def __init__(self, items: Sequence["Node"], *, is_always_list: bool = False) -> None:
        self.items = items
        self.is_always_list = is_always_list


class Listed:
    """A list without a singular name: bare in JSON, in XML a wrapper whose children are called `each`.

    `as_text` is for lists that JSON answers hold as JSON text in a string (`"[310]"`).
    """

    __slots__ = ("as_text", "each", "items")

    def __init__(self, items: Sequence["Node"], each: str = "element", *, as_text: bool = False) -> None:
        self.items = items
        self.each = each
        self.as_text = as_text


class StatusNumber:
    """The number of a status code: an integer, or a text for old strict clients (`v11_code_as_string`)."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


Node = Union[str, int, float, bool, None, "Tree", Entries, Listed, StatusNumber]
Tree = Mapping[str, Node]

NOTHING: Final = Listed(())
"""An empty list."""


def truth(value: bool) -> str:  # noqa: FBT001 - a value, not a switch
    """A boolean as v1.1 writes most of them (README 3)."""
    return "true" if value else "false"
