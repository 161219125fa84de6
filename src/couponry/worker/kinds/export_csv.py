"""Rows of an export as CSV.

UTF-8 that begins with a BOM. Excel takes a file without one for the machine's old code page, shows names as rubbish and saves
them so, and nobody is told; a script that knows nothing of BOMs stumbles over the first column at once, and pandas, polars and
our own import skip it. A cell that a spreadsheet would run is put behind an apostrophe. Codes that look like numbers stay as
they are.

A page is written column by column: what a column needs is found out by a few searches through all of it, and most need nothing.
"""

import codecs
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from couponry.core.exporting import Calendar, Kind, money_text
from couponry.store.bulk.files import harmless

_BETWEEN: Final = "\0"
_FORMULA_STARTS: Final = "=+-@\t\r"
_QUOTED: Final = ',"\r\n'


def header(shape: Mapping[str, Kind]) -> bytes:
    """The first line."""
    return codecs.BOM_UTF8 + _lines([list(shape)])


def rows(shape: Mapping[str, Kind], columns: Mapping[str, Sequence[Any]], calendar: Calendar) -> bytes:
    """One line for each row."""
    return _lines(zip(*(_cells(kind, columns[name], calendar) for name, kind in shape.items()), strict=True))


def _lines(table: Iterable[Sequence[str]]) -> bytes:
    return "".join([f"{line}\r\n" for line in map(",".join, table)]).encode("utf-8", "surrogateescape")


def _cells(kind: Kind, values: Sequence[Any], calendar: Calendar) -> Iterable[str]:
    match kind:
        case Kind.NUMBER:
            return _shown(values, str)
        case Kind.INSTANT:
            return _shown(values, calendar.text)
        case Kind.MONEY:
            return _shown(values, money_text)
        case Kind.WORD | Kind.TEXT:
            return _safe(["" if value is None else value for value in values] if None in values else values)


def _shown(values: Sequence[Any], show: Callable[[Any], str]) -> Iterable[str]:
    """Each value shown once, however often it comes."""
    texts = {value: show(value) for value in set(values) if value is not None}
    texts[None] = ""
    return map(texts.__getitem__, values)


def _safe(texts: Sequence[str]) -> Sequence[str]:
    """Texts as they may stand in a cell."""
    together = _BETWEEN + _BETWEEN.join(texts)
    if any(_BETWEEN + start in together for start in _FORMULA_STARTS):
        texts = [harmless(text) for text in texts]
    if any(character in together for character in _QUOTED):
        return [_quoted(text) for text in texts]
    return texts


def _quoted(text: str) -> str:
    is_special = any(character in text for character in _QUOTED)
    return '"' + text.replace('"', '""') + '"' if is_special else text
