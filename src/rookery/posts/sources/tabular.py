"""Tables of posts: CSV, JSON lines and Parquet (also compressed), with a mapping from our fields to
their columns.

A mapped file is a platform's own export, so the operator who maps it vouches for it: where there is
no `visibility` column its posts are public. Columns that bear the name of a right (`visibility`,
`consent_training` …) are always read, mapped or not. What one row lacks sets that row aside; what
the whole file lacks (a column, an encoding, its end) raises `DataError` and nothing is taken.
"""

import codecs
import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from rookery.core.digest import digest_bytes
from rookery.core.errors import DataError, UsageError
from rookery.posts.post import CONSENT_FIELD, POST_SCHEMA, VISIBILITIES
from rookery.posts.sources.files import (
    SetAside,
    clear_errors,
    json_lines,
    opened,
    parse_json,
    well_formed,
)

BATCH_ROWS = 65_536
LARGEST_ROW_BYTES = 1 << 24
"""A CSV file with a longer row is refused: so much is read at once."""
ROWS_LOOKED_AT = 1000
"""So many JSON objects are asked for the names of their columns."""

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
RIGHTS = ("visibility", *CONSENT_FIELD.values())
LANGUAGE_CODES = {
    "arabic": "ar", "bulgarian": "bg", "catalan": "ca", "chinese": "zh", "croatian": "hr", "czech": "cs",
    "danish": "da", "dutch": "nl", "english": "en", "estonian": "et", "farsi (persian)": "fa", "finnish": "fi",
    "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi", "hungarian": "hu", "icelandic": "is",
    "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko", "latvian": "lv", "lithuanian": "lt",
    "macedonian": "mk", "norwegian": "no", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru",
    "serbian": "sr", "slovak": "sk", "slovenian": "sl", "somali": "so", "spanish": "es", "swedish": "sv", "thai": "th",
    "turkish": "tr", "ukrainian": "uk", "urdu": "ur", "uzbek": "uz", "vietnamese": "vi",
    "in": "id", "iw": "he", "ji": "yi",
}  # fmt: skip
_TIME_FORMATS = (
    "%a %b %d %H:%M:%S %z %Y",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d %b %Y %H:%M:%S %z",
)


_SINCE_1970 = re.compile(r"([0-9]{9,17})(?:\.[0-9]*)?")


@dataclass(frozen=True)
class RawBatch:
    """Some rows as the file has them (the mapped columns), where each stands, and rows that could
    not even be read.
    """

    rows: pa.RecordBatch
    places: Sequence[int]
    unread: tuple[SetAside, ...] = ()
    place_is: str = "row"


def kind_of(path: Path) -> str | None:
    """`csv`, `jsonl` or `parquet` by the file's name, `.gz` and `.zst` looked through; None for
    anything else.
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
    """The names of a file's columns; raises `DataError` if it is empty or cannot be read."""
    with clear_errors(path):
        match kind_of(path):
            case "parquet":
                return pa.parquet.read_schema(path).names
            case "csv":
                # not by Arrow, whose reader is ahead in a thread that may outlive an error and
                # abort the process
                with opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
                    return next(csv.reader(lines, delimiter=_delimiter(path)), [])
            case "jsonl":
                with opened(path) as file:
                    objects = (row for line in file if isinstance(row := parse_json(line), dict))
                    names = [
                        name for row in itertools.islice(objects, ROWS_LOOKED_AT) for name in row
                    ]
                if not names:
                    raise DataError(
                        "no line of the file is a JSON object",
                        where=path,
                        hint="Write one object a line",
                    )
                return list(dict.fromkeys(names))
    raise UsageError(
        "not a table that can be read", where=path, hint="Give .csv, .jsonl, .ndjson or .parquet"
    )


def resolve_mapping(path: Path, mapping: Mapping[str, str] | None) -> dict[str, str]:
    """The mapping, checked against the file's columns, or guessed by their names.

    Raises `UsageError` for a wrong or missing field, `DataError` for a column that the file lacks.
    """
    columns = columns_of(path)
    known = set(POST_SCHEMA.names) - {"source"}
    if mapping is None:
        mapping = {
            f: next(c for c in names if c in columns)
            for f, names in GUESSES.items()
            if set(names) & set(columns)
        }
    for field, column in mapping.items():
        if field not in known:
            raise UsageError(
                f"--map: there is no field {field!r}", hint=f"Known: {', '.join(sorted(known))}"
            )
        if column not in columns:
            raise DataError(
                f"there is no column {column!r}", where=path, hint=f"It has: {', '.join(columns)}"
            )
    missing = [field for field in REQUIRED if field not in mapping]
    if missing:
        hint = (
            f"Say --map {','.join(f'{field}=…' for field in missing)}; it has: {', '.join(columns)}"
        )
        raise UsageError(
            f"which column is {' and which is '.join(missing)}?", where=path, hint=hint
        )
    return {name: name for name in RIGHTS if name in columns} | dict(mapping)


def read_posts(
    path: Path, mapping: Mapping[str, str]
) -> Iterator[tuple[pa.RecordBatch, list[SetAside]]]:
    """The posts of a file in batches of `POST_SCHEMA`, with the rows that are no posts; `mapping`
    is a resolved one.

    Raises `DataError` if the file cannot be read to its end, or a column holds what no text can be
    made of.
    """
    with clear_errors(path):
        if kind_of(path) == "parquet":
            _refuse_nested(path, mapping)
        for raw in read_raw(path, list(dict.fromkeys(mapping.values()))):
            yield to_posts(raw, mapping, kind_of(path))


def _refuse_nested(path: Path, mapping: Mapping[str, str]) -> None:
    """Raise `DataError` for a column of lists or records; only of languages there may be a list."""
    schema = pa.parquet.read_schema(path)
    for field, column in mapping.items():
        kind = schema.field(schema.names.index(column)).type
        is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        if pa.types.is_nested(kind) and not (field == "language" and is_list):
            hint = "Map another column, or write what is meant to a plain one"
            raise DataError(
                f"the column {column!r} holds {kind}, which is no {field}", where=path, hint=hint
            )


def read_raw(path: Path, columns: list[str]) -> Iterator[RawBatch]:
    """Some columns of the file, in batches, in the file's order."""
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
    """One column of a table as texts, missing values left out; raises `DataError` if there is no
    such column.
    """
    if column not in (columns := columns_of(path)):
        raise DataError(
            f"there is no column {column!r}", where=path, hint=f"It has: {', '.join(columns)}"
        )
    batches = [raw.rows[column].cast(pa.string()).drop_null() for raw in read_raw(path, [column])]
    return [text for batch in batches for text in batch.to_pylist()]


def to_posts(
    raw: RawBatch, mapping: Mapping[str, str], source: str
) -> tuple[pa.RecordBatch, list[SetAside]]:
    """The rows that are posts, as a batch of `POST_SCHEMA`, and those that are not, each with its
    reason.
    """
    rows = raw.rows
    column = {field: rows[name] for field, name in mapping.items()}
    made = {
        "text": column["text"].cast(pa.string()),
        "author": column["author"].cast(pa.string()),
        "created": parse_times(column["created"]),
        "visibility": _visibility(column.get("visibility"), rows.num_rows),
        "source": pa.repeat(source, rows.num_rows),
        **{
            name: _counts(column[name])
            for name in ("likes", "reposts", "replies")
            if name in column
        },
        **{name: _consents(column[name]) for name in CONSENT_FIELD.values() if name in column},
    }
    if "edited" in column:
        made["edited"] = parse_times(column["edited"])
    if "language" in column:
        made["language"] = language_codes(column["language"])
    made["id"] = column["id"].cast(pa.string()) if "id" in column else _made_up_ids(made)
    arrays = [
        _as_field(field, made.get(field.name, column.get(field.name)), rows.num_rows)
        for field in POST_SCHEMA
    ]
    reasons = _reasons(made)
    good = pc.is_null(reasons)
    aside = list(raw.unread)
    if pc.any(pc.invert(good)).as_py():
        for place, reason in enumerate(reasons.to_pylist()):
            if reason:
                where = f"{raw.place_is} {raw.places[place]}"
                aside.append(SetAside(where, reason, rows.slice(place, 1).to_pylist()[0]))
    nullable = pa.schema([field.with_nullable(True) for field in POST_SCHEMA])
    kept = pa.RecordBatch.from_arrays(arrays, schema=nullable).filter(good)
    return pa.RecordBatch.from_arrays(kept.columns, schema=POST_SCHEMA), aside


def parse_time(text: str) -> datetime | None:
    """A time as people write it: ISO 8601, seconds to microseconds since 1970, Twitter's form,
    month/day/year.
    """
    text = text.strip().removesuffix(" UTC")  # as PostgreSQL and BigQuery export it
    try:
        if since_1970 := _SINCE_1970.fullmatch(text):
            digits = since_1970[1]
            return datetime.fromtimestamp(int(digits) / 1000 ** ((len(digits) - 9) // 3), UTC)
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        time = next((t for form in _TIME_FORMATS if (t := _strptime(text, form))), None)
    try:
        return time and (time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC))
    except OverflowError:  # the first or last day that there is, in another zone
        return None


def parse_times(column: pa.Array) -> pa.Array:
    """A column of times as UTC microseconds; null where one cannot be read."""
    kind = pa.timestamp("us", tz="UTC")
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz=column.type.tz), safe=False).cast(kind)
    if pa.types.is_date(column.type):
        return column.cast(pa.timestamp("us")).cast(kind)
    encoded = column.cast(pa.string()).dictionary_encode()  # many rows share their second
    times = [text and parse_time(text) for text in encoded.dictionary.to_pylist()]
    return pa.array([time or None for time in times], kind).take(encoded.indices)


def language_codes(column: pa.Array) -> pa.Array:
    """Languages as lower-case codes; of a list of languages the first; unknown and undetermined
    become null.
    """
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pa.array(
            [names[0] if names else None for names in column.to_pylist()], pa.string()
        )
    encoded = column.cast(pa.string()).dictionary_encode()
    codes = [name and language_code(name) for name in encoded.dictionary.to_pylist()]
    return pa.array(codes, pa.string()).take(encoded.indices)


def language_code(name: str) -> str | None:
    """`English`, `en-GB` and `EN` become `en`; None where no language is named.

    ISO 639 leaves `qaa` to `qtz` to private use: X writes `qme` for only media, `qht` for only
    hashtags.
    """
    name = name.strip().lower()
    code = LANGUAGE_CODES.get(name) or name.replace("_", "-").split("-")[0]
    is_named = code not in ("und", "mul", "zxx", "art") and not re.fullmatch("q[a-t][a-z]", code)
    return code if 2 <= len(code) <= 3 and code.isalpha() and is_named else None


def _strptime(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _visibility(column: pa.Array | None, n: int) -> pa.Array:
    """Mapped visibilities in our words; what is not one of them is unknown. Without a column:
    public.
    """
    if column is None:
        return pa.repeat("public", n)
    words = pc.utf8_lower(column.cast(pa.string()))
    known = pc.fill_null(pc.is_in(words, pa.array(VISIBILITIES)), False)
    return pc.if_else(known, words, "unknown")


def _counts(column: pa.Array) -> pa.Array:
    """Whole numbers, also as `12.0`; null for what is none."""
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    digits = pc.struct_field(pc.extract_regex(texts, r"^(?P<n>[0-9]{1,18})(?:\.0*)?$"), "n")
    return digits.cast(pa.int64())


def _consents(column: pa.Array) -> pa.Array:
    """An author's word: yes, no, or null for nothing said. A word that cannot be understood is a
    no.
    """
    words = pc.utf8_lower(pc.utf8_trim_whitespace(column.cast(pa.string())))
    said = pc.if_else(pc.equal(words, ""), None, words)
    return pc.if_else(pc.is_null(said), None, pc.is_in(said, pa.array(["true", "yes", "1"])))


def _made_up_ids(made: Mapping[str, pa.Array]) -> pa.Array:
    """Stable ids for a file without them: the digest of author, time and text."""
    rows = zip(
        *(made[name].cast(pa.string()).to_pylist() for name in ("author", "created", "text")),
        strict=True,
    )
    return pa.array([digest_bytes("\0".join(map(str, row)).encode()) for row in rows], pa.string())


def _as_field(field: pa.Field, values: pa.Array | None, n: int) -> pa.Array:
    if values is None:
        return pa.nulls(n, field.type)
    values = values.cast(field.type)
    empty = field.nullable and pa.types.is_string(field.type)
    return pc.if_else(pc.equal(values, ""), None, values) if empty else values


def _reasons(made: Mapping[str, pa.Array]) -> pa.Array:
    reasons = pa.nulls(len(made["text"]), pa.string())
    for name, reason in (("text", "no_text"), ("author", "no_author"), ("id", "no_id")):
        blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(made[name]), ""), True)
        reasons = pc.if_else(blank, reason, reasons)
    return pc.if_else(pc.is_null(made["created"]), "bad_time", reasons)


def _read_csv(path: Path, columns: list[str]) -> Iterator[RawBatch]:
    unread: list[SetAside] = []

    def set_aside(row) -> str:
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
        if unread:  # after the last row that could be read
            empty = pa.RecordBatch.from_pylist([], reader.schema)
            yield RawBatch(empty, range(0), tuple(unread))


class _Utf8(io.RawIOBase):
    """A file's bytes, as long as they are UTF-8; raises `UnicodeDecodeError`.

    Arrow checks the columns that it keeps, but not the rows that it gives to our handler, and
    cannot tell of an error in there.
    """

    def __init__(self, file: IO[bytes]):
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        part = self._file.read(len(buffer))
        self._decoder.decode(part, final=not part)
        buffer[: len(part)] = part
        return len(part)


def _parse_options(delimiter: str, invalid_row_handler: Callable) -> pa.csv.ParseOptions:
    return pa.csv.ParseOptions(
        delimiter=delimiter, newlines_in_values=True, invalid_row_handler=invalid_row_handler
    )


def _delimiter(path: Path) -> str:
    """What stands between the columns: the one of comma, semicolon and tab that the first line has
    most of.
    """
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
    """A JSON value as text; of a list (of languages) the first."""
    if isinstance(value, list) and value:
        value = value[0]
    return (
        value
        if value is None
        else well_formed(value if isinstance(value, str) else json.dumps(value))
    )
