"""Rows of a CSV file, read from the start or from any row on."""

from io import BytesIO

import pytest

from couponry.store.bulk.rows import FileUnusable, Row, RowReader, is_text

FILES = {
    "LF": b"a,b\n1,2\n3,4\n",
    "CRLF, BOM, no end": b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4",
    "CR": b"a,b\r1,2\r3,4\r",
    "blank lines": b"\n\na,b\n\n1,2\n\r\n\n3,4\n\n\n",
    "quoted line ends and commas": b'a,b\n"1\n,\r\n""x""",2\n"3\r",4\n',
    "letters of several bytes": "a,b\n\u00fc,\u20ac\n\U0001f381,\u0928\u092e\n".encode(),
    "other encodings": b"a,b\n\xe9,2\n\xff\xfe,4\n",
    "NUL in a row": b"aaaa,b\n1\0,2\n3,4\n",
    "a broken quote": b'a,b\n"1"x,2\n3,4\n',
    "a quote that never ends": b'a,b\n3,4\n"1,2\n',
    "a cell too large": b'a,b\n"' + b"x" * 140_000 + b'",2\n3,4\n',
    "a line too large": b"a,b\n" + b"x," * 600_000 + b"\n3,4\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", FILES)
def test_reading_goes_on_from_any_row(name: str) -> None:
    whole = RowReader(BytesIO(FILES[name]))
    ends, rows = [whole.offset], []
    for row in whole:
        rows.append(row)
        ends.append(whole.offset)
    assert len(rows) == RowReader(BytesIO(FILES[name])).count()
    for at, end in enumerate(ends):
        if end:
            assert list(RowReader(BytesIO(FILES[name]), end)) == rows[at:]


def test_rows_are_what_was_written() -> None:
    for name in ("LF", "CRLF, BOM, no end", "CR", "blank lines"):
        assert [row.cells for row in RowReader(BytesIO(FILES[name]))] == [["a", "b"], ["1", "2"], ["3", "4"]]
    assert list(RowReader(BytesIO(FILES["quoted line ends and commas"])))[1] == Row(['1\n,\r\n"x"', "2"])
    assert [bool(row.problem) for row in RowReader(BytesIO(FILES["a broken quote"]))] == [False, True, False]
    assert not is_text(list(RowReader(BytesIO(FILES["other encodings"])))[1].cells[0])


@pytest.mark.parametrize("start", [b"\xff\xfea\0,\0", b"\xfe\xff\0a\0,", b"PK\0\4"])
def test_what_is_no_text_is_unusable(start: bytes) -> None:
    with pytest.raises(FileUnusable):
        RowReader(BytesIO(start))
