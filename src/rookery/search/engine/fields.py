"""Fields: what the text index holds of each post, and how a post becomes a document of it.

    exact, terms            its words (`analysis.py`), those of its alternative text last
    links                   the parts of its links, for `url:`
    author, tags, flags, …  `KEYWORDS`: whole values, looked up as they are
    moment, likes, …        numbers, for ranges and for the order of time
    post                    the post itself (`STORED`), to be shown and judged by the gate
    cursor                  in a document of its own: what the index holds (`writer.py`)

Texts are analysed before, so that the text engine only splits at blanks. All here is pure. What a
query asks of these fields is in `match.py`, what ranking needs beside them in `columns.py`.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import tantivy

from rookery.posts.rights import GATE_COLUMNS
from rookery.search.engine.analysis import Analysis, analysis_code
from rookery.search.engine.words import author_key, host, is_run, link_tokens, pieces

STORED = (
    *GATE_COLUMNS,
    "text",
    "created",
    "language",
    "likes",
    "reposts",
    "replies",
    "reply_to",
    "quote_of",
    "conversation",
    "alt_text",
    "source",
    "edited",
)
"""The columns of a post that an index stores: all that showing it and the gate need."""
_TIMES = ("created", "edited")
_MAY_BE_TOLD = ("sensitive", "media")  # columns that not every table of posts has

KEYWORDS = (
    "id",
    "author",
    "to",
    "mentions",
    "tags",
    "cashtags",
    "language",
    "domain",
    "conversation",
    "quote_of",
    "reply_to",
    "flags",
    "analysis",
    "characters",
)
"""The fields of whole values. analysis: whose endings its words lost (`analysis.analysis_code`).
characters: those of scripts without spaces, each alone, which `exact` has in pairs only."""
COUNTED = ("author", "tags")
"""The keywords that are counted over many posts at once (`counting.py`)."""
COUNTS = ("likes", "reposts", "replies")
GAP = "¶"
"""A token that no text has: no phrase goes across it."""
UNKNOWN_LANGUAGE = "und"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS_BEFORE = 1 << 42  # milliseconds before 1970 that `moment` can tell
_TIE_BITS = 21
_TIE = (1 << _TIE_BITS) - 1
_VISUAL = ("image", "video", "gif")
_MEDIA_HOST = "pic.twitter.com"
_ENCODE = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


def text_schema() -> tantivy.Schema:
    """Return the fields of the text index."""
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("ordinal", indexed=True, fast=True)
    builder.add_text_field("exact", tokenizer_name="whitespace", index_option="position")
    builder.add_text_field("terms", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("links", tokenizer_name="whitespace", index_option="position")
    for name in KEYWORDS:
        is_counted = name in COUNTED
        builder.add_text_field(name, fast=is_counted, tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field("moment", indexed=True, fast=True)
    for name in COUNTS:
        builder.add_unsigned_field(name, fast=True)
    builder.add_bytes_field("post", stored=True)
    builder.add_bytes_field("cursor", stored=True)
    builder.add_boolean_field("is_cursor", indexed=True)
    return builder.build()


def documents(
    first: int, rows: pa.Table, analyses: Sequence[Analysis], id_hashes: np.ndarray
) -> Iterator[tantivy.Document]:
    """Yield the documents of posts (rows of `POST_SCHEMA`), whose ordinals begin with `first`.

    id_hashes: `hash_ids` of their ids.
    """
    micros = rows["created"].cast(pa.int64()).to_numpy()
    moments = _moments(micros // 1_000, id_hashes).tolist()
    table = rows.select([*STORED, *(n for n in _MAY_BE_TOLD if n in rows.column_names)])
    for name in _TIMES:
        table = table.set_column(STORED.index(name), name, rows[name].cast(pa.int64()))
    plain = table.to_pylist()
    for ordinal, (row, analysis, moment) in enumerate(
        zip(plain, analyses, moments, strict=True), first
    ):
        yield document(ordinal, row, analysis, moment)


def document(
    ordinal: int, row: Mapping[str, Any], analysis: Analysis, moment: int
) -> tantivy.Document:
    """Return a post as a document.

    row: with `STORED`, times as microseconds since 1970. moment: its place in the order of time.
    """
    made = tantivy.Document()
    made.add_unsigned("ordinal", ordinal)
    made.add_text("exact", _with_gap(analysis.exact, analysis.alt_tokens))
    made.add_text("terms", " ".join(analysis.terms + analysis.also))
    if analysis.links:
        made.add_text("links", f" {GAP} ".join(" ".join(link_tokens(n)) for n in analysis.links))
    _add_keywords(made, row, analysis)
    made.add_unsigned("moment", moment)
    for name in COUNTS:
        made.add_unsigned(name, max(0, row[name] or 0))
    kept = {name: value for name, value in row.items() if value is not None}
    made.add_bytes("post", _ENCODE(kept).encode("utf-8", "surrogatepass"))
    return made


def _moments(milliseconds: np.ndarray, id_hashes: np.ndarray) -> np.ndarray:
    """Return numbers by which posts are in order of time, uint64 (n,).

    The low 21 bits are of the id's hash, so that nearly all posts of one millisecond have different
    ones, and the same in every index.
    """
    times = (milliseconds + _YEARS_BEFORE).clip(min=0).astype(np.uint64)
    return times << np.uint64(_TIE_BITS) | id_hashes & np.uint64(_TIE)


def moment_at(milliseconds: int) -> int:
    """Return the first number of a time, given as milliseconds since 1970 (`_moments`)."""
    return max(0, milliseconds + _YEARS_BEFORE) << _TIE_BITS


def moment_after(time: datetime) -> int:
    """Return the first number of the times after a time."""
    return moment_at((time - _EPOCH) // timedelta(milliseconds=1) + 1)


def stored_post(found: tantivy.Document) -> dict[str, Any]:
    """Return the row that a document stores, with all of `STORED`; times as datetimes."""
    kept = json.loads(found["post"][0])
    for name in _TIMES:
        if name in kept:
            kept[name] = _EPOCH + timedelta(microseconds=kept[name])
    return {name: kept.get(name) for name in (*STORED, *_MAY_BE_TOLD)}


def count_of(searcher: tantivy.Searcher, query: tantivy.Query) -> int:
    """Return how many documents match, the removed ones left out."""
    # the package's type stub lacks `SearchResult.count`
    return searcher.search(query, 1).count  # type: ignore[attr-defined]


def named_query(schema: tantivy.Schema, names: Sequence[str]) -> tantivy.Query:
    """Return the query for the posts that have one of the names as id or as author's name.

    Authors are looked up in one case, so that some posts may be of authors of a similar name.
    """
    ids = tantivy.Query.term_set_query(schema, "id", list(names))
    authors = tantivy.Query.term_set_query(schema, "author", [author_key(n) for n in names])
    return tantivy.Query.boolean_query(
        [(tantivy.Occur.Should, ids), (tantivy.Occur.Should, authors)]
    )


def _with_gap(exact: tuple[str, ...], alt_tokens: int) -> str:
    if not alt_tokens:
        return " ".join(exact)
    return " ".join((*exact[:-alt_tokens], GAP, *exact[-alt_tokens:]))


def _add_keywords(made: tantivy.Document, row: Mapping[str, Any], analysis: Analysis) -> None:
    """Add the fields of whole values."""
    made.add_text("id", row["id"])
    made.add_text("author", author_key(row["author"]))
    for key in language_keys(row["language"]):
        made.add_text("language", key)
    if code := analysis_code(row["language"]):
        made.add_text("analysis", code)
    for name in ("conversation", "quote_of", "reply_to"):
        if row[name]:
            made.add_text(name, row[name])
    for name, values in (
        ("flags", flags_of(row, analysis)),
        ("tags", analysis.tags),
        ("cashtags", analysis.cashtags),
        ("domain", analysis.domains),
        ("mentions", analysis.mentions),
        ("to", _addressed(row["text"], analysis)),
    ):
        for value in values:
            made.add_text(name, value)
    if not row["text"].isascii():
        for character in _characters(analysis):
            made.add_text("characters", character)


def _addressed(text: str, analysis: Analysis) -> tuple[str, ...]:
    """Return the names, in all their forms, of the mention that a post begins with."""
    if not analysis.mentions or not text.lstrip().startswith(("@", "＠")):
        return ()
    name = author_key(pieces(text)[0])
    return tuple(dict.fromkeys((name, name.partition("@")[0])))


def _characters(analysis: Analysis) -> list[str]:
    runs = (token for token in analysis.exact if not token.isascii() and is_run(token[0]))
    return list(dict.fromkeys(character for token in runs for character in token))


def flags_of(row: Mapping[str, Any], analysis: Analysis) -> list[str]:
    """Return what `has:`, `is:` and `filter:` tell of a post, by the names in `tree.FLAGS`."""
    found = [name for name, column in _FLAGGED if row.get(column)]
    starts = row["text"].lstrip()[:4]
    if analysis.mentions:
        found.append("mention")
        if starts.startswith("@") and "reply" not in found:
            found.append("reply")
    if analysis.tags:
        found.append("tag")
    if analysis.cashtags:
        found.append("cashtag")
    if starts == "RT @":
        found.append("repost")
    if analysis.links or row.get("media"):
        found += _flags_of_media(row.get("media") or "", [host(link) for link in analysis.links])
    return found


_FLAGGED = (
    ("alt", "alt_text"),
    ("quote", "quote_of"),
    ("reply", "reply_to"),
    ("sensitive", "sensitive"),
)
"""Flags, each with the column that tells it."""


def _flags_of_media(told: str, hosts: Sequence[str]) -> Iterator[str]:
    media = {kind.strip() for kind in told.split(",") if kind.strip()}
    pictured = _MEDIA_HOST in hosts
    if pictured or media.intersection((*_VISUAL, "audio")):
        yield "media"
    if "image" in media or (pictured and not media):
        yield "image"
    if any(name != _MEDIA_HOST for name in hosts):
        yield "link"
    yield from (kind for kind in ("video", "audio", "gif", "poll") if kind in media)


@functools.lru_cache(maxsize=1 << 10)
def language_keys(language: str | None) -> tuple[str, ...]:
    """Return the forms in which a language is looked up: `pt-BR` as `pt-br` and as `pt`."""
    code = (language or UNKNOWN_LANGUAGE).lower().replace("_", "-")
    return tuple(dict.fromkeys((code, code.partition("-")[0])))
