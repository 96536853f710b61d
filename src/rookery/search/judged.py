"""Judged collections: texts, queries, and for each query the grades of texts, as files.

A collection has the layout of BEIR:

    corpus.jsonl[.gz]     {"_id", "title", "text"}         read as posts
    queries.jsonl[.gz]    {"_id", "text"}                  read as words, whatever signs they have
    qrels/NAME.tsv        query-id, corpus-id, score       with a heading

A text may tell more of the post that it was: `urls` (its links, where the text shows none),
`created` (ISO 8601, or seconds since 1970), `likes`, `reposts` and `replies`. Where `created` is
absent and the id is a snowflake, as Twitter gave them since 2010, it tells the time.

`indexed` makes a collection ready for search. What is measured on it is in `evaluate.py`, what is
learned from it in `learn.py`.
"""

import gzip
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import Embedder
from rookery.posts.post import Post, to_table
from rookery.search.engine.reader import IndexReader, View
from rookery.search.engine.writer import GenerationWriter

_BATCH = 8_192
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SNOWFLAKE = 1 << 40
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657  # Twitter's; 22 bits of an id follow the milliseconds


@dataclass(frozen=True)
class JudgedCollection:
    """A judged collection.

    posts, queries: by id. links: how many links each post has, None where its text tells. grades:
    of the texts judged for each query that has a relevant one.
    """

    posts: dict[str, Post]
    links: dict[str, int | None]
    queries: dict[str, str]
    grades: dict[str, dict[str, int]]


@dataclass(frozen=True)
class JudgedIndex:
    """A judged collection that can be searched; ordinals follow the order of the ids."""

    judged: JudgedCollection
    ids: tuple[str, ...]
    view: View
    embedder: Embedder


def indexed(
    judged: JudgedCollection, embedder: Embedder, folder: Path, context: Context
) -> JudgedIndex:
    """Write the index of a collection into a folder, and open it."""
    ids = tuple(sorted(judged.posts))
    view = _view(folder, [judged.posts[i] for i in ids], embedder, context)
    links = view.columns.links.copy()
    for ordinal, count in enumerate(judged.links[i] for i in ids):
        if count is not None:
            links[ordinal] = min(count, np.iinfo(links.dtype).max)
    return JudgedIndex(
        judged, ids, replace(view, columns=replace(view.columns, links=links)), embedder
    )


def view_of(folder: Path, texts: Mapping[str, str], embedder: Embedder, context: Context) -> View:
    """Index texts, given by id, as posts in a folder, and open them.

    The ordinals follow the order of the ids.
    """
    posts = [Post(i, "", texts[i], _NEVER, visibility="public") for i in sorted(texts)]
    return _view(folder, posts, embedder, context)


def _view(folder: Path, posts: Sequence[Post], embedder: Embedder, context: Context) -> View:
    writer = GenerationWriter(folder, embedder)
    with context.progress.task("texts", len(posts), "texts") as task:
        for start in range(0, len(posts), _BATCH):
            part = posts[start : start + _BATCH]
            writer.take(to_table(list(part)), [None] * len(part))
            task.advance(len(part))
    writer.commit(writer.cursor)
    writer.close()
    return IndexReader(folder, embedder.dimensions).view()


def read_judged(folder: Path, qrels: str) -> JudgedCollection:
    """Read a collection; a judgment of an unknown query or text is refused."""
    if not folder.is_dir():
        raise UsageError("there is no such folder", where=folder)
    posts, links = {}, {}
    for where, i, row in _rows(folder, "corpus"):
        posts[i] = _post(i, row, where)
        links[i] = len(row["urls"]) if isinstance(row.get("urls"), list) else None
    queries = {i: row["text"] for _, i, row in _rows(folder, "queries")}
    grades = _grades(folder / "qrels" / f"{qrels}.tsv", posts, queries)
    grades = {query: own for query, own in grades.items() if _has_relevant(own)}
    if not grades:
        raise DataError("no query has a relevant text", where=folder / "qrels" / f"{qrels}.tsv")
    return JudgedCollection(posts, links, queries, grades)


def _rows(folder: Path, name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    plain, compressed = folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz"
    path = plain if plain.exists() else compressed
    if not path.exists():
        raise UsageError(
            f"there is no {name}.jsonl or {name}.jsonl.gz",
            where=folder,
            hint="BEIR layout is needed",
        )
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path is compressed
            else open(path, encoding="utf-8") as file
        ):
            for number, line in enumerate(file, 1):
                if line.strip():
                    where = f"{path}, line {number}"
                    yield where, *_row(line, where)
    except (gzip.BadGzipFile, EOFError) as error:
        raise DataError(
            f"the compressed file is damaged or cut short: {error}", where=path
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8: {error.reason}", where=path) from None


def _row(line: str, where: str) -> tuple[str, dict[str, Any]]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", where=where) from None
    if not (
        isinstance(row, dict)
        and isinstance(row.get("text"), str)
        and isinstance(row.get("_id"), str | int)
    ):
        raise DataError(
            "a row needs _id and text", where=where, hint="Write it as BEIR's own files are"
        )
    return str(row["_id"]), row


def _grades(
    path: Path, texts: Collection[str], queries: Mapping[str, str]
) -> dict[str, dict[str, int]]:
    if not path.exists():
        known = sorted(p.stem for p in path.parent.glob("*.tsv"))
        raise UsageError(
            "there are no such judgments", where=path, hint=f"Known: {', '.join(known) or 'none'}"
        )
    grades: dict[str, dict[str, int]] = {}
    for number, line in enumerate(
        path.read_text(encoding="utf-8", errors="replace").splitlines(), 1
    ):
        cells = line.split("\t")
        if not line.strip() or (number == 1 and not _is_number(cells[-1])):
            continue
        if len(cells) != 3 or not _is_number(cells[2]):
            raise DataError(
                "a row needs query-id, corpus-id and score, with tabs between",
                where=f"{path}, line {number}",
            )
        query, text, grade = cells
        if query not in queries or text not in texts:
            what = f"query {query}" if query not in queries else f"text {text}"
            raise DataError(f"a judgment of an unknown id: {what}", where=f"{path}, line {number}")
        grades.setdefault(query, {})[text] = int(grade)
    return grades


def _is_number(text: str) -> bool:
    return text.strip().lstrip("-").isdecimal()


def _has_relevant(grades: Mapping[str, int]) -> bool:
    return any(grade > 0 for grade in grades.values())


def _post(name: str, row: Mapping[str, Any], where: str) -> Post:
    """Return the post that a row of the corpus tells of."""
    text = f"{row.get('title') or ''} {row['text']}".strip()
    counts: dict[str, Any] = {key: row.get(key) for key in ("likes", "reposts", "replies")}
    if not all(n is None or (isinstance(n, int) and n >= 0) for n in counts.values()):
        raise DataError(f"{', '.join(counts)} have to be whole numbers", where=where)
    created = _created(name, row.get("created"), where)
    return Post(name, "", text, created, visibility="public", **counts)


def _created(name: str, told: Any, where: str) -> datetime:
    """Return when a text was written, as far as it is known; else 1970."""
    try:
        if isinstance(told, str) and told:
            moment = datetime.fromisoformat(told)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(told, int | float) and not isinstance(told, bool):
            return _NEVER + timedelta(seconds=told)
    except (ValueError, OverflowError):
        raise DataError(
            f"no time: {told!r}", where=where, hint="Write `created` as 2026-01-31T12:00:00Z"
        ) from None
    if name.isdecimal() and _FIRST_SNOWFLAKE < int(name) < 1 << 63:
        return _NEVER + timedelta(milliseconds=(int(name) >> 22) + _SNOWFLAKE_EPOCH_MS)
    return _NEVER
