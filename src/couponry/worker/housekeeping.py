"""Housekeeping: once an hour, org by org, what nobody will ask for again is forgotten (`store.purge`).

Each step is small, and a rest follows it, so that requests don't notice. A step that fails is left to the next time.
"""

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any, Final

import structlog

from couponry.core.limits import CHUNK_REST_FACTOR, DAY_MS, HOUR_MS, PURGE_MS_MAX
from couponry.store import purge, queue
from couponry.store.engine import StoreError
from couponry.worker.work import Desk

log = structlog.get_logger()

_EVERY_S: Final = HOUR_MS / 1000


class Housekeeping:
    """A worker's own."""

    def __init__(self, desk: Desk, files_kept_days: int) -> None:
        self._desk = desk
        self._files_kept_ms = files_kept_days * DAY_MS
        self._left_at: dict[tuple[int, str], Any] = {}
        """After which key of an org's to go on with something, if there was too much of it for one time."""

    def run(self, stop: Event) -> None:
        """Tidy up once an hour until told to stop."""
        while not stop.wait(_EVERY_S):
            try:
                log.info("tidied_up", **self.tidy_up(stop))
            except Exception:
                log.exception("housekeeping_broken")

    def tidy_up(self, stop: Event) -> Counter[str]:
        """Once through all orgs; how much was forgotten of what."""
        forgotten, database = Counter[str](), self._desk.database
        now_ms = self._desk.clock()
        before_ms = now_ms - self._files_kept_ms
        for org_id in purge.org_ids(database):
            files = (database, self._desk.folder, org_id, before_ms)
            rows = (database, org_id, now_ms)
            for name, start, step in (
                ("answers", "", partial(purge.forget_answers, *rows)),
                ("codes", 0, partial(purge.forget_codes, *rows)),
                ("calls", 0, partial(purge.forget_calls, *rows)),
                ("deliveries", 0, partial(purge.forget_deliveries, *rows)),
                ("causes", 0, partial(purge.forget_causes, *rows)),
                ("reminders", 0, partial(purge.forget_reminders, *rows)),
                ("job_files", 0, partial(purge.forget_job_files, *files)),
                ("uploads", 0, partial(purge.forget_uploads, *files)),
                ("strays", "", partial(purge.forget_strays, *files)),
            ):
                count, after = _walk(name, org_id, step, self._left_at.pop((org_id, name), start), stop)
                forgotten[name] += count
                if after is not None:
                    self._left_at[org_id, name] = after
        forgotten["workflows"] = queue.forget_ended(database, before_ms)
        return forgotten


def _walk(name: str, org_id: int, step: Callable[[Any], purge.Step], after: Any, stop: Event) -> purge.Step:  # noqa: ANN401 - a key
    """Range after range, for a while."""
    forgotten, ends_s, began_s = 0, time.monotonic() + PURGE_MS_MAX / 1000, 0.0
    while after is not None and not stop.is_set() and began_s < ends_s:
        began_s = time.monotonic()
        try:
            done = step(after)
        except StoreError as error:
            log.warning("not_tidied_up", what=name, org_id=org_id, cause=str(error))
            break
        forgotten += done.forgotten
        after = done.after
        stop.wait((time.monotonic() - began_s) * CHUNK_REST_FACTOR)
    return purge.Step(forgotten, after)
