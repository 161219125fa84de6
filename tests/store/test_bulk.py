"""Imports: what is taken, what is refused and why, and files from hell."""

import csv
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from couponry.core.limits import IMPORT_CHUNK_ROWS
from couponry.core.model import Org
from couponry.store import registry, schema
from couponry.store.bulk import Kind, Result, import_file, import_rows
from couponry.store.bulk.coupons import Coupons
from couponry.store.bulk.customers import Customers
from couponry.store.bulk.rows import FileUnusable
from couponry.store.bulk.series import SeriesRows
from couponry.store.engine import Database

NOW_MS = 1_900_000_000_000  # 2030-03-17 23:16:40 in India
DAY_MS = 86_400_000
TERMS = {"description": "Ten off", "discountType": "ABS", "discountValue": "10"}


@pytest.fixture
def org(database: Database) -> Org:
    with database.writing() as tx:
        made = registry.create_org(tx, name="Shop", time_zone="Asia/Kolkata", currency="INR", country_code="91", now_ms=NOW_MS)
        assert isinstance(made, int)
        found = registry.read_org(tx, made)
        assert isinstance(found, Org)
        return found


@pytest.fixture
def kinds(org: Org) -> dict[str, Kind]:
    labels = frozenset({"ACTIVE", "SUSPENDED"})
    return {
        "customers": Customers(org, labels, NOW_MS),
        "series": SeriesRows(org, NOW_MS, lambda: "GENERATED"),
        "coupons": Coupons(org, NOW_MS),
    }


@pytest.fixture
def shop(database: Database, kinds: dict[str, Kind]) -> dict[str, Kind]:
    """Customers c0-c2 and a series of each handling type."""
    assert import_rows(database, kinds["customers"], [{"externalId": f"c{n}", "mobile": f"981230000{n}"} for n in range(3)]) == []
    series = [
        {"seriesCode": "GEN", "clientHandlingType": "DISC_CODE"},
        {"seriesCode": "POOL", "clientHandlingType": "DISC_CODE_PIN", "expiryStrategyType": "DAYS", "expiryStrategyValue": "7"},
        {"seriesCode": "SHARED", "clientHandlingType": "GENERIC", "genericCode": "BIG10"},
        {"seriesCode": "CAPPED", "clientHandlingType": "DISC_CODE", "maxCreate": "2"},
    ]
    assert import_rows(database, kinds["series"], [{**TERMS, **row} for row in series]) == []
    return kinds


def rows(database: Database, table: Any, *columns: str) -> list[tuple[Any, ...]]:
    with database.reading() as tx:
        return sorted(tuple(row) for row in tx.rows(select(*(table.c[name] for name in columns)), {}))


def codes(database: Database, kind: Kind, *given: dict[str, Any]) -> list[int | str]:
    return [problem.code for problem in import_rows(database, kind, given)]


def test_customers_are_normal(database: Database, kinds: dict[str, Kind]) -> None:
    given = {
        "firstName": " Mira ",
        "mobile": "+91 98123-00001",
        "email": "Mira@Example.com",
        "externalId": "CRM-77",
        "registeredOn": "2028-01-01",
        "loyaltyType": "NON_LOYALTY",
        "fraudStatus": "marked",
        "statusLabel": "suspended",
        "transactionCount": "3",
    }
    assert codes(database, kinds["customers"], given, {"mobile": "09812300002"}) == []
    columns = (
        "id",
        "first_name",
        "mobile",
        "email",
        "external_id",
        "is_loyalty",
        "fraud_status",
        "status_label",
        "transaction_count",
    )
    assert rows(database, schema.customer, *columns, "registered_ms") == [
        (90001, "Mira", "919812300001", "mira@example.com", "CRM-77", False, "MARKED", "SUSPENDED", 3, 1830277800000),
        (90002, "", "919812300002", None, None, True, "NONE", "ACTIVE", 0, NOW_MS),
    ]


def test_customers_are_refused(database: Database, kinds: dict[str, Kind]) -> None:
    assert codes(database, kinds["customers"], {"externalId": "a", "mobile": "9812300001", "email": "a@b.example"}) == []
    refused = {
        1001: {"mobile": "none"},
        1002: {"email": "nobody"},
        1003: {"externalId": "x" * 256},
        1007: {"firstName": "Mira"},
        1032: {"mobile": "+919812300001"},
        1016: {"email": "A@B.example"},
        1033: {"externalId": "a"},
    }
    for code, row in refused.items():
        assert codes(database, kinds["customers"], row) == [code]
    good = {"externalId": "b"}
    for wrong in (
        {"fraudStatus": "EVIL"},
        {"statusLabel": "KING"},
        {"transactionCount": "-1"},
        {"registeredOn": "soon"},
        {"loyaltyType": "x"},
    ):
        assert codes(database, kinds["customers"], {**good, **wrong}) == [629]
    assert codes(database, kinds["customers"], good, good) == [1033]
    assert len(rows(database, schema.customer, "id")) == 2


def test_series_bring_their_counter_their_shared_code_and_their_audience(database: Database, shop: dict[str, Kind]) -> None:
    assert [row[0] for row in rows(database, schema.series, "id", "code_key")] == [5001, 5002, 5003, 5004]
    assert rows(database, schema.series_counter, "series_id", "stripe", "issued", "issued_max", "redeemed_max") == [
        (5001, 0, 0, -1, -1),
        (5002, 0, 0, -1, -1),
        (5003, 0, 0, -1, -1),
        (5004, 0, 0, 2, -1),
    ]
    assert rows(database, schema.coupon, "series_id", "code", "holder_id") == [(5003, "BIG10", 0)]
    targeted = {**TERMS, "seriesCode": "FEW", "clientHandlingType": "DISC_CODE", "couponSeriesAudience": '["c1", "c0", "c1"]'}
    assert codes(database, shop["series"], targeted) == []
    assert rows(database, schema.series_audience, "series_id", "customer_id") == [(5005, 90001), (5005, 90002)]


def test_series_are_refused(database: Database, shop: dict[str, Kind]) -> None:
    sound = {**TERMS, "seriesCode": "NEW", "clientHandlingType": "DISC_CODE"}
    shared = {**sound, "clientHandlingType": "GENERIC"}
    assert codes(database, shop["series"], {**sound, "seriesCode": "gen "}) == [751]
    assert codes(database, shop["series"], {**sound, "seriesCode": ""}) == [753]
    assert codes(database, shop["series"], {**sound, "description": ""}) == [403]
    assert codes(database, shop["series"], shared) == [754]
    assert codes(database, shop["series"], {**shared, "genericCode": "big10"}) == [744]
    assert codes(database, shop["series"], {**sound, "couponSeriesAudience": '["nobody"]'}) == [744]
    assert codes(database, shop["series"], {**sound, "couponSeriesAudience": "{}"}) == [744]
    assert codes(database, shop["series"], {**sound, "mutualExclusiveSeriesIds": "x"}) == [756]
    assert codes(database, shop["series"], sound, sound, {**TERMS, "clientHandlingType": "DISC_CODE"}) == [751]
    assert len(rows(database, schema.series, "id")) == 6


def test_coupons_in_every_state(database: Database, shop: dict[str, Kind]) -> None:
    given = [
        {"seriesCode": "gen", "code": "a-1", "customerExternalId": "c0", "issuedOn": "2030-01-01"},
        {"seriesCode": "GEN", "code": "A-2", "customerMobile": "98123 00001", "validTillDateTime": "2031-01-01T00:00:00Z"},
        {"seriesCode": "POOL", "code": "P-1"},
        {"seriesCode": "POOL", "code": "P-2", "state": "ISSUED"},
        {"seriesCode": "POOL", "code": "P-3", "customerExternalId": "c0", "state": "REVOKED"},
        {"seriesCode": "POOL", "code": "P-3", "customerExternalId": "c1", "issuedOn": "1899990000000"},
        {"seriesCode": "SHARED", "code": "big10", "customerExternalId": "c0"},
        {"seriesCode": "SHARED", "code": "BIG10", "customerExternalId": "c1"},
    ]
    assert codes(database, shop["coupons"], *given) == []
    columns = ("code", "customer_id", "holder_id", "issued_ms", "expires_local", "revoked_ms")
    with database.reading() as tx:
        made = [
            tuple(row) for row in tx.rows(select(*(schema.coupon.c[name] for name in columns)).order_by(schema.coupon.c.id), {})
        ]
    assert made == [
        ("BIG10", None, 0, None, None, None),
        ("a-1", 90001, 0, 1893436200000, None, None),
        ("A-2", 90002, 0, NOW_MS, "2031-01-01T05:30:00", None),
        ("P-1", None, 0, None, None, None),
        ("P-2", None, 0, NOW_MS, "2030-03-24T23:59:59", None),
        ("P-3", 90001, 0, NOW_MS, "2030-03-24T23:59:59", NOW_MS),
        ("P-3", 90002, 0, 1899990000000, "2030-03-24T23:59:59", None),
        ("big10", 90001, 90001, NOW_MS, None, None),
        ("BIG10", 90002, 90002, NOW_MS, None, None),
    ]
    assert rows(database, schema.customer_series, "customer_id", "series_id", "issued", "last_issued_ms") == [
        (90001, 5001, 1, 1893436200000),
        (90001, 5003, 1, NOW_MS),
        (90002, 5001, 1, NOW_MS),
        (90002, 5002, 1, 1899990000000),
        (90002, 5003, 1, NOW_MS),
    ]
    counted = [(5001, 2, NOW_MS), (5002, 3, NOW_MS), (5003, 2, NOW_MS), (5004, 0, None)]
    assert rows(database, schema.series_counter, "series_id", "issued", "last_issued_ms") == counted


def test_coupons_are_refused(database: Database, shop: dict[str, Kind]) -> None:
    coupons = shop["coupons"]
    assert codes(database, coupons, {"seriesCode": "GEN", "code": "TAKEN"}) == []
    assert codes(database, coupons, {"seriesCode": "NONE", "code": "X"}) == [707]
    assert codes(database, coupons, {"seriesCode": "GEN", "code": "a b"}, {"seriesCode": "GEN", "code": ""}) == [702, 702]
    assert codes(database, coupons, {"seriesCode": "POOL", "code": " taken "}) == [633]
    assert codes(database, coupons, {"seriesCode": "GEN", "code": "twice"}, {"seriesCode": "POOL", "code": "TWICE"}) == [633]
    assert codes(database, coupons, {"seriesCode": "GEN", "code": "X", "customerExternalId": "nobody"}) == [701]
    assert codes(database, coupons, {"seriesCode": "GEN", "code": "X", "customerMobile": "none"}) == [701]
    assert codes(database, coupons, {"seriesCode": "GEN", "code": "X", "state": "BROKEN"}) == [629]
    assert codes(database, coupons, {"seriesCode": "GEN", "code": "X", "state": "UNISSUED", "customerExternalId": "c0"}) == [629]
    assert codes(database, coupons, {"seriesCode": "GEN", "code": "X", "issuedOn": "soon"}) == [629]
    assert codes(database, coupons, {"seriesCode": "POOL", "code": "BIG10"}) == [633]
    assert codes(database, coupons, {"seriesCode": "SHARED", "code": "OTHER", "customerExternalId": "c0"}) == [633]
    assert codes(database, coupons, {"seriesCode": "SHARED", "code": "BIG10"}) == [633]
    own = {"seriesCode": "SHARED", "code": "BIG10", "customerExternalId": "c0"}
    assert codes(database, coupons, own, own) == [5004]
    assert codes(database, coupons, own) == [5004]


def test_nothing_is_given_to_a_customer_who_is_gone(database: Database, shop: dict[str, Kind]) -> None:
    """Prevents a coupon that its owner can never redeem, in the hands of a merged-away customer."""
    customer = schema.customer
    with database.writing() as tx:
        tx.connection.execute(update(customer).where(customer.c.external_id == "c1").values(merged_into_id=1))
    (problem,) = import_rows(database, shop["coupons"], [{"seriesCode": "GEN", "code": "A1", "customerExternalId": "c1"}])
    assert problem.code == 701
    (taken,) = import_rows(database, shop["customers"], [{"externalId": "c1"}])
    assert taken.code == 1033


def test_cap_of_a_series_holds(database: Database, shop: dict[str, Kind]) -> None:
    given = [{"seriesCode": "CAPPED", "code": f"C{n}", "state": "ISSUED"} for n in range(3)]
    pool = {"seriesCode": "CAPPED", "code": "UNISSUED"}
    assert codes(database, shop["coupons"], *given, pool) == [5001]
    assert codes(database, shop["coupons"], given[2]) == [5001]
    assert rows(database, schema.series_counter, "series_id", "issued")[-1] == (5004, 2)


# Files.


@pytest.fixture
def imported(database: Database, shop: dict[str, Kind], tmp_path: Path) -> Callable[..., Result]:
    def run(content: bytes | str, kind: str = "coupons", **more: Any) -> Result:
        path = tmp_path / "in.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return import_file(database, shop[kind], path, **more)

    return run


def test_file_with_good_and_bad_rows(imported: Callable[..., Result], database: Database) -> None:
    """Prevents one bad row among a million that stops the others."""
    result = imported(
        '\ufeffseriesCode,code,note\r\nGEN,"X-1",a\r\n\r\nGEN,X-1,"=cmd|\' /C calc\'!A0"\r\nGEN,X 2,"+1,2"\r\nGEN\r\nGEN,X-3,\r\n'
    )
    assert (result.rows, result.imported, result.failed) == (5, 2, 3)
    assert result.error_file is not None
    with Path(result.error_file).open(newline="") as file:
        failed = list(csv.DictReader(file))
    assert [row["errorCode"] for row in failed] == ["633", "702", "629"]
    assert [row["note"] for row in failed] == ["'=cmd|' /C calc'!A0", "'+1,2", ""]
    assert all(row["errorMessage"] for row in failed)


def test_error_file_can_be_mended_and_imported(imported: Callable[..., Result]) -> None:
    result = imported("seriesCode,code,customerExternalId,customerMobile\nGEN,X 1,c0,+919812300000\n")
    assert result.error_file is not None
    mended = Path(result.error_file).read_text().replace("X 1", "X-1")
    assert imported(mended).imported == 1


def test_apostrophe_before_a_formula_is_ours(imported: Callable[..., Result], database: Database) -> None:
    imported("externalId,firstName\n'-7,'=1+1\n8,O'Neil\n", kind="customers")
    assert ("-7", "=1+1") in rows(database, schema.customer, "external_id", "first_name")
    assert ("8", "O'Neil") in rows(database, schema.customer, "external_id", "first_name")


def test_a_spreadsheet_s_empty_columns_mean_nothing(imported: Callable[..., Result]) -> None:
    assert imported("code,seriesCode,,\nX,GEN,,\n") == Result(1, 1, 0, None)


def test_result_has_no_error_file_when_nothing_failed(imported: Callable[..., Result], tmp_path: Path) -> None:
    assert imported("code,seriesCode\nX,GEN\n") == Result(1, 1, 0, None)
    assert [path.name for path in tmp_path.glob("*.csv")] == ["in.csv"]


def test_dry_run_changes_nothing_and_says_the_same(imported: Callable[..., Result], database: Database) -> None:
    many = "seriesCode,code\n" + "".join(f"GEN,X{n}\n" for n in range(IMPORT_CHUNK_ROWS + 1)) + "GEN,X0\nGEN,X 1\n"
    before = rows(database, schema.coupon, "id")
    looked = imported(many, dry_run=True)
    assert (looked.rows, looked.failed) == (IMPORT_CHUNK_ROWS + 3, 2)
    assert rows(database, schema.coupon, "id") == before
    done = imported(many)
    assert (done.rows, done.imported, done.failed) == (looked.rows, looked.imported, looked.failed)
    with database.reading() as tx:
        assert tx.connection.scalar(select(func.count()).select_from(schema.coupon)) == len(before) + IMPORT_CHUNK_ROWS + 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        ("seriesCode,code\nGEN,X\n".encode("utf-16"), "UTF-8"),
        ("seriesCode,code\nGEN,X\n".encode("utf-16-le"), "UTF-8"),
        (b"seriesCode,code,code\nGEN,X,Y\n", "twice"),
        (b"seriesCode;code\nGEN;X\n", "lacks code, seriesCode"),
        (b'"seriesCode,code\nGEN,X\n', "header"),
    ],
)
def test_unusable_file_is_refused_as_a_whole(imported: Callable[..., Result], content: bytes, said: str) -> None:
    with pytest.raises(FileUnusable, match=said):
        imported(content)


@pytest.mark.parametrize(
    "line",
    [
        b"GEN,X\0Y",
        b"GEN,caf\xe9",
        b'GEN,"X"Y',
        b"GEN," + b"X" * 200_000,
        b"GEN,X,too many",
        b'GEN,"never closed',
    ],
)
def test_unreadable_row_costs_only_itself(imported: Callable[..., Result], line: bytes) -> None:
    result = imported(b"seriesCode,code\nGEN,BEFORE\n" + line + b"\n")
    assert (result.imported, result.failed) == (1, 1)
    assert result.error_file is not None
    assert b"629" in Path(result.error_file).read_bytes()
    if b'"never' not in line:
        assert imported(b"seriesCode,code\n" + line + b"\nGEN,AFTER\n").imported == 1


def test_error_file_goes_elsewhere_when_its_place_is_closed(imported: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "in.errors.csv").mkdir()
    result = imported("seriesCode,code\nGEN,X 1\n")
    assert result.error_file is not None
    elsewhere = Path(result.error_file)
    assert elsewhere.parent != tmp_path
    assert "702" in elsewhere.read_text()
    elsewhere.unlink()


def test_unknown_columns_are_told(imported: Callable[..., Result]) -> None:
    heard: list[list[str]] = []
    imported("seriesCode,code,colour,errorCode\nGEN,X,red,702\n", ignored=heard.append)
    assert heard == [["colour"]]


def test_nested_values_are_json_in_a_cell(imported: Callable[..., Result], database: Database) -> None:
    entities = json.dumps([{"redemptionOrgEntityType": "STORE", "orgEntityId": 310}]).replace('"', '""')
    head = "description,discountType,discountValue,clientHandlingType,seriesCode,redemptionOrgEntityDetails,maxRedeem\n"
    assert imported(f'{head}Ten,ABS,10,DISC_CODE,PLACE,"{entities}",-1\n', kind="series").imported == 1
    terms = {series_id: json.loads(text) for series_id, text in rows(database, schema.series_version, "series_id", "terms")}
    assert terms[5005]["redemptionOrgEntityDetails"] == [{"redemptionOrgEntityType": "STORE", "orgEntityId": 310}]


def test_code_that_another_writer_takes_meanwhile_is_refused(database: Database, shop: dict[str, Kind]) -> None:
    """Prevents an import that dies, or a code that exists twice, because a server wrote between the look and the insert."""
    taken = {"seriesCode": "GEN", "code": "TAKEN"}
    with ThreadPoolExecutor(1) as thread:
        with database.writing() as tx:
            assert shop["coupons"].write(tx, [taken], set()) == [None]
            importing = thread.submit(codes, database, shop["coupons"], taken, {**taken, "code": "FREE"})
            time.sleep(0.3)
        assert importing.result(timeout=10) == [633]
    assert sorted(code for (code,) in rows(database, schema.coupon, "code")) == ["BIG10", "FREE", "TAKEN"]
