"""Bulk issue beside what else happens to the same customers, codes and series: the ledger, merges, and another runner."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from threading import Event, Thread
from typing import Any, Final

import pytest

from couponry.core.commands import Issue
from couponry.core.jobs import JobState
from couponry.core.model import Place
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.dialect import Trouble
from couponry.store.engine import Database, StoreError
from couponry.store.folder import Folder
from couponry.store.merge import merge
from tests.api.shop import NOW_MS
from tests.e2e.processes import wait_until
from tests.ledger.desk import Desk
from tests.worker.desk import SECRET, Office
from tests.worker.test_issue import ALL, MANY, POOL, REGULARS, ask, crowd, holders, sound

PEOPLE: Final = 60
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Does something on a thread of its own while the block runs, and ends with it."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the test's own thread raises it
            failures.append(error)

    thread = Thread(target=run)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def patiently(office: Office, job_id: int, rows_max: int) -> None:
    """All chunks; what collided is done again, as a runner does it."""
    while office.job(job_id).state is not JobState.FINISHED:
        try:
            office.chunk(job_id, rows_max)
        except StoreError as error:
            if error.trouble not in {Trouble.CONFLICT, Trouble.LOCKED}:
                raise


def over_the_api(office: Office, series: str, people: list[int], times: int = 1) -> Counter[Code]:
    """Issues by the ledger, as a server does them; what each was answered."""
    place = Place(office.shop.till_id, office.shop.store_id, frozenset(), frozenset(), office.shop.org().zone)
    command = Issue(org_id=office.org_id, place=place, customer=(), series_ids=(office.series_id(series),), form="one")
    with Desk(office.database.url, office.shop.clock, secret=SECRET) as desk:
        whom = [(("id", str(person)),) for person in people for _ in range(times)]
        futures = [future for who in whom for future in desk.submit(_but(command, who))]
        return Counter(future.result(30).answer.status for future in futures)


def _but(command: Issue, customer: Any) -> Issue:
    return type(command)(**{name: getattr(command, name) for name in command.__struct_fields__} | {"customer": customer})


def is_waited_for(database: Database) -> bool:
    """Whether somebody waits for an advisory lock."""
    with database.reading() as tx:
        waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
        return bool(tx.connection.exec_driver_sql(waiting).scalar())


@on_postgresql
@pytest.mark.parametrize(
    "terms", [{}, {"maxVouchersPerUser": "1", **MANY}, {"clientHandlingType": "GENERIC", "genericCode": "ALL"}]
)
def test_one_each(office: Office, terms: dict[str, str]) -> None:
    """Nobody gets two, whether the ledger or the job comes first."""
    office.shop.series(seriesCode="ONE", **terms)
    people = crowd(office, PEOPLE)
    job_id = ask(office, "ONE", REGULARS)
    with beside(lambda: patiently(office, job_id, 5)):
        told = over_the_api(office, "ONE", people[::-1], 2)
    assert not [code for code in told if code.is_service_failure], told
    assert holders(office, "ONE") == dict.fromkeys(people, 1)
    assert office.job(job_id).ok + told[Code.PROCESSED] == PEOPLE
    assert office.differences() == []


@on_postgresql
@pytest.mark.parametrize("pooled", [False, True])
def test_cap_and_pool(office: Office, pooled: bool) -> None:
    """Never over what there is, and all of it when enough is asked for."""
    most = 70
    if pooled:
        office.shop.series(**POOL, **MANY)
        for number in range(most):
            office.shop.coupon(f"P{number:03}", series="POOL", mobile="")
    else:
        office.shop.series(seriesCode="POOL", maxCreate=str(most), **MANY)
    people = crowd(office, PEOPLE)
    job_id = ask(office, "POOL", REGULARS)
    with beside(lambda: patiently(office, job_id, 7)):
        told = over_the_api(office, "POOL", people)
    assert not [code for code in told if code.is_service_failure], told
    assert holders(office, "POOL").total() == most
    assert office.job(job_id).ok + told[Code.PROCESSED] == most
    assert office.differences() == []


@on_postgresql
def test_merges(office: Office) -> None:
    """No coupon is left with a customer who is merged away, and the survivor has one at most of each."""
    people = crowd(office, PEOPLE)
    job_id = ask(office, audience=REGULARS)

    def unite() -> None:
        for victim, survivor in zip(people[1::2], people[::2], strict=True):
            for _ in range(200):
                with suppress(StoreError), office.shop.database.writing() as tx:
                    assert merge(tx, office.org_id, victim, survivor, NOW_MS) is None
                    break
            else:
                raise AssertionError("never merged")

    with beside(unite):
        patiently(office, job_id, 4)
    gone = {one for one, into in office.rows(t.customer, "id", "merged_into_id") if into}
    assert gone == {*people[1::2]}
    assert not gone & {*holders(office)}
    assert holders(office).total() == office.job(job_id).ok
    assert office.differences() == []


@on_postgresql
def test_a_merge_that_was_there_first_is_waited_for(office: Office) -> None:
    """Prevents a coupon for somebody who was looked at before the merge, and written to after it."""
    people = crowd(office, 2)
    job_id = ask(office, audience=REGULARS)
    merging = Event()

    def unite() -> None:
        with office.shop.database.writing() as tx, closing(Database(office.database.url)) as watching:
            assert merge(tx, office.org_id, people[1], people[0], NOW_MS) is None
            merging.set()
            wait_until(lambda: is_waited_for(watching), "the job waits for the merge", 10)

    with beside(unite):
        merging.wait()
        patiently(office, job_id, 1000)
    assert holders(office) == {people[0]: 1}
    assert office.differences() == []


@on_postgresql
def test_redemptions(office: Office) -> None:
    """Customers redeem in the series that they are being issued coupons of."""
    office.shop.series(seriesCode="BOTH", anyUser="true", maxRedeem="1000", **MANY)
    codes = [office.shop.coupon(series="BOTH") for _ in range(40)]
    crowd(office, PEOPLE)
    job_id = ask(office, "BOTH", ALL, 3)
    with beside(lambda: patiently(office, job_id, 9)), office.shop.front() as front:
        assert {front.redeem(code).json()["redemptionStatus"]["code"] for code in codes} == {700}
    sound(office, office.job(job_id), 3 * (PEOPLE + 2), {"750": 3, "742": 3})


@on_postgresql
def test_two_runners_at_one_job(office: Office) -> None:
    """A worker that was taken for dead goes on: each chunk is one's alone, and nobody gets two."""
    office.shop.series(seriesCode="MANY", **MANY)
    people = crowd(office, PEOPLE)
    job_id = ask(office, "MANY", REGULARS)
    with closing(Database(office.database.url, is_keyed=True)) as database:
        other = replace(office, database=database, folder=Folder(office.folder._root))
        with beside(lambda: patiently(other, job_id, 3)):
            patiently(office, job_id, 3)
    assert holders(office, "MANY") == dict.fromkeys(people, 1)
    sound(office, office.job(job_id), PEOPLE)
