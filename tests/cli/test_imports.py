"""A retailer moves in by files: what was used up elsewhere is used up here, and nothing that is refused is lost."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import func, select

from couponry.store import schema as t
from couponry.store.engine import Database
from tests.api.shop import Front, Shop
from tests.cli.test_commands import ORG, Couponry, refusal, runner

ALL: Final = ("customers", "stores", "series", "coupons", "redemptions")
SERIES: Final = (
    "seriesCode,description,discountType,discountValue,clientHandlingType,genericCode,anyUser,isMultipleUseAllowed,"
    "sameUserMultipleRedeem,redemptionPerCouponMaxLimit,maxRedemptionsInSeriesPerUser,maxRedeem,externalIssual"
)
FILES: Final[dict[str, tuple[str, ...]]] = {
    "customers": ("externalId,mobile", "c1,9812300001", "c2,9812300002", "c3,9812300003", "c1,9812300004"),
    "stores": (
        "storeCode,storeName,zoneCode,conceptCode,tillCode,tillPassword,timezone,active",
        "blr01,Brigade Road,south,food,till1,123,Asia/Kolkata,",
        "blr01,,south,,till2,,,",
        "blr02,,south,,,,,false",
        "blr01,,north,,till3,,,",
        "blr03,,,,till1,,,",
        "blr03,,,,,,Asia/Nowhere,",
    ),
    "series": (
        SERIES,
        "ONCE,Single use,ABS,10,DISC_CODE,,,,,,,,",
        "EACH,Once each,ABS,10,DISC_CODE,,true,true,false,,,,",
        "CODE,Twice in all,ABS,10,DISC_CODE,,true,true,true,2,,,",
        "THEIRS,Twice per customer,ABS,10,DISC_CODE,,true,true,true,,2,,",
        "FIRST,First come,ABS,10,DISC_CODE,,true,true,true,,,2,",
        "COMMON,Shared,ABS,10,GENERIC,BIG10,true,true,true,,1,,",
        "OUTER,Third party,ABS,10,DISC_CODE_PIN,,,false,,,,,true",
    ),
    "coupons": (
        "seriesCode,code,customerExternalId,state,issuedOn,validTillDateTime",
        "ONCE,O-1,c1,ISSUED,2025-01-01,",
        "ONCE,O-2,c1,ISSUED,2025-01-01,",
        "ONCE,O-3,c1,REVOKED,2025-01-01,",
        "EACH,E-1,c1,ISSUED,2025-01-01,",
        "CODE,C-1,c1,ISSUED,2025-01-01,",
        "THEIRS,T-1,c1,ISSUED,2025-01-01,",
        "THEIRS,T-2,c1,ISSUED,2025-01-01,",
        "FIRST,F-1,c1,ISSUED,2025-01-01,",
        "OUTER,X-1,,UNISSUED,,",
        "ONCE,O-1,c2,ISSUED,2025-01-01,",
    ),
    "redemptions": (
        "code,customerExternalId,customerMobile,redeemedOn,tillCode,billNumber,billAmount",
        "O-1,c1,,2025-02-01 10:00:00,till1,B1,1500.50",
        "E-1,c2,,2025-02-01T10:00:00+05:30,till1,B2,",
        "C-1,,9812300001,1738384200000,till2,,",
        "C-1,c2,,2025-02-02,till2,,",
        "T-1,c1,,2025-02-02,till2,,",
        "T-2,c1,,2025-02-03,till2,,",
        "F-1,c1,,2025-02-03,till2,,",
        "F-1,c2,,2025-02-03,till2,,",
        "big10,c1,,2025-02-03,till2,,",
        "X-1,c2,,2025-02-03,till2,,",
        "O-1,c1,,2025-02-01 10:00:00,till1,B1,1500.50",
        "O-1,c1,,2025-02-01 10:00:01,till1,,",
        "E-1,c2,,2025-02-02,till1,,",
        "C-1,c3,,2025-02-05,till2,,",
        "T-1,c1,,2025-02-05,till2,,",
        "F-1,c3,,2025-02-05,till2,,",
        "BIG10,c1,,2025-02-05,till2,,",
        "X-1,c1,,2025-02-05,till2,,",
        "O-3,c1,,2025-02-05,till2,,",
        "O-2,c2,,2025-02-05,till2,,",
        "NONE,c1,,2025-02-05,till2,,",
        "O-2,c9,,2025-02-05,till2,,",
        "O-2,c1,,2025-02-05,till9,,",
        "O-2,c1,,soon,till2,,",
        "O-2,c1,,2025-02-05,till2,,-1",
    ),
}
REFUSED: Final = {
    "customers": ["1033"],
    "stores": ["conflict", "taken", "invalid"],
    "series": [],
    "coupons": ["633"],
    "redemptions": [
        *("633", "711", "716", "736", "728", "714", "728", "703", "660", "703"),
        *("719", "701", "629", "629", "629"),
    ],
}


@pytest.fixture
def couponry(migrated_url: str) -> Couponry:
    made = runner(migrated_url)
    made(*ORG, "--country-code", "91")
    return made


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / f"{name}.csv" for name in ALL}
    for name, path in made.items():
        path.write_text("\n".join(FILES[name]) + "\n")
    return made


def failed_codes(path: str | None) -> list[str]:
    if path is None:
        return []
    with Path(path).open(newline="") as file:
        return [row["errorCode"] for row in csv.DictReader(file)]


def rows_of(database: Database) -> list[int]:
    tables = (t.customer, t.store, t.till, t.zone, t.login, t.series, t.coupon, t.redemption, t.serial)
    with database.reading() as tx:
        return [tx.connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]


@pytest.fixture
def moved_in(couponry: Couponry, files: dict[str, Path], database: Database) -> Shop:
    """Each file is looked at first, which says what the import then says, and changes nothing."""
    for name, path in files.items():
        words = ("import", name, str(path), "--org", "1001")
        before = rows_of(database)
        looked = couponry(*words, "--dry-run")
        assert rows_of(database) == before
        assert failed_codes(looked["errorFile"]) == REFUSED[name]
        if looked["errorFile"]:
            Path(looked["errorFile"]).unlink()
        made = couponry(*words)
        assert made == looked
        assert failed_codes(made["errorFile"]) == REFUSED[name]
        assert (made["rows"], made["failed"]) == (len(FILES[name]) - 1, len(REFUSED[name]))
    assert couponry("doctor")["differences"] == []
    return Shop(database).opened()


@pytest.fixture
def front(moved_in: Shop) -> Iterator[Front]:
    with moved_in.front() as opened:
        yield opened


def test_what_was_used_up_elsewhere_is_used_up_here(couponry: Couponry, front: Front) -> None:
    def told(code: str, who: str) -> int:
        answer = front.redeem(code, user={"externalId": who}).json()
        return int(answer["redemptionStatus"]["code"])

    refused = [("O-1", "c1"), ("E-1", "c2"), ("C-1", "c3"), ("T-1", "c1"), ("F-1", "c3"), ("BIG10", "c1"), ("X-1", "c1")]
    assert [told(*each) for each in refused] == [711, 716, 736, 728, 714, 728, 703]
    assert [told(*each) for each in (("O-2", "c1"), ("E-1", "c3"), ("T-1", "c2"), ("BIG10", "c2"))] == [700, 700, 700, 700]
    assert couponry("doctor")["differences"] == []


def test_places_are_made_once(moved_in: Shop, front: Front) -> None:
    with moved_in.database.reading() as tx:
        store = select(t.store.c.code, t.store.c.name, t.zone.c.code, t.store.c.time_zone, t.store.c.is_active)
        found = tx.rows(store.outerjoin(t.zone, t.zone.c.id == t.store.c.zone_id).order_by(t.store.c.code), {})
    assert [tuple(row) for row in found] == [
        ("blr01", "Brigade Road", "south", "Asia/Kolkata", True),
        ("blr02", "blr02", "south", None, False),
    ]
    for password in ("", "d41d8cd98f00b204e9800998ecf8427e"):
        answer = front.ask("GET", "/v2/orgEntity/tills/active", auth=("till2", password))
        assert answer.status_code == 401


def test_a_dry_run_counts_on_over_its_chunks(couponry: Couponry, files: dict[str, Path], tmp_path: Path) -> None:
    """Prevents the look that promises more than the import gives."""
    head, customers = "code,customerExternalId,redeemedOn,tillCode", [f"d{number}" for number in range(4200)]
    (tmp_path / "many.csv").write_text("\n".join(["externalId", *customers]) + "\n")
    for name in ALL[:-1]:
        couponry("import", name, str(files[name]), "--org", "1001")
    couponry("import", "customers", str(tmp_path / "many.csv"), "--org", "1001")
    rows = ["F-1,c1,2025-02-03,till2", "BIG10,c1,2025-02-03,till2", *(f"NONE,{who},2025-02-03,till2" for who in customers)]
    rows += ["F-1,c1,2025-02-03,till2", "F-1,c2,2025-02-03,till2", "F-1,c3,2025-02-03,till2", "BIG10,c1,2025-02-04,till2"]
    path = tmp_path / "long.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    words = ("import", "redemptions", str(path), "--org", "1001")
    looked, codes = couponry(*words, "--dry-run"), failed_codes(str(tmp_path / "long.errors.csv"))
    assert [code for code in codes if code != "719"] == ["633", "714", "728"]
    assert couponry(*words) == looked
    assert failed_codes(str(tmp_path / "long.errors.csv")) == codes
    assert couponry("doctor")["differences"] == []


def test_what_cannot_begin(couponry: Couponry, files: dict[str, Path]) -> None:
    for name in ("stores", "redemptions"):
        assert refusal(couponry, "import", name, str(files["customers"]), "--org", "1001") == "file"
        assert refusal(couponry, "import", name, str(files[name]), "--org", "9") == "unknown"
