"""Scheduled launches: once, whoever looks; late rather than never; and never half."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, Final

import pytest
from sqlalchemy import update

from couponry.core.audience import EVERYBODY
from couponry.core.launching import CampaignDraft, Launch, LaunchState
from couponry.core.limits import HOUR_MS
from couponry.core.problem import Problem
from couponry.store import audit, campaigns, launches, registry
from couponry.store import schema as t
from couponry.store.audit import Actor
from couponry.store.drafts import create_draft
from couponry.store.engine import Database, WriteTransaction
from couponry.store.launches import LaunchRefused, Wish
from couponry.worker.launches import Launches
from tests.api.shop import NOW_MS, cheaply_hashed
from tests.worker.desk import Office

DUE: Final = NOW_MS + HOUR_MS
FIELDS: Final = {
    "description": "Monsoon",
    "discountType": "ABS",
    "discountValue": "50",
    "clientHandlingType": "DISC_CODE",
    "validTillDate": "2031-04-30",
}


class Desk:
    """A shop with a marketer, and the worker's looks."""

    def __init__(self, office: Office) -> None:
        self.office, self.shop, self.database = office, office.shop, office.database
        with self.database.writing() as tx:
            made = registry.create_user(
                tx, self.shop.org_id, email="m@example.com", password_hash=cheaply_hashed("x"), role="marketer"
            )
            assert isinstance(made, int)
            self.user_id = made

    def actor(self) -> Actor:
        return Actor(
            org_id=self.shop.org_id,
            user_id=self.user_id,
            email="m@example.com",
            address="",
            request_id="r",
            now_ms=self.shop.clock(),
        )

    def begin(self, code: str = "RAIN", due_ms: int | None = DUE, **content: Any) -> Launch:
        usual: dict[str, Any] = {
            "name": code,
            "fields": {**FIELDS, "seriesCode": code},
            "whom": "everyone",
            "audience": EVERYBODY,
        }
        with self.database.writing() as tx:
            draft_id = create_draft(tx, self.shop.org_id, self.user_id, CampaignDraft(**{**usual, **content}), NOW_MS)
            return launches.begin(tx, self.shop.org(), self.actor(), draft_id, Wish(due_ms, 1))

    def look(self, at_ms: int) -> int:
        """How many launches a worker that has just started starts then."""
        self.shop.clock.ms = at_ms
        return Launches(self.database, self.shop.clock).look_at_all()

    def launch(self, launch_id: int) -> Launch:
        with self.database.reading() as tx:
            found = launches.read_launch(tx, self.shop.org_id, launch_id)
        assert found
        return found

    def jobs(self) -> int:
        return len(self.office.rows(t.job, "id"))

    def move(self, launch: Launch, state: campaigns.State) -> None:
        with self.database.writing() as tx:
            moved = campaigns.move_campaign(tx, self.shop.org_id, launch.campaign_id or 0, state, self.shop.clock())
            assert not isinstance(moved, Problem)


class Falling(Database):
    """Ends each transaction that writes before its commit."""

    @contextmanager
    def writing(self) -> Iterator[WriteTransaction]:
        with super().writing() as tx:
            yield tx
            raise RuntimeError


@pytest.fixture
def desk(office: Office) -> Desk:
    return Desk(office)


def test_starts_when_it_is_due_and_issues(desk: Desk) -> None:
    launch = desk.begin()
    assert launch.state is LaunchState.SCHEDULED
    assert desk.look(DUE - 1) == 0
    assert desk.look(DUE) == 1
    assert desk.look(DUE + 1) == 0
    after = desk.launch(launch.id)
    assert (after.state, after.late_ms) == (LaunchState.LAUNCHED, 0)
    assert desk.office.finish(after.job_id or 0).ok == 2, "one is marked for fraud, one is suspended"
    with desk.database.reading() as tx:
        newest = audit.entries(tx, desk.shop.org_id, limit=1)[0]
    assert (newest.action, newest.actor) == ("launch", "worker, for m@example.com")


def test_workers_that_look_at_once_start_it_once(desk: Desk) -> None:
    launch = desk.begin()
    desk.shop.clock.ms = DUE
    with ThreadPoolExecutor(4) as threads:
        looks = list(threads.map(lambda _: Launches(desk.database, desk.shop.clock).look(desk.shop.org_id), range(4)))
    assert sum(looks) == desk.jobs() == 1
    assert desk.launch(launch.id).state is LaunchState.LAUNCHED


def test_one_that_was_missed_starts_late_and_says_so(desk: Desk) -> None:
    launch = desk.begin()
    assert desk.look(DUE + 5 * HOUR_MS) == 1
    assert desk.launch(launch.id).late_ms == 5 * HOUR_MS


def test_a_paused_campaign_waits_and_holds_up_no_other(desk: Desk) -> None:
    paused, other = desk.begin("A"), desk.begin("B")
    desk.move(paused, "PAUSED")
    assert desk.look(DUE) == 1
    assert desk.launch(other.id).state is LaunchState.LAUNCHED
    assert desk.launch(paused.id).state is LaunchState.SCHEDULED
    desk.move(paused, "ACTIVE")
    assert desk.look(DUE + 1) == 1


def test_what_cannot_be_says_why_and_starts_nothing(desk: Desk) -> None:
    ended, unusable, sound = desk.begin("A"), desk.begin("B"), desk.begin("C")
    desk.move(ended, "ENDED")
    with desk.database.writing() as tx:
        own = (t.series_version.c.org_id == desk.shop.org_id, t.series_version.c.series_id == unusable.series_id)
        tx.connection.execute(update(t.series_version).where(*own).values(terms="{}"))
    assert desk.look(DUE) == 1
    assert "ended" in desk.launch(ended.id).problem
    assert desk.launch(unusable.id).state is LaunchState.FAILED
    assert desk.launch(sound.id).state is LaunchState.LAUNCHED
    assert desk.jobs() == 1
    assert desk.look(DUE + 1) == 0


def test_a_cancelled_one_never_starts(desk: Desk) -> None:
    launch = desk.begin()
    with desk.database.writing() as tx:
        assert isinstance(launches.cancel(tx, desk.actor(), launch.id), Launch)
    assert desk.look(DUE) == 0
    assert desk.jobs() == 0


def test_a_launch_that_is_refused_leaves_nothing_behind(desk: Desk) -> None:
    desk.begin("RAIN", None)
    counts = [len(desk.office.rows(table, "org_id")) for table in (t.campaign, t.series, t.job, t.launch, t.audit)]
    with pytest.raises(LaunchRefused, match="series code"):
        desk.begin("RAIN", None)
    assert [len(desk.office.rows(table, "org_id")) for table in (t.campaign, t.series, t.job, t.launch, t.audit)] == counts


def test_a_crash_before_the_commit_starts_it_later(desk: Desk) -> None:
    launch = desk.begin()
    desk.shop.clock.ms = DUE

    with closing(Falling(desk.database.url, is_keyed=True)) as falling:
        assert Launches(falling, desk.shop.clock).look_at_all() == 0
    assert desk.launch(launch.id).state is LaunchState.SCHEDULED
    assert desk.jobs() == 0
    assert desk.look(DUE) == 1
