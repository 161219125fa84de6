"""The folder of files: what was uploaded, and what jobs write. All processes of an installation must see the same one.

Paths are made of ids alone; no name that somebody sent is ever part of one. Files can be read by their owner only.
"""

import asyncio
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO, Final, Self

from couponry.core.jobs import FileRole, Job, JobFile
from couponry.core.limits import UPLOAD_BLOCK_BYTES, UPLOAD_READ_MS_MAX
from couponry.store.bulk.files import csv_lines, harmless, harmless_to_the_letter
from couponry.store.engine import ReadTransaction
from couponry.store.exports import zone_of
from couponry.store.jobs import find_file

_PRIVATE: Final = 0o700
_STAMP: Final = "%Y_%m_%d_%H_%M_%S"
# Nobody is still sending a file that was last written to so long ago.
_LEFT_BEHIND_S: Final = 2 * UPLOAD_READ_MS_MAX / 1000


class FileLost(Exception):
    """What is committed of a file is not there: it was removed, or this process sees another folder; the message says so."""


class Folder:
    """Where files lie below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def upload(self, org_id: int, upload_id: int) -> Path:
        """The file that came in under this id."""
        return self._inside("uploads", org_id) / f"{upload_id}.csv"

    def receive(self, org_id: int) -> tuple[BinaryIO, Path]:
        """A new file for what is still coming in; those that a crash has left behind go now."""
        folder = self._inside("incoming", org_id)
        for left in folder.iterdir():
            with suppress(FileNotFoundError):  # moved on, or removed by another
                if left.stat().st_mtime < time.time() - _LEFT_BEHIND_S:
                    left.unlink()
        handle, name = mkstemp(dir=folder)
        return os.fdopen(handle, "wb"), Path(name)

    def accept(self, received: Path, org_id: int, upload_id: int) -> None:
        """What came in whole lies under this id from now on, on the disk."""
        path = self.upload(org_id, upload_id)
        with received.open("rb") as opened:
            os.fsync(opened.fileno())
        received.replace(path)
        _fsync_folder(path.parent)

    def written(self, org_id: int, job_id: int, role: FileRole) -> Path:
        """The file of this role that a job writes."""
        return self._inside("jobs", org_id) / f"{job_id}-{role}"

    def append(self, job: Job, file: JobFile, lines: Iterable[bytes]) -> JobFile:
        """Write on after what is committed of a job's file, and see that it lies on the disk; the file with its new size.

        What an uncommitted chunk had written is cut off first. Raises FileLost.
        """
        size_bytes = _appended(self.written(job.org_id, job.id, file.role), file.size_bytes, lines)
        return JobFile(file.role, file.name, size_bytes)

    def append_rows(self, job: Job, file: JobFile, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> JobFile:
        """The same with rows of a CSV, whose header comes first; formulas are made harmless, as upload 4 has it in its files."""
        made = harmless if file.role is FileRole.RESULT else harmless_to_the_letter
        return self.append(job, file, csv_lines(([columns] if not file.size_bytes else []), rows, made=made))

    def kept(self, org_id: int) -> Iterator[Path]:
        """All files of an org, but those that are still coming in."""
        for kind in ("jobs", "uploads"):
            yield from self._inside(kind, org_id).iterdir()

    def spool(self, org_id: int, job_id: int) -> Path:
        """What a job gathers for a file that can only be written as a whole; nobody can fetch it."""
        return self._inside("jobs", org_id) / f"{job_id}-spool"

    def append_spool(self, job: Job, size_bytes: int, content: Iterable[bytes]) -> int:
        """Write on after what is committed of it, as `append` does; its new size."""
        return _appended(self.spool(job.org_id, job.id), size_bytes, content)

    def put(self, job: Job, file: JobFile, made: Path) -> JobFile:
        """A file that was made whole, and lies on the disk, is the job's from now on; the file with its size."""
        size_bytes = made.stat().st_size
        path = self.written(job.org_id, job.id, file.role)
        made.replace(path)
        _fsync_folder(path.parent)
        return JobFile(file.role, file.name, size_bytes)

    def _inside(self, kind: str, org_id: int) -> Path:
        path = self._root / kind / str(org_id)
        path.mkdir(_PRIVATE, parents=True, exist_ok=True)
        return path


class Written:
    """As much of a file as is committed, block by block."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._file: BinaryIO = path.open("rb")
        self._left = size_bytes

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        block = await asyncio.to_thread(self._file.read, min(self._left, UPLOAD_BLOCK_BYTES))
        if not block:
            raise StopAsyncIteration
        self._left -= len(block)
        return block

    async def close(self) -> None:
        """Falcon calls it at the end, also when the client has gone away."""
        self._file.close()


def _appended(path: Path, size_bytes: int, lines: Iterable[bytes]) -> int:
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as opened:
        if opened.seek(0, os.SEEK_END) < size_bytes:
            raise FileLost(f"the file {path.name} is not there as it was written; all workers must see the same folder of files")
        opened.truncate(size_bytes)
        opened.seek(size_bytes)
        opened.writelines(lines)
        opened.flush()
        os.fsync(opened.fileno())
        written_bytes = opened.tell()
    if not size_bytes:
        _fsync_folder(path.parent)
    return written_bytes


def _fsync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def file_of(tx: ReadTransaction, job: Job, role: FileRole, prefix: str, suffix: str = "") -> JobFile:
    """A job's file of this role: the one that it writes already, or a new name that no other job has.

    A name is `<prefix>_<org>_<series><YYYY_MM_DD_HH_MM_SS><suffix>` (upload 4), of the second in which the job was made or the
    next free, in the org's zone.
    """
    begun = job.file(role)
    if begun:
        return begun
    made, zone = datetime.fromtimestamp(job.created_ms // 1000, UTC), zone_of(tx, job.org_id) or UTC
    while True:
        name = f"{prefix}_{job.org_id}_{job.series_id or ''}{made.astimezone(zone).strftime(_STAMP)}{suffix}"
        if find_file(tx, job.org_id, name) is None:
            return JobFile(role, name, 0)
        made += timedelta(seconds=1)
