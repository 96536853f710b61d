"""Embedding: a checkpoint as the `Embedder` that search and ads receive.

A text's vector is the mean of its tokens' rows of the output matrix. Frequent tokens weigh less
(SIF: Arora, Liang and Ma 2017), and the vectors are whitened over training documents, so that
directions that all texts share do not hide their differences. The network's hidden states did no
better at retrieval (LOG.md), and this needs no network: tens of thousands of posts a second.
Weights and whitening are folded into one table with a row for each token, which training stores
with the checkpoint; it holds sums over all documents, and no post. How search uses the vectors is
not here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from rookery.core.artifact import Artifact
from rookery.core.atomic import write_atomically
from rookery.core.errors import DataError
from rookery.core.protocols import Embedder
from rookery.corpus.shards import Shards
from rookery.model.tokenizer import Tokenizer, load_tokenizer

FILE = "embedding.safetensors"
RARE = 1e-3  # SIF's a: a token of this frequency counts half
FLOOR = 0.1  # added to every direction's variance, as a share of their mean
MOST_DOCUMENTS = 50_000
SLICE_DOCUMENTS = 1_024


def load_embedder(checkpoint: Artifact) -> Embedder:
    """Return the embedder of a checkpoint; several threads may use it at once.

    Raises `DataError` if its table has changed since it was written.
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
    """An `Embedder` that sums rows of a table (V, D, float32) and scales each sum to length 1."""

    digest: str
    table: np.ndarray
    tokenizer: Tokenizer

    @property
    def dimensions(self) -> int:
        """Return D, the size of a vector."""
        return self.table.shape[1]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the texts' vectors (texts, D, float32), zeros for a text without known tokens."""
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for start in range(0, len(texts), SLICE_DOCUMENTS):
            encoded = self.tokenizer.encode(texts[start : start + SLICE_DOCUMENTS])
            offsets = np.cumsum([0, *map(len, encoded)])
            tokens = np.array([token for one in encoded for token in one], np.int64)
            vectors[start : start + len(encoded)] = row_sums(self.table, tokens, offsets)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1.0)


def save_table(folder: Path, rows_VD: np.ndarray, shards: Shards, masked: np.ndarray) -> None:
    """Make the table of a trained output matrix and write it into a checkpoint's folder.

    rows_VD: the matrix, a row for each token. masked: bool (documents,), true for documents that
    must not be read.
    """
    chosen = np.flatnonzero(~masked)[:MOST_DOCUMENTS]
    offsets = shards.offsets
    # each without its end-of-document token
    documents = [shards.tokens[offsets[i] : offsets[i + 1] - 1] for i in chosen]
    write_table(folder, make_table(rows_VD, documents))


def write_table(folder: Path, table: np.ndarray) -> None:
    """Write a table (V, D, float32) into a checkpoint's folder."""
    write_atomically(folder / FILE, save({"table": table}))


def make_table(rows_VD: np.ndarray, documents: Sequence[np.ndarray]) -> np.ndarray:
    """Return the table (V, D, float32) of an output matrix.

    documents: the tokens of each, from which token frequencies and covariance are taken.
    """
    tokens = np.concatenate([np.zeros(0, np.int64), *documents])
    offsets = np.cumsum([0, *map(len, documents)])
    frequency = np.bincount(tokens, minlength=len(rows_VD)) / max(len(tokens), 1)
    weighted = rows_VD * (RARE / (RARE + frequency))[:, None].astype(np.float32)
    sums = row_sums(weighted, tokens, offsets)
    means = (sums / np.maximum(np.diff(offsets), 1)[:, None]).astype(np.float64)
    centre = means.mean(axis=0) if len(means) else np.zeros(rows_VD.shape[1])
    table = (weighted - centre) @ whitening(means - centre)
    # the rows of tokens that no document holds are noise: nothing was learned about them
    return np.where(frequency[:, None] > 0, table, 0.0).astype(np.float32)


def whitening(centred_ND: np.ndarray) -> np.ndarray:
    """Return the symmetric matrix (D, D) that whitens centred vectors (N, D).

    It gives them the same variance in every direction, except that directions of a variance far
    below the mean stay small (`FLOOR`).
    """
    covariance = centred_ND.T @ centred_ND / max(len(centred_ND), 1)
    variances, directions = np.linalg.eigh(covariance)
    mean = variances.mean()
    if mean <= 0:
        return np.eye(len(covariance))
    return directions @ np.diag((np.maximum(variances, 0) + FLOOR * mean) ** -0.5) @ directions.T


def row_sums(table: np.ndarray, tokens: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the sum (texts, D, float32) of each text's rows of a table; zeros for an empty text.

    tokens: those of all texts, one after another; offsets: where each text begins, and the end.
    """
    sums = np.zeros((len(offsets) - 1, table.shape[1]), np.float32)
    for start in range(0, len(sums), SLICE_DOCUMENTS):
        ends = offsets[start : start + SLICE_DOCUMENTS + 1]
        filled = np.flatnonzero(np.diff(ends))
        if len(filled):
            rows = table[tokens[ends[0] : ends[-1]]]
            sums[start + filled] = np.add.reduceat(rows, ends[filled] - ends[0], axis=0)
    return sums
