"""Evaluating search: measures systems on judged queries, with the code that searches posts.

A collection has the layout of BEIR:

    corpus.jsonl[.gz]     {"_id", "title", "text"}         read as posts
    queries.jsonl[.gz]    {"_id", "text"}                  read as words, whatever signs they have
    qrels/NAME.tsv        query-id, corpus-id, score       with a heading

The measures are in `metrics.py`. Ids with equal scores come in falling order of their ids, as in
trec_eval.
"""

import gzip
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import Embedder
from rookery.posts.post import Post, to_table
from rookery.search.engine.retrieve import by_some_words, neighbours
from rookery.search.engine.segment import POST_COLUMNS, Segment, open_segment, write_segment
from rookery.search.query import words_query
from rookery.search.ranking import metrics

SYSTEMS = ("bm25", "dense", "hybrid", "best")
"""`hybrid` is BM25 with feedback and vectors, as `search` and `ask` rank; `best` is hybrid too."""

_DEPTH = 1000
_BATCH = 8_192


@dataclass(frozen=True)
class JudgedCollection:
    """A judged collection: texts by id, queries by id, and for each query the grades of texts."""

    texts: dict[str, str]
    queries: dict[str, str]
    grades: dict[str, dict[str, int]]


def evaluate(
    folder: Path, qrels: str, systems: Sequence[str], embedder: Embedder, context: Context
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure systems on a collection, as means over its judged queries.

    Returns `{"systems": {name: {"ndcg@10", "map", "recall@100", "p@30", "mrr", "queries"}}}`.
    Raises `UsageError` for a system or folder that does not exist, `DataError` naming the file and
    line that is wrong.
    """
    for system in systems:
        if system not in SYSTEMS:
            raise UsageError(f"there is no system {system!r}", hint=f"Known: {', '.join(SYSTEMS)}")
    judged = read_judged(folder, qrels)
    with tempfile.TemporaryDirectory(prefix="rookery-evaluate-") as scratch:
        segment = segment_of(Path(scratch) / "segment", judged.texts, embedder, context)
        return {
            "systems": {
                name: _measure(segment, judged, name, embedder, context) for name in systems
            }
        }


def read_judged(folder: Path, qrels: str) -> JudgedCollection:
    """Read a collection; a judgment of an unknown query or text is refused."""
    if not folder.is_dir():
        raise UsageError("there is no such folder", where=folder)
    texts = {
        i: f"{row.get('title') or ''} {row['text']}".strip() for i, row in _rows(folder, "corpus")
    }
    queries = {i: row["text"] for i, row in _rows(folder, "queries")}
    grades = _grades(folder / "qrels" / f"{qrels}.tsv", texts, queries)
    if not any(_has_relevant(g) for g in grades.values()):
        raise DataError("no query has a relevant text", where=folder / "qrels" / f"{qrels}.tsv")
    return JudgedCollection(texts, queries, grades)


def _rows(folder: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
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
                    yield _row(line, f"{path}, line {number}")
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
    path: Path, texts: Mapping[str, str], queries: Mapping[str, str]
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


def segment_of(
    folder: Path, texts: Mapping[str, str], embedder: Embedder, context: Context
) -> Segment:
    """Write texts, given by id, as a segment of posts into a folder, and open it.

    The ordinals follow the order of the ids.
    """
    write_segment(folder, _batches(texts), len(texts), embedder, context)
    return open_segment(folder)


def _batches(texts: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """Yield the texts as posts without author or date, in the order of their ids."""
    ids, never = sorted(texts), datetime(1970, 1, 1, tzinfo=UTC)
    for start in range(0, len(ids), _BATCH):
        posts = [
            Post(i, "", texts[i], never, visibility="public") for i in ids[start : start + _BATCH]
        ]
        yield from to_table(posts).select(list(POST_COLUMNS)).to_batches()


def _measure(
    segment: Segment, judged: JudgedCollection, system: str, embedder: Embedder, context: Context
) -> dict[str, float]:
    queries = [query for query in judged.grades if _has_relevant(judged.grades[query])]
    rows = []
    with context.progress.task(f"Queries, {system}", len(queries), "queries") as task:
        for query in queries:
            run = _run(segment, judged.queries[query], system, embedder)
            rows.append(_measures(run, judged.grades[query]))
            task.advance()
    means = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}
    return means | {"queries": len(queries)}


def _measures(run: Sequence[str], grades: Mapping[str, int]) -> dict[str, float]:
    return {
        "ndcg@10": metrics.ndcg(run, grades),
        "map": metrics.average_precision(run, grades),
        "recall@100": metrics.recall(run, grades),
        "p@30": metrics.precision(run, grades),
        "mrr": metrics.reciprocal_rank(run, grades),
    }


def _run(segment: Segment, text: str, system: str, embedder: Embedder) -> list[str]:
    """Return the ids that a system finds, best first."""
    query = words_query(text)
    if not query.terms:
        return []
    if system == "dense":
        scored = neighbours(segment, embedder.embed([text]), None, _DEPTH)
    else:
        found = by_some_words(segment, None if system == "bm25" else embedder, query, _DEPTH)
        scored = [(c.ordinal, c.score) for c in found]
    ids = segment.take([n for n, _ in scored], ["id"])["id"].to_pylist()
    best_first = sorted(zip((score for _, score in scored), ids, strict=True), reverse=True)
    return [i for _, i in best_first]
