"""Files as they were sent: what is known about each, beside its bytes in the folder of files."""

from typing import Final

from msgspec import Struct, structs
from sqlalchemy import insert, select

from couponry.store import schema as t
from couponry.store import serials
from couponry.store.engine import ReadTransaction, WriteTransaction


class Upload(Struct, frozen=True):
    """A file that came in. `sent_name` is its sender's word for it, `created_by` the till that it came from, if any.

    One that lists customers names them by `identifier` (`core.audience`), in the column `identifier_column`.
    """

    id: int
    sent_name: str
    size_bytes: int
    created_ms: int
    created_by: int | None = None
    identifier: str | None = None
    identifier_column: int | None = None


_COLUMNS: Final = tuple(t.upload.c[name] for name in Upload.__struct_fields__)


def reserve_id(tx: WriteTransaction, org_id: int) -> int:
    """An id that no other upload of the org gets."""
    return serials.reserve(tx, org_id, serials.UPLOAD)


def insert_upload(tx: WriteTransaction, org_id: int, upload: Upload) -> None:
    """Remember a file that lies in the folder."""
    tx.connection.execute(insert(t.upload).values(org_id=org_id, **structs.asdict(upload)))


def read_upload(tx: ReadTransaction, org_id: int, upload_id: int) -> Upload | None:
    """One upload."""
    rows = tx.rows(select(*_COLUMNS).where(t.upload.c.org_id == org_id, t.upload.c.id == upload_id), {})
    return Upload(*rows[0]) if rows else None


def locked_upload(tx: WriteTransaction, org_id: int, upload_id: int) -> None:
    """Keep others from doing anything with the upload until the transaction ends."""
    mine = select(t.upload.c.id).where(t.upload.c.org_id == org_id, t.upload.c.id == upload_id)
    tx.rows(tx.dialect.locked(mine, t.upload), {})
