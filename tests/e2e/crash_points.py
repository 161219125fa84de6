"""Does bulk issues in processes that die just before or just after their n-th commit, for every n; prints how many died.

Not a test: `test_worker.py` runs it, in a process without threads, which may fork. Each job is then done by another process, and
what has come of it must be what was asked for.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from sqlalchemy import select

from couponry.core.jobs import FileRole, Job, JobKind, JobState
from couponry.store import schema as t
from couponry.store.engine import Database, ReadTransaction, WriteTransaction
from couponry.store.folder import Folder
from couponry.store.jobs import Draft, create_job, read_job
from couponry.worker.kinds import works
from couponry.worker.runner import Runner
from couponry.worker.work import Desk

DEAD: Final = 9


class Mortal(Database):
    """A database that ends its process at one of the commits."""

    def __init__(self, url: str, dies_at: float) -> None:
        super().__init__(url, is_keyed=True)
        self._dies_at = dies_at
        self._commits = 0.0

    @contextmanager
    def writing(self) -> Iterator[WriteTransaction]:
        """Halves are after a commit."""
        with super().writing() as tx:
            yield tx
            self._commits += 1
            self._die_at(self._commits)
        self._die_at(self._commits + 0.5)

    def _die_at(self, point: float) -> None:
        if point == self._dies_at:
            os._exit(DEAD)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def main(url: str, files: str, org_id: int, series_id: int, upload_id: int, rows: int, unknown: int) -> int:
    """How many processes have died."""
    folder = Folder(Path(files))
    audience = {"uploadId": upload_id, "identifier": "externalId", "column": 0}
    draft = Draft(kind=JobKind.ISSUE, series_id=series_id, request={"audience": audience, "count": 1, "send": True})
    for died in count():
        with closing(Database(url)) as database, database.writing() as tx:
            job_id = create_job(tx, org_id, draft, now_ms())
            before = _held(tx, org_id, series_id)

        def work(dies_at: float, job_id: int = job_id) -> None:
            database = Mortal(url, dies_at)
            runner = Runner(database, works(Desk(database, folder, now_ms, b"a secret")), now_ms)
            while runner.step(org_id, job_id, 1):
                pass

        status = _forked(partial(work, 1 + died / 2))
        assert status in (0, DEAD), status
        assert _forked(partial(work, 0)) == 0
        with closing(Database(url)) as database, database.reading() as view:
            job = read_job(view, org_id, job_id)
            assert job is not None
            assert (job.state, job.problem) == (JobState.FINISHED, "")
            assert (job.total, job.done, job.ok, job.by_code) == (rows, rows, rows - unknown, {"701": unknown}), job
            got = _held(view, org_id, series_id) - before
        assert set(got.values()) == {1}
        assert len(got) == rows - unknown
        _check_errors(folder, job, unknown)
        if status == 0:
            return died
    raise AssertionError("it counts for ever")


def _held(tx: ReadTransaction, org_id: int, series_id: int) -> Counter[int]:
    coupon = t.coupon.c
    wanted = select(coupon.customer_id).where(coupon.org_id == org_id, coupon.series_id == series_id)
    return Counter(row.customer_id for row in tx.rows(wanted, {}))


def _check_errors(folder: Folder, job: Job, unknown: int) -> None:
    file = job.file(FileRole.ERRORS)
    assert file
    lines = folder.written(job.org_id, job.id, FileRole.ERRORS).read_bytes()[: file.size_bytes].splitlines()
    assert len({*lines}) == len(lines) == 1 + unknown


def _forked(work: Callable[[], object]) -> int:
    """The exit status of a process that does it."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - it must not go on as the parent
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.stdout.write(str(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))))
