"""Every code that says what the service could not do (status-codes 5), brought about by breaking it: each in a shop of its own.

The ledger's own tests break it in more ways (tests/ledger/test_failures.py), and tests/e2e in earnest, with processes.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import httpx
import psycopg
from psycopg import sql

from couponry.core.status import Code
from couponry.store import schema as t
from tests.api.shop import MIRA
from tests.codes.decided import CHECK, REDEEM
from tests.codes.scene import Reach, Scene, Told, told
from tests.ledger.stranger import holding

POSTGRESQL: Final = ("postgresql",)
TRIGGER: Final = """
    CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE {what}; END $$;
    CREATE TRIGGER trouble BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION trouble();
"""
TRIGGER_ON_SQLITE: Final = "CREATE TRIGGER trouble BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, '{what}'); END"


def without(table: str, *, redeems: bool = True) -> Any:
    """What is told while a table cannot be read or written."""

    def happens(scene: Scene) -> Told:
        code = scene.coupon()
        scene.run_sql(f"ALTER TABLE {table} RENAME TO away")
        return scene.redeem(code) if redeems else scene.check(code)

    return happens


def while_raising(what: str, table: str) -> Any:
    """What is told when the database raises this at each write."""

    def happens(scene: Scene) -> Told:
        code = scene.coupon()
        scene.run_sql((TRIGGER_ON_SQLITE if scene.is_sqlite else TRIGGER).format(what=what, table=table))
        return scene.redeem(code)

    return happens


def while_another_waits(**headers: str) -> Any:
    """What is told at once while another request waits for a lock."""

    def happens(scene: Scene) -> Told:
        code = scene.coupon()
        assert scene.check(code).number == 700
        with holding(scene.shop.database.url):
            return told(scene.front.run(_first_of_two(scene, code, headers)))

    return happens


async def _first_of_two(scene: Scene, code: str, headers: dict[str, str]) -> httpx.Response:
    body = {"redemptionRequestList": [{"code": code}], "user": MIRA, "billAmount": 1}
    both = [asyncio.create_task(scene.front.asking("POST", REDEEM, json=body, headers=headers)) for _ in range(2)]
    done, waiting = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    return done.pop().result()


def over_the_rate(scene: Scene) -> Told:
    assert scene.check("A").number == 780
    return scene.check("A")


def while_draining(scene: Scene) -> Told:
    ledger = scene.front.app._router.find("/readyz")[0]._ledger  # type: ignore[index,union-attr] # it was found
    scene.front.run(ledger.drain())
    return scene.redeem("A")


def with_broken_org(scene: Scene) -> Told:
    scene.shop.change(t.org, scene.shop.org_id, time_zone="Mars/Olympus", version=2)
    return scene.redeem("A")


def with_number_demanded(scene: Scene) -> Told:
    scene.shop.set(transactionNumberRequired="true")
    return scene.redeem(scene.coupon(), transactionNumber=" ")


def without_access_groups(scene: Scene) -> Told:
    scene.shop.change(t.store, scene.shop.store_id, access_group_id=scene.shop.access_group("WRITE"))
    scene.run_sql("ALTER TABLE access_group RENAME TO away")
    return scene.check("A")


def too_late(scene: Scene) -> Told:
    code = scene.coupon()
    with holding(scene.shop.database.url):
        return scene.redeem(code)


def without_database(scene: Scene) -> Told:
    code = scene.coupon()
    assert scene.ask("GET", f"{CHECK}/nosuch").number == 404, "who asks is known from before"
    with unreachable(scene):
        return scene.redeem(code)


@contextmanager
def unreachable(scene: Scene) -> Iterator[None]:
    """A database that takes no connection; those that there are, are cut."""
    url = scene.shop.database.url
    if scene.is_sqlite:
        path = Path(url.removeprefix("sqlite:///"))
        path.rename(away := path.with_suffix(".away"))
        path.mkdir()
        yield
        path.rmdir()
        away.rename(path)
        return
    server, _, name = url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        connection.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        connection.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


FAILED: Final = MappingProxyType(
    {
        Code.AUTHORISATION_UNAVAILABLE: Reach(503, without_access_groups),
        Code.RATE_LIMITED: Reach(429, over_the_rate, settings={"rate_limit_is_redeemable": 1}),
        Code.DRAINING: Reach(500, while_draining),
        Code.OVERLOADED: Reach(500, while_another_waits(), settings={"queue_commands_max": 1}),
        Code.ORG_MISCONFIGURED: Reach(500, with_broken_org),
        Code.KEY_IN_PROGRESS: Reach(500, while_another_waits(**{"Idempotency-Key": "key-1"})),
        Code.TRANSACTION_NUMBER_NEEDED: Reach(200, with_number_demanded),
        Code.CONFLICT: Reach(500, while_raising("serialization_failure", "redemption")),
        Code.TIMED_OUT: Reach(500, while_raising("lock_not_available", "redemption"), POSTGRESQL),
        Code.CUSTOMER_BUSY: Reach(521, while_raising("lock_not_available", "customer_series"), POSTGRESQL),
        Code.DATABASE_UNREACHABLE: Reach(500, without_database),
        Code.CUSTOMERS_UNAVAILABLE: Reach(500, without("customer")),
        Code.ENTITIES_UNAVAILABLE: Reach(500, without("zone")),
        Code.OUTBOX_UNAVAILABLE: Reach(500, without("outbox")),
        Code.DEADLINE_EXCEEDED: Reach(500, too_late, settings={"request_budget_ms": 200}),
        Code.UNKNOWN_ERROR: Reach(500, without("coupon", redeems=False)),
    }
)
