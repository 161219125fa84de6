"""One shop with its application, and what it answers: HTTP status, code and message, as a till reads them."""

from collections.abc import Callable
from itertools import count
from typing import Any, Final, NamedTuple

import httpx
from msgspec import Struct

from tests.api.holdings import series_id
from tests.api.shop import MIRA, Front, Shop

BOTH: Final = ("sqlite", "postgresql")
ARUN: Final = "919812300002"


class Told(NamedTuple):
    """What a request, a coupon or a warning was told, and whether to come again (`Retry-After`)."""

    http: int
    number: int
    message: str
    is_for_later: bool


class Scene:
    """A shop on some database, and its application with the settings asked for."""

    def __init__(self, shop: Shop, front: Front) -> None:
        self.shop = shop
        self.front = front
        self._numbers = count(1)
        self.last_series = ""

    @property
    def is_sqlite(self) -> bool:
        return self.shop.database.is_sqlite

    def new_name(self) -> str:
        """A code that nothing has yet."""
        return f"SCENE{next(self._numbers)}"

    def series(self, **terms: Any) -> int:
        """The id of a new series with these terms."""
        self.last_series = self.new_name()
        self.shop.series(seriesCode=self.last_series, **terms)
        return series_id(self.shop, self.last_series)

    def coupon(self, *, mobile: str = MIRA["mobile"], coupon: dict[str, str] | None = None, **terms: Any) -> str:
        """A coupon of a new series with these terms; Mira's, unless it is somebody else's or nobody's."""
        self.series(**terms)
        return self.shop.coupon(series=self.last_series, mobile=mobile, **(coupon or {}))

    def redeem(self, *codes: str, **more: Any) -> Told:
        """What a redeem for Mira is told as a whole."""
        return told(self.front.redeem(*codes, **more))

    def check(self, *codes: str, **more: Any) -> Told:
        """What a check for Mira is told as a whole."""
        return told(self.front.check(code=",".join(codes), **more))

    def ask(self, method: str, path: str, **more: Any) -> Told:
        return told(self.front.ask(method, path, **more))

    def run_sql(self, *statements: str) -> None:
        """Whatever is done to the database behind the product's back."""
        with self.shop.database.writing() as tx:
            for statement in statements:
                tx.connection.exec_driver_sql(statement)


class Reach(Struct, frozen=True):
    """How a code is reached: its HTTP status, and what has to happen. `settings` are the server's."""

    http: int
    happens: Callable[[Scene], Told]
    on: tuple[str, ...] = BOTH
    settings: dict[str, Any] = {}


def told(response: httpx.Response) -> Told:
    """What the request as a whole was told."""
    body = response.json()
    status = body.get("redemptionStatus") or body["errors"][0]
    return Told(response.status_code, status["code"], status["message"], "retry-after" in response.headers)


def told_of_item(response: httpx.Response) -> Told:
    """What the first coupon was told."""
    status = response.json()["redemption"][0]["redemptionStatus"]
    return Told(response.status_code, status["code"], status["message"], "retry-after" in response.headers)


def warned(response: httpx.Response) -> Told:
    """The first coupon's warning."""
    (warning,) = response.json()["redemption"][0]["warnings"]
    return Told(response.status_code, warning["code"], warning["message"], "retry-after" in response.headers)
