"""What a file that came in looks like, from its beginning alone."""

from io import BytesIO
from pathlib import Path

from couponry.core.limits import UPLOAD_HEAD_BYTES_MAX
from couponry.core.problem import Problem
from couponry.store.bulk.files import CsvReader
from couponry.store.bulk.rows import FileUnusable
from couponry.store.receiving import bad


def columns_of(path: Path) -> tuple[str, ...] | Problem:
    """The columns that the header names, or why the file as a whole is no use: what is wrong with rows is for the job."""
    with path.open("rb") as file:
        head = file.read(UPLOAD_HEAD_BYTES_MAX)
    try:
        reader = CsvReader(BytesIO(head), is_by_name=False)
    except FileUnusable as error:
        return bad(str(error))
    header = "".join(reader.columns)
    if "\0" in header or any("\ud800" <= character <= "\udfff" for character in header):
        return bad("the header is not UTF-8 text; save the file as CSV UTF-8")
    if next(iter(reader), None) is None:
        return bad("the file has no row below its header")
    return reader.columns
