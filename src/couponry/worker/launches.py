"""Starts launches when they are due: at most once, whichever worker looks, and late rather than never.

A worker looks every few seconds. What was due while no worker ran starts at the next look; how late that was stands in its row.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from couponry.core.limits import LAUNCH_LATE_MS, LAUNCHES_AT_ONCE, LAUNCHES_LOOKED_FOR_MS
from couponry.core.model import Org
from couponry.store import launches
from couponry.store.engine import Database, StoreError
from couponry.store.launches import LaunchRefused
from couponry.store.registry import org_ids, read_org

log = structlog.get_logger()

_PAUSE_S: Final = LAUNCHES_LOOKED_FOR_MS / 1000


class Launches:
    """One worker's looks at what is scheduled."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

    def run(self, stop: threading.Event) -> None:
        """Look at every org every few seconds until told to stop."""
        while not stop.wait(_PAUSE_S):
            self.look_at_all(stop)

    def look_at_all(self, stop: threading.Event | None = None) -> int:
        """One look at every org; how many launches were started. What goes wrong with one org is no other's trouble."""
        try:
            with self._database.reading() as tx:
                known = org_ids(tx)
        except StoreError as error:
            log.warning("launches_stopped", reason=str(error))
            return 0
        started = 0
        for org_id in known:
            if stop is not None and stop.is_set():
                break
            try:
                started += self.look(org_id)
            except StoreError as error:
                log.warning("launches_stopped", org_id=org_id, reason=str(error))
            except Exception:
                log.exception("launches_failed", org_id=org_id)
        return started

    def look(self, org_id: int) -> int:
        """Start what is due in one org, some of it; how many launches that were."""
        now_ms = self._clock()
        with self._database.reading() as tx:
            due = launches.scheduled(tx, org_id, LAUNCHES_AT_ONCE, by_ms=now_ms)
            org = read_org(tx, org_id) if due else None
        return sum(self._start(org, launch.id, now_ms) for launch in due if isinstance(org, Org))

    def _start(self, org: Org, launch_id: int, now_ms: int) -> bool:
        try:
            with self._database.writing() as tx:
                launch = launches.start_due(tx, org, launch_id, now_ms)
        except LaunchRefused as refused:
            with self._database.writing() as tx:
                launches.fail(tx, org.id, launch_id, refused.problem, now_ms)
            log.warning("launch_failed", org_id=org.id, launch_id=launch_id, reason=refused.problem.message)
            return False
        if launch is not None and launch.late_ms > LAUNCH_LATE_MS:
            log.warning("launch_late", org_id=org.id, launch_id=launch_id, late_s=launch.late_ms // 1000)
        return launch is not None
