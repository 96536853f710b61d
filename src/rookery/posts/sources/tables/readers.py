"""The rows of a table, as its file holds them: CSV, JSON lines, a JSON list or Parquet.

A row that cannot be read is set aside; a fault of the whole file (another encoding, a missing end,
a missing column) is a `DataError`. Objects inside the objects of JSON, and Parquet's records, are
columns too, under dotted names (`author.protected`). What the values mean is decided by the other
modules of this folder; how a file is opened and decompressed, in `files.py`.
"""

import codecs
import csv
import io
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from rookery.core.errors import DataError
from rookery.posts.sources import files
from rookery.posts.sources.files import (
    SetAside,
    clear_errors,
    json_lines,
    opened,
    parse_json,
    well_formed,
)
from rookery.posts.sources.json_values import Value, read_values
from rookery.posts.sources.tables.kinds import table_kind
from rookery.posts.sources.tables.visibility import what_it_says
from rookery.posts.sources.zipped import zipped_table

BATCH_ROWS = 65_536
LARGEST_ROW_BYTES = 1 << 24
"""The longest row of a CSV file: so much is read at once, and a file with a longer row is
refused.
"""
ROWS_SEARCHED = 1000
"""The number of JSON objects whose keys are taken as the names of the columns."""
DEEPEST = 3
"""How many names a dotted column may have."""
MOST_SHAPES = 10_000


@dataclass(frozen=True)
class RawBatch:
    """A batch of rows of a file: the columns asked for, their positions, and the unreadable rows.

    place_is: the word for a position, such as "row"; empty where the positions have their own.
    """

    rows: pa.RecordBatch
    places: Sequence[int | str]
    unread: tuple[SetAside, ...] = ()
    place_is: str = "row"

    def where(self, row: int) -> str:
        """Return the position of a row of this batch in the file, such as "row 7"."""
        return f"{self.place_is} {self.places[row]}".strip()


def columns_of(path: Path) -> list[str]:
    """Return the names of a file's columns; raises `DataError` if it is empty or unreadable."""
    with clear_errors(path):
        match table_kind(path):
            case "parquet":
                with _parquet(path) as file:
                    return list(_types(file.schema_arrow))
            case "csv":
                # not by Arrow, whose reader reads ahead in a thread that may outlive an error and
                # abort the process
                with opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
                    return next(csv.reader(lines, delimiter=_delimiter(path)), [])
            case "json":
                return _keys_of(path, (v.value for v in read_values(path) if isinstance(v, Value)))
            case _:
                with opened(path) as file:
                    objects = (row for line in file if isinstance(row := parse_json(line), dict))
                    return _keys_of(path, objects)


def read_raw(
    path: Path, columns: Sequence[str], keys: set[str] | None = None
) -> Iterator[RawBatch]:
    """Yield some columns of the file, in batches, in the file's order.

    keys: if it is given, the names of all columns that the objects of a JSON file turn out to have
    are added to it; `columns_of` saw only the first of them.
    """
    with clear_errors(path):
        match table_kind(path):
            case "parquet":
                yield from _read_parquet(path, columns)
            case "csv":
                yield from _read_csv(path, columns)
            case _:
                yield from _read_json(path, columns, keys)


def read_column(path: Path, column: str) -> list[str]:
    """Return one column of a table as texts, without the missing values.

    Raises `DataError` if there is no such column.
    """
    if column not in (columns := columns_of(path)):
        raise no_column(path, column, columns)
    batches = [raw.rows[column].cast(pa.string()).drop_null() for raw in read_raw(path, [column])]
    return [text for batch in batches for text in batch.to_pylist()]


def check_plain(path: Path, fields: Mapping[str, str], readers: Collection[str]) -> None:
    """Raise `DataError` for a Parquet column of lists or records, by its name.

    fields: the column of each field; a list of languages is allowed. readers: columns that speak of
    who may read.
    """
    if table_kind(path) != "parquet":
        return
    with _parquet(path) as file:
        kinds = _types(file.schema_arrow)
    asked = [*fields.items(), *(("visibility", name) for name in readers)]
    for field, column in asked:
        kind = kinds[column]
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        if pa.types.is_nested(kind) and not (field == "language" and is_list):
            what = f"the column {column!r} holds {kind}, which cannot be read as {field}"
            hint = "Map another column, or write the values meant into a column of plain values"
            raise DataError(what, where=path, hint=hint)


def no_column(path: Path, column: str, columns: Sequence[str]) -> DataError:
    """Return the error for a column that a file does not have."""
    hint = f"It has: {', '.join(columns)}"
    return DataError(f"there is no column {column!r}", where=path, hint=hint)


def _parquet(path: Path) -> pa.parquet.ParquetFile:
    """Open a Parquet file, or the one in a zip, which is read into memory whole."""
    if zipped_table(path) is None:
        return pa.parquet.ParquetFile(path)
    with opened(path) as file:
        data = file.read(files.LARGEST_DOCUMENT_BYTES + 1)
    if len(data) > files.LARGEST_DOCUMENT_BYTES:
        hint = f"At most {files.LARGEST_DOCUMENT_BYTES >> 20} MiB are read: unpack it"
        raise DataError("the Parquet file in the zip is too large", where=path, hint=hint)
    return pa.parquet.ParquetFile(pa.BufferReader(data))


def _types(
    fields: Iterable[pa.Field], prefix: str = "", depth: int = DEEPEST
) -> dict[str, pa.DataType]:
    """Return the type of each of Parquet's columns, and of the fields of its records."""
    types = {}
    for field in fields:
        types[prefix + field.name] = field.type
        if pa.types.is_struct(field.type) and depth > 1:
            types |= _types(field.type, f"{prefix}{field.name}.", depth - 1)
    return types


def _read_parquet(path: Path, columns: Sequence[str]) -> Iterator[RawBatch]:
    first_row = 1
    with _parquet(path) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
            batch.validate(full=True)  # texts are UTF-8, which the reader takes for granted
            arrays = [_inside(batch, column) for column in columns]
            rows = pa.RecordBatch.from_arrays(arrays, names=list(columns))
            yield RawBatch(rows, range(first_row, first_row + rows.num_rows))
            first_row += rows.num_rows


def _inside(batch: pa.RecordBatch, column: str) -> pa.Array:
    """Return a column, or the field of a record that a dotted name means."""
    if column in batch.schema.names:
        return batch[column]
    top, *inner = column.split(".")
    return pc.struct_field(batch[top], inner)


def _read_csv(path: Path, columns: Sequence[str]) -> Iterator[RawBatch]:
    unread: list[SetAside] = []

    def set_aside(row: pa.csv.InvalidRow) -> str:
        # without its text: which of the words are the author's cannot be told
        unread.append(SetAside(f"row {row.number or '?'}", "wrong_number_of_columns", None))
        return "skip"

    with opened(path) as file:
        reader = pa.csv.open_csv(
            _Utf8(file),
            read_options=pa.csv.ReadOptions(block_size=LARGEST_ROW_BYTES, use_threads=False),
            parse_options=_parse_options(_delimiter(path), set_aside),
            convert_options=pa.csv.ConvertOptions(
                include_columns=list(columns),
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=False,
            ),
        )
        first_row = 1
        for batch in reader:
            yield RawBatch(batch, range(first_row, first_row + batch.num_rows), tuple(unread))
            first_row += batch.num_rows + len(unread)
            unread.clear()
        if unread:  # rows that came after the last readable one
            empty = pa.RecordBatch.from_pylist([], reader.schema)
            yield RawBatch(empty, range(0), tuple(unread))


class _Utf8(io.RawIOBase):
    """A file's bytes, checked to be UTF-8 as they are read; raises `UnicodeDecodeError`.

    Arrow checks the columns that it keeps, but not the rows that it passes to our handler, and
    cannot report an error there.
    """

    def __init__(self, file: io.BufferedIOBase):
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._file.read(len(buffer))
        self._decoder.decode(part, final=not part)
        buffer[: len(part)] = part
        return len(part)


def _parse_options(delimiter: str, invalid_row_handler: Callable) -> pa.csv.ParseOptions:
    return pa.csv.ParseOptions(
        delimiter=delimiter, newlines_in_values=True, invalid_row_handler=invalid_row_handler
    )


def _delimiter(path: Path) -> str:
    """Return what separates the columns: comma, semicolon or tab, most frequent in line one."""
    with opened(path) as file:
        first = next(iter(file.readline(LARGEST_ROW_BYTES).splitlines()), b"")
    return max(",;\t", key=lambda mark: first.count(mark.encode()))


def _read_json(path: Path, columns: Sequence[str], keys: set[str] | None) -> Iterator[RawBatch]:
    rows: list[dict[str, Any]] = []
    places: list[int | str] = []
    unread: list[SetAside] = []
    shapes: set[tuple] = set()
    for where, row in _objects(path):
        if isinstance(row, SetAside):
            unread.append(row)
            continue
        if keys is not None and (shape := _shape(row)) not in shapes:
            keys.update(_names(row))
            if len(shapes) < MOST_SHAPES:
                shapes.add(shape)
        rows.append(row)
        places.append(where)
        if len(rows) == BATCH_ROWS:
            yield RawBatch(_strings(rows, columns), places, tuple(unread), "")
            rows, places, unread = [], [], []
    yield RawBatch(_strings(rows, columns), places, tuple(unread), "")


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any] | SetAside]]:
    """Yield the position and the object of each row of a JSON file, or its row set aside."""
    if table_kind(path) == "jsonl":
        yield from json_lines(path)
        return
    for value in read_values(path):
        yield (value.where, value if isinstance(value, SetAside) else value.value)


def _keys_of(path: Path, objects: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the first objects' values, in order of appearance."""
    names = [name for row in itertools.islice(objects, ROWS_SEARCHED) for name in _names(row)]
    if not names:
        hint = "Write one object a line"
        raise DataError("no line of the file is a JSON object", where=path, hint=hint)
    return list(dict.fromkeys(names))


def _names(row: Mapping[str, Any], prefix: str = "", depth: int = DEEPEST) -> Iterator[str]:
    """Yield the names of an object's values, and dotted ones for those of the objects inside."""
    for name, value in row.items():
        yield well_formed(prefix + name)
        if isinstance(value, dict) and depth > 1:
            yield from _names(value, f"{prefix}{name}.", depth - 1)


def _shape(row: Mapping[str, Any]) -> tuple:
    """Return the keys of an object and of the objects inside it."""
    if dict not in map(type, row.values()):  # most objects are flat
        return tuple(row)
    inside = [(name, _shape(value)) for name, value in row.items() if type(value) is dict]
    return (*row, *inside)


def _strings(rows: Collection[dict[str, Any]], columns: Sequence[str]) -> pa.RecordBatch:
    arrays = [pa.array(_column(rows, column), pa.string()) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _column(rows: Collection[dict[str, Any]], column: str) -> list[str | None]:
    """Return one column of JSON objects as texts.

    Of a list the first value counts (of languages), but for a list of readers, which is kept whole.
    """
    as_text = _whole_text if what_it_says(column) else _text
    if "." in column:
        values = [row[column] if column in row else _dotted(row, column) for row in rows]
    else:
        values = [row.get(column) for row in rows]
    # nearly all values are such texts, and a call for each would take as long as all the rest
    return [v if type(v) is str and v.isascii() else as_text(v) for v in values]


def _dotted(row: Any, column: str) -> Any:
    """Return the value inside an object that a dotted name means; None if there is none."""
    for name in column.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def _text(value: Any) -> str | None:
    """Return a JSON value as text, null as None; of a list its first value."""
    return _whole_text(value[0] if isinstance(value, list) and value else value)


def _whole_text(value: Any) -> str | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return None
    return well_formed(value if isinstance(value, str) else json.dumps(value))
