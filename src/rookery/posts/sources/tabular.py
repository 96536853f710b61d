"""Tables of posts: CSV, JSON lines and Parquet, with a mapping from a post's fields to columns.

A mapped file is a platform's own export, so the operator who maps it vouches for it: where there is
no `visibility` column its posts are public. Columns named like a right (`visibility`,
`consent_training` …) are always read, mapped or not. A row that lacks something is set aside; a
fault of the whole file (a missing column, another encoding, a missing end) raises `DataError` and
nothing is taken. Times and languages are read in `values.py`, compression in `files.py`.
"""

import codecs
import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from rookery.core.digest import digest_bytes
from rookery.core.errors import DataError, UsageError
from rookery.posts.post import CONSENT_FIELD, POST_SCHEMA, VISIBILITIES
from rookery.posts.sources.files import (
    Read,
    SetAside,
    clear_errors,
    json_lines,
    opened,
    parse_json,
    well_formed,
)
from rookery.posts.sources.values import language_codes, parse_times

BATCH_ROWS = 65_536
LARGEST_ROW_BYTES = 1 << 24
"""The longest row of a CSV file: so much is read at once, and a file with a longer row is
refused.
"""
ROWS_SEARCHED = 1000
"""The number of JSON objects whose keys are taken as the names of the columns."""

REQUIRED = ("text", "author", "created")
GUESSES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "post_id", "tweet_id", "uri", "id_str"),
    "text": ("text", "content", "body", "message", "full_text"),
    "author": ("author", "author_id", "user", "author_handle", "username", "user_id"),
    "created": ("created", "created_at", "created_utc", "publish_date", "date", "timestamp"),
    "language": ("language", "lang", "langs"),
    "reply_to": ("reply_to", "in_reply_to_status_id_str", "in_reply_to_id"),
    "conversation": ("conversation", "conversation_id"),
    "likes": ("likes", "like_count", "favorite_count", "favorites"),
    "reposts": ("reposts", "repost_count", "retweet_count", "retweets"),
    "replies": ("replies", "reply_count"),
    "alt_text": ("alt_text",),
}
"""The names under which a field is looked for when there is no mapping; the first one wins."""
RIGHTS = ("visibility", *CONSENT_FIELD.values())


@dataclass(frozen=True)
class RawBatch:
    """A batch of rows of a file: the mapped columns, their positions, and the unreadable rows.

    place_is: the word for a position, "row" or "line".
    """

    rows: pa.RecordBatch
    places: Sequence[int]
    unread: tuple[SetAside, ...] = ()
    place_is: str = "row"


def kind_of(path: Path) -> str | None:
    """Return `csv`, `jsonl` or `parquet` by the file's name, with or without `.gz` or `.zst`.

    None for any other name.
    """
    names = [s.lower() for s in path.suffixes if s.lower() not in (".gz", ".zst")]
    kinds = {
        ".csv": "csv",
        ".tsv": "csv",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".parquet": "parquet",
        ".pq": "parquet",
    }
    return kinds.get(names[-1]) if names else None


def columns_of(path: Path) -> list[str]:
    """Return the names of a file's columns; raises `DataError` if it is empty or unreadable."""
    with clear_errors(path):
        match _table_kind(path):
            case "parquet":
                return pa.parquet.read_schema(path).names
            case "csv":
                # not by Arrow, whose reader reads ahead in a thread that may outlive an error and
                # abort the process
                with opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
                    return next(csv.reader(lines, delimiter=_delimiter(path)), [])
            case _:
                return _keys_of(path)


def _table_kind(path: Path) -> str:
    if (kind := kind_of(path)) is None:
        hint = "Give .csv, .jsonl, .ndjson or .parquet"
        raise UsageError("not a table that can be read", where=path, hint=hint)
    return kind


def _keys_of(path: Path) -> list[str]:
    """Return the keys of the first objects of a file of JSON lines, in order of appearance."""
    with opened(path) as file:
        objects = (row for line in file if isinstance(row := parse_json(line), dict))
        names = [name for row in itertools.islice(objects, ROWS_SEARCHED) for name in row]
    if not names:
        hint = "Write one object a line"
        raise DataError("no line of the file is a JSON object", where=path, hint=hint)
    return list(dict.fromkeys(names))


def resolve_mapping(path: Path, mapping: Mapping[str, str] | None) -> dict[str, str]:
    """Return the mapping, checked against the file's columns, or guessed by their names.

    Raises `UsageError` for a wrong or missing field, `DataError` for a column that the file lacks.
    """
    columns = columns_of(path)
    if mapping is None:
        mapping = {
            field: next(name for name in names if name in columns)
            for field, names in GUESSES.items()
            if set(names) & set(columns)
        }
    _check_mapping(path, mapping, columns)
    return {name: name for name in RIGHTS if name in columns} | dict(mapping)


def _check_mapping(path: Path, mapping: Mapping[str, str], columns: list[str]) -> None:
    known = set(POST_SCHEMA.names) - {"source"}
    for field, column in mapping.items():
        if field not in known:
            hint = f"Known fields: {', '.join(sorted(known))}"
            raise UsageError(f"--map: there is no field {field!r}", hint=hint)
        if column not in columns:
            raise _no_column(path, column, columns)
    missing = [field for field in REQUIRED if field not in mapping]
    if missing:
        options = ",".join(f"{field}=…" for field in missing)
        raise UsageError(
            f"which column is {' and which is '.join(missing)}?",
            where=path,
            hint=f"Give --map {options}; the columns are: {', '.join(columns)}",
        )


def _no_column(path: Path, column: str, columns: list[str]) -> DataError:
    hint = f"It has: {', '.join(columns)}"
    return DataError(f"there is no column {column!r}", where=path, hint=hint)


def read_posts(path: Path, mapping: Mapping[str, str]) -> Read:
    """Yield the posts of a file in batches of `POST_SCHEMA`, with the rows set aside.

    `mapping` is one that `resolve_mapping` returned. Raises `DataError` if the file cannot be read
    to its end, or a column holds values that cannot become text.
    """
    with clear_errors(path):
        kind = _table_kind(path)
        if kind == "parquet":
            _refuse_nested(path, mapping)
        for raw in read_raw(path, list(dict.fromkeys(mapping.values()))):
            posts, aside = to_posts(raw, mapping, kind)
            yield posts, [*aside]


def _refuse_nested(path: Path, mapping: Mapping[str, str]) -> None:
    """Raise `DataError` for a column of lists or records, unless it is a list of languages."""
    schema = pa.parquet.read_schema(path)
    for field, column in mapping.items():
        kind = schema.field(schema.names.index(column)).type
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        if pa.types.is_nested(kind) and not (field == "language" and is_list):
            hint = "Map another column, or write the values meant into a column of plain values"
            raise DataError(
                f"the column {column!r} holds {kind}, which cannot be read as {field}",
                where=path,
                hint=hint,
            )


def read_raw(path: Path, columns: list[str]) -> Iterator[RawBatch]:
    """Yield some columns of the file, in batches, in the file's order."""
    with clear_errors(path):
        match kind_of(path):
            case "parquet":
                first_row = 1
                for batch in pa.parquet.ParquetFile(path).iter_batches(BATCH_ROWS, columns=columns):
                    batch.validate(full=True)  # texts are UTF-8, which the reader takes for granted
                    yield RawBatch(batch, range(first_row, first_row + batch.num_rows))
                    first_row += batch.num_rows
            case "csv":
                yield from _read_csv(path, columns)
            case _:
                yield from _read_jsonl(path, columns)


def read_column(path: Path, column: str) -> list[str]:
    """Return one column of a table as texts, without the missing values.

    Raises `DataError` if there is no such column.
    """
    if column not in (columns := columns_of(path)):
        raise _no_column(path, column, columns)
    batches = [raw.rows[column].cast(pa.string()).drop_null() for raw in read_raw(path, [column])]
    return [text for batch in batches for text in batch.to_pylist()]


def to_posts(
    raw: RawBatch, mapping: Mapping[str, str], source: str
) -> tuple[pa.RecordBatch, list[SetAside]]:
    """Return the rows that are posts as a batch of `POST_SCHEMA`, and the rest set aside."""
    column = {field: raw.rows[name] for field, name in mapping.items()}
    fields = _fields_of(column, raw.rows.num_rows, source)
    arrays = [
        _as_field(field, fields.get(field.name, column.get(field.name)), raw.rows.num_rows)
        for field in POST_SCHEMA
    ]
    reasons = _reasons(fields)
    nullable = pa.schema([field.with_nullable(True) for field in POST_SCHEMA])
    posts = pa.RecordBatch.from_arrays(arrays, schema=nullable).filter(pc.is_null(reasons))
    return pa.RecordBatch.from_arrays(posts.columns, schema=POST_SCHEMA), _set_aside(
        raw, reasons, arrays, mapping
    )


def _fields_of(column: Mapping[str, pa.Array], n: int, source: str) -> dict[str, pa.Array]:
    """Return the fields of posts that are not simply a column: converted, or without a column."""
    fields = {
        "text": column["text"].cast(pa.string()),
        "author": column["author"].cast(pa.string()),
        "created": parse_times(column["created"]),
        "visibility": _visibility(column.get("visibility"), n),
        "source": pa.repeat(source, n),
    }
    conversions = {
        **dict.fromkeys(("likes", "reposts", "replies"), _counts),
        **dict.fromkeys(CONSENT_FIELD.values(), _consents),
        "edited": parse_times,
        "language": language_codes,
    }
    for name, convert in conversions.items():
        if name in column:
            fields[name] = convert(column[name])
    fields["id"] = column["id"].cast(pa.string()) if "id" in column else _derived_ids(fields)
    return fields


def _set_aside(
    raw: RawBatch, reasons: pa.Array, arrays: list[pa.Array], mapping: Mapping[str, str]
) -> list[SetAside]:
    """Return the rows with a reason; `arrays` are the fields of `POST_SCHEMA`."""
    ids, authors = (arrays[POST_SCHEMA.names.index(name)] for name in ("id", "author"))
    aside = list(raw.unread)
    if reasons.null_count == len(reasons):
        return aside
    for place, reason in enumerate(reasons.to_pylist()):
        if reason:
            where = f"{raw.place_is} {raw.places[place]}"
            row = raw.rows.slice(place, 1).to_pylist()[0]
            post_id, author = (column[place].as_py() or "" for column in (ids, authors))
            wrong = str(row[mapping["created"]]) if reason == "bad_time" else ""
            aside.append(SetAside(where, reason, row, post_id, author, wrong))
    return aside


def _visibility(column: pa.Array | None, n: int) -> pa.Array:
    """Return the visibilities of a column, `unknown` for words that are none of `VISIBILITIES`.

    Without a column every post is public.
    """
    if column is None:
        return pa.repeat("public", n)
    words = pc.utf8_lower(column.cast(pa.string()))
    known = pc.fill_null(pc.is_in(words, pa.array(VISIBILITIES)), False)
    return pc.if_else(known, words, "unknown")


def _counts(column: pa.Array) -> pa.Array:
    """Return whole numbers, also from `12.0`; null for everything else."""
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    digits = pc.struct_field(pc.extract_regex(texts, r"^(?P<n>[0-9]{1,18})(?:\.0*)?$"), "n")
    return digits.cast(pa.int64())


def _consents(column: pa.Array) -> pa.Array:
    """Return an author's consent: yes, no, or null where the column is empty.

    A word that is not understood is a no.
    """
    words = pc.utf8_lower(pc.utf8_trim_whitespace(column.cast(pa.string())))
    stated = pc.if_else(pc.equal(words, ""), None, words)
    return pc.if_else(pc.is_null(stated), None, pc.is_in(stated, pa.array(["true", "yes", "1"])))


def _derived_ids(fields: Mapping[str, pa.Array]) -> pa.Array:
    """Return stable ids for a file without ids: the digest of author, time and text."""
    columns = (fields[name].cast(pa.string()).to_pylist() for name in ("author", "created", "text"))
    rows = zip(*columns, strict=True)
    return pa.array([digest_bytes("\0".join(map(str, row)).encode()) for row in rows], pa.string())


def _as_field(field: pa.Field, values: pa.Array | None, n: int) -> pa.Array:
    if values is None:
        return pa.nulls(n, field.type)
    values = values.cast(field.type)
    empty = field.nullable and pa.types.is_string(field.type)
    return pc.if_else(pc.equal(values, ""), None, values) if empty else values


def _reasons(fields: Mapping[str, pa.Array]) -> pa.Array:
    """Return for each row the reason why it is not a post, null where it is one."""
    reasons = pa.nulls(len(fields["text"]), pa.string())
    for name, reason in (("text", "no_text"), ("author", "no_author"), ("id", "no_id")):
        blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(fields[name]), ""), True)
        reasons = pc.if_else(blank, reason, reasons)
    return pc.if_else(pc.is_null(fields["created"]), "bad_time", reasons)


def _read_csv(path: Path, columns: list[str]) -> Iterator[RawBatch]:
    unread: list[SetAside] = []

    def set_aside(row: pa.csv.InvalidRow) -> str:
        unread.append(SetAside(f"row {row.number or '?'}", "wrong_number_of_columns", row.text))
        return "skip"

    with opened(path) as file:
        reader = pa.csv.open_csv(
            _Utf8(file),
            read_options=pa.csv.ReadOptions(block_size=LARGEST_ROW_BYTES, use_threads=False),
            parse_options=_parse_options(_delimiter(path), set_aside),
            convert_options=pa.csv.ConvertOptions(
                include_columns=columns,
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


def _read_jsonl(path: Path, columns: list[str]) -> Iterator[RawBatch]:
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    unread: list[SetAside] = []
    for where, row in json_lines(path):
        if isinstance(row, SetAside):
            unread.append(row)
            continue
        rows.append(row)
        lines.append(int(where.removeprefix("line ")))
        if len(rows) == BATCH_ROWS:
            yield RawBatch(_strings(rows, columns), lines, tuple(unread), "line")
            rows, lines, unread = [], [], []
    yield RawBatch(_strings(rows, columns), lines, tuple(unread), "line")


def _strings(rows: list[dict[str, Any]], columns: list[str]) -> pa.RecordBatch:
    values = [[_text(row.get(column)) for row in rows] for column in columns]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, pa.string()) for column in values], names=columns
    )


def _text(value: Any) -> str | None:
    """Return a JSON value as text, null as None; of a list (of languages) its first value."""
    if isinstance(value, list) and value:
        value = value[0]
    if value is None:
        return None
    return well_formed(value if isinstance(value, str) else json.dumps(value))
