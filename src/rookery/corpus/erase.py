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
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rookery.core.arrays import is_among
from rookery.core.artifact import Artifact, is_half_erased
from rookery.core.atomic import TEMPORARY, sync
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.lineage import UNLEARNED, held_hashes, holds, note_erased, note_unlearned
from rookery.core.rewrite import half_erased, rewrite
from rookery.corpus import report
from rookery.corpus.document import (
    DOCUMENT_SCHEMA,
    ERASED_ID,
    LAKE_VERSION,
    SPLITS,
    read_documents,
    split_file,
    write_documents,
)
from rookery.corpus.shards import Shards, open_shards
from rookery.posts.erase import Erased, ErasurePlan

ASKED = "first_asked"
"""The field of the manifest's note that holds when the first of the erased posts from which models
learned was asked to be forgotten; "" if none was.
"""
LEARNED_SPLIT = SPLITS[0]
"""The split that tokenizers and models learn from; they are judged on the other."""


def erase_corpus(corpus: Artifact, plan: ErasurePlan, context: Context) -> list[Erased]:
    """Erase the posts of a plan from a corpus, and report what was erased.

    Nothing is written if the corpus holds none of them.
    """
    listed = plan.posts(corpus.manifest.metrics[LAKE_VERSION])
    names = {split: _names_in_affected(corpus, split, listed, plan.authors) for split in SPLITS}
    facts = report.read(corpus)
    # of all posts that go, however many, those that are here: in a document or as a sample
    shown = listed.intersection(report.shown(facts))
    posts = shown.union(*(of_split.posts for of_split in names.values()))
    gone = hash_ids(posts)
    if not _has_work(corpus, gone):
        return []
    left = report.without(facts, posts)
    documents = 0
    learned = hash_ids([*names[LEARNED_SPLIT].posts, *names[LEARNED_SPLIT].authors])

    def change() -> dict[str, Any]:
        nonlocal documents
        # before any document is emptied, since afterwards nobody knows in which split it was
        note_unlearned(corpus.path, np.setdiff1d(gone, learned))
        note_erased(corpus.path, gone)
        report.write(corpus.path, left)
        for split in SPLITS:
            documents += _rewrite_documents(split_file(corpus, split), listed, plan.authors)
        return {"documents": sum(_count_erased(split_file(corpus, split)) for split in SPLITS)}

    _rewrite(corpus, plan, learned, change, context)
    samples = len(report.shown(facts)) - len(report.shown(left))
    return _counted(corpus, documents=documents, samples=samples)


def erase_shards(shards: Artifact, plan: ErasurePlan, context: Context) -> list[Erased]:
    """Erase the posts of a plan from shards, and report what was erased.

    Nothing is written if the shards hold none of them.
    """
    opened = {split: open_shards(shards, split) for split in SPLITS}
    excluded = opened[LEARNED_SPLIT].exclusions(plan.restrictions)
    masked = {split: of.holding(excluded) for split, of in opened.items()}
    left = {split: _with_tokens(of, masked[split]) for split, of in opened.items()}
    inside = [_hashes_in(of, masked[split], "post_hashes") for split, of in opened.items()]
    # `excluded` names those of a sample too, of which the shards hold no document
    posts = np.unique(np.concatenate([excluded.posts, hash_ids(plan.in_lake), *inside]))
    documents = sum(map(len, left.values()))
    if not documents and not _has_work(shards, posts):
        return []

    def change() -> dict[str, Any]:
        note_erased(shards.path, posts)
        for split, of in opened.items():
            _overwrite(shards.file(f"{split}.tokens"), of, left[split])
        return {"documents": sum(int(of.sum()) for of in masked.values())}

    learned = [
        _hashes_in(opened[LEARNED_SPLIT], masked[LEARNED_SPLIT], name)
        for name in ("post_hashes", "author_hashes")
    ]
    _rewrite(shards, plan, np.concatenate(learned), change, context)
    return _counted(shards, documents=documents)


def learns_from(artifact: Artifact, post_id: str) -> bool:
    """Return whether models learn from a post of a corpus or of shards that hold or held it.

    They do not learn from documents that are held out, nor from the report's samples. What an
    erasure of an earlier release removed counts as learned.
    """
    post = hash_ids([post_id])
    if artifact.kind == "shards":  # its hashes stay after an erasure
        return bool(np.isin(post, open_shards(artifact, LEARNED_SPLIT).post_hashes)[0])
    if holds(artifact.path, post_id):
        return any(
            pc.any(pc.equal(batch["post_ids"].flatten(), post_id)).as_py()
            for batch in read_documents(artifact, LEARNED_SPLIT, ["post_ids"])
        )
    return not np.isin(post, held_hashes(artifact.path, UNLEARNED))[0]


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


class _Names(NamedTuple):
    """The posts of some documents, and their authors."""

    posts: set[str]
    authors: set[str]


def _names_in_affected(
    corpus: Artifact, split: str, listed: frozenset[str], authors: frozenset[str]
) -> _Names:
    """Return the ids and the authors of all posts in the documents of a split to erase.

    The empty names of documents that were erased before may be among them.
    """
    found = _Names(set(), set())
    for batch in read_documents(corpus, split, ["post_ids", "author_ids"]):
        affected = batch.filter(_is_affected(batch, listed, authors))
        for names, column in zip(found, affected.columns, strict=True):
            names.update(column.flatten().to_pylist())
    return found


def _is_affected(
    documents: pa.RecordBatch | pa.Table, listed: frozenset[str], authors: frozenset[str]
) -> pa.Array:
    """Return for each document, as bool, whether one of its posts has to be erased."""
    posts, writers = (_one_array(documents[name]) for name in ("post_ids", "author_ids"))
    inside = pc.or_(is_among(posts.flatten(), listed), is_among(writers.flatten(), authors))
    document = np.repeat(np.arange(len(posts)), posts.value_lengths())
    affected = np.zeros(len(posts), dtype=bool)
    affected[document[inside.to_numpy(zero_copy_only=False)]] = True
    return pa.array(affected)


def _one_array(column: pa.Array | pa.ChunkedArray) -> pa.ListArray:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _rewrite_documents(path: Path, listed: frozenset[str], authors: frozenset[str]) -> int:
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


def _hashes_in(shards: Shards, masked: np.ndarray, name: str) -> np.ndarray:
    """Return the hashes of the posts, or of their authors, in the masked documents of a split."""
    return getattr(shards, name)[np.repeat(masked, np.diff(shards.post_offsets))]


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
