"""A segment: some posts in one folder, laid out so that they can be found by word and by meaning.

    rows.arrow      the posts, with what the gate needs; a post's row number is its *ordinal*
    text/           a tantivy index: which ordinals have which words, tags, author, language, time
    vectors.faiss   the embedder's vectors by ordinal; left out if there are no posts
    segment.json    how many posts and terms, and from which embedder the vectors are

A segment is written once and only read afterwards. Which one is in force, and for which lake and
log, is decided in `index.py`; how it is searched is in `retrieve.py`. `evaluate.py` makes temporary
segments of judged collections by the same code.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import tantivy

from rookery.core.atomic import write_atomically
from rookery.core.config import from_plain, to_plain
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.errors import DataError, StorageError
from rookery.core.protocols import Embedder
from rookery.posts.post import POST_SCHEMA
from rookery.posts.rights import GATE_COLUMNS
from rookery.search.engine.analysis import Analysis, analyse, fold, same_words_digest
from rookery.search.engine.withheld import NOTHING, Withheld

SEGMENT_FORMAT = 1
ROWS, TEXT, VECTORS, FACTS = "rows.arrow", "text", "vectors.faiss", "segment.json"
REBUILD = "Run `rookery search index` to rebuild it"

POST_COLUMNS = (*GATE_COLUMNS, "text", "created", "language", "likes")
"""The columns of a post that a segment stores."""

ROW_SCHEMA = pa.schema(
    [
        *(POST_SCHEMA.field(name) for name in POST_COLUMNS),
        pa.field("terms", pa.string(), nullable=False),  # what ranking counts, separated by spaces
        pa.field("same", pa.string(), nullable=False),  # equal for copies of one text
    ]
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH_ROWS = 8_192
_WRITER_BYTES = 200_000_000
_EMBED_ROWS = 1_024
# Up to this number every vector is compared; beyond, those in the nearest of about √n lists.
_EXACT_VECTORS = 50_000
_TRAINING_VECTORS = 8_192  # at least; faiss asks for 40 a list


@dataclass(frozen=True)
class Facts:
    """The facts that have to be known about a segment before it is opened."""

    format: int
    posts: int
    terms: int
    embedder: str
    dimensions: int


@dataclass(frozen=True)
class Segment:
    """An open segment; several threads may read it.

    withheld: its posts that retrieval does not find and ranking does not count.
    """

    path: Path
    facts: Facts
    rows: tuple[pa.RecordBatch, ...]
    text: tantivy.Index
    searcher: tantivy.Searcher
    vectors: faiss.Index | None
    withheld: Withheld = NOTHING

    @property
    def posts(self) -> int:
        """Return how many posts may be found."""
        return self.facts.posts - len(self.withheld.ordinals)

    @property
    def average_terms(self) -> float:
        """Return how many terms a post that may be found has on average."""
        return (self.facts.terms - self.withheld.terms) / max(1, self.posts)

    def take(self, ordinals: Sequence[int], columns: Sequence[str] = ROW_SCHEMA.names) -> pa.Table:
        """Return the rows of some ordinals, in the order given."""
        parts = [
            self.rows[n // _BATCH_ROWS].select(list(columns)).slice(n % _BATCH_ROWS, 1)
            for n in ordinals
        ]
        schema = pa.schema([ROW_SCHEMA.field(name) for name in columns])
        return pa.Table.from_batches(parts, schema=schema).combine_chunks()

    def terms_of(self, ordinals: Sequence[int]) -> list[list[str]]:
        """Return the terms of each ordinal."""
        columns = [batch["terms"] for batch in self.rows]
        return [columns[n // _BATCH_ROWS][n % _BATCH_ROWS].as_py().split() for n in ordinals]


def plain_rows(rows: pa.Table) -> list[dict[str, Any]]:
    """Return rows with a column `created` as dicts."""
    # Times are converted here: Arrow would import a module of time zones for every single one.
    micros = rows["created"].cast(pa.int64()).to_pylist()
    plain = rows.drop_columns(["created"]).to_pylist()
    return [
        row | {"created": _EPOCH + timedelta(microseconds=n)}
        for row, n in zip(plain, micros, strict=True)
    ]


def text_schema() -> tantivy.Schema:
    """Return the fields of the text index.

    Texts are analysed before (`analysis.py`), so that tantivy only splits at spaces.
    """
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("ordinal", indexed=True, fast=True)
    builder.add_text_field("id", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("exact", tokenizer_name="whitespace", index_option="position")
    builder.add_text_field("terms", tokenizer_name="whitespace", index_option="freq")
    for name in ("author", "language", "tags", "mentions"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("created", indexed=True, fast=True)
    builder.add_unsigned_field("likes", indexed=True, fast=True)
    return builder.build()


def write_segment(
    folder: Path,
    batches: Iterable[pa.RecordBatch],
    total: int,
    embedder: Embedder,
    context: Context,
) -> Facts:
    """Write posts (batches with at least `POST_COLUMNS`) as a segment, in place of an earlier one.

    Raises `StorageError` if the disk is full. A segment that cannot be finished is removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / TEXT).mkdir(parents=True)
    try:
        posts, terms = _write_text(folder, batches, total, context)
        _write_vectors(folder, posts, embedder, context)
        facts = Facts(SEGMENT_FORMAT, posts, terms, embedder.digest, embedder.dimensions)
        write_atomically(folder / FACTS, json.dumps(to_plain(facts)).encode())
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if "No space left" in str(error):  # tantivy and faiss report it only in the message
            raise StorageError(
                "the disk is full", where=folder.parent, hint="Free some space"
            ) from None
        raise
    return facts


def open_segment(folder: Path) -> Segment:
    """Open a segment; raises `DataError` if a file of it is missing or damaged."""
    try:
        facts = from_plain(Facts, json.loads((folder / FACTS).read_text()))
        if facts.format != SEGMENT_FORMAT:
            raise DataError(f"its format is {facts.format}, this version reads {SEGMENT_FORMAT}")
        rows = _open_rows(folder)
        text = tantivy.Index.open(str(folder / TEXT))
        vectors = faiss.read_index(str(folder / VECTORS)) if (folder / VECTORS).exists() else None
        segment = Segment(folder, facts, rows, text, text.searcher(), vectors)
        _check_counts(segment)
    except (OSError, ValueError, RuntimeError, pa.ArrowInvalid, DataError) as error:
        what = error.what if isinstance(error, DataError) else str(error).splitlines()[0]
        raise DataError(
            f"the search index is damaged: {what}", where=folder, hint=REBUILD
        ) from None
    return segment


def _check_counts(segment: Segment) -> None:
    """Raise `DataError` if the files have different counts, and so do not belong together."""
    counts = {sum(b.num_rows for b in segment.rows), segment.searcher.num_docs, segment.facts.posts}
    if segment.vectors is not None:
        counts.add(segment.vectors.ntotal)
    if len(counts) > 1:
        raise DataError(f"its files hold different numbers of posts: {sorted(counts)}")


def _open_rows(folder: Path) -> tuple[pa.RecordBatch, ...]:
    reader = pa.ipc.open_file(pa.memory_map(str(folder / ROWS)))
    return tuple(reader.get_batch(n) for n in range(reader.num_record_batches))


def _write_text(
    folder: Path, batches: Iterable[pa.RecordBatch], total: int, context: Context
) -> tuple[int, int]:
    """Write rows and text index in one pass; return the numbers of posts and of terms."""
    writer = tantivy.Index(text_schema(), path=str(folder / TEXT)).writer(
        _WRITER_BYTES, num_threads=1
    )
    posts = terms = 0
    with (
        pa.ipc.new_file(str(folder / ROWS), ROW_SCHEMA) as rows,
        context.progress.task("Words", total, "posts") as task,
    ):
        for batch in _evenly(batches):
            columns = batch.drop_columns(["created"]).to_pydict() | {
                "created": _seconds(batch["created"])
            }
            analyses = [analyse(text) for text in columns["text"]]
            for n, analysis in enumerate(analyses):
                writer.add_document(
                    _document(posts + n, {k: v[n] for k, v in columns.items()}, analysis)
                )
            rows.write_batch(_with_terms(batch, analyses))
            posts += batch.num_rows
            terms += sum(len(a.terms) for a in analyses)
            task.advance(batch.num_rows)
    writer.commit()
    writer.wait_merging_threads()
    return posts, terms


def _seconds(created: pa.Array) -> list[int]:
    """Return whole seconds since 1970, rounded down."""
    return (created.cast(pa.int64()).to_numpy() // 1_000_000).tolist()


def _evenly(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of exactly `_BATCH_ROWS`; only the last may be smaller.

    So the batch and place of an ordinal follow by division.
    """
    schema = pa.schema([ROW_SCHEMA.field(name) for name in POST_COLUMNS])
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        pending.append(
            pa.RecordBatch.from_arrays([batch[name] for name in POST_COLUMNS], schema=schema)
        )
        if sum(b.num_rows for b in pending) < _BATCH_ROWS:
            continue
        *full, rest = _cut(pa.Table.from_batches(pending))
        yield from full
        pending = [rest]
    for batch in _cut(pa.Table.from_batches(pending, schema=schema)):
        if batch.num_rows:
            yield batch


def _cut(table: pa.Table) -> list[pa.RecordBatch]:
    """Cut a table into batches of exactly `_BATCH_ROWS`, and a last one that may be empty."""
    whole = table.num_rows // _BATCH_ROWS * _BATCH_ROWS
    starts = range(0, whole + 1, _BATCH_ROWS)
    pieces = [
        table.slice(start, min(_BATCH_ROWS, table.num_rows - start)).combine_chunks()
        for start in starts
    ]
    return [
        p.to_batches()[0] if p.num_rows else pa.RecordBatch.from_pylist([], schema=p.schema)
        for p in pieces
    ]


def _document(ordinal: int, row: dict[str, Any], analysis: Analysis) -> tantivy.Document:
    document = tantivy.Document()
    document.add_unsigned("ordinal", ordinal)
    document.add_text("id", row["id"])
    document.add_text("exact", " ".join(analysis.exact))
    document.add_text("terms", " ".join(analysis.terms))
    document.add_text("author", author_key(row["author"]))
    document.add_integer("created", row["created"])
    document.add_unsigned("likes", max(0, row["likes"] or 0))
    for code in language_keys(row["language"]):
        document.add_text("language", code)
    for tag in analysis.tags:
        document.add_text("tags", tag)
    for mention in analysis.mentions:
        document.add_text("mentions", mention)
    return document


def author_key(author: str) -> str:
    """Return the form in which an author's name is looked up: in one case, without `@`."""
    return fold(author).lstrip("@")


def language_keys(language: str | None) -> list[str]:
    """Return the forms in which a language is looked up: `pt-BR` as `pt-br` and as `pt`."""
    code = (language or "").lower().replace("_", "-")
    return list(dict.fromkeys((code, code.partition("-")[0]))) if code else []


def _with_terms(batch: pa.RecordBatch, analyses: Sequence[Analysis]) -> pa.RecordBatch:
    terms = pa.array([" ".join(a.terms) for a in analyses], pa.string())
    same = pa.array([same_words_digest(text) for text in batch["text"].to_pylist()], pa.string())
    return pa.RecordBatch.from_arrays([*batch.columns, terms, same], schema=ROW_SCHEMA)


def _write_vectors(folder: Path, posts: int, embedder: Embedder, context: Context) -> None:
    """Embed every row, in order, into a faiss index with one byte for each dimension."""
    if not posts:
        return
    rows = _open_rows(folder)
    index = _trained_vectors(rows, posts, embedder)
    with context.progress.task("Vectors", posts, "posts") as task:
        for batch in rows:
            for start in range(0, batch.num_rows, _EMBED_ROWS):
                texts = batch["text"].slice(start, _EMBED_ROWS).to_pylist()
                index.add(np.ascontiguousarray(embedder.embed(texts), dtype=np.float32))
                task.advance(len(texts))
    faiss.write_index(index, str(folder / VECTORS))


def _trained_vectors(rows: Sequence[pa.RecordBatch], posts: int, embedder: Embedder) -> faiss.Index:
    """Return an empty faiss index, its quantiser and lists trained on a sample of the posts.

    The sample is drawn by hashes of the ids, so that the order of the posts has no effect.
    """
    lists = 1 << round(np.log2(posts**0.5))
    name = "SQ8" if posts <= _EXACT_VECTORS else f"IVF{lists},SQ8"
    index = faiss.index_factory(embedder.dimensions, name, faiss.METRIC_INNER_PRODUCT)
    size = min(posts, max(_TRAINING_VECTORS, 40 * lists if "IVF" in name else 0))
    hashes = np.concatenate([hash_ids(batch["id"].to_pylist()) for batch in rows])
    texts = [
        rows[n // _BATCH_ROWS]["text"][n % _BATCH_ROWS].as_py()
        for n in np.argsort(hashes)[:size].tolist()
    ]
    parts = [
        embedder.embed(texts[start : start + _EMBED_ROWS]) for start in range(0, size, _EMBED_ROWS)
    ]
    index.train(np.ascontiguousarray(np.concatenate(parts), dtype=np.float32))
    return index
