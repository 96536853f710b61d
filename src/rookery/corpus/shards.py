"""Shards: the tokens of a corpus as flat arrays that training maps into memory.

For each split:

    <split>.tokens         uint16, or uint32 for a vocabulary beyond 65,536, document after document
    <split>.offsets        int64, documents + 1: document i is tokens[offsets[i]:offsets[i + 1]]
    <split>.post_hashes    uint64, the hashes of all posts' ids, document after document
    <split>.author_hashes  uint64, parallel to post_hashes
    <split>.post_offsets   int64, documents + 1, into the two above
    <split>.learned        uint8, parallel to tokens: 1 where a model learns the token; only where
                           it does not learn all of them (conversations, of which it learns replies)

All little-endian. Each document begins with its control tokens, if the corpus has them, and ends
with the encoder's end-of-document token. By the hashes a forgotten post is masked in every later
batch. Not here: how tokens become batches (`model`).
"""

import functools
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow.parquet as pq

from rookery.core.arrays import among, ranges
from rookery.core.artifact import Artifact
from rookery.core.atomic import TEMPORARY
from rookery.core.context import Context, Task
from rookery.core.digest import hash_ids
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.core.lineage import HELD
from rookery.core.locks import reading_posts
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.document import ERASED_ID, LAKE_VERSION, SPLITS, count_documents, split_file
from rookery.corpus.prepared import hash_repeated_ids
from rookery.corpus.spread import spread
from rookery.posts.restrictions import Restrictions

VERSION = 4
BATCH_TEXTS = 4096


class Encoder(Protocol):
    """A tokenizer: text to tokens, all of them below `vocabulary`.

    digest: identifies the tokenizer. special: the tokens that are no text, by name; read only where
    documents carry control tokens.
    """

    digest: str
    vocabulary: int
    end_of_document: int
    special: Mapping[str, int]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, without the end-of-document token."""


@dataclass(frozen=True)
class ShardConfig:
    """The facts of the encoder that a reader of the shards needs."""

    vocabulary: int
    end_of_document: int


class Exclusions(NamedTuple):
    """The hashes of posts and authors that no batch may hold: uint64, sorted, each once."""

    posts: np.ndarray
    authors: np.ndarray


@dataclass(frozen=True)
class Shards:
    """A split mapped into memory; shapes as at the top of this module."""

    tokens: np.ndarray
    offsets: np.ndarray
    post_hashes: np.ndarray
    author_hashes: np.ndarray
    post_offsets: np.ndarray
    vocabulary: int
    end_of_document: int
    lake_version: int
    learned: np.ndarray | None = None

    @property
    def documents(self) -> int:
        """Return the number of documents."""
        return len(self.offsets) - 1

    def masked(self, restrictions: Restrictions) -> np.ndarray:
        """Return bool (documents,): true where a post may no longer be trained on or was edited."""
        return self.holding(self.exclusions(restrictions))

    def exclusions(self, restrictions: Restrictions) -> "Exclusions":
        """Return the posts and authors that exclude a document of these shards from training."""
        consent = restrictions.consent.get("training", {})
        refusing = (author for author, agreed in consent.items() if not agreed)
        # An edit of the corpus' own version of the lake, or of an earlier one, is in the corpus.
        edited = (
            post for post, version in restrictions.edited.items() if version > self.lake_version
        )
        posts = [*restrictions.posts, *edited, ERASED_ID]
        authors = [*restrictions.authors, *refusing]
        return Exclusions(np.unique(hash_ids(posts)), np.unique(hash_ids(authors)))

    def holding(self, exclusions: "Exclusions", documents: np.ndarray | None = None) -> np.ndarray:
        """Return for each document, as bool, whether it holds an excluded post or author.

        documents: the numbers of some documents; all if left out.
        """
        if documents is None:
            documents = np.arange(self.documents)
        if not len(documents):
            return np.zeros(0, dtype=bool)
        counts = self.post_offsets[documents + 1] - self.post_offsets[documents]
        places = ranges(self.post_offsets[documents], counts)
        hit = among(self.post_hashes[places], exclusions.posts) | among(
            self.author_hashes[places], exclusions.authors
        )
        return np.logical_or.reduceat(hit, np.cumsum(counts) - counts)


def write_shards(home: Home, corpus: Artifact, encoder: Encoder, context: Context) -> Artifact:
    """Encode a corpus, and return the artifact with the shards of both splits."""
    config = ShardConfig(encoder.vocabulary, encoder.end_of_document)
    stage = Stage("shards", VERSION, config, {"corpus": corpus.digest, "tokenizer": encoder.digest})

    def make(workspace: Workspace) -> dict[str, int]:
        shutil.copyfile(corpus.file(HELD), workspace.path / HELD)
        total = sum(count_documents(corpus, split) for split in SPLITS)
        metrics: dict[str, int] = {LAKE_VERSION: corpus.manifest.metrics[LAKE_VERSION]}
        groups = {split: _groups(workspace, corpus, split) for split in SPLITS}
        every = list(chain.from_iterable(groups.values()))
        encoded = spread(functools.partial(_encode, encoder), every, home.settings.corpus)
        with context.progress.task("encoding documents", total, "documents") as task:
            for split in SPLITS:
                metrics |= _write_split(workspace.path, split, groups[split], encoded, task)
        workspace.tally.kept = total
        return metrics

    with reading_posts(home):
        return run_stage(home, stage, make, context)


def open_shards(artifact: Artifact, split: str) -> Shards:
    """Map one split of a shards artifact into memory, without reading it."""
    config = ShardConfig(**artifact.manifest.config)
    learned = artifact.file(f"{split}.learned")
    return Shards(
        tokens=_mapped(artifact.file(f"{split}.tokens"), _token_type(config.vocabulary)),
        offsets=_mapped(artifact.file(f"{split}.offsets"), "<i8"),
        post_hashes=_mapped(artifact.file(f"{split}.post_hashes"), "<u8"),
        author_hashes=_mapped(artifact.file(f"{split}.author_hashes"), "<u8"),
        post_offsets=_mapped(artifact.file(f"{split}.post_offsets"), "<i8"),
        vocabulary=config.vocabulary,
        end_of_document=config.end_of_document,
        lake_version=artifact.manifest.metrics[LAKE_VERSION],
        learned=_mapped(learned, "u1") if learned.exists() else None,
    )


@dataclass(frozen=True)
class EncodedDocument:
    """The tokens of a document, which of them a model learns, and the posts inside it."""

    tokens: Sequence[int]
    learned: Sequence[bool]
    post_ids: Sequence[str]
    author_ids: Sequence[str]


def write_encoded(
    folder: Path, split: str, documents: Sequence[EncodedDocument], vocabulary: int
) -> dict[str, int]:
    """Write a split of documents that are encoded already, and return its metrics."""
    flat = chain.from_iterable
    files = {
        "tokens": np.fromiter(flat(d.tokens for d in documents), _token_type(vocabulary)),
        "learned": np.fromiter(flat(d.learned for d in documents), "u1"),
        "offsets": _offsets(len(d.tokens) for d in documents),
        "post_hashes": hash_ids(flat(d.post_ids for d in documents)),
        "author_hashes": hash_ids(flat(d.author_ids for d in documents)),
        "post_offsets": _offsets(len(d.post_ids) for d in documents),
    }
    for name, array in files.items():
        array.tofile(folder / f"{split}.{name}")
    return {f"documents_{split}": len(documents), f"tokens_{split}": len(files["tokens"])}


def _offsets(sizes: Iterable[int]) -> np.ndarray:
    return np.cumsum([0, *sizes], dtype="<i8")


@dataclass(frozen=True)
class _Group:
    """A row group of a split's documents, and the file for its piece of the shards."""

    documents_file: Path
    group: int
    piece: Path


def _groups(workspace: Workspace, corpus: Artifact, split: str) -> list[_Group]:
    path = split_file(corpus, split)
    metadata = pq.read_metadata(path)
    return [
        _Group(path, number, workspace.scratch / f"{split}.{number}.npz")
        for number in range(metadata.num_row_groups)
        if metadata.row_group(number).num_rows
    ]


def _write_split(
    folder: Path, split: str, groups: list[_Group], encoded: Iterator[Any], task: Task
) -> dict[str, int]:
    """Join the pieces of a split, each as soon as it is finished, and return the split's metrics.

    encoded: yields one value for each finished piece, in the order of `groups`.
    """
    lengths: list[np.ndarray] = [np.zeros(1, "<i8")]
    post_counts: list[np.ndarray] = [np.zeros(1, "<i8")]
    with ExitStack() as stack:
        files = {n: stack.enter_context(open(folder / f"{split}.{n}", "wb")) for n in _FLAT}
        for group in groups:
            next(encoded)
            with np.load(group.piece) as piece:
                for name, file in files.items():
                    file.write(piece[name].tobytes())
                lengths.append(piece["lengths"])
                post_counts.append(piece["post_counts"])
            task.advance(len(lengths[-1]))
    offsets = np.cumsum(np.concatenate(lengths))
    offsets.tofile(folder / f"{split}.offsets")
    np.cumsum(np.concatenate(post_counts)).tofile(folder / f"{split}.post_offsets")
    return {f"documents_{split}": len(offsets) - 1, f"tokens_{split}": int(offsets[-1])}


_FLAT = ("tokens", "post_hashes", "author_hashes")


def _encode(encoder: Encoder, group: _Group) -> None:
    """Write the tokens and hashes of a row group to its piece, whole or not at all."""
    if group.piece.exists():
        return
    columns = ["text", "post_ids", "author_ids", "controls"]
    table = pq.ParquetFile(group.documents_file).read_row_group(
        group.group, columns=columns, use_threads=False
    )
    tokens: list[np.ndarray] = []
    lengths: list[int] = []
    for batch in table.select(["text", "controls"]).to_batches(max_chunksize=BATCH_TEXTS):
        encoded = encoder.encode(batch["text"].to_pylist())
        if len(batch["controls"].flatten()):
            controls = (_control_tokens(encoder, names) for names in batch["controls"].to_pylist())
            encoded = [before + one for before, one in zip(controls, encoded, strict=True)]
        for one in encoded:
            one.append(encoder.end_of_document)
        lengths += map(len, encoded)
        tokens.append(np.fromiter(chain.from_iterable(encoded), _token_type(encoder.vocabulary)))
    post_ids, author_ids = (table[name].combine_chunks() for name in columns[1:3])
    unfinished = group.piece.with_name(f".{group.piece.name}{TEMPORARY}")
    with open(unfinished, "wb") as file:
        np.savez(
            file,
            tokens=np.concatenate(tokens),
            lengths=np.asarray(lengths, "<i8"),
            post_hashes=hash_ids(post_ids.flatten().to_pylist()),
            author_hashes=hash_repeated_ids(author_ids.flatten()),
            post_counts=post_ids.value_lengths().to_numpy().astype("<i8"),
        )
    unfinished.rename(group.piece)


def _control_tokens(encoder: Encoder, controls: Sequence[str]) -> list[int]:
    """Return a document's control tokens; raises `UsageError` if the tokenizer lacks one."""
    unknown = [name for name in controls if name not in encoder.special]
    if unknown:
        raise UsageError(
            f"the tokenizer has no token {unknown[0]}",
            hint="Run `rookery model tokenizer` for this corpus",
        )
    return [encoder.special[name] for name in controls]


def _token_type(vocabulary: int) -> str:
    return "<u2" if vocabulary <= 1 << 16 else "<u4"


def _mapped(path: Path, kind: str) -> np.ndarray:
    """Return a file as an array; an empty file cannot be mapped and is an empty array."""
    return np.memmap(path, dtype=kind, mode="r") if path.stat().st_size else np.empty(0, kind)
