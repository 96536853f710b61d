"""Embedding: a checkpoint as the `Embedder` that search and ads are given.

A text's vector is the mean of its tokens' rows of the output matrix, weighted down for frequent
tokens (SIF: Arora, Liang and Ma 2017) and whitened over training documents, so that no direction
that all texts share drowns what tells them apart. What a network makes of its tokens did no better
at retrieval (LOG.md), and this needs no network: tens of thousands of posts a second. Weight and
whitening are folded into one table, a row a token, which training stores with the checkpoint; it
holds sums over all documents, and no post.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from rookery.core.artifact import Artifact, write_atomically
from rookery.core.errors import DataError
from rookery.core.protocols import Embedder
from rookery.corpus.shards import Shards
from rookery.model.tokenizer import Tokenizer, load_tokenizer

FILE = "embedding.safetensors"
RARE = 1e-3  # SIF's a: a token of this frequency counts half
FLOOR = 0.1  # what is added to every direction's variance, as a share of their mean
MOST_DOCUMENTS = 50_000
SLICE_DOCUMENTS = 1_024


def load_embedder(checkpoint: Artifact) -> Embedder:
    """The embedder of a checkpoint; safe to use from several threads.

    Raises `DataError` if its table is not what was written.
    """
    path = checkpoint.file(FILE)
    checkpoint.verify([FILE])
    try:
        table = load_file(path)["table"]
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(
            f"the table of embeddings cannot be read: {error}", where=path, hint="Train it anew"
        ) from None
    return TableEmbedder(checkpoint.digest, table, load_tokenizer(checkpoint))


@dataclass(frozen=True)
class TableEmbedder:
    """Sums of rows of a table (tokens, dimensions), each sum made a unit vector."""

    digest: str
    table: np.ndarray
    tokenizer: Tokenizer

    @property
    def dimensions(self) -> int:
        return self.table.shape[1]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for start in range(0, len(texts), SLICE_DOCUMENTS):
            encoded = self.tokenizer.encode(texts[start : start + SLICE_DOCUMENTS])
            offsets = np.cumsum([0, *map(len, encoded)])
            tokens = np.array([token for one in encoded for token in one], np.int64)
            vectors[start : start + len(encoded)] = row_sums(self.table, tokens, offsets)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1.0)


def save_table(folder: Path, rows_VD: np.ndarray, shards: Shards, masked: np.ndarray) -> None:
    """Make the table of a trained matrix, a row a token, and write it into a checkpoint's folder.

    masked: bool of shape (documents,), true for those that must not be looked at.
    """
    chosen = np.flatnonzero(~masked)[:MOST_DOCUMENTS]
    offsets = shards.offsets
    documents = [
        shards.tokens[offsets[i] : offsets[i + 1] - 1] for i in chosen
    ]  # without the end of the document
    table = make_table(rows_VD, documents)
    write_atomically(folder / FILE, save({"table": table}))


def make_table(rows_VD: np.ndarray, documents: Sequence[np.ndarray]) -> np.ndarray:
    """The table (V, D, float32) of a matrix, with the token frequencies and the spread of some
    documents.
    """
    tokens = np.concatenate([np.zeros(0, np.int64), *documents])
    offsets = np.cumsum([0, *map(len, documents)])
    frequency = np.bincount(tokens, minlength=len(rows_VD)) / max(len(tokens), 1)
    weighted = rows_VD * (RARE / (RARE + frequency))[:, None].astype(np.float32)
    sums = row_sums(weighted, tokens, offsets)
    means = (sums / np.maximum(np.diff(offsets), 1)[:, None]).astype(np.float64)
    centre = means.mean(axis=0) if len(means) else np.zeros(rows_VD.shape[1])
    table = (weighted - centre) @ whitening(means - centre)
    return np.where(frequency[:, None] > 0, table, 0.0).astype(
        np.float32
    )  # nothing was learned of tokens not met


def whitening(centred_ND: np.ndarray) -> np.ndarray:
    """The symmetric matrix (D, D) that gives centred vectors the same spread in every direction,
    smallest ones less.
    """
    spread = centred_ND.T @ centred_ND / max(len(centred_ND), 1)
    variances, directions = np.linalg.eigh(spread)
    mean = variances.mean()
    if mean <= 0:
        return np.eye(len(spread))
    return directions @ np.diag((np.maximum(variances, 0) + FLOOR * mean) ** -0.5) @ directions.T


def row_sums(table: np.ndarray, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """For each text, the sum (float32) of its tokens' rows; zeros for a text without tokens."""
    sums = np.zeros((len(offsets) - 1, table.shape[1]), np.float32)
    for start in range(0, len(sums), SLICE_DOCUMENTS):
        ends = offsets[start : start + SLICE_DOCUMENTS + 1]
        filled = np.flatnonzero(np.diff(ends))
        if len(filled):
            rows = table[tokens[ends[0] : ends[-1]]]
            sums[start + filled] = np.add.reduceat(rows, ends[filled] - ends[0], axis=0)
    return sums
