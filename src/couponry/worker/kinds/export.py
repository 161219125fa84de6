"""Exports (`core.exporting`): rows are taken out page by page, and a chunk is a page.

A CSV grows with its job. For a Parquet file rows are spooled first; when all are there, they become the file in one chunk, and
the spool goes in the next: the commit before lies on the disk, so that the job no longer needs it whatever happens.
"""

from types import ModuleType
from typing import Final, Literal

import msgspec
from msgspec import Struct

from couponry.core.exporting import COLUMNS, Calendar, ExportRequest, FileFormat
from couponry.core.jobs import FileRole, Job, JobFile, Progress
from couponry.store.engine import WriteTransaction
from couponry.store.exports import Exports, Page, Place, zone_of
from couponry.store.folder import file_of
from couponry.store.ordering import export_problem
from couponry.worker.kinds import export_csv
from couponry.worker.work import Chunk, Desk, JobImpossible

_UNUSABLE_ZONE: Final = "the org's time zone is unusable"


class _Cursor(Struct, frozen=True):
    """Where an export goes on. Of the spool, `spool_bytes` are committed."""

    stage: Literal["rows", "file", "tidy"] = "rows"
    place: Place = Place()
    spool_bytes: int = 0


class ExportWork:
    """The work of `JobKind.EXPORT`."""

    def __init__(self, desk: Desk) -> None:
        self._database = desk.database
        self._folder = desk.folder
        self._exports = Exports(desk.database.dialect)

    def chunk(self, job: Job, rows_max: int) -> Chunk:
        """A page of rows, or one of the two chunks that end a Parquet file."""
        try:
            request = msgspec.convert(job.request, ExportRequest)
        except msgspec.ValidationError as error:
            raise JobImpossible(str(error)) from error
        cursor = msgspec.convert(job.cursor, _Cursor)
        match cursor.stage:
            case "rows":
                return self._rows(job, request, cursor, rows_max)
            case "file":
                return self._file(job, request, cursor)
            case "tidy":
                return self._tidy(job)

    def _rows(self, job: Job, request: ExportRequest, cursor: _Cursor, rows_max: int) -> Chunk:
        with self._database.reading() as tx:
            refused = export_problem(tx, job.org_id, request)
            if refused:
                raise JobImpossible(refused.text)
            zone = zone_of(tx, job.org_id)
            if zone is None:
                raise JobImpossible(_UNUSABLE_ZONE)
            page = self._exports.page(tx, job.org_id, request, cursor.place, rows_max)
        shape = COLUMNS[request.what]
        is_first = job.cursor == {}
        if request.file_format is FileFormat.PARQUET:
            content = [_parquet().header(shape)] if is_first else []
            content += [_parquet().rows(shape, page.columns)] if page.rows else []
            return lambda _: self._spooled(job, cursor, page, content)
        content = [export_csv.header(shape)] if is_first else []
        content += [export_csv.rows(shape, page.columns, Calendar(zone))] if page.rows else []
        return lambda tx: self._appended(tx, job, request, page, content)

    def _appended(self, tx: WriteTransaction, job: Job, request: ExportRequest, page: Page, content: list[bytes]) -> Progress:
        is_last = page.next is None
        # The last chunk appends even nothing, which cuts off what a chunk before it wrote and did not commit.
        files = (self._folder.append(job, _result(tx, job, request), content),) if content or is_last else ()
        return _progress(job, _Cursor(place=page.next or Place()), page, files, is_last=is_last)

    def _spooled(self, job: Job, cursor: _Cursor, page: Page, content: list[bytes]) -> Progress:
        size_bytes = self._folder.append_spool(job, cursor.spool_bytes, content) if content else cursor.spool_bytes
        after = _Cursor("rows" if page.next else "file", page.next or Place(), size_bytes)
        return _progress(job, after, page)

    def _file(self, job: Job, request: ExportRequest, cursor: _Cursor) -> Chunk:
        """The rows are on the disk: make the file beside the transaction, and give it its name within."""
        self._folder.append_spool(job, cursor.spool_bytes, ())
        spool = self._folder.spool(job.org_id, job.id)
        made = spool.with_suffix(".made")
        _parquet().write_parquet(spool, made)

        def write(tx: WriteTransaction) -> Progress:
            file = self._folder.put(job, _result(tx, job, request), made)
            cursor = msgspec.to_builtins(_Cursor("tidy"))
            return Progress(cursor=cursor, files=(file,), is_durable=True)

        return write

    def _tidy(self, job: Job) -> Chunk:
        def write(_: WriteTransaction) -> Progress:
            self._folder.spool(job.org_id, job.id).unlink(missing_ok=True)
            return Progress(cursor=job.cursor, is_last=True, total=job.done)

        return write


def _parquet() -> ModuleType:
    """Imported by a worker's first Parquet export: it costs half a second, and memory for good."""
    from couponry.worker.kinds import export_parquet  # noqa: PLC0415 - see above

    return export_parquet


def _result(tx: WriteTransaction, job: Job, request: ExportRequest) -> JobFile:
    return file_of(tx, job, FileRole.RESULT, request.what, f".{request.file_format}")


def _progress(job: Job, cursor: _Cursor, page: Page, files: tuple[JobFile, ...] = (), *, is_last: bool = False) -> Progress:
    total = job.done + page.rows if page.next is None else None
    return Progress(
        cursor=msgspec.to_builtins(cursor),
        done=page.rows,
        looked=page.looked,
        ok=page.rows,
        total=total,
        files=files,
        is_last=is_last,
    )
