"""A till that speaks v1.1 in either format."""

from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

import httpx

from tests.api.shop import MIRA, Front

REDEEM: Final = "/v1.1/coupon/redeem"
ISSUE: Final = "/v1.1/coupon/issue"
CHECK: Final = "/v1.1/coupon/isredeemable"


def item(code: str, **more: Any) -> dict[str, Any]:
    """An item of a redeem for Mira."""
    return {"code": code, "customer": MIRA, **more}


def bill(number: str, amount: Any = "1800") -> dict[str, Any]:
    return {"transaction": {"number": number, "amount": amount}}


def post(front: Front, *items: Any, path: str = REDEEM, form: str = "json", **more: Any) -> httpx.Response:
    """Items, in the form that the answer is to have too."""
    headers = {"Content-Type": f"application/{form}", **more.pop("headers", {})}
    root = {"root": {"coupon": list(items)}}
    if form == "json":
        return front.ask("POST", path, content=httpx.Request("POST", "http://x", json=root).content, headers=headers, **more)
    return front.ask("POST", path, content=xml(root).encode(), headers=headers, **more)


def xml(tree: Mapping[str, Any]) -> str:
    """A request as a client would write it: lists repeat their element."""
    return "".join(_element(name, value) for name, value in tree.items())


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, each) for each in value)
    if value is None:
        return f'<{name} null="true"/>'
    return f"<{name}>{xml(value) if isinstance(value, Mapping) else escape(str(value))}</{name}>"


def items_of(response: httpx.Response) -> list[dict[str, Any]]:
    """The items of a JSON answer, however many there are."""
    response_ = response.json()["response"]
    found = response_.get("coupons", response_).get("coupon") or response_["coupons"]["redeemable"]
    return found if isinstance(found, list) else [found]


def codes_of(response: httpx.Response) -> list[int]:
    """The items' codes; of a request that was refused as a whole, its code."""
    body = response.json()["response"]
    return [one["item_status"]["code"] for one in items_of(response)] if len(body) > 1 else [body["status"]["code"]]
