"""Files that came in and are wanted: moved to where jobs find them, and written down together with whatever is to be done."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from msgspec import Struct

from couponry.core.status import Code
from couponry.store.back_office import BackOffice
from couponry.store.engine import WriteTransaction
from couponry.store.folder import Folder
from couponry.store.receiving import Received
from couponry.store.uploads import Upload, insert_upload, read_upload, reserve_id

T = TypeVar("T")


class Origin(Struct, frozen=True):
    """Whose a file is, and the till that it came from, if any; for one that lists customers, by what, and in which column."""

    org_id: int
    till_id: int | None = None
    identifier: str | None = None
    identifier_column: int | None = None


class Keeper(Struct, frozen=True):
    """What it takes to keep a file, at the instant `now_ms`."""

    office: BackOffice
    folder: Folder
    now_ms: int


async def kept(keeper: Keeper, received: Received, origin: Origin, then: Callable[[WriteTransaction, Upload], T]) -> T | Code:
    """Keep a file that was received, and do `then` in the transaction that says so; what it returns, once all is committed.

    The file lies under its id on the disk before anybody can read of it, so that a crash in between leaves a file of nobody's.
    `then` may run again from the start when another writer was in the way.
    """
    org_id = origin.org_id
    upload_id = await keeper.office.write(lambda tx: reserve_id(tx, org_id))
    if isinstance(upload_id, Code):
        return upload_id
    await asyncio.to_thread(keeper.folder.accept, received.path, org_id, upload_id)
    named = (origin.till_id, origin.identifier, origin.identifier_column)
    upload = Upload(upload_id, received.sent_name, received.size_bytes, keeper.now_ms, *named)
    done = await keeper.office.write(partial(_write, org_id, upload, then), makes_job=True)
    if isinstance(done, Code):
        await _forget(keeper, org_id, upload_id)
    return done


def _write(org_id: int, upload: Upload, then: Callable[[WriteTransaction, Upload], T], tx: WriteTransaction) -> T:
    insert_upload(tx, org_id, upload)
    return then(tx, upload)


async def _forget(keeper: Keeper, org_id: int, upload_id: int) -> None:
    """Remove the file, unless the commit whose answer was lost happened after all, or nobody can tell."""
    if await keeper.office.read(lambda tx: read_upload(tx, org_id, upload_id)) is None:
        await asyncio.to_thread(keeper.folder.upload(org_id, upload_id).unlink, missing_ok=True)
