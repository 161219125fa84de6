"""Sends what nobody asks for at the moment: reminders of coupons that expire, notices to an org's contacts (rules 6).

A worker looks every few seconds. It remembers the terms of every series by their version, and which walks are at their end; so a
look at an org where nothing is due reads the heads of its series, and counters of those whose issues are watched.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Final

import structlog

from couponry.core import reminders
from couponry.core.events import ISSUE_LIMIT
from couponry.core.limits import REMINDER_CHUNKS_AT_ONCE, REMINDERS_LOOKED_FOR_MS, SERIES_CACHE_MAX, SERIES_LOOKED_AT_ONCE
from couponry.core.messages import OFFER_EXPIRY
from couponry.core.model import Org
from couponry.core.reminders import LIMIT_TOPIC, OFFER_TOPIC, Walk, Watched
from couponry.store.engine import Database, ReadTransaction, StoreError
from couponry.store.registry import org_ids, read_org
from couponry.store.reminders import NOT_YET, Head, Notice, Notices

log = structlog.get_logger()

_PAUSE_S: Final = REMINDERS_LOOKED_FOR_MS / 1000


class Reminders:
    """One worker's looks at the series of its database. Several may look at the same org, and do nothing twice."""

    def __init__(self, database: Database, notices: Notices, clock: Callable[[], int]) -> None:
        self._database = database
        self._notices = notices
        self._clock = clock
        self._watched: dict[tuple[int, int], Watched] = {}
        self._finished: dict[tuple[int, int, str], str] = {}

    def run(self, stop: threading.Event) -> None:
        """Look at every org every few seconds until told to stop."""
        while not stop.is_set():
            if not self.look_at_all(stop):
                stop.wait(_PAUSE_S)

    def look_at_all(self, stop: threading.Event | None = None) -> bool:
        """One look at every org; whether there is more to do at once. What goes wrong with one org is no other's trouble."""
        try:
            with self._database.reading() as tx:
                known = org_ids(tx)
        except StoreError as error:
            log.warning("reminders_stopped", reason=str(error))
            return False
        is_more = False
        for org_id in known:
            if stop is not None and stop.is_set():
                return False
            try:
                is_more |= self.look(org_id)
            except StoreError as error:
                log.warning("reminders_stopped", org_id=org_id, reason=str(error))
            except Exception:
                log.exception("reminders_failed", org_id=org_id)
        return is_more

    def look(self, org_id: int) -> bool:
        """Send what is due in one org, some steps of it; whether there is more."""
        now_ms, after_id, steps = self._clock(), 0, REMINDER_CHUNKS_AT_ONCE
        while True:
            with self._database.reading() as tx:
                org = read_org(tx, org_id)
                if not isinstance(org, Org):
                    return False
                heads = self._notices.heads(tx, org_id, after_id, SERIES_LOOKED_AT_ONCE, now_ms)
                known = self._known(tx, org_id, heads)
                limits_near = self._limits_near(tx, org_id, heads, known, now_ms)
                offers = self._offers(tx, org, heads, known, now_ms)
                due = self._due(tx, org, heads, known, now_ms)
            for series_id, left in limits_near.items():
                self._tell_limit(org_id, series_id, known[series_id], left)
            for series_id in offers:
                self._tell_offer(org_id, series_id, known[series_id])
            for series_id, walk in due:
                steps = self._walk(org_id, series_id, known[series_id], walk, steps)
                if not steps:
                    return True
            if len(heads) < SERIES_LOOKED_AT_ONCE:
                return False
            after_id = heads[-1].series_id

    def _known(self, tx: ReadTransaction, org_id: int, heads: list[Head]) -> dict[int, Watched]:
        """What to look for in these series; terms are read once for each version."""
        if len(self._watched) + len(heads) > SERIES_CACHE_MAX:
            self._watched.clear()
            self._finished.clear()
        versions = {head.series_id: head.version for head in heads}
        new = [pair for pair in versions.items() if not self._is_known(org_id, *pair)]
        for series_id, found in self._notices.watched(tx, org_id, new).items():
            self._watched[org_id, series_id] = found
        return {pair[0]: self._watched[org_id, pair[0]] for pair in versions.items() if self._is_known(org_id, *pair)}

    def _is_known(self, org_id: int, series_id: int, version: int) -> bool:
        found = self._watched.get((org_id, series_id))
        return found is not None and found.version == version

    def _limits_near(
        self, tx: ReadTransaction, org_id: int, heads: list[Head], known: Mapping[int, Watched], now_ms: int
    ) -> dict[int, int]:
        """How many were issued of series that may have few issues left."""
        alive = {series_id: each for series_id, each in known.items() if each.threshold >= 0 and now_ms <= each.expires_ms}
        capped = [head.series_id for head in heads if head.series_id in alive and alive[head.series_id].max_create > 0]
        issued = self._notices.issued(tx, org_id, capped)
        near = {series_id for series_id in capped if self._left(alive[series_id], issued.get(series_id, 0), NOT_YET) is not None}
        told = self._notices.notices(tx, org_id, sorted(near))
        at = {series_id: told.get((series_id, LIMIT_TOPIC), NOT_YET) for series_id in near}
        return {each: issued[each] for each in sorted(near) if self._left(alive[each], issued[each], at[each]) is not None}

    @staticmethod
    def _left(series: Watched, issued: int, told: Notice) -> int | None:
        return reminders.issues_left(series, issued, reminders.NEVER if told.reached is None else told.reached)

    def _tell_limit(self, org_id: int, series_id: int, series: Watched, issued: int) -> None:
        with self._database.writing() as tx:
            left = self._left(series, issued, self._notices.hold(tx, org_id, series_id, LIMIT_TOPIC))
            if left is not None:
                self._notices.tell(tx, org_id, ISSUE_LIMIT, series_id, self._clock(), left)
                self._notices.move(tx, org_id, series_id, LIMIT_TOPIC, Notice("", issued))

    def _offers(self, tx: ReadTransaction, org: Org, heads: list[Head], known: Mapping[int, Watched], now_ms: int) -> list[int]:
        """Series whose expiry the contacts have to be told of."""
        if not org.settings.contact_emails:
            return []
        days = org.settings.offer_expiry_notice_days
        due = [
            head.series_id
            for head in heads
            if (each := known.get(head.series_id)) and reminders.offer_expires(each, org.zone, days, head.created_ms, now_ms)
            if self._finished.get((org.id, head.series_id, OFFER_TOPIC)) != each.expires_local.isoformat()
        ]
        told = self._notices.notices(tx, org.id, due)
        return [each for each in due if told.get((each, OFFER_TOPIC), NOT_YET).about != known[each].expires_local.isoformat()]

    def _tell_offer(self, org_id: int, series_id: int, series: Watched) -> None:
        about = series.expires_local.isoformat()
        with self._database.writing() as tx:
            if self._notices.hold(tx, org_id, series_id, OFFER_TOPIC).about != about:
                self._notices.tell(tx, org_id, OFFER_EXPIRY, series_id, self._clock())
                self._notices.move(tx, org_id, series_id, OFFER_TOPIC, Notice(about, None))
        self._finished[org_id, series_id, OFFER_TOPIC] = about

    def _due(
        self, tx: ReadTransaction, org: Org, heads: list[Head], known: Mapping[int, Watched], now_ms: int
    ) -> list[tuple[int, Walk]]:
        """Walks that have not come to their end, as far as this worker knows."""
        due = [
            (head.series_id, walk)
            for head in heads
            if not head.is_halted and head.series_id in known
            for walk in reminders.walks(known[head.series_id], org.zone, now_ms)
            if self._finished.get((org.id, head.series_id, walk.topic), "") < walk.day
        ]
        found = self._notices.notices(tx, org.id, sorted({series_id for series_id, _ in due}))
        for (series_id, topic), notice in found.items():
            if notice.reached is None:
                self._finished[org.id, series_id, topic] = notice.about
        at = {(series_id, walk.topic): found.get((series_id, walk.topic), NOT_YET) for series_id, walk in due}
        return [
            (series_id, walk)
            for series_id, walk in due
            if _is_open(notice := at[series_id, walk.topic], walk)
            # Nobody is reminded by a reminder that was not yet wished for when its time came.
            if notice.about or walk.at_ms >= known[series_id].made_ms
        ]

    def _walk(self, org_id: int, series_id: int, series: Watched, walk: Walk, steps: int) -> int:
        """Go on with a walk for so many steps; how many of them are left, none where there is more to walk."""
        while steps:
            with self._database.reading() as tx:
                notice = self._notices.notices(tx, org_id, [series_id]).get((series_id, walk.topic), NOT_YET)
                if not _is_open(notice, walk):
                    break
                after_id = (notice.reached or 0) if notice.about == walk.day else 0
                step = self._notices.step(tx, org_id, series_id, walk, after_id)
            now_ms = self._clock()
            alive = [each for each in step.holders if reminders.is_alive(series, each.expires_local, now_ms)]
            with self._database.writing() as tx:
                if self._notices.hold(tx, org_id, series_id, walk.topic) != notice:
                    continue  # somebody else took this step
                self._notices.remind(tx, org_id, walk, alive, now_ms)
                self._notices.move(tx, org_id, series_id, walk.topic, Notice(walk.day, step.last_id))
            if _gives_up(notice, walk):
                of = {"org_id": org_id, "series_id": series_id, "reminder": walk.topic}
                log.warning("reminders_not_sent", **of, after=notice.about, before=walk.day, is_half=notice.reached is not None)
            steps -= 1
        return steps


def _gives_up(notice: Notice, walk: Walk) -> bool:
    """Whether a walk that begins leaves behind one half done, or days without any."""
    if not notice.about or notice.about == walk.day:
        return False
    return notice.reached is not None or notice.about < (date.fromisoformat(walk.day) - timedelta(1)).isoformat()


def _is_open(notice: Notice, walk: Walk) -> bool:
    """Whether a walk has not begun, or not come to its end."""
    return notice.about < walk.day or (notice.about == walk.day and notice.reached is not None)
