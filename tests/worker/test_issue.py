"""Bulk issue: whom it reaches, where codes come from, the rules of an issue over the API, and what is told to others."""

import csv
from collections import Counter
from io import StringIO
from typing import Any, Final

import msgspec
import pytest
from sqlalchemy import insert, update

from couponry.core.codes import code_key
from couponry.core.generation import CodeMaker, org_key, shape_of
from couponry.core.jobs import FileRole, Job, JobKind, JobState
from couponry.core.telling import Rank
from couponry.store import schema as t
from couponry.store.bulk.issuing import Issuer, Offered
from couponry.worker.code_block import OpenSeries
from tests.api.shop import MIRA, NOW_MS
from tests.store.test_merge import counting
from tests.worker.desk import SECRET, Office

ALL: Final = {"all": True}
DAY_MS: Final = 24 * 3600 * 1000
MANY: Final = {"isMultipleVouchersPerUserAllowed": "true"}
POOL: Final = {"seriesCode": "POOL", "clientHandlingType": "DISC_CODE_PIN"}
SHARED: Final = {"seriesCode": "SHARED", "clientHandlingType": "GENERIC", "genericCode": "WELCOME"}
REGULARS: Final = {"segment": {"minTransactions": 1}}


def ask(office: Office, series: str = "MON", audience: Any = ALL, count: int = 1, **more: Any) -> int:
    request = {"audience": audience, "count": count, "send": False, **more}
    return office.ask(JobKind.ISSUE, request, office.series_id(series))


def crowd(office: Office, count: int, **fields: Any) -> list[int]:
    """Customers beside the shop's four, C0, C1, ...; their ids."""
    rows = [
        {"externalId": f"C{number}", "mobile": f"9198{number:08}", "transactionCount": 1, **fields} for number in range(count)
    ]
    office.shop.customers(*rows)
    by_name = dict(office.rows(t.customer, "external_id", "id"))
    return [by_name[row["externalId"]] for row in rows]


def listed(office: Office, *names: str) -> dict[str, Any]:
    """An audience of customers by their external ids."""
    upload = office.upload("\n".join(["who", *names]).encode())
    return {"uploadId": upload, "identifier": "externalId", "column": 0}


def who(office: Office) -> dict[int, str]:
    return dict(office.rows(t.customer, "id", "external_id"))


def holders(office: Office, series: str = "MON") -> Counter[int]:
    """How many coupons of a series each customer has."""
    rows = office.rows(t.coupon, "customer_id", series_id=office.series_id(series))
    return Counter(customer_id for (customer_id,) in rows if customer_id is not None)


def told(office: Office, event: str) -> list[tuple[int | None, list[int]]]:
    """Of each event the customer, and the coupons."""
    rows = office.rows(t.outbox, "customer_id", "subject_id", "subject_ids", event=event)
    return [(customer_id, msgspec.json.decode(several) if several else [first]) for customer_id, first, several in rows]


def errors(office: Office, job: Job) -> list[list[str]]:
    return [*csv.reader(StringIO(office.written(job.id, FileRole.ERRORS)))]


def sound(office: Office, job: Job, ok: int, by_code: dict[str, int] | None = None) -> None:
    """The job has ended well with so many coupons; its counts, its error file and every counter say so."""
    by_code = by_code or {}
    failed = sum(by_code.values())
    assert (job.state, job.problem) == (JobState.FINISHED, "")
    assert (job.done, job.ok, job.failed, job.by_code) == (ok + failed, ok, failed, by_code)
    assert office.differences() == []
    if failed:
        assert {row[-2] for row in errors(office, job)[1:]} == {*by_code}
    else:
        assert job.files == ()


# Whom it reaches.


def test_everybody(office: Office) -> None:
    """But for those whom no issue reaches: fraudulent, blocked; those who are gone are nobody."""
    people = crowd(office, 5)
    office.shop.change(t.customer, people[0], deleted_ms=NOW_MS)
    office.shop.change(t.customer, people[1], merged_into_id=people[2])
    job = office.finish(ask(office))
    assert job.total == 7
    sound(office, job, 5, {"750": 1, "742": 1})
    mira, arun, leena, dev = sorted(who(office))[:4]
    assert holders(office) == Counter([mira, arun, *people[2:]])
    header, *rows = errors(office, job)
    assert header == ["customerId", "errorCode", "errorMessage"]
    assert [row[:2] for row in rows] == [[str(leena), "750"], [str(dev), "742"]]
    row = ("issued_ms", "created_ms", "issued_till_id", "expires_local", "holder_id", "revoked_ms", "issued_by_redemption")
    assert {*office.rows(t.coupon, *row)} == {(NOW_MS, NOW_MS, None, None, 0, None, False)}
    codes = [code for (code,) in office.rows(t.coupon, "code")]
    assert len({*codes}) == 5
    assert all(len(code) == 8 and code == code_key(code) for code in codes)


def test_segments(office: Office) -> None:
    """Each field alone, and together."""
    shop = office.shop
    shop.till("till2", store="del01")
    ((other_till, other_store),) = office.rows(t.till, "id", "store_id", code="till2")
    people = crowd(office, 6)
    shop.series(seriesCode="OLD")
    shop.series(seriesCode="NEW", **MANY)
    old = office.series_id("OLD")
    marks: list[dict[str, Any]] = [
        {"is_loyalty": False},
        {"registered_ms": NOW_MS - 9 * DAY_MS},
        {"transaction_count": 7},
        {"registered_till_id": other_till},
        {"status_label": "REDEMPTION_BLOCKED"},
    ]
    for person, values in zip(people, marks, strict=False):
        shop.change(t.customer, person, **values)
    shop.add(t.customer_series, customer_id=people[5], series_id=old, redeemed=1, uses=1)
    shop.add(t.customer_series, customer_id=people[4], series_id=old, redeemed=0, uses=1)
    long_ago = {"registeredTo": NOW_MS - DAY_MS}
    for segment, wanted in (
        ({"loyaltyType": "non_loyalty"}, {0}),
        (long_ago, {1}),
        ({"registeredFrom": NOW_MS - 9 * DAY_MS, **long_ago}, {1}),
        ({"registeredFrom": NOW_MS - 9 * DAY_MS + 1, **long_ago}, set()),
        ({"minTransactions": 7}, {2}),
        ({"minTransactions": 2, "maxTransactions": 6}, set()),
        ({"storeIds": [other_store]}, {3}),
        ({"statusLabels": ["REDEMPTION_BLOCKED", "NO SUCH"]}, {4}),
        ({"redeemedSeriesIds": [old]}, {5}),
        ({"redeemedSeriesIds": [old], "loyaltyType": "non_loyalty"}, set()),
        ({"notRedeemedSeriesIds": [old], "maxTransactions": 1, "loyaltyType": "loyalty", **long_ago}, {1}),
    ):
        before = holders(office, "NEW")
        job = office.finish_in(ask(office, "NEW", {"segment": segment}), 7)
        assert (job.state, job.total, job.ok) == (JobState.FINISHED, len(wanted), len(wanted)), segment
        assert holders(office, "NEW") - before == Counter(people[at] for at in wanted), segment


@pytest.mark.parametrize("kind", ["mobile", "email", "externalId", "cardnumber", "cardExternalId", "id"])
def test_files(office: Office, kind: str) -> None:
    """By each identifier, in any column; unknown ones, and rows that name nobody, are 701 with the row as it was."""
    names = {"cardnumber": "K-1", "cardExternalId": "KX-1", "email": "a@b.example"}
    crowd(office, 1, **names)
    people = who(office)
    mine = {"mobile": "+91 98 0000 0000", "externalId": "C0", "id": str(max(people)), **names}[kind]
    rows = ["name,who", f"Mira,{mine}", '"No, body",nobody', "Huge,99999999999999999999999", "Nul,\0", f'"again","{mine}"', "x,"]
    audience = {"uploadId": office.upload("\r\n".join(rows).encode()), "identifier": kind, "column": 1}
    job = office.finish_in(ask(office, audience=audience), 2)
    assert job.total == 6
    sound(office, job, 1, {"701": 3, "629": 1, "709": 1})
    assert holders(office) == {max(people): 1}
    told_why = {row[0]: row[2] for row in errors(office, job)[1:]}
    assert told_why == {"No, body": "701", "Huge": "701", "Nul": "629", "again": "709", "x": "701"}
    assert errors(office, job)[0] == ["name", "who", "errorCode", "errorMessage"]


def test_those_who_are_gone_are_721_in_a_file(office: Office) -> None:
    people = crowd(office, 3)
    office.shop.change(t.customer, people[0], deleted_ms=NOW_MS)
    office.shop.change(t.customer, people[1], merged_into_id=people[2])
    upload = office.upload(("who\n" + "\n".join(map(str, people))).encode())
    job = office.finish(ask(office, audience={"uploadId": upload, "identifier": "id", "column": 0}))
    sound(office, job, 1, {"721": 2})


# The rules.


def test_several_each(office: Office) -> None:
    """Until the first that is refused; the limit counts what was there before."""
    office.shop.series(seriesCode="THREE", maxVouchersPerUser="3", **MANY)
    people = crowd(office, 4)
    held = [office.shop.coupon(series="THREE", mobile="919800000001") for _ in range(2)]
    job = office.finish_in(ask(office, "THREE", REGULARS, 5), 7)
    assert job.total == 5 * len(people)
    sound(office, job, 3 * 4 - len(held), {"5002": 2 * 4 + len(held)})
    assert holders(office, "THREE") == dict.fromkeys(people, 3)
    assert {row[0] for row in errors(office, job)[1:]} == {str(each) for each in people}


def test_one_each_and_days_between(office: Office) -> None:
    office.shop.series(seriesCode="GAP", minDaysBetweenVouchers="3", **MANY)
    people = crowd(office, 3)
    sound(office, office.finish(ask(office, "GAP", REGULARS, 2)), 3, {"709": 3})
    office.shop.clock.ms += 2 * DAY_MS
    sound(office, office.finish(ask(office, "GAP", REGULARS)), 0, {"709": 3})
    office.shop.clock.ms += DAY_MS
    sound(office, office.finish(ask(office, "GAP", REGULARS)), 3)
    assert holders(office, "GAP") == dict.fromkeys(people, 2)
    sound(office, office.finish(ask(office, "MON", REGULARS, 2)), 3, {"709": 3})


def test_pool(office: Office) -> None:
    """The oldest first; expired, revoked and redeemed ones are passed over; none is used up by somebody who is refused."""
    office.shop.series(**POOL, anyUser="true")
    crowd(office, 5, fraudStatus="CONFIRMED")
    crowd_of_buyers = [{"externalId": f"B{number}"} for number in range(6)]
    office.shop.customers(*crowd_of_buyers)
    for number in range(8):
        more = {1: {"validTillDateTime": "2031-03-10T10:00:00"}, 4: {"validTillDateTime": "2031-03-20T10:00:00"}}.get(number, {})
        office.shop.coupon(f"P{number}", series="POOL", mobile="", state="REVOKED" if number == 2 else "", **more)
    with office.shop.front() as front:
        assert front.redeem("P0").json()["redemptionStatus"]["code"] == 700
    job = office.finish_in(ask(office, "POOL"), 3)
    sound(office, job, 5, {"750": 6, "742": 1, "722": 3})
    names = who(office)
    given = {code: names[holder] for code, holder in office.rows(t.coupon, "code", "customer_id") if holder and code != "P0"}
    assert given == {"P3": "CRM-77", "P4": "CRM-78", "P5": "B0", "P6": "B1", "P7": "B2"}
    expiries = dict(office.rows(t.coupon, "code", "expires_local"))
    assert expiries["P4"] == "2031-03-20T10:00:00"


def test_shared_code(office: Office) -> None:
    """A record of one's own; a second one is 5004, also one that a redemption made, used or not."""
    office.shop.series(**SHARED, anyUser="true")
    crowd(office, 3)
    with office.shop.front() as front:
        assert front.redeem("WELCOME").json()["redemptionStatus"]["code"] == 700
    job = office.finish_in(ask(office, "SHARED", count=2), 4)
    sound(office, job, 4, {"5004": 6, "750": 2, "742": 2})
    assert {*holders(office, "SHARED").values()} == {1}
    rows = office.rows(t.coupon, "code", "code_key", "customer_id", "holder_id", series_id=office.series_id("SHARED"))
    assert {(code, key) for code, key, *_ in rows} == {("WELCOME", "WELCOME")}
    assert all(customer_id == holder_id for _, _, customer_id, holder_id in rows if customer_id)


def test_exclusion_audience_and_loyalty(office: Office) -> None:
    shop = office.shop
    mon = office.series_id("MON")
    people = crowd(office, 3)
    shop.series(seriesCode="OTHER", mutualExclusiveSeriesIds=f"[{mon}]", **MANY)
    shop.series(seriesCode="FEW", couponSeriesAudience=["C0", "C2"], **MANY)
    shop.series(seriesCode="CLUB", issueToLoyalty="true", **MANY)
    shop.change(t.customer, people[1], is_loyalty=False)
    shop.coupon(mobile="919800000000")
    shop.coupon(mobile="919800000001", issuedOn="2030-09-07 10:00:00")
    sound(office, office.finish(ask(office, "OTHER", REGULARS)), 2, {"709": 1})
    assert holders(office, "OTHER") == Counter(people[1:])
    sound(office, office.finish(ask(office, "FEW", REGULARS)), 2, {"710": 1})
    assert holders(office, "FEW") == Counter([people[0], people[2]])
    sound(office, office.finish(ask(office, "CLUB", REGULARS)), 2, {"710": 1})
    assert holders(office, "CLUB") == Counter([people[0], people[2]])


def test_cap(office: Office) -> None:
    """Exactly, over several jobs."""
    office.shop.series(seriesCode="CAPPED", maxCreate="7", **MANY)
    crowd(office, 5)
    sound(office, office.finish_in(ask(office, "CAPPED", REGULARS), 2), 5)
    sound(office, office.finish_in(ask(office, "CAPPED", REGULARS), 3), 2, {"5001": 3})
    assert holders(office, "CAPPED").total() == 7


# Codes.


@pytest.mark.parametrize(("series", "uploaded"), [("MON", 0), ("POOL", 2500)])
def test_codes_for_a_file(office: Office, series: str, uploaded: int) -> None:
    """The file holds exactly the codes in the database; later issues take those of a pool, and others of a generated series."""
    office.shop.series(**POOL)
    series_id = office.series_id(series)
    job_id = ask(office, series, None, 2500)
    assert office.chunk(job_id, 1000).total == 2500
    job = office.finish(job_id)
    assert (job.state, job.done, job.ok, job.failed) == (JobState.FINISHED, 2500, 2500, 0)
    header, *codes = office.written(job_id, FileRole.RESULT).splitlines()
    assert header == "code"
    assert sorted(codes) == [code for (code,) in office.rows(t.coupon, "code", series_id=series_id)]
    assert len({*codes}) == 2500
    state = ("customer_id", "issued_ms", "expires_local", "created_ms")
    assert {*office.rows(t.coupon, *state, series_id=series_id)} == {(None, None, None, NOW_MS)}
    assert sum(count for (count,) in office.rows(t.series_counter, "uploaded", series_id=series_id)) == uploaded
    assert office.rows(t.outbox, "id") == []
    assert office.finish(ask(office, series)).ok == 2
    given = {code for code, holder in office.rows(t.coupon, "code", "customer_id", series_id=series_id) if holder}
    assert given.issubset(codes) == bool(uploaded)
    assert office.differences() == []


def maker(office: Office, series: str) -> CodeMaker:
    """What makes the codes of a series."""
    with office.database.reading() as tx:
        offered = Issuer(office.database.dialect).offered(tx, office.org_id, office.series_id(series), NOW_MS)
    assert isinstance(offered, Offered)
    return CodeMaker(org_key(SECRET, office.org_id), offered.series.id, shape_of(offered.series.terms, offered.org.settings))


@pytest.mark.parametrize("audience", [REGULARS, None])
def test_a_code_that_is_taken_is_passed_over(office: Office, audience: Any) -> None:
    """Others had uploaded it: the chunk goes wrong once, and from then on codes are looked up."""
    office.shop.series(**POOL)
    crowd(office, 40)
    for code in maker(office, "MON").codes(3, 20):
        office.shop.coupon(code, series="POOL", mobile="")
    job = office.finish(ask(office, audience=audience, count=1 if audience else 40))
    assert (job.state, job.ok, job.failed) == (JobState.FINISHED, 40, 0)
    mine = {code for (code,) in office.rows(t.coupon, "code", series_id=office.series_id("MON"))}
    assert len(mine) == 40
    assert mine.isdisjoint(code for (code,) in office.rows(t.coupon, "code", series_id=office.series_id("POOL")))
    assert office.differences() == []


def hundreds(office: Office, count: int) -> None:
    """So many customers more, as fast as the database takes them."""
    with office.database.writing() as tx:
        rows = [{"id": 1_000_000 + number, "external_id": f"H{number}", "transaction_count": 9} for number in range(count)]
        same = {"org_id": office.org_id, "registered_ms": NOW_MS, "updated_ms": NOW_MS, "is_loyalty": True}
        names = {"first_name": "", "last_name": "", "fraud_status": "NONE", "status_label": "ACTIVE"}
        tx.connection.execute(insert(t.customer), [same | names | row for row in rows])


def test_blocks_are_kept_of_as_many_series_as_jobs_run(office: Office) -> None:
    offered = []
    for series in ("FIRST", "SECOND", "THIRD"):
        office.shop.series(seriesCode=series)
        with office.database.reading() as tx:
            found = Issuer(office.database.dialect).offered(tx, office.org_id, office.series_id(series), NOW_MS)
        assert isinstance(found, Offered)
        offered.append(found)
    first, second, third = offered
    kept = OpenSeries(office.database, SECRET)
    of_first, of_second = kept.blocks_of(first), kept.blocks_of(second)
    assert kept.blocks_of(first) is of_first
    kept.blocks_of(third)
    assert kept.blocks_of(first) is of_first
    assert kept.blocks_of(second) is not of_second


def test_tiny_code_space(office: Office) -> None:
    """Ten thousand codes for more customers than that: each code once, the rest is refused, and it ends."""
    office.shop.series(seriesCode="TINY", alphaNumeric="false", randomCodeLength="4", **MANY)
    hundreds(office, 10_100)
    whom = {"segment": {"minTransactions": 9}}
    sound(office, office.finish(ask(office, "TINY", {"segment": {"statusLabels": ["SUSPENDED"]}})), 0, {"742": 1})
    job = office.finish(ask(office, "TINY", whom))
    lost = 1  # the one for whom the first job had drawn
    sound(office, job, 10_000 - lost, {"722": 100 + lost})
    codes = [code for (code,) in office.rows(t.coupon, "code", series_id=office.series_id("TINY"))]
    assert len({*codes}) == len(codes) == job.ok


def test_affixes(office: Office) -> None:
    office.shop.series(seriesCode="AFFIXED", couponPrefix="ab-", isPrefixEnabled="true", couponSuffix="z", isSuffixEnabled="true")
    sound(office, office.finish(ask(office, "AFFIXED")), 2, {"750": 1, "742": 1})
    for code, key in office.rows(t.coupon, "code", "code_key"):
        assert (code[:3], code[3:-1], code[-1], len(code)) == ("ab-", code[3:-1].upper(), "z", 12)
        assert key == code_key(code)


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"expiryStrategyType": "DAYS", "expiryStrategyValue": "3"},
        {"expiryStrategyType": "DAYS", "expiryStrategyValue": "300"},
        {"expiryStrategyType": "MONTHS_END", "expiryStrategyValue": "1"},
    ],
)
def test_expiries_are_those_of_an_issue_over_the_api(office: Office, terms: dict[str, str]) -> None:
    office.shop.series(seriesCode="SOON", **terms)
    with office.shop.front() as front:
        issued = front.ask("POST", "/v2/coupon/issue", json={"seriesId": office.series_id("SOON"), "customer": MIRA})
        assert issued.json()["code"]
    assert office.finish(ask(office, "SOON")).ok == 1
    expiries = [expiry for (expiry,) in office.rows(t.coupon, "expires_local")]
    assert len(expiries) == 2
    assert expiries[0] == expiries[1]


# Who is told.


def test_told(office: Office) -> None:
    """Of hundreds of coupons at once; customers only when asked for, by one message each, and if there is where to send it."""
    office.shop.series(seriesCode="SILENT", isSMSDisabled="true", **MANY)
    office.shop.series(seriesCode="LOUD", **MANY)
    hundreds(office, 700)  # without mobile and e-mail
    people = crowd(office, 2)
    for series, send, sent in (("SILENT", True, []), ("LOUD", False, []), ("LOUD", True, people)):
        before = {tuple(ids) for _, ids in told(office, "CouponIssue")}
        job_id = ask(office, series, REGULARS, 2, send=send)
        sound(office, office.finish_in(job_id, 10_000), 2 * 702)
        events = [(customer, ids) for customer, ids in told(office, "CouponIssue") if tuple(ids) not in before]
        assert [customer for customer, _ in events] == [None] * 3
        assert sorted(len(ids) for _, ids in events) == [404, 500, 500]
        issued = sorted(each for _, ids in events for each in ids)
        assert len({*issued}) == 2 * 702
        messages = told(office, "IssueMessage")
        assert [customer for customer, _ in messages] == sent
        mine = dict(office.rows(t.coupon, "id", "customer_id"))
        assert all(len(ids) == 2 and {mine[each] for each in ids} == {customer} for customer, ids in messages)
        assert set(office.rows(t.outbox, "request_id", "rank")) >= {(f"job-{job_id}", Rank.LATER)}


# Chunks.


def test_who_is_passed_over_counts_as_work(office: Office) -> None:
    """Prevents a job for few that creeps beside tills."""
    crowd(office, 3)
    for audience, ok in ((REGULARS, 1), ({"segment": {"minTransactions": 9}}, 0)):
        write = office.works[JobKind.ISSUE].chunk(office.job(ask(office, audience=audience)), 5)
        with office.database.writing() as tx:
            progress = write(tx)
        assert (progress.ok, progress.looked) == (ok, 5)


def test_the_same_whatever_the_chunks(office: Office) -> None:
    """One after the other, by threes, by tens, all at once: the same coupons, the same refusals."""
    people = crowd(office, 11)
    office.shop.coupon(mobile="919800000004")
    some = listed(office, "C1", "C2", "C1", "nobody", "C3", "CRM-77", "C1", *(f"C{at}" for at in range(4, 11)))
    mon = office.series_id("MON")
    found = []
    for rows_max in (1, 3, 10, 1000):
        code = f"R{rows_max}"
        limits = {"maxVouchersPerUser": "3", "maxCreate": "40", "mutualExclusiveSeriesIds": f"[{mon}]"}
        office.shop.series(seriesCode=code, **limits, **MANY)
        jobs = [office.finish_in(ask(office, code, audience, 2), rows_max) for audience in (some, ALL)]
        ends = [(job.total, job.done, job.ok, job.by_code) for job in jobs]
        found.append((ends, holders(office, code), [errors(office, job) for job in jobs]))
    assert found[0][1].total() > len(people)
    assert all(each == found[0] for each in found)
    assert office.differences() == []


@pytest.mark.parametrize("series", ["MON", "POOL", "SHARED"])
def test_a_crash_before_each_commit_leaves_nothing(office: Office, series: str) -> None:
    """What goes on is another runner of another process."""
    office.shop.series(**POOL)
    office.shop.series(**SHARED)
    for number in range(9):
        office.shop.coupon(f"P{number}", series="POOL", mobile="")
    people = crowd(office, 7)
    job_id = ask(office, series, listed(office, "C0", "x", "C1", "C2", "y", "C3", "C4", "C5", "z", "C6"))
    while office.job(job_id).state is not JobState.FINISHED:
        before = office.job(job_id)
        assert office.chunk(job_id, 3, crashes=True).done == before.done
        office.restart()
        assert office.chunk(job_id, 3).done > before.done
    sound(office, office.job(job_id), 7, {"701": 3})
    assert holders(office, series) == Counter(people)
    assert [row[0] for row in errors(office, office.job(job_id))] == ["who", "x", "y", "z"]


def test_paused_resumed_cancelled(office: Office) -> None:
    people = crowd(office, 9)
    job_id = ask(office, audience=listed(office, *(f"C{at}" for at in range(9))))
    office.chunk(job_id, 2)
    office.move(job_id, JobState.PAUSED)
    assert office.finish(job_id).state is JobState.PAUSED
    assert holders(office) == Counter(people[:2])
    office.move(job_id, JobState.QUEUED)
    assert not office.runner().step(office.org_id, job_id, 1), "that run is over"
    office.restart()
    office.chunk(job_id, 3)
    assert holders(office) == Counter(people[:5])
    office.move(job_id, JobState.CANCELLED)
    job = office.finish(job_id)
    assert (job.state, job.done, job.ok) == (JobState.CANCELLED, 5, 5)
    assert holders(office) == Counter(people[:5])
    assert office.differences() == []


def test_what_cannot_be_done(office: Office) -> None:
    """What was issued before stays, and the job says why it ended."""
    shop = office.shop
    shop.series(seriesCode="OUTSIDE", externalIssual="true")
    shop.series(**SHARED)
    people = crowd(office, 4)
    shop.series(seriesCode="SMALL", alphaNumeric="false", randomCodeLength="4")
    small, gone = office.series_id("SMALL"), {"uploadId": 99, "identifier": "mobile", "column": 0}
    shop.change(t.series, small, codes_made=9_990)
    begun = ask(office, audience=listed(office, "C0", "C1", "C2", "C3"))
    office.chunk(begun, 3)
    for job_id, problem, ok in (
        (ask(office, "SMALL", None, 50), "the series has no more codes after 10", 10),
        (ask(office, "OUTSIDE"), "777 ", 0),
        (ask(office, "SHARED", None, 3), "a series with one shared code has no others", 0),
        (ask(office, audience=gone), "the file of customers is not there any more", 0),
        (office.ask(JobKind.ISSUE, {"audience": ALL, "count": 1, "send": False}, 99), "707 ", 0),
    ):
        job = office.finish(job_id)
        assert (job.state, job.problem[: len(problem)], job.ok) == (JobState.FAILED, problem, ok)
    shop.clock.ms += 60 * DAY_MS
    job = office.finish(begun)
    assert (job.state, job.problem[:4], job.ok, job.done) == (JobState.FAILED, "712 ", 3, 3)
    assert holders(office) == Counter(people[:3])
    assert office.differences() == []


def test_statements_do_not_depend_on_the_rows(office: Office) -> None:
    office.shop.series(seriesCode="LIMITED", maxVouchersPerUser="9", maxCreate="1000", mutualExclusiveSeriesIds="[1]", **MANY)
    office.shop.series(**POOL)
    for number in range(70):
        office.shop.coupon(f"P{number}", series="POOL", mobile="")
    crowd(office, 60)
    some = listed(office, *(f"C{at}" for at in range(60)))
    all_of_us = {"segment": {"storeIds": [office.shop.store_id]}}
    with office.database.writing() as tx:
        tx.connection.execute(update(t.customer).values(registered_till_id=office.shop.till_id))
    for series, audience in (("MON", ALL), ("LIMITED", all_of_us), ("LIMITED", some), ("POOL", some)):
        job_id, costs = ask(office, series, audience), []
        office.chunk(job_id, 5)  # past those who are refused, whom the error file costs
        for rows in (2, 50):
            seen: list[Any] = []
            with counting(office.database, seen):
                office.chunk(job_id, rows)
            costs.append(len([one for one in seen if "DISCARD" not in str(one)]))
        assert costs[0] == costs[1], (series, audience)
