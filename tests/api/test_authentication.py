"""Who may ask: Basic, tokens, access groups, and what guessing costs (README 2)."""

import asyncio
import base64
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from couponry.store import migrate, passwords
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.api.shop import SECRET, TILL, Front, Shop, code_of
from tests.databases import PostgresServer

CHECK = "/v2/coupon/is_redeemable"
TOKEN = "/v3/oauth/token/generate"
FAILED = {"errors": [{"status": False, "code": 401, "message": "Authentication failed"}], "warnings": []}


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def ask(front: Front, headers: dict[str, str], **more: Any) -> httpx.Response:
    return front.ask("GET", CHECK, params={"code": "NOSUCH", "mobile": "919812300001"}, auth=None, headers=headers, **more)


def token(front: Front, key: str = "Qk7f", secret: str = "pLz8") -> str:  # noqa: S107 - nobody's
    made: str = front.ask("POST", TOKEN, json={"key": key, "secret": secret}, auth=None).json()["data"]["accessToken"]
    return made


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (basic(f"{TILL}:{SECRET}"), 200),
        (basic(f"{TILL}:{SECRET.upper()}"), 200),
        ({"Authorization": basic(f"{TILL}:{SECRET}")["Authorization"].replace("Basic", "bAsIc ")}, 200),
        ({}, 401),
        ({"Authorization": ""}, 401),
        (basic(f"{TILL}:123"), 401),
        (basic(f"{TILL}:{SECRET[:-1]}1"), 401),
        (basic(f"{TILL}:{SECRET[:-1]}g"), 401),
        (basic(f"nobody:{SECRET}"), 401),
        (basic(f"till\0:{SECRET}"), 401),
        (basic(f"{TILL.upper()}:{SECRET}"), 401),
        (basic(TILL), 401),
        (basic(f":{SECRET}"), 401),
        ({"Authorization": "Basic %%%"}, 401),
        ({"Authorization": "Basic /////w=="}, 401),
        ({"Authorization": "Digest username=till1"}, 401),
        ({"Authorization": "Basic " + "A" * 5000}, 401),
        ({"Authorization": "Bearer nonsense"}, 401),
        ({"Authorization": "Bearer a.b.c"}, 401),
        ({"X-CAP-API-OAUTH-TOKEN": "x", **basic(f"{TILL}:{SECRET}")}, 401),
    ],
)
def test_basic(front: Front, headers: dict[str, str], status: int) -> None:
    response = ask(front, headers)
    assert response.status_code == status
    if status == 401:
        assert response.json() == FAILED
        assert response.headers["www-authenticate"] == 'Basic realm="couponry"'


@pytest.mark.parametrize("what", ["till", "store", "org setting"])
def test_who_may_no_longer(shop: Shop, front: Front, what: str) -> None:
    """A change is noticed once what is remembered is not fresh any more."""
    assert ask(front, basic(f"{TILL}:{SECRET}")).status_code == 200
    if what == "till":
        shop.change(t.till, shop.till_id, is_active=False)
    elif what == "store":
        shop.change(t.store, shop.store_id, is_active=False)
    else:
        shop.set(basicAuthEnabled="false")
    shop.clock.ms += 31_000
    assert ask(front, basic(f"{TILL}:{SECRET}")).status_code == 401


def test_new_password(shop: Shop, front: Front) -> None:
    assert ask(front, basic(f"{TILL}:{SECRET}")).status_code == 200
    shop.till("other", password_md5="0" * 32)
    with shop.database.reading() as tx:
        rows = tx.rows(t.till.select().where(t.till.c.code == "other"), {})
    shop.change(t.till, shop.till_id, password_hash=rows[0].password_hash)
    shop.clock.ms += 31_000
    assert ask(front, basic(f"{TILL}:{SECRET}")).status_code == 401
    assert ask(front, basic(f"{TILL}:{'0' * 32}")).status_code == 200


def test_first_requests_of_a_till_check_its_password_once(shop: Shop, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    real = passwords.is_secret

    def counted(secret: str, stored: str) -> bool:
        checked.append(stored)
        return real(secret, stored)

    monkeypatch.setattr(passwords, "is_secret", counted)

    async def at_once() -> list[httpx.Response]:
        return await asyncio.gather(*(front.asking("GET", CHECK, params={"code": "A", "mobile": "1"}) for _ in range(20)))

    assert {response.status_code for response in front.run(at_once())} == {400}
    shop.clock.ms += 31_000
    front.run(at_once())
    assert len(checked) == 1


class TestTokens:
    @pytest.fixture(autouse=True)
    def client(self, shop: Shop) -> int:
        return shop.client()

    @pytest.mark.parametrize("header", ["X-CAP-API-OAUTH-TOKEN", "CAP-API-ACCESS-TOKEN", "Authorization"])
    def test_header_forms(self, front: Front, header: str) -> None:
        made = token(front)
        assert ask(front, {header: f"Bearer {made}" if header == "Authorization" else made}).status_code == 200

    def test_response(self, front: Front) -> None:
        response = front.ask("POST", TOKEN, json={"key": "Qk7f", "secret": "pLz8", "more": 1}, auth=None)
        body = response.json()
        assert response.status_code == 200
        assert body == {"data": {"accessToken": body["data"]["accessToken"], "ttlSeconds": 3600}, "errors": None}
        assert response.headers["cache-control"] == "no-store"
        assert token(front) != token(front)

    def test_claims(self, shop: Shop, front: Front, client: int) -> None:
        payload = token(front).split(".")[1]
        claims = httpx.Response(200, content=base64.urlsafe_b64decode(payload + "==")).json()
        now_s = shop.clock.ms // 1000
        assert claims == {
            "iss": "couponry",
            "sub": str(client),
            "iat": now_s,
            "exp": now_s + 3600,
            "jti": claims["jti"],
            "client_id": client,
            "org_id": shop.org_id,
            "token_use": "token_access",
            "client_key": "Qk7f",
            "default_till": TILL,
            "scopes": ["coupon"],
        }

    @pytest.mark.parametrize(
        "body",
        [
            {"key": "Qk7f", "secret": "wrong"},
            {"key": "nobody", "secret": "pLz8"},
            {"key": "Qk7f"},
            {"key": 1, "secret": 2},
            {},
            [],
            {"key": "\0", "secret": ""},
        ],
    )
    def test_failed_login(self, front: Front, body: Any) -> None:
        response = front.ask("POST", TOKEN, json=body, auth=None)
        assert response.status_code == 401
        assert response.json() == {"data": None, "errors": [{"code": 401, "message": "Failed to generate OAuth token"}]}

    def test_broken_body(self, front: Front) -> None:
        response = front.ask("POST", TOKEN, content=b"{", headers={"Content-Type": "application/json"}, auth=None)
        assert (response.status_code, response.json()["errors"][0]["code"]) == (400, 400)
        assert front.ask("POST", TOKEN, content=b"key=1", headers={"Content-Type": "text/plain"}, auth=None).status_code == 415
        assert front.ask("GET", TOKEN, auth=None).status_code == 405

    def test_token_expires(self, shop: Shop, front: Front) -> None:
        made = token(front)
        assert ask(front, {"X-CAP-API-OAUTH-TOKEN": made}).status_code == 200
        shop.clock.ms += 3600 * 1000 - 1
        assert ask(front, {"X-CAP-API-OAUTH-TOKEN": made}).status_code == 200
        shop.clock.ms += 1
        assert ask(front, {"X-CAP-API-OAUTH-TOKEN": made}).status_code == 401

    def test_tampered_tokens(self, front: Front) -> None:
        head, claims, signature = token(front).split(".")
        unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
        for forged in (f"{head}.{claims}.", f"{unsigned}.{claims}.", f"{head}.{claims[:-2]}AA.{signature}", f"{head}.{claims}"):
            assert ask(front, {"X-CAP-API-OAUTH-TOKEN": forged}).status_code == 401

    def test_deactivated_client(self, shop: Shop, front: Front, client: int) -> None:
        made = token(front)
        assert ask(front, {"X-CAP-API-OAUTH-TOKEN": made}).status_code == 200
        shop.change(t.client, client, is_active=False)
        shop.clock.ms += 31_000
        assert ask(front, {"X-CAP-API-OAUTH-TOKEN": made}).status_code == 401
        assert front.ask("POST", TOKEN, json={"key": "Qk7f", "secret": "pLz8"}, auth=None).status_code == 401

    def test_basic_switch_is_for_tills_only(self, shop: Shop, front: Front) -> None:
        shop.set(basicAuthEnabled="false")
        assert ask(front, {"X-CAP-API-OAUTH-TOKEN": token(front)}).status_code == 200


@pytest.mark.parametrize(("data", "read", "write"), [("NONE", 403, 403), ("READ", 200, 403), ("WRITE", 200, 200)])
@pytest.mark.parametrize("scheme", ["till", "client"])
def test_access_group(shop: Shop, front: Front, scheme: str, data: str, read: int, write: int) -> None:
    group = shop.access_group(data)
    if scheme == "till":
        shop.change(t.store, shop.store_id, access_group_id=group)
        headers = basic(f"{TILL}:{SECRET}")
    else:
        shop.client(access_group_id=group)
        headers = {"X-CAP-API-OAUTH-TOKEN": token(front)}
    assert ask(front, headers).status_code == read
    body = {"redemptionRequestList": [{"code": "NOSUCH"}], "user": {"mobile": "919812300001"}, "billAmount": 1}
    written = front.ask("POST", "/v2/coupon/redeem", json=body, headers=headers, auth=None)
    assert written.status_code == write
    if write == 403:
        denied = {"status": False, "code": 4000, "message": "Not authorized. Access is denied!"}
        assert written.json() == {"errors": [denied], "warnings": []}


def test_access_groups_that_cannot_be_read(shop: Shop, front: Front) -> None:
    shop.change(t.store, shop.store_id, access_group_id=shop.access_group("WRITE"))
    with shop.database.writing() as tx:
        tx.connection.exec_driver_sql("ALTER TABLE access_group RENAME TO access_group_gone")
    response = ask(front, basic(f"{TILL}:{SECRET}"))
    assert (response.status_code, code_of(response.json())) == (503, 4001)
    assert response.headers.get("retry-after") is None


def test_places_that_cannot_be_read(shop: Shop, front: Front) -> None:
    with shop.database.writing() as tx:
        tx.connection.exec_driver_sql("ALTER TABLE zone RENAME TO zone_gone")
    response = ask(front, basic(f"{TILL}:{SECRET}"))
    assert (response.status_code, code_of(response.json())) == (500, 797)
    assert response.headers["retry-after"] == "1"


class TestGuessing:
    def test_failures_slow_down_and_pass(self, shop: Shop, front: Front) -> None:
        for guess in range(5):
            assert ask(front, basic(f"{TILL}:{guess:032x}")).status_code == 401
        began_s = time.monotonic()
        assert ask(front, basic(f"{TILL}:{9:032x}")).status_code == 401
        assert time.monotonic() - began_s > 0.3
        shop.clock.ms += 16 * 60_000
        began_s = time.monotonic()
        assert ask(front, basic(f"{TILL}:{SECRET}")).status_code == 200
        assert time.monotonic() - began_s < 0.3

    def test_right_password_gets_in_later(self, front: Front) -> None:
        for guess in range(4):
            ask(front, basic(f"{TILL}:{guess:032x}"))
        assert ask(front, basic(f"{TILL}:{SECRET}")).status_code == 200
        assert ask(front, basic(f"{TILL}:{SECRET}")).status_code == 200

    def test_one_address_is_slowed_down_over_many_names(self, front: Front) -> None:
        for guess in range(6):
            ask(front, basic(f"nobody{guess}:{SECRET}"))
        began_s = time.monotonic()
        ask(front, basic(f"nobody9:{SECRET}"))
        assert time.monotonic() - began_s > 0.3
        began_s = time.monotonic()
        assert ask(front, basic(f"{TILL}:{SECRET}"), address="198.51.100.9").status_code == 200
        assert time.monotonic() - began_s < 0.3

    def test_same_wrong_password_is_not_checked_again(self, front: Front) -> None:
        for _ in range(30):
            assert ask(front, basic(f"{TILL}:{'0' * 32}")).status_code == 401
        began_s = time.monotonic()
        assert ask(front, basic(f"{TILL}:{'1' * 32}")).status_code == 401
        assert time.monotonic() - began_s < 0.3


class TestOutage:
    @pytest.fixture
    def own_front(self, own_postgres_server: PostgresServer) -> Iterator[tuple[Shop, Front]]:
        database = Database(own_postgres_server.url())
        migrate.upgrade(database)
        shop = Shop(database).open()
        shop.till("till2", store="s2")
        with shop.front() as front:
            yield shop, front
        database.close()

    def test_known_credentials_outlive_the_database(
        self, own_front: tuple[Shop, Front], own_postgres_server: PostgresServer
    ) -> None:
        shop, front = own_front
        assert ask(front, basic(f"{TILL}:{SECRET}")).status_code == 200
        own_postgres_server.stop()
        shop.clock.ms += 31_000
        known = ask(front, basic(f"{TILL}:{SECRET}"))
        assert (known.status_code, code_of(known.json())) == (500, 786)
        assert "redemptionStatus" in known.json(), "the till is known; it is the ledger that cannot answer"
        unknown = ask(front, basic(f"till2:{SECRET}"))
        assert (unknown.status_code, code_of(unknown.json())) == (500, 786)
        assert unknown.headers["retry-after"] == "1"
        assert "redemptionStatus" not in unknown.json()
        shop.clock.ms += 16 * 60_000
        assert "redemptionStatus" not in ask(front, basic(f"{TILL}:{SECRET}")).json(), "nobody is believed forever"
        assert front.ask("GET", "/readyz", auth=None).status_code == 503
        assert front.ask("GET", "/healthz", auth=None).status_code == 200
        own_postgres_server.start()
        assert ask(front, basic(f"{TILL}:{SECRET}")).status_code == 200
        assert ask(front, basic(f"till2:{SECRET}")).status_code == 200
        assert front.ask("GET", "/readyz", auth=None).status_code == 200
