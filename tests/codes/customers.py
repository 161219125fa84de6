"""Every code that customers and their bills are answered with (supporting APIs 2, 7)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from couponry.core.status import Code
from couponry.store import schema as t
from tests.api.shop import MIRA, NOW_MS
from tests.codes.scene import ARUN, Reach, Scene, Told
from tests.ledger.rows import run_sql

PATH: Final = "/v2/customers"
BILL: Final = {"identifierType": "mobile", "identifierValue": MIRA["mobile"]}


def registering(*identifiers: tuple[str, str], **profile: Any) -> Callable[[Scene], Told]:
    """What a registration with these identifiers is told."""
    listed = [{"type": kind, "value": value} for kind, value in identifiers]
    return lambda it: it.ask("POST", PATH, json={"profiles": [{"identifiers": listed, **profile}]})


def reading(customer_id: int) -> Callable[[Scene], Told]:
    return lambda it: it.ask("GET", f"{PATH}/{customer_id}")


def somebody_gone(column: str, customer_id: int) -> Callable[[Scene], Told]:
    """What is told of a new customer who is gone, by merging or deletion."""

    def happens(scene: Scene) -> Told:
        scene.shop.customers({"mobile": f"9198765{customer_id:05}"})
        with scene.shop.database.reading() as tx:
            found = max(row.id for row in tx.rows(t.customer.select(), {}))
        run_sql(scene.shop.database, f"UPDATE customer SET {column} = {NOW_MS} WHERE id = {found}")
        return scene.ask("GET", f"{PATH}/{found}")

    return happens


def paid_with_anothers(scene: Scene) -> Told:
    answer = scene.front.redeem(scene.coupon(mobile=ARUN), user={"mobile": ARUN}).json()
    listed = [answer["redemption"][0]["redemptionId"]]
    return scene.ask("POST", "/v2/transactions", json={**BILL, "redemptions": {"couponRedemptions": listed}})


CUSTOMERS: Final[Mapping[Code, Reach]] = MappingProxyType(
    {
        Code.UNKNOWN_SOURCE: Reach(400, registering(("mobile", "919812300201"), source="MOON")),
        Code.INVALID_IDENTIFIER: Reach(400, registering(("passport", "1"))),
        Code.NO_SUCH_CUSTOMER: Reach(400, reading(1)),
        Code.CUSTOMER_DELETED: Reach(400, somebody_gone("deleted_ms", 1)),
        Code.CUSTOMER_MERGED: Reach(400, somebody_gone("merged_into_id", 2)),
        Code.NO_IDENTIFIER: Reach(400, registering()),
        Code.INVALID_MOBILE: Reach(400, registering(("mobile", "1"))),
        Code.INVALID_EMAIL: Reach(400, registering(("email", "mira"))),
        Code.INVALID_EXTERNAL_ID: Reach(400, registering(("externalId", "x" * 256))),
        Code.ALREADY_REGISTERED: Reach(400, registering(("mobile", MIRA["mobile"]))),
        Code.EMAIL_TAKEN: Reach(400, registering(("email", "mira@example.com"), ("externalId", "NEW"))),
        Code.MOBILE_TAKEN: Reach(400, registering(("mobile", MIRA["mobile"]), ("externalId", "NEW"))),
        Code.EXTERNAL_ID_TAKEN: Reach(400, registering(("externalId", "CRM-77"), ("email", "new@example.com"))),
        Code.UNKNOWN_STATUS_LABEL: Reach(400, lambda it: it.ask("PUT", f"{PATH}/90001/status", json={"label": "NOSUCH"})),
        Code.UNKNOWN_REDEMPTION: Reach(400, lambda it: it.ask("POST", "/v2/transactions", json={**BILL, "redemptions": [1]})),
        Code.REDEMPTION_OF_ANOTHER: Reach(400, paid_with_anothers),
    }
)
