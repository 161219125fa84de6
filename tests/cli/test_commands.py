"""Every command through its own entry: one JSON value on standard output, or a refusal on standard error."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from couponry.cli import app
from couponry.store import passwords, registry, schema
from couponry.store.engine import Database

Couponry = Callable[..., Any]
ORG = ("org", "create", "--name", "Shop", "--timezone", "Asia/Kolkata", "--currency", "INR")


class Refused(Exception):
    def __init__(self, error: dict[str, str]) -> None:
        super().__init__(error["message"])
        self.code = error["code"]


def runner(url: str) -> Couponry:
    """Run a command and return what it answers; raise what it refuses."""

    def run(*words: str, **settings: str) -> Any:
        result = CliRunner().invoke(app, words, env={"COUPONRY_DATABASE_URL": url, **settings}, catch_exceptions=False)
        if result.exit_code and not result.stdout:
            assert result.exit_code == 1
            raise Refused(json.loads(result.stderr.splitlines()[-1])["error"])
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout)

    return run


@pytest.fixture
def couponry(migrated_url: str) -> Couponry:
    return runner(migrated_url)


@pytest.fixture
def shop(couponry: Couponry) -> Couponry:
    assert couponry(*ORG, "--country-code", "91") == {"orgId": 1001}
    return couponry


def refusal(couponry: Couponry, *words: str) -> str:
    with pytest.raises(Refused) as raised:
        couponry(*words)
    return raised.value.code


def test_settings_are_listed_and_masked(couponry: Couponry) -> None:
    listing = couponry("settings", COUPONRY_SECRET_KEY="0123456789abcdef")
    values = {row["name"]: row["value"] for row in listing}
    assert values["COUPONRY_SECRET_KEY"] == "***"
    assert all(set(row) == {"name", "meaning", "default", "value"} for row in listing)


def test_wrong_setting_is_refused(couponry: Couponry) -> None:
    with pytest.raises(Refused, match="COUPONRY_PORT"):
        couponry("settings", COUPONRY_PORT="many")


def test_database_is_checked_and_upgraded(database_url: str) -> None:
    couponry = runner(database_url)
    assert refusal(couponry, "db", "check") == "schema"
    assert refusal(couponry, "doctor") == "schema"
    assert couponry("db", "upgrade") == {"upgraded": True}
    assert couponry("db", "upgrade") == {"upgraded": False}
    assert couponry("db", "check") == {"upToDate": True}
    assert refusal(couponry, "db", "distribute") == "citus"


def test_first_org_sets_up_a_fresh_database(database_url: str) -> None:
    couponry = runner(database_url)
    assert couponry(*ORG) == {"orgId": 1001}
    assert couponry(*ORG) == {"orgId": 1002}


def test_half_migrated_database_is_refused(couponry: Couponry, database: Database) -> None:
    with database.writing() as tx:
        tx.connection.execute(text("DROP TABLE outbox"))
    for words in (("db", "check"), ("db", "upgrade"), ORG):
        assert refusal(couponry, *words) == "schema"


def test_hook_secret(shop: Couponry) -> None:
    command = ("org", "hook-secret", "--org", "1001")
    first = shop(*command, COUPONRY_SECRET_KEY="0123456789abcdef")["secret"]
    assert first.startswith("whsec_")
    assert first == shop(*command, COUPONRY_SECRET_KEY="0123456789abcdef")["secret"]
    assert first != shop(*command, COUPONRY_SECRET_KEY="0123456789abcdeF")["secret"]
    assert refusal(shop, *command) == "setting"
    with pytest.raises(Refused) as raised:
        shop("org", "hook-secret", "--org", "9", COUPONRY_SECRET_KEY="0123456789abcdef")
    assert raised.value.code == "unknown"


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("https://hooks.example.com/redeem?org=1", True),
        ("http://10.0.0.1:8080", True),
        ("http://[fd00::1]:8080/", True),
        ("", True),
        ("https://user:pw@hooks.example.com/", False),
        ("ftp://hooks.example.com/", False),
        ("hooks.example.com", False),
        ("https://hooks.example.com/a b", False),
        ("https://hooks.example.com/" + "a" * 2000, False),
    ],
)
def test_hook_url(shop: Couponry, url: str, is_taken: bool) -> None:
    command = ("org", "set", "--org", "1001", f"preRedeemHookUrl={url}")
    if is_taken:
        assert shop(*command) == {"preRedeemHookUrl": url}
    else:
        assert refusal(shop, *command) == "invalid"


def test_org_is_refused(couponry: Couponry) -> None:
    assert refusal(couponry, *ORG[:-1], "XXX") == "invalid"
    assert refusal(couponry, "org", "create", "--name", "Shop") == "usage"


def test_org_settings(shop: Couponry) -> None:
    changed = shop("org", "set", "--org", "1001", "transactionNumberRequired=true", "derivedIdempotencyHours=0", "smsUrl=a=b")
    assert changed == {"transactionNumberRequired": True, "derivedIdempotencyHours": 0, "smsUrl": "a=b"}
    values = {row["name"]: row["value"] for row in shop("org", "settings", "--org", "1001")}
    assert (values["transactionNumberRequired"], values["otpValidityMinutes"]) == (True, 15)
    listing = shop("org", "settings")
    assert {row["name"]: row["default"] for row in listing}["derivedIdempotencyHours"] == 24
    assert all(set(row) == {"name", "meaning", "default"} and row["meaning"] for row in listing)
    assert refusal(shop, "org", "set", "--org", "1001", "nonsense=1") == "invalid"
    assert refusal(shop, "org", "set", "--org", "1001", "smsUrl") == "invalid"
    assert refusal(shop, "org", "set", "--org", "9", "smsUrl=x") == "unknown"
    assert refusal(shop, "org", "settings", "--org", "9") == "unknown"


def test_till_can_log_in(shop: Couponry, database: Database) -> None:
    made = shop("till", "create", "--org", "1001", "--code", "till1", "--password", "123", "--zone", "north", "--concept", "food")
    assert made.keys() == {"tillId", "storeId", "zoneId", "conceptId"}
    with database.reading() as tx:
        [stored] = tx.rows(schema.till.select(), {})
    assert (stored.id, stored.store_id) == (made["tillId"], made["storeId"])
    assert passwords.is_secret("202cb962ac59075b964b07152d234b70", stored.password_hash)
    assert refusal(shop, "till", "create", "--org", "1001", "--code", "till1", "--password", "123") == "taken"
    assert refusal(shop, "till", "create", "--org", "1001", "--code", "till2", "--password", "") == "invalid"
    assert refusal(shop, "till", "create", "--org", "9", "--code", "till2", "--password", "123") == "unknown"


def test_client_gets_its_secret_once(shop: Couponry, database: Database) -> None:
    shop("till", "create", "--org", "1001", "--code", "till1", "--password", "123")
    made = shop("client", "create", "--org", "1001", "--name", "app", "--till", "till1", "--admin")
    with database.reading() as tx:
        [stored] = tx.rows(schema.client.select(), {})
        assert registry.org_of_login(tx, "client", made["key"]) == 1001
    assert passwords.is_secret(made["secret"], stored.secret_hash)
    assert stored.is_admin
    assert stored.till_id is not None
    assert refusal(shop, "client", "create", "--org", "1001", "--name", "app", "--till", "nowhere") == "unknown"


def test_user(shop: Couponry) -> None:
    words = ("user", "create", "--org", "1001", "--password", "x", "--role")
    assert shop(*words, "marketer", "--email", "a@b.example").keys() == {"userId"}
    assert refusal(shop, *words, "admin", "--email", "A@B.example") == "taken"
    assert refusal(shop, *words, "king", "--email", "c@d.example") == "usage"


def test_import_and_doctor(shop: Couponry, tmp_path: Path) -> None:
    def written(name: str, *lines: str) -> str:
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return str(tmp_path / name)

    customers = written("customers.csv", "externalId,mobile", "c0,9812300001", "c1,none")
    looked = shop("import", "customers", customers, "--org", "1001", "--dry-run")
    done = shop("import", "customers", customers, "--org", "1001")
    assert looked == done == {"rows": 2, "imported": 1, "failed": 1, "errorFile": str(tmp_path / "customers.errors.csv")}
    head = "seriesCode,description,discountType,discountValue,clientHandlingType"
    series = written("series.csv", head, "S,Ten off,ABS,10,DISC_CODE")
    assert shop("import", "series", series, "--org", "1001") == {"rows": 1, "imported": 1, "failed": 0, "errorFile": None}
    coupons = written("coupons.csv", "seriesCode,code,customerExternalId", "S,A-1,c0", "S,A-2,")
    assert shop("import", "coupons", coupons, "--org", "1001")["imported"] == 2
    assert shop("doctor") == {"checked": 4, "differences": []}
    assert refusal(shop, "import", "coupons", coupons, "--org", "9") == "unknown"
    assert refusal(shop, "import", "coupons", str(tmp_path / "none.csv"), "--org", "1001") == "file"
    assert refusal(shop, "import", "coupons", customers, "--org", "1001") == "file"


def test_doctor_exits_1_when_a_counter_differs(shop: Couponry, migrated_url: str, database: Database) -> None:
    with database.writing() as tx:
        tx.connection.execute(text("INSERT INTO series_counter (org_id, series_id, stripe, issued) VALUES (1001, 1, 0, 5)"))
    result = CliRunner().invoke(app, ["doctor"], env={"COUPONRY_DATABASE_URL": migrated_url})
    assert result.exit_code == 1
    difference = {"orgId": 1001, "counter": "series_counter.issued", "stored": 5, "actual": 0, "seriesId": 1}
    assert json.loads(result.stdout)["differences"] == [difference]


def test_serve_needs_a_secret(couponry: Couponry) -> None:
    """Prevents a server that signs its tokens with nothing."""
    assert refusal(couponry, "serve") == "secret_key"


def test_database_that_is_not_there_is_said_so() -> None:
    assert refusal(runner("postgresql://nobody@127.0.0.1:1/none"), "db", "check") == "database"
    assert refusal(runner("sqlite:////nowhere/at/all.db"), "db", "check") == "database"


def test_command_is_installed_and_a_module(tmp_path: Path) -> None:
    for command in ([str(Path(sys.executable).with_name("couponry"))], [sys.executable, "-m", "couponry"]):
        done = subprocess.run([*command, "settings"], check=True, capture_output=True, text=True, cwd=tmp_path)
        assert json.loads(done.stdout)
        assert list(tmp_path.iterdir()) == []


def test_sqlite_writes_wait_for_each_other(shop: Couponry, database: Database) -> None:
    """Prevents a command that fails because a server happens to write."""
    with closing(Database(database.url)) as server, server.reading() as tx:
        tx.rows(schema.org.select(), {})
        assert shop(*ORG) == {"orgId": 1002}
