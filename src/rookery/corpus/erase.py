"""Erasing posts from corpora and shards; their documents become empty and keep their places.

A whole document is erased when one of its posts has to be. In a corpus its text, ids and control
tokens are removed; in shards its tokens become end-of-document tokens. Counts, offsets and order
stay, and so do the artifact's key and digest: a training run that was interrupted goes on with the
same batches, in which these documents were masked before. The erased posts are noted as hashes
(`core/lineage.py`), since models that were trained on them before still derive from them.

A kill leaves every file whole and some of them rewritten; the next erasure finishes the work
(`core/artifact.py`). Not here: which posts have to be erased (`posts/erase.py`).
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rookery.core.artifact import Artifact, is_half_erased
from rookery.core.atomic import TEMPORARY, sync
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.lineage import held_hashes, note_erased
from rookery.core.rewrite import half_erased, rewrite
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
"""The field of the manifest's note that holds when the first of the erased posts was asked to be
forgotten; "" if none was.
"""


def erase_corpus(corpus: Artifact, plan: ErasurePlan, context: Context) -> list[Erased]:
    """Erase the posts of a plan from a corpus, and report what was erased.

    Nothing is written if the corpus holds none of them.
    """
    listed = plan.posts(corpus.manifest.metrics[LAKE_VERSION])
    posts, authors = _names_in_affected(corpus, listed, plan.authors)
    posts |= set(listed.to_pylist())
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
            documents += _rewrite_documents(split_file(corpus, split), listed, plan.authors)
        return {"documents": sum(_count_erased(split_file(corpus, split)) for split in SPLITS)}

    _rewrite(corpus, plan, hash_ids([*posts, *authors]), change, context)
    samples = len(report.shown(facts)) - len(report.shown(left))
    return _counted(corpus, documents=documents, samples=samples)


def erase_shards(shards: Artifact, plan: ErasurePlan, context: Context) -> list[Erased]:
    """Erase the posts of a plan from shards, and report what was erased.

    Nothing is written if the shards hold none of them.
    """
    opened = {split: open_shards(shards, split) for split in SPLITS}
    masked = {split: of.masked(plan.restrictions) for split, of in opened.items()}
    left = {split: _with_tokens(of, masked[split]) for split, of in opened.items()}
    listed = plan.posts(shards.manifest.metrics[LAKE_VERSION])
    inside = {name: _hashes_of(opened, masked, name) for name in ("post_hashes", "author_hashes")}
    posts = np.union1d(hash_ids(listed.to_pylist()), inside["post_hashes"])
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
    artifact: Artifact,
    plan: ErasurePlan,
    names: np.ndarray,
    change: Callable[[], dict[str, Any]],
    context: Context,
) -> None:
    """Rewrite an artifact, and note the earliest time of all its erasures, finished or not."""
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


def _names_in_affected(
    corpus: Artifact, listed: pa.Array, authors: pa.Array
) -> tuple[set[str], set[str]]:
    """Return the ids and the authors of all posts in the documents to erase.

    The empty names of documents that were erased before may be among them.
    """
    found: tuple[set[str], set[str]] = set(), set()
    columns = ["post_ids", "author_ids"]
    for split in SPLITS:
        with pq.ParquetFile(split_file(corpus, split)) as file:
            for batch in file.iter_batches(columns=columns):
                affected = batch.filter(_is_affected(batch, listed, authors))
                for names, column in zip(found, columns, strict=True):
                    names.update(affected[column].flatten().to_pylist())
    return found


def _is_affected(
    documents: pa.RecordBatch | pa.Table, listed: pa.Array, authors: pa.Array
) -> pa.Array:
    """Return for each document, as bool, whether one of its posts has to be erased."""
    posts, writers = (_one_array(documents[name]) for name in ("post_ids", "author_ids"))
    inside = pc.or_(pc.is_in(posts.flatten(), listed), pc.is_in(writers.flatten(), authors))
    document = np.repeat(np.arange(len(posts)), posts.value_lengths())
    affected = np.zeros(len(posts), dtype=bool)
    affected[document[inside.to_numpy(zero_copy_only=False)]] = True
    return pa.array(affected)


def _one_array(column: pa.Array | pa.ChunkedArray) -> pa.ListArray:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _rewrite_documents(path: Path, listed: pa.Array, authors: pa.Array) -> int:
    """Rewrite the file of a split in the same row groups, and count the documents emptied."""
    emptied = 0

    def rewritten(file: pq.ParquetFile) -> Iterator[pa.Table]:
        nonlocal emptied
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, use_threads=False)
            affected = _is_affected(table, listed, authors)
            emptied += pc.sum(affected).as_py() or 0
            yield _emptied(table, affected)

    unfinished = path.with_name(f".{path.name}{TEMPORARY}")
    with pq.ParquetFile(path) as file:
        write_documents(unfinished, rewritten(file))
    sync(unfinished)
    os.replace(unfinished, path) if emptied else unfinished.unlink()
    sync(path.parent)
    return emptied


def _emptied(table: pa.Table, affected: pa.Array) -> pa.Table:
    """Return the documents; of the affected ones only the time is left."""
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
        values = pc.if_else(affected, pa.scalar(value, field.type), _one_array(table[name]))
        table = table.set_column(table.schema.get_field_index(name), field, values)
    return table


def _count_erased(path: Path) -> int:
    with pq.ParquetFile(path) as file:
        ids = (batch["id"] for batch in file.iter_batches(columns=["id"]))
        return sum(pc.sum(pc.equal(column, "")).as_py() or 0 for column in ids)


def _with_tokens(shards: Shards, masked: np.ndarray) -> list[int]:
    """Return those of the masked documents that still have a token of their text."""
    offsets = shards.offsets
    inside = (
        (d, shards.tokens[offsets[d] : offsets[d + 1]]) for d in np.flatnonzero(masked).tolist()
    )
    return [document for document, tokens in inside if (tokens != shards.end_of_document).any()]


def _hashes_of(opened: dict[str, Shards], masked: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return the hashes of the posts, or of their authors, in the masked documents."""
    parts = [
        getattr(of, name)[np.repeat(masked[split], np.diff(of.post_offsets))]
        for split, of in opened.items()
    ]
    return np.concatenate(parts)


def _overwrite(path: Path, shards: Shards, documents: Iterable[int]) -> None:
    """Overwrite some documents with end-of-document tokens.

    The file is changed in place, since a training process may have mapped it.
    """
    if not documents:
        return
    tokens = np.memmap(path, dtype=shards.tokens.dtype, mode="r+")
    for document in documents:
        tokens[shards.offsets[document] : shards.offsets[document + 1]] = shards.end_of_document
    tokens.flush()
