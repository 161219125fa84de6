"""Work that is not the ledger's: reads, and writes of what the ledger only reads, on threads that may wait for the database."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from couponry.core.limits import BACK_OFFICE_THREADS, WRITE_TRIES_MAX
from couponry.core.status import Code
from couponry.store import queue
from couponry.store.dialect import Trouble
from couponry.store.engine import Database, ReadTransaction, StoreError, WriteTransaction
from couponry.store.offers import SeriesUnreadable

T = TypeVar("T")

log = structlog.get_logger()


class BackOffice:
    """Runs work in a transaction of its own; a failure of the database is an answer, as it is in the ledger (status-codes 5)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(BACK_OFFICE_THREADS, "back-office")

    async def read(self, work: Callable[[ReadTransaction], T]) -> T | Code:
        """What `work` finds in one consistent view."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)

    async def write(self, work: Callable[[WriteTransaction], T], *, makes_job: bool = False) -> T | Code:
        """What `work` returns, once it is committed. It may run again from the start when another writer was in its way."""
        if makes_job:
            await asyncio.get_running_loop().run_in_executor(self._threads, queue.warm)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._write, work)

    def close(self) -> None:
        """Finish what runs, and give the connections back."""
        self._threads.shutdown(cancel_futures=True)
        self._database.close()

    def _read(self, work: Callable[[ReadTransaction], T]) -> T | Code:
        try:
            with self._database.reading() as tx:
                return work(tx)
        except StoreError as error:
            return _code_of(error)

    def _write(self, work: Callable[[WriteTransaction], T]) -> T | Code:
        code = Code.CONFLICT
        for _ in range(WRITE_TRIES_MAX):
            try:
                with self._database.writing() as tx:
                    return work(tx)
            except StoreError as error:
                code = _code_of(error)
                if error.trouble is not Trouble.CONFLICT:
                    break
        return code


def _code_of(error: StoreError) -> Code:
    log.warning("back_office_failed", cause=str(error))
    if isinstance(error, SeriesUnreadable):
        return Code.SERIES_UNREADABLE
    match error.trouble:
        case Trouble.UNREACHABLE:
            return Code.DATABASE_UNREACHABLE
        case Trouble.LOCKED | Trouble.SLOW:
            return Code.TIMED_OUT
        case Trouble.CONFLICT:
            return Code.CONFLICT
        case Trouble.BROKEN:
            return Code.UNKNOWN_ERROR
