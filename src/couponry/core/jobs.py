"""Jobs: long work on an org's rows, done in chunks that it can be stopped between (design 4).

A chunk's rows, its counts and where the job goes on are committed together, so that whoever takes a job up again, after a crash
too, begins exactly where the last commit ended.
"""

from enum import StrEnum
from typing import Any, Final

from msgspec import Struct


class JobKind(StrEnum):
    """What a job does."""

    ISSUE = "issue"
    REVOKE = "revoke"
    EXPIRY = "expiry"
    EXPORT = "export"
    UPLOAD = "upload"
    REDEEMED_UPLOAD = "redeemedUpload"


class JobState(StrEnum):
    """Where a job stands. A paused one may be resumed, and so may a failed one; others in `ENDED` stay as they are."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED: Final = frozenset({JobState.FINISHED, JobState.FAILED, JobState.CANCELLED})


class FileRole(StrEnum):
    """What a job's file holds: rows that failed and why, rows that were done, or what the job was to bring."""

    ERRORS = "errors"
    DONE = "done"
    RESULT = "result"


class JobFile(Struct, frozen=True):
    """A file that a job writes: the name under which it can be fetched, and how much of it is committed."""

    role: FileRole
    name: str
    size_bytes: int


class Job(Struct, frozen=True, kw_only=True):
    """A job as it is stored.

    `request` is what was asked for and `cursor` where to go on, each as its kind has it. `run` counts the starts and `revision`
    the commits, so that of two who work at it at once one finds out. `total` is None until it is known. `worked_ms` is the time
    that was spent in it, pauses left out.
    """

    org_id: int
    id: int
    kind: JobKind
    series_id: int | None
    request: dict[str, Any]
    state: JobState
    run: int
    revision: int
    cursor: dict[str, Any]
    total: int | None
    done: int
    ok: int
    failed: int
    by_code: dict[str, int]
    problem: str
    created_ms: int
    updated_ms: int
    worked_ms: int
    files: tuple[JobFile, ...] = ()

    @property
    def rate_per_second(self) -> float:
        """Rows in a second of work."""
        return self.done * 1000 / self.worked_ms if self.worked_ms else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds of work still to come; None when nobody knows."""
        if self.state in ENDED:
            return 0.0
        rate = self.rate_per_second
        return max(0, self.total - self.done) / rate if self.total is not None and rate else None

    def file(self, role: FileRole) -> JobFile | None:
        """Its file of this role, if it has written one."""
        return next((file for file in self.files if file.role is role), None)


class Progress(Struct, frozen=True, kw_only=True):
    """What a chunk adds to its job: `done` rows, of which `ok` and `failed`; `files` are whole new sizes, not what was added.

    `looked` is how many rows it cost, where those that it passed over are not `done`.
    `is_durable` when its commit must lie on the disk before anything follows: the next chunk takes away what this one would need
    again.
    """

    cursor: dict[str, Any]
    done: int = 0
    looked: int = 0
    ok: int = 0
    failed: int = 0
    by_code: dict[str, int] = {}
    total: int | None = None
    files: tuple[JobFile, ...] = ()
    is_last: bool = False
    is_durable: bool = False
