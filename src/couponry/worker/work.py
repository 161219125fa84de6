"""What a kind of job must bring, and what it may use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from couponry.core.jobs import Job, Progress
from couponry.core.status import Code
from couponry.store.engine import Database, WriteTransaction
from couponry.store.folder import Folder

Chunk = Callable[[WriteTransaction], Progress]
"""Writes one chunk in the transaction that it is given. It may be called once; a chunk that fails is prepared again."""


class JobImpossible(Exception):
    """The job cannot be done, now or later; the message says why, and is shown to whoever asked for it."""


def impossible(code: Code) -> JobImpossible:
    """What cannot be done for the reason that an API's answer would give."""
    return JobImpossible(f"{code.number} {code.message}")


class Work(Protocol):
    """One kind of job."""

    def chunk(self, job: Job, rows_max: int) -> Chunk:
        """Prepare the job's next chunk of at most so many rows, or of a few more, without holding up anybody.

        Raises JobImpossible, and StoreError for what may be over when it is tried again.
        """


@dataclass(frozen=True)
class Desk:
    """What work is done with. `secret` is the installation's, which codes are made from."""

    database: Database
    folder: Folder
    clock: Callable[[], int]
    secret: bytes
