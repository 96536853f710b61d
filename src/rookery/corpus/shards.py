"""Shards: the tokens of a corpus as flat arrays that training maps into memory.

For each split:

    <split>.tokens         uint16, or uint32 for a vocabulary beyond 65,536; documents one after another
    <split>.offsets        int64, documents + 1: document i is tokens[offsets[i]:offsets[i + 1]]
    <split>.post_hashes    uint64, the hashes of all posts' ids, document after document
    <split>.author_hashes  uint64, parallel to post_hashes
    <split>.post_offsets   int64, documents + 1, into the two above

All little-endian. Each document begins with its control tokens, if the corpus has them, and ends with the
encoder's end-of-document token. The hashes are how a forgotten post is masked in every later batch.
Not here: how tokens become batches (`model`).
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.core.lineage import HELD
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.document import LAKE_VERSION, SPLITS, count_documents, read_documents
from rookery.posts.live import Standing

VERSION = 3


class Encoder(Protocol):
    """Texts to tokens. `digest` names the tokenizer; all tokens are below `vocabulary`.

    special: the tokens that are no text, by name; asked for only where documents carry control tokens.
    """

    digest: str
    vocabulary: int
    end_of_document: int
    special: Mapping[str, int]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, without the end-of-document token."""


@dataclass(frozen=True)
class ShardConfig:
    """What a reader has to know of the encoder."""

    vocabulary: int
    end_of_document: int


@dataclass(frozen=True)
class Shards:
    """One split, mapped into memory; shapes as in this module's opening."""

    tokens: np.ndarray
    offsets: np.ndarray
    post_hashes: np.ndarray
    author_hashes: np.ndarray
    post_offsets: np.ndarray
    vocabulary: int
    end_of_document: int
    lake_version: int

    @property
    def documents(self) -> int:
        return len(self.offsets) - 1

    def masked(self, standing: Standing) -> np.ndarray:
        """bool of shape (documents,): true where any post may no longer be trained on, or was edited since."""
        if not self.documents:
            return np.zeros(0, dtype=bool)
        edited = (post for post, version in standing.edited.items() if version > self.lake_version)
        refusing = (author for author, said in standing.consent.get("training", {}).items() if not said)
        hit = np.isin(self.post_hashes, hash_ids([*standing.posts, *edited]))
        hit |= np.isin(self.author_hashes, hash_ids([*standing.authors, *refusing]))
        return np.logical_or.reduceat(hit, self.post_offsets[:-1])


def write_shards(home: Home, corpus: Artifact, encoder: Encoder, context: Context) -> Artifact:
    """Encode a corpus; the artifact holds both splits."""
    config = ShardConfig(encoder.vocabulary, encoder.end_of_document)
    stage = Stage("shards", VERSION, config, {"corpus": corpus.digest, "tokenizer": encoder.digest})

    def make(workspace: Workspace) -> dict[str, int]:
        shutil.copyfile(corpus.file(HELD), workspace.path / HELD)
        total = sum(count_documents(corpus, split) for split in SPLITS)
        metrics: dict[str, int] = {LAKE_VERSION: corpus.manifest.metrics[LAKE_VERSION]}
        with context.progress.task("encoding documents", total, "documents") as task:
            for split in SPLITS:
                metrics |= _write_split(workspace.path, corpus, split, encoder, task)
        workspace.tally.kept = total
        return metrics

    return run_stage(home, stage, make, context)


def open_shards(artifact: Artifact, split: str) -> Shards:
    """One split of a shards artifact, mapped into memory and not read."""
    config = ShardConfig(**artifact.manifest.config)
    return Shards(
        tokens=_mapped(artifact.file(f"{split}.tokens"), _token_type(config.vocabulary)),
        offsets=_mapped(artifact.file(f"{split}.offsets"), "<i8"),
        post_hashes=_mapped(artifact.file(f"{split}.post_hashes"), "<u8"),
        author_hashes=_mapped(artifact.file(f"{split}.author_hashes"), "<u8"),
        post_offsets=_mapped(artifact.file(f"{split}.post_offsets"), "<i8"),
        vocabulary=config.vocabulary,
        end_of_document=config.end_of_document,
        lake_version=artifact.manifest.metrics[LAKE_VERSION],
    )


def _write_split(folder: Path, corpus: Artifact, split: str, encoder: Encoder, task) -> dict[str, int]:
    kind = _token_type(encoder.vocabulary)
    end = [encoder.end_of_document]
    lengths, post_counts = [np.zeros(1, "<i8")], [np.zeros(1, "<i8")]
    with ExitStack() as stack:
        tokens, posts, authors = (
            stack.enter_context(open(folder / f"{split}.{name}", "wb"))
            for name in ("tokens", "post_hashes", "author_hashes")
        )
        for batch in read_documents(corpus, split, ["text", "post_ids", "author_ids", "controls"]):
            texts = encoder.encode(batch["text"].to_pylist())
            encoded = [_said_before(encoder, c) + t for c, t in zip(batch["controls"].to_pylist(), texts, strict=True)]
            tokens.write(np.asarray([token for one in encoded for token in one + end], dtype=kind).tobytes())
            posts.write(_hashes(batch["post_ids"]))
            authors.write(_hashes(batch["author_ids"]))
            lengths.append(np.asarray([len(one) + 1 for one in encoded], dtype="<i8"))
            post_counts.append(batch["post_ids"].value_lengths().to_numpy().astype("<i8"))
            task.advance(batch.num_rows)
    offsets = np.cumsum(np.concatenate(lengths))
    offsets.tofile(folder / f"{split}.offsets")
    np.cumsum(np.concatenate(post_counts)).tofile(folder / f"{split}.post_offsets")
    return {f"documents_{split}": len(offsets) - 1, f"tokens_{split}": int(offsets[-1])}


def _said_before(encoder: Encoder, controls: Sequence[str]) -> list[int]:
    """The control tokens of a document; a tokenizer of another corpus may not know them."""
    unknown = [name for name in controls if name not in encoder.special]
    if unknown:
        raise UsageError(
            f"the tokenizer has no token {unknown[0]}", mend="Run `rookery model tokenizer` for this corpus"
        )
    return [encoder.special[name] for name in controls]


def _hashes(ids: pa.ListArray) -> bytes:
    return hash_ids(ids.flatten().to_pylist()).tobytes()


def _token_type(vocabulary: int) -> str:
    return "<u2" if vocabulary <= 1 << 16 else "<u4"


def _mapped(path: Path, kind: str) -> np.ndarray:
    """A file as an array; an empty file cannot be mapped and is an empty array."""
    return np.memmap(path, dtype=kind, mode="r") if path.stat().st_size else np.empty(0, kind)
