"""Erasing posts from corpora and shards: their documents stay as empty places, so that nothing else
moves.

A document goes whole when one of its posts has to go. In a corpus its words, ids and control tokens
are taken out; in shards its tokens become end-of-document tokens. Counts, offsets and order stay,
and so do the artifact's key and digest: a run that was interrupted goes on with the same batches,
in which these documents were masked before. Which posts went is noted as hashes
(`core/lineage.py`), since what was trained on them before still derives from them.

A kill leaves every file whole, some of them rewritten; the next erasure goes on
(`core/artifact.py`).
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rookery.core.artifact import TEMPORARY, Artifact, half_erased, is_half_erased, rewrite, sync
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.lineage import held_hashes, note_erased
from rookery.corpus import report
from rookery.corpus.document import (
    DOCUMENT_SCHEMA,
    ERASED_ID,
    LAKE_VERSION,
    SPLITS,
    split_file,
    write_documents,
)
from rookery.corpus.shards import Shards, open_shards
from rookery.posts.erase import Erased, ErasurePlan

ASKED = "first_asked"
"""In the manifest's note: when the first of the posts that went was asked to be forgotten; "" if
none was.
"""


def erase_corpus(corpus: Artifact, plan: ErasurePlan, context: Context) -> list[Erased]:
    """Take out of a corpus what has to go; nothing changes where nothing has."""
    gone = plan.posts(corpus.manifest.metrics[LAKE_VERSION])
    posts, authors = _in_documents_that_go(corpus, gone, plan.authors)
    posts |= set(gone.to_pylist())
    if not _has_work(corpus, hash_ids(posts)):
        return []
    facts = report.read(corpus)
    left = report.without(facts, posts)
    documents = 0

    def change() -> dict[str, Any]:
        nonlocal documents
        note_erased(corpus.path, hash_ids(posts))
        report.write(corpus.path, left)
        for split in SPLITS:
            documents += _rewrite_documents(split_file(corpus, split), gone, plan.authors)
        return {"documents": sum(_count_erased(split_file(corpus, split)) for split in SPLITS)}

    _rewrite(corpus, plan, hash_ids([*posts, *authors]), change, context)
    samples = len(report.shown(facts)) - len(report.shown(left))
    return _counted(corpus, documents=documents, samples=samples)


def erase_shards(shards: Artifact, plan: ErasurePlan, context: Context) -> list[Erased]:
    """Take out of shards what has to go; nothing changes where nothing has."""
    opened = {split: open_shards(shards, split) for split in SPLITS}
    masked = {split: of.masked(plan.restrictions) for split, of in opened.items()}
    left = {split: _with_tokens(of, masked[split]) for split, of in opened.items()}
    gone = plan.posts(shards.manifest.metrics[LAKE_VERSION])
    inside = {name: _hashes_of(opened, masked, name) for name in ("post_hashes", "author_hashes")}
    posts = np.union1d(hash_ids(gone.to_pylist()), inside["post_hashes"])
    documents = sum(map(len, left.values()))
    if not documents and not _has_work(shards, posts):
        return []

    def change() -> dict[str, Any]:
        note_erased(shards.path, posts)
        for split, of in opened.items():
            _overwrite(shards.file(f"{split}.tokens"), of, left[split])
        return {"documents": sum(int(of.sum()) for of in masked.values())}

    _rewrite(shards, plan, np.concatenate([posts, inside["author_hashes"]]), change, context)
    return _counted(shards, documents=documents)


def _has_work(artifact: Artifact, posts: np.ndarray) -> bool:
    return is_half_erased(artifact) or bool(np.isin(held_hashes(artifact.path), posts).any())


def _rewrite(
    artifact: Artifact, plan: ErasurePlan, names: np.ndarray, change, context: Context
) -> None:
    """Rewrite an artifact; the note keeps the earliest time of all its erasures, cut short or
    not.
    """
    times = (
        plan.first_asked(names),
        half_erased(artifact).get(ASKED),
        artifact.manifest.erased.get(ASKED),
    )
    asked = {ASKED: min(filter(None, times), default="")}
    rewrite(artifact, asked, lambda: change() | asked | {"at": context.clock.now().isoformat()})


def _counted(artifact: Artifact, **counts: int) -> list[Erased]:
    place = f"{artifact.kind} {artifact.key}"
    return [Erased(place, count, unit) for unit, count in counts.items() if count] or [
        Erased(place, 0, "documents")
    ]


def _in_documents_that_go(
    corpus: Artifact, gone: pa.Array, authors: pa.Array
) -> tuple[set[str], set[str]]:
    """The ids and the authors of all posts in documents that go; the erased ones' empty names among
    them.
    """
    found: tuple[set[str], set[str]] = set(), set()
    columns = ["post_ids", "author_ids"]
    for split in SPLITS:
        with pq.ParquetFile(split_file(corpus, split)) as file:
            for batch in file.iter_batches(columns=columns):
                going = batch.filter(_goes(batch, gone, authors))
                for names, column in zip(found, columns, strict=True):
                    names.update(going[column].flatten().to_pylist())
    return found


def _goes(documents: pa.RecordBatch | pa.Table, gone: pa.Array, authors: pa.Array) -> pa.Array:
    """bool for each document: whether one of its posts has to go."""
    posts, writers = (_one_array(documents[name]) for name in ("post_ids", "author_ids"))
    inside = pc.or_(pc.is_in(posts.flatten(), gone), pc.is_in(writers.flatten(), authors))
    document = np.repeat(np.arange(len(posts)), posts.value_lengths())
    goes = np.zeros(len(posts), dtype=bool)
    goes[document[inside.to_numpy(zero_copy_only=False)]] = True
    return pa.array(goes)


def _one_array(column: pa.Array | pa.ChunkedArray) -> pa.ListArray:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _rewrite_documents(path: Path, gone: pa.Array, authors: pa.Array) -> int:
    """Write one split anew in the same row groups; returns how many documents were emptied."""
    emptied = 0

    def left(file: pq.ParquetFile) -> Iterator[pa.Table]:
        nonlocal emptied
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, use_threads=False)
            goes = _goes(table, gone, authors)
            emptied += pc.sum(goes).as_py() or 0
            yield _emptied(table, goes)

    unfinished = path.with_name(f".{path.name}{TEMPORARY}")
    with pq.ParquetFile(path) as file:
        write_documents(unfinished, left(file))
    sync(unfinished)
    os.replace(unfinished, path) if emptied else unfinished.unlink()
    sync(path.parent)
    return emptied


def _emptied(table: pa.Table, goes: pa.Array) -> pa.Table:
    """The documents, some without all but their time."""
    nothing = {
        "id": "",
        "text": "",
        "post_ids": [ERASED_ID],
        "author_ids": [""],
        "language": None,
        "controls": [],
    }
    for name, value in nothing.items():
        field = DOCUMENT_SCHEMA.field(name)
        values = pc.if_else(goes, pa.scalar(value, field.type), _one_array(table[name]))
        table = table.set_column(table.schema.get_field_index(name), field, values)
    return table


def _count_erased(path: Path) -> int:
    with pq.ParquetFile(path) as file:
        ids = (batch["id"] for batch in file.iter_batches(columns=["id"]))
        return sum(pc.sum(pc.equal(column, "")).as_py() or 0 for column in ids)


def _with_tokens(shards: Shards, masked: np.ndarray) -> list[int]:
    """Those of the masked documents of which a token is left."""
    offsets = shards.offsets
    inside = (
        (d, shards.tokens[offsets[d] : offsets[d + 1]]) for d in np.flatnonzero(masked).tolist()
    )
    return [document for document, tokens in inside if (tokens != shards.end_of_document).any()]


def _hashes_of(opened: dict[str, Shards], masked: dict[str, np.ndarray], name: str) -> np.ndarray:
    """The hashes of the posts, or of their authors, in the masked documents."""
    parts = [
        getattr(of, name)[np.repeat(masked[split], np.diff(of.post_offsets))]
        for split, of in opened.items()
    ]
    return np.concatenate(parts)


def _overwrite(path: Path, shards: Shards, documents: Iterable[int]) -> None:
    """Put end-of-document tokens in the place of some documents, in the file that may be mapped
    elsewhere now.
    """
    if not documents:
        return
    tokens = np.memmap(path, dtype=shards.tokens.dtype, mode="r+")
    for document in documents:
        tokens[shards.offsets[document] : shards.offsets[document + 1]] = shards.end_of_document
    tokens.flush()
