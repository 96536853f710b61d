"""The rows of a table as posts: taken with the readings of its columns, or set aside with a reason.

A row that is set aside leaves its id, its author and the value that was wrong, and no other word.
"""

import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.digest import digest_bytes
from rookery.posts.post import CONSENT_FIELD, POST_SCHEMA
from rookery.posts.sources.files import SetAside
from rookery.posts.sources.media import KINDS, media_of
from rookery.posts.sources.tables.judging import Judgement
from rookery.posts.sources.tables.missing import without_missing
from rookery.posts.sources.tables.readers import RawBatch
from rookery.posts.sources.tables.visibility import narrowest
from rookery.posts.sources.values import language_codes

REPOST = "repost"
_YES = ("true", "yes", "1")
WRONG_FIELD = {
    "no_text": "text",
    "no_author": "author",
    "no_id": "id",
    "bad_time": "created",
    "wrong_clock": "created",
}
"""The field that is wrong in a row, by the reason for which it is set aside."""


def to_posts(
    raw: RawBatch, judgement: Judgement, source: str
) -> tuple[pa.RecordBatch, list[SetAside]]:
    """Return the rows that are posts as a batch of `POST_SCHEMA`, and the rest set aside."""
    column = {field: raw.rows[name] for field, name in judgement.columns.fields.items()}
    fields = _fields_of(raw, column, judgement, source)
    n = raw.rows.num_rows
    arrays = [_as_field(field, fields.get(field.name), n) for field in POST_SCHEMA]
    reasons = _reasons(fields)
    nullable = pa.schema([field.with_nullable(True) for field in POST_SCHEMA])
    posts = pa.RecordBatch.from_arrays(arrays, schema=nullable).filter(pc.is_null(reasons))
    taken = pa.RecordBatch.from_arrays(posts.columns, schema=POST_SCHEMA)
    return taken, [*raw.unread, *_set_aside(raw, column, fields, reasons)]


def _fields_of(
    raw: RawBatch, column: Mapping[str, pa.Array], judgement: Judgement, source: str
) -> dict[str, pa.Array]:
    """Return the fields of posts that the table has, as its columns are read."""
    n = raw.rows.num_rows
    readers = [reading.read(raw.rows[name]) for name, reading in judgement.readers.items()]
    fields = {
        "text": column["text"].cast(pa.string()),
        "visibility": narrowest(readers, judgement.otherwise, n),
        "source": pa.repeat(source, n),
    }
    fields |= {field: ids.read(column[field]) for field, ids in judgement.ids.items()}
    fields |= {field: times.read(column[field]) for field, times in judgement.times.items()}
    conversions = {
        **dict.fromkeys(("likes", "reposts", "replies"), _counts),
        **dict.fromkeys(CONSENT_FIELD.values(), _consents),
        "language": _languages,
        "sensitive": _booleans,
        "media": _media,
    }
    for field, values in column.items():
        if field not in fields:
            fields[field] = conversions.get(field, without_missing)(values)
    if "id" not in fields:
        fields["id"] = _derived_ids(fields)
    return fields


def _set_aside(
    raw: RawBatch, column: Mapping[str, pa.Array], fields: Mapping[str, pa.Array], reasons: pa.Array
) -> list[SetAside]:
    if reasons.null_count == len(reasons):
        return []
    places = pc.indices_nonzero(pc.is_valid(reasons))
    ids, authors = (fields[name].take(places).to_pylist() for name in ("id", "author"))
    why = reasons.take(places).to_pylist()
    values = {
        field: column[field].take(places).cast(pa.string()).to_pylist()
        for field in set(WRONG_FIELD.values()) & column.keys()
    }
    aside = []
    for n, (place, reason) in enumerate(zip(places.to_pylist(), why, strict=True)):
        row = {"id": ids[n] if "id" in column else None, "author": authors[n]}
        if (wrong := WRONG_FIELD.get(reason)) in values:
            row[wrong] = values[wrong][n]
        names = {name: str(row[name] or "") for name in ("id", "author")}
        shown = str(row.get(wrong) or "") if wrong in ("created", "edited") else ""
        aside.append(SetAside(raw.where(place), reason, row, **names, wrong=shown))
    return aside


def _languages(column: pa.Array) -> pa.Array:
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    return language_codes(column if is_list else without_missing(column))


def _counts(column: pa.Array) -> pa.Array:
    """Return whole numbers, also from `12.0`; null for everything else."""
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    digits = pc.struct_field(pc.extract_regex(texts, r"^(?P<n>[0-9]{1,18})(?:\.0*)?$"), "n")
    return digits.cast(pa.int64())


def _consents(column: pa.Array) -> pa.Array:
    """Return an author's consent: yes, no, or null where the column is empty.

    A word that is not understood is a no.
    """
    words = pc.utf8_lower(without_missing(column))
    return pc.if_else(pc.is_null(words), None, pc.is_in(words, pa.array(_YES)))


def _booleans(column: pa.Array) -> pa.Array:
    """Return true and false; null for everything else."""
    words = pc.utf8_lower(without_missing(column))
    is_yes, is_no = (pc.is_in(words, pa.array(of)) for of in (_YES, ["false", "no", "0"]))
    return pc.if_else(pc.or_(is_yes, is_no), is_yes, None)


def _media(column: pa.Array) -> pa.Array:
    """Return kinds of media, given with commas; null where they are not all known."""
    texts = without_missing(column).to_pylist()
    given = [None if text is None else {*re.split(r"[\s,]+", text.lower())} for text in texts]
    kinds = [
        media_of(kind for kind in KINDS if kind in names) if names and names <= {*KINDS} else None
        for names in given
    ]
    return pa.array(kinds, pa.string())


def _derived_ids(fields: Mapping[str, pa.Array]) -> pa.Array:
    """Return stable ids for a file without ids: the digest of author, time and text."""
    columns = (fields[name].cast(pa.string()).to_pylist() for name in ("author", "created", "text"))
    rows = zip(*columns, strict=True)
    return pa.array([digest_bytes("\0".join(map(str, row)).encode()) for row in rows], pa.string())


def _as_field(field: pa.Field, values: pa.Array | None, n: int) -> pa.Array:
    return pa.nulls(n, field.type) if values is None else values.cast(field.type)


def _reasons(fields: Mapping[str, pa.Array]) -> pa.Array:
    """Return for each row the reason why it is not a post, null where it is one."""
    reasons = pa.nulls(len(fields["text"]), pa.string())
    for name, reason in (("text", "no_text"), ("author", "no_author"), ("id", "no_id")):
        blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(fields[name]), ""), True)
        reasons = pc.if_else(blank, reason, reasons)
    reasons = pc.if_else(pc.is_null(fields["created"]), "bad_time", reasons)
    is_repost = pc.fill_null(pc.starts_with(fields["text"], "RT @"), False)
    return pc.if_else(is_repost, REPOST, reasons)
