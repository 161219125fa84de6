"""Reminders and notices: once, whoever looks, and whatever stops it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import count, repeat
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, event, select, update
from structlog.testing import capture_logs

from couponry.core.limits import REMINDER_CHUNK_ROWS
from couponry.store import schema as t
from couponry.store.doctor import check
from couponry.store.engine import Database
from couponry.store.reminders import Notices
from couponry.worker.reminders import Reminders
from tests.api.holdings import coupon_id, series_id
from tests.api.shop import Front, Shop

INDIA: Final = ZoneInfo("Asia/Kolkata")
SMS: Final = [{"daysBefore": 3, "channel": "SMS", "timeOfDay": "10:00"}]


def local(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=INDIA).timestamp() * 1000)


class _Crash(Exception):
    """Ends a transaction before its commit."""


class Desk:
    """A shop whose clock a test sets, and what its outbox holds."""

    def __init__(self, shop: Shop, keyed: Database) -> None:
        self.shop = shop
        self.database = keyed

    def worker(self, kind: type[Notices] = Notices, step_rows: int = REMINDER_CHUNK_ROWS) -> Reminders:
        return Reminders(self.database, kind(self.database.dialect, step_rows), self.shop.clock)

    def look(self, at: str, worker: Reminders | None = None) -> list[tuple[Any, ...]]:
        """What is new in the outbox after all there is to do at a time."""
        self.shop.clock.ms = local(at)
        before = self.told()
        worker = worker or self.worker()
        while worker.look_at_all():
            pass
        return [row for row in self.told() if row not in before]

    def told(self) -> list[tuple[Any, ...]]:
        with self.database.reading() as tx:
            box = t.outbox.c
            wanted = select(box.event, box.subject_id, box.subject_ids, box.customer_id, box.id)
            rows = tx.rows(wanted.where(box.org_id == self.shop.org_id).order_by(box.id), {})
        return [tuple(row) for row in rows if row.event not in {"CouponIssue", "IssueMessage"}]

    def reminded(self, at: str, worker: Reminders | None = None) -> list[int]:
        """The coupons that somebody is newly reminded of."""
        rows = self.look(at, worker)
        assert {row[0] for row in rows} <= {"ReminderSms", "ReminderEmail"}
        return [row[1] for row in rows]

    def coupons(self, count: int, series: str = "REM", **fields: Any) -> list[int]:
        return [coupon_id(self.shop, self.shop.coupon(series=series, **fields)) for _ in range(count)]


@pytest.fixture
def desk(office: Any) -> Desk:
    office.shop.series(seriesCode="REM", expiryReminders=SMS)
    return Desk(office.shop, office.database)


@pytest.fixture
def front(desk: Desk) -> Iterator[Front]:
    with desk.shop.front() as front:
        yield front


def test_once_at_the_time_of_day(desk: Desk) -> None:
    held = desk.coupons(2)
    assert desk.reminded("2031-04-26 23:00") == []
    assert desk.reminded("2031-04-27 09:59") == []
    assert desk.reminded("2031-04-27 10:01") == held
    assert desk.reminded("2031-04-27 10:02") == []
    assert desk.reminded("2031-04-28 10:01") == []
    assert desk.told()[0][:4] == ("ReminderSms", held[0], None, 90001)


def test_late_but_before_the_next_day_s(desk: Desk) -> None:
    """Midnight is no end, nor is a worker that was down over it."""
    held = desk.coupons(1)
    desk.shop.series(seriesCode="LATE", expiryReminders=[{**SMS[0], "timeOfDay": "23:59"}])
    late = desk.coupons(1, "LATE")
    assert desk.reminded("2031-04-27 23:59") == held
    assert desk.reminded("2031-04-28 00:00") == late
    with desk.database.writing() as tx:
        tx.connection.execute(delete(t.series_notice))
        tx.connection.execute(delete(t.reminder))
    assert desk.reminded("2031-04-28 10:01") == late  # of the other series, the next day's walk is due
    assert desk.reminded("2031-04-28 23:58") == []


def test_what_is_given_up_is_logged(desk: Desk) -> None:
    """A walk half done a day later, or days on which nobody walked."""
    desk.coupons(5)
    desk.shop.clock.ms = local("2031-04-27 10:01")
    with pytest.raises(_Crash):
        desk.worker(Crashing, step_rows=2).look(desk.shop.org_id)
    with capture_logs() as logs:
        assert desk.reminded("2031-04-28 10:01") == []
        assert desk.reminded("2031-04-30 10:01") == []
    of = {
        "event": "reminders_not_sent",
        "log_level": "warning",
        "org_id": desk.shop.org_id,
        "series_id": 5002,
        "reminder": "3 SMS",
    }
    half = {**of, "after": "2031-04-27", "before": "2031-04-28", "is_half": True}
    assert logs == [half, {**of, "after": "2031-04-28", "before": "2031-04-30", "is_half": False}]


def test_a_new_reminder_is_of_times_to_come(desk: Desk, front: Front) -> None:
    """Terms that are changed late do not stop a reminder that was there before."""
    held = desk.coupons(1)
    desk.shop.clock.ms = local("2031-04-27 12:00")
    path = f"/v2/coupon/series/{series_id(desk.shop, 'REM')}"
    assert front.ask("PUT", path, json={"expiryReminders": [*SMS, {**SMS[0], "channel": "EMAIL"}]}).status_code == 200
    assert desk.look("2031-04-27 12:01") == []
    desk.shop.clock.ms = local("2031-04-28 12:00")
    assert desk.reminded("2031-04-28 12:01") == []
    desk.shop.change(t.coupon, held[0], expires_local="2031-05-02T10:00:00")
    desk.shop.clock.ms = local("2031-04-29 12:00")
    assert front.ask("PUT", path, json={"description": "other words"}).status_code == 200
    assert {row[0] for row in desk.look("2031-04-29 12:01")} == {"ReminderSms", "ReminderEmail"}


def test_who_is_not_reminded(desk: Desk) -> None:
    """Neither of a coupon that was redeemed, revoked or never issued, nor of one that was issued, or expires, at another time."""
    shop = desk.shop
    (held, redeemed, revoked, late, redated, sooner) = desk.coupons(6)
    desk.coupons(1, mobile="")
    shop.change(t.coupon, redeemed, redeemed=1, uses=1)
    shop.change(t.coupon, revoked, revoked_ms=local("2031-04-01 10:00"), revision=revoked)
    shop.change(t.coupon, late, issued_ms=local("2031-04-27 10:00") + 1)
    shop.change(t.coupon, redated, expires_local="2031-05-05T23:59:59")
    shop.change(t.coupon, sooner, expires_local="2031-04-20T23:59:59")
    assert desk.reminded("2031-04-17 12:00") == [sooner]
    assert desk.reminded("2031-04-27 12:00") == [held]
    shop.change(t.coupon, held, expires_local="2031-04-29T23:59:59")
    shop.change(t.coupon, redated, expires_local="2031-04-29T00:00:00")
    assert desk.reminded("2031-04-26 12:00") == []  # a walk does not go back
    with desk.database.writing() as tx:
        tx.connection.execute(delete(t.series_notice))
    assert desk.reminded("2031-04-26 12:00") == [redated]


def test_never_after_expiry_nor_while_the_campaign_is_paused(desk: Desk) -> None:
    shop = desk.shop
    shop.series(seriesCode="DAY", expiryReminders=[{"daysBefore": 0, "channel": "EMAIL", "timeOfDay": "10:00"}])
    (over, alive) = desk.coupons(2, "DAY")
    shop.change(t.coupon, over, expires_local="2031-04-20T10:30:00")
    shop.change(t.coupon, alive, expires_local="2031-04-20T18:00:00")
    row = {"name": "x", "description": "", "state": "PAUSED", "created_ms": 1}
    shop.add(t.campaign, id=7001, **row)
    shop.change(t.series, series_id(shop, "DAY"), campaign_id=7001)
    assert desk.reminded("2031-04-20 10:10") == []
    shop.change(t.campaign, 7001, state="ACTIVE")
    assert desk.look("2031-04-20 11:00") == [("ReminderEmail", alive, None, 90001, desk.told()[0][4])]


class Crashing(Notices):
    """Its second step ends before its commit, when all is written."""

    moves = 0

    def move(self, *moved: Any) -> None:
        super().move(*moved)
        self.moves += 1
        if self.moves == 2:
            raise _Crash


def test_a_walk_goes_on_where_it_stopped(desk: Desk) -> None:
    """Steps of two coupons."""
    held = desk.coupons(5)
    desk.shop.clock.ms = local("2031-04-27 10:01")
    with pytest.raises(_Crash):
        desk.worker(Crashing, step_rows=2).look(desk.shop.org_id)
    assert [row[1] for row in desk.told()] == held[:2]
    assert desk.reminded("2031-04-27 10:02") == held[2:]
    with desk.database.reading() as tx:
        assert sorted(row.coupon_id for row in tx.rows(select(t.reminder.c.coupon_id), {})) == held


def test_two_workers_take_turns(desk: Desk) -> None:
    """Between a step's reading and its writing, the other worker takes a step, or all of them."""
    held = desk.coupons(7)
    steps = count(1)
    other = desk.worker(step_rows=3)

    class Interrupted(Notices):
        def step(self, *asked: Any) -> Any:
            found = super().step(*asked)
            if next(steps) == 2:
                other.look(desk.shop.org_id)
            return found

    assert desk.reminded("2031-04-27 10:01", desk.worker(Interrupted, step_rows=2)) == held


def test_many_at_once(desk: Desk) -> None:
    """As threads, all at the same coupons."""
    held = desk.coupons(9)
    desk.shop.clock.ms = local("2031-04-27 10:01")
    workers = [desk.worker(step_rows=2) for _ in range(3)]
    with ThreadPoolExecutor(len(workers)) as threads:
        list(threads.map(Reminders.look, workers, repeat(desk.shop.org_id)))
    assert desk.reminded("2031-04-27 10:02") == []
    assert [row[1] for row in desk.told()] == held


def test_changed_terms_send_nothing_twice(desk: Desk, front: Front) -> None:
    held = desk.coupons(1)
    worker = desk.worker()
    assert desk.reminded("2031-04-27 10:01", worker) == held
    made = series_id(desk.shop, "REM")
    path = f"/v2/coupon/series/{made}"
    both = [{**SMS[0], "timeOfDay": "12:00"}, {**SMS[0], "channel": "EMAIL", "timeOfDay": "12:00"}]
    assert front.ask("PUT", path, json={"expiryReminders": both}).status_code == 200
    assert desk.look("2031-04-27 12:01", worker) == [("ReminderEmail", held[0], None, 90001, desk.told()[1][4])]


def test_limits(desk: Desk, front: Front) -> None:
    shop, worker = desk.shop, desk.worker()
    shop.series(seriesCode="CAP", maxCreate="10", issueLimitThreshold="3", validTillDate="2031-12-31")
    made = series_id(shop, "CAP")
    issue_to(desk, made, 6)
    assert desk.look("2031-04-01 10:00", worker) == []
    issue_to(desk, made, 1)
    ((event_name, subject, subjects, customer, _),) = desk.look("2031-04-01 10:01", worker)
    assert (event_name, subject, subjects, customer) == ("CouponIssueLimit", made, f"[{made},3]", None)
    issue_to(desk, made, 1)
    assert desk.look("2031-04-01 10:02", worker) == desk.look("2031-04-01 10:03") == []
    assert front.ask("PUT", f"/v2/coupon/series/{made}", json={"maxCreate": 12}).status_code == 200
    assert desk.look("2031-04-01 10:04", worker) == []
    issue_to(desk, made, 1)
    assert [row[2] for row in desk.look("2031-04-01 10:05", worker)] == [f"[{made},3]"]
    assert desk.look("2031-04-01 10:06") == []


def issue_to(desk: Desk, series: int, count: int) -> None:
    """As many more issued of a capped series, as its counter has it."""
    counter = t.series_counter
    same = (counter.c.org_id == desk.shop.org_id, counter.c.series_id == series, counter.c.stripe == t.CAPPED_STRIPE)
    with desk.database.writing() as tx:
        tx.connection.execute(update(counter).where(*same).values(issued=counter.c.issued + count))


def test_offers(desk: Desk, front: Front) -> None:
    shop, worker = desk.shop, desk.worker()
    offers = {series_id(shop, "MON"), series_id(shop, "REM")}
    assert desk.look("2031-04-25 10:01", worker) == []
    shop.set(offerExpiryNoticeDays="5")
    assert desk.look("2031-04-25 10:01", worker) == []  # nobody to tell
    shop.set(contactEmails="ops@example.com")
    assert desk.look("2031-04-25 09:59", worker) == []
    assert {(row[0], row[1]) for row in desk.look("2031-04-25 10:01", worker)} == {("OfferExpiry", made) for made in offers}
    assert desk.look("2031-04-26 10:01", worker) == desk.look("2031-04-26 10:02") == []
    made = series_id(shop, "MON")
    assert front.ask("PUT", f"/v2/coupon/series/{made}", json={"validTillDate": "2031-06-30"}).status_code == 200
    assert desk.look("2031-06-24 10:01", worker) == []
    assert [row[1] for row in desk.look("2031-06-25 10:01", worker)] == [made]


def test_a_look_costs_the_same_whatever_there_is(desk: Desk) -> None:
    """Statements of a look at nothing new, with one series and with many."""
    worker = desk.worker()
    desk.coupons(1)
    desk.look("2031-04-27 10:01", worker)
    few = _counted(desk, worker)
    for number in range(20):
        desk.shop.series(seriesCode=f"MORE{number}", expiryReminders=SMS, maxCreate="100", issueLimitThreshold="5")
    desk.look("2031-04-27 10:02", worker)
    assert _counted(desk, worker) <= few + 1  # the counters of what is capped
    assert not check(desk.database).differences


def _counted(desk: Desk, worker: Reminders) -> int:
    statements = 0

    def counted(*_: object) -> None:
        nonlocal statements
        statements += 1

    event.listen(desk.database.engine, "before_cursor_execute", counted)
    real = type(desk.database.dialect).execute

    def executed(self: Any, *call: Any, **more: Any) -> Any:
        counted()
        return real(self, *call, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(desk.database.dialect), "execute", executed)
        worker.look_at_all()
    event.remove(desk.database.engine, "before_cursor_execute", counted)
    return statements
