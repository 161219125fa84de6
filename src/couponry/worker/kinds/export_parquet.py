"""Rows of an export as an Arrow stream, and the Parquet file that it becomes when all are there.

A Parquet file ends with an index of itself, so it cannot grow chunk by chunk. A stream can: it is a schema and then batches, each
of which says how long it is. Import this module late: pyarrow takes its time, and its memory.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa  # type: ignore[import-untyped] # has no types
import pyarrow.parquet as pq  # type: ignore[import-untyped] # has no types

from couponry.core.exporting import Kind
from couponry.core.limits import EXPORT_GROUP_ROWS, MONEY_SCALE

# A writer keeps pages of all columns in memory.
_PAGE_BYTES: Final = 256 * 1024
_MONEY_DIGITS: Final = 19
_MONEY_DECIMALS: Final = 3
_TYPES: Final = {
    Kind.NUMBER: pa.int64(),
    Kind.WORD: pa.string(),
    Kind.TEXT: pa.string(),
    Kind.INSTANT: pa.timestamp("ms", tz="UTC"),
    Kind.MONEY: pa.decimal128(_MONEY_DIGITS, _MONEY_DECIMALS),
}

assert MONEY_SCALE == 10**_MONEY_DECIMALS
# Arrow's own allocator keeps what it has once had; this is a worker, which has other things to do.
pa.set_memory_pool(pa.system_memory_pool())


def header(shape: Mapping[str, Kind]) -> bytes:
    """What an Arrow stream begins with."""
    return bytes(_schema(shape).serialize())


def rows(shape: Mapping[str, Kind], columns: Mapping[str, Sequence[Any]]) -> bytes:
    """Rows as a batch of an Arrow stream."""
    schema = _schema(shape)
    arrays = [pa.array(_values(kind, columns[name]), schema.field(name).type) for name, kind in shape.items()]
    return bytes(pa.record_batch(arrays, schema).serialize())


def write_parquet(stream: Path, made: Path) -> None:
    """Turn a stream into a Parquet file on the disk, a group of rows at a time."""
    with stream.open("rb") as opened, os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        reader = pa.ipc.open_stream(opened)
        with pq.ParquetWriter(out, reader.schema, data_page_size=_PAGE_BYTES, dictionary_pagesize_limit=_PAGE_BYTES) as writer:
            for batches in _groups(reader):
                writer.write_table(pa.Table.from_batches(batches), EXPORT_GROUP_ROWS)
        out.flush()
        os.fsync(out.fileno())


def _groups(reader: pa.RecordBatchReader) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    for batch in reader:
        if group and sum(each.num_rows for each in group) + batch.num_rows > EXPORT_GROUP_ROWS:
            yield group
            group = []
        group.append(batch)
    if group:
        yield group


def _schema(shape: Mapping[str, Kind]) -> pa.Schema:
    return pa.schema([(name, _TYPES[kind]) for name, kind in shape.items()])


def _values(kind: Kind, values: Sequence[Any]) -> Sequence[Any]:
    if kind is not Kind.MONEY:
        return values
    return [None if value is None else Decimal(value).scaleb(-_MONEY_DECIMALS) for value in values]
