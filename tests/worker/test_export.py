"""Exports as jobs: what is in the file, however often the job was stopped, and what a spreadsheet makes of it."""

import csv
import io
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa  # type: ignore[import-untyped] # has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped] # has no types
import pytest
from sqlalchemy import select

from couponry.core.exporting import COLUMNS, Calendar, ExportRequest, FileFormat, Kind, What
from couponry.core.jobs import FileRole, Job, JobKind, JobState
from couponry.store import schema as t
from couponry.store.bulk.files import harmless
from couponry.worker.kinds import export_csv
from tests.api.shop import NOW_MS, TILL
from tests.core.world import ZONE
from tests.ledger.rows import count_days
from tests.worker.desk import Office

HOSTILE: Final = (
    *('=1+1"', "+cmd", "-2+3", "@sum", "\tx", "\r=x", "'=x"),
    *("a,b", 'say "x"', "two\r\nlines", "-12", "+9.5", "", "00123", "ü"),
)


@pytest.fixture
def stocked(office: Office) -> Office:
    """Seven coupons of two series, one redeemed with a bill and reversed again, and one that was refused."""
    office.shop.series(seriesCode="TUE", clientHandlingType="DISC_CODE_PIN")
    for number in range(4):
        office.shop.coupon(f"00{number}")
    office.shop.coupon("-GONE", state="REVOKED")
    office.shop.coupon("TUE1", "TUE", mobile="")
    office.shop.coupon("TUE2", "TUE", validTillDateTime="2031-03-31 12:30:00")
    with office.shop.front() as front:
        assert front.redeem("001", transactionNumber="=B1", billAmount="99.5").status_code == 200
        assert front.redeem("001").status_code == 200
    reversed_on = {"reversed_ms": NOW_MS + 1000, "reversal_reason": "@back"}
    ((redemption_id,),) = office.rows(t.redemption, "id")
    office.shop.change(t.redemption, redemption_id, **reversed_on)
    office.shop.change(t.coupon, office.rows(t.coupon, "id", code="001")[0][0], redeemed=0)
    for table, columns in ((t.customer_series, {"redeemed": 0}), (t.series_counter, {"redeemed": 0})):
        with office.shop.database.writing() as tx:
            tx.connection.execute(table.update().where(table.c.org_id == office.org_id).values(columns))
    count_days(office.shop.database, office.org_id)
    return office


def ask(office: Office, what: What, file_format: FileFormat = FileFormat.CSV, **filters: Any) -> int:
    request = ExportRequest(what=what, file_format=file_format, **filters)
    return office.ask(JobKind.EXPORT, request, request.series_id)


def table(office: Office, job: Job) -> list[dict[str, Any]]:
    """What the job's file says, in whichever format."""
    file = job.file(FileRole.RESULT)
    assert file
    path = office.folder.written(office.org_id, job.id, FileRole.RESULT)
    assert path.stat().st_size == file.size_bytes
    if file.name.endswith(".parquet"):
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def test_csv_holds_what_a_marketer_looks_for(stocked: Office) -> None:
    job = stocked.finish(ask(stocked, What.COUPONS))
    assert (job.state, job.done, job.ok, job.total) == (JobState.FINISHED, 7, 7, 7)
    rows = {row["code"]: row for row in table(stocked, job)}
    assert list(rows) == ["000", "001", "002", "003", "'-GONE", "TUE1", "TUE2"]
    assert list(rows["000"]) == list(COLUMNS[What.COUPONS])
    assert (
        rows["000"].items()
        >= {
            "seriesId": str(stocked.series_id("MON")),
            "seriesCode": "MON",
            "state": "ISSUED",
            "customerExternalId": "CRM-77",
            "customerMobile": "919812300001",
            "customerEmail": "mira@example.com",
            "createdOn": "2031-03-10T18:20:00+05:30",
            "issuedOn": "2031-03-09T10:00:00+05:30",
            "validTillDateTime": "2031-04-30T23:59:59+05:30",
            "revokedOn": "",
            "redemptionCount": "0",
            "tillCode": "",
        }.items()
    )
    assert [rows[code]["state"] for code in ("'-GONE", "TUE1")] == ["REVOKED", "UNISSUED"]
    assert rows["TUE2"]["validTillDateTime"] == "2031-03-31T12:30:00+05:30"
    assert not stocked.differences()


def test_redemptions_and_refusals(stocked: Office) -> None:
    (redemption,) = table(stocked, stocked.finish(ask(stocked, What.REDEMPTIONS)))
    assert (
        redemption.items()
        >= {
            "code": "001",
            "billNumber": "'=B1",
            "billAmount": "99.5",
            "tillCode": TILL,
            "storeCode": "blr01",
            "redeemedOn": "2031-03-10T18:20:00+05:30",
            "reversedOn": "2031-03-10T18:20:01+05:30",
            "reversalReason": "'@back",
        }.items()
    )
    (refusal,) = table(stocked, stocked.finish(ask(stocked, What.REFUSALS, series_id=stocked.series_id("MON"))))
    assert refusal.items() >= {"errorCode": "711", "errorMessage": "Coupon is already used", "code": "001"}.items()
    assert len(table(stocked, stocked.finish(ask(stocked, What.ISSUES)))) == 6


def test_parquet_has_types_and_no_apostrophes(stocked: Office) -> None:
    (redemption,) = table(stocked, stocked.finish(ask(stocked, What.REDEMPTIONS, FileFormat.PARQUET)))
    assert redemption["billAmount"] == Decimal("99.500")
    assert redemption["billNumber"] == "=B1"
    assert redemption["redeemedOn"] == datetime.fromtimestamp(NOW_MS / 1000, UTC)
    assert redemption["billId"] is None


@pytest.mark.parametrize("file_format", FileFormat)
def test_chunks_make_one_file(stocked: Office, file_format: FileFormat) -> None:
    """Of any size; crashed before each commit; stopped and taken up by another worker."""
    truth = table(stocked, stocked.finish(ask(stocked, What.COUPONS, file_format)))
    for rows_max in (1, 2, 3):
        assert table(stocked, stocked.finish_in(ask(stocked, What.COUPONS, file_format), rows_max)) == truth
    job_id = ask(stocked, What.COUPONS, file_format)
    while stocked.job(job_id).state is not JobState.FINISHED:
        stocked.chunk(job_id, 3, crashes=True)
        stocked.move(job_id, JobState.PAUSED)
        stocked.move(job_id, JobState.QUEUED)
        stocked.chunk(job_id, 2)
    assert table(stocked, stocked.job(job_id)) == truth
    assert not list(stocked.folder.spool(stocked.org_id, job_id).parent.glob("*-spool*"))


@pytest.mark.parametrize("file_format", FileFormat)
def test_rows_that_go_before_the_chunk_is_tried_again(stocked: Office, file_format: FileFormat) -> None:
    """The crashed chunk had written more than the one that is committed."""
    job_id = ask(stocked, What.ISSUES, file_format)
    stocked.chunk(job_id, 4)
    stocked.chunk(job_id, 100, crashes=True)
    with stocked.shop.database.writing() as tx:
        tx.connection.execute(t.coupon.update().values(issued_by_redemption=True))
    assert [row["code"] for row in table(stocked, stocked.finish(job_id))] == ["000", "001", "002", "003"]


@pytest.mark.parametrize("what", What)
def test_nothing_to_export(office: Office, what: What) -> None:
    rows = table(office, office.finish(ask(office, what, to_ms=1)))
    assert rows == []
    header = office.written(office.job(1).id, FileRole.RESULT)
    assert header == "\ufeff" + ",".join(COLUMNS[what]) + "\r\n"
    job = office.finish(ask(office, what, FileFormat.PARQUET, to_ms=1))
    assert table(office, job) == []
    schema: pa.Schema = pq.read_schema(office.folder.written(office.org_id, job.id, FileRole.RESULT))
    assert schema.names == list(COLUMNS[what])
    kinds = {Kind.INSTANT: pa.timestamp("ms", tz="UTC"), Kind.MONEY: pa.decimal128(19, 3), Kind.NUMBER: pa.int64()}
    assert list(schema.types) == [kinds.get(kind, pa.string()) for kind in COLUMNS[what].values()]


def test_files_have_names_of_their_own(stocked: Office) -> None:
    names = []
    for file_format in (FileFormat.CSV, FileFormat.CSV, FileFormat.PARQUET):
        file = stocked.finish(ask(stocked, What.COUPONS, file_format, series_id=stocked.series_id("MON"))).file(FileRole.RESULT)
        assert file
        names.append(file.name)
    assert len(set(names)) == 3
    assert re.fullmatch(rf"coupons_{stocked.org_id}_{stocked.series_id('MON')}2031_03_10_18_20_00\.csv", names[0])


def test_what_nobody_can_export_ends_the_job(office: Office) -> None:
    for request, problem in (
        ({"what": "coupons", "seriesId": 4711}, "there is no series 4711"),
        ({"what": "coupons", "campaignId": 4711}, "there is no campaign 4711"),
        ({"what": "people"}, "Invalid enum value 'people' - at `$.what`"),
        ({"what": "coupons", "from": 2**60}, "Expected `int` <= 9007199254740991 - at `$.from`"),
        ({"what": "coupons", "limit": 3}, "Object contains unknown field `limit`"),
    ):
        job = office.finish(office.ask(JobKind.EXPORT, request))
        assert (job.state, job.problem) == (JobState.FAILED, problem)


def test_campaign_is_its_series_together(stocked: Office) -> None:
    stocked.shop.add(t.campaign, id=7001, name="", description="", state="ACTIVE", created_ms=0)
    with stocked.shop.database.writing() as tx:
        tx.connection.execute(t.series.update().values(campaign_id=7001).where(t.series.c.code_key.in_(["MON", "TUE"])))
        assert len(tx.rows(select(t.series.c.id), {})) == 2
    assert len(table(stocked, stocked.finish(ask(stocked, What.COUPONS, campaign_id=7001)))) == 7


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_run_and_none_is_lost(text: str) -> None:
    """What is fast says what is simple: our own writer of columns, and the module's of rows."""
    shape = {"a": Kind.TEXT, "b": Kind.TEXT, "c": Kind.WORD, "n": Kind.NUMBER}
    columns: dict[str, list[Any]] = {"a": [text, None, "x"], "b": ["", text, text], "c": ["w", "w", None], "n": [1, -2, None]}
    written = export_csv.rows(shape, columns, Calendar(ZONE)).decode()
    rows = list(csv.reader(io.StringIO(written, newline="")))
    safe = harmless(text)
    assert rows == [[safe, "", "w", "1"], ["", safe, "w", "-2"], ["x", safe, "", ""]]
    assert not safe or safe[0] not in "=@\t\r"


@pytest.mark.parametrize("file_format", FileFormat)
def test_a_lost_file_fails_the_job(stocked: Office, file_format: FileFormat) -> None:
    """As for two workers that see two folders."""
    job_id = ask(stocked, What.COUPONS, file_format)
    stocked.chunk(job_id, 2)
    (path,) = stocked.folder.spool(stocked.org_id, job_id).parent.glob(f"{job_id}-*")
    path.unlink()
    job = stocked.finish(job_id)
    assert (job.state, "the same folder" in job.problem) == (JobState.FAILED, True)


def test_a_parquet_file_is_durable_before_its_spool_goes(stocked: Office) -> None:
    job_id = ask(stocked, What.COUPONS, FileFormat.PARQUET)
    while stocked.job(job_id).cursor.get("stage") != "file":
        stocked.chunk(job_id, 100)
    write = stocked.works[JobKind.EXPORT].chunk(stocked.job(job_id), 100)
    with stocked.database.writing() as tx:
        assert write(tx).is_durable
