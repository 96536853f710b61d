"""Pooling: a text's vector as the mean of the network's hidden states over its tokens.

Texts of similar length share a batch, so that little is computed for padding; a later token never
changes an earlier one's state, so padding changes nothing. For search the table of `embed.py` does
as well and is many times faster (LOG.md): these vectors are for classifying (`probe.py`) and for
whoever asks for them. Not here: generation, and its cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rookery.core.artifact import Artifact
from rookery.model.checkpoint import load_network
from rookery.model.network import Network
from rookery.model.tokenizer import Tokenizer, load_tokenizer
from rookery.model.training.run import best_precision

BATCH_TOKENS = 4_096


def load_pooling(checkpoint: Artifact) -> "NetworkEmbedder":
    """Return a checkpoint's network as an embedder, on the best device, in its best precision."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = load_network(checkpoint, best_precision(device)).to(device)
    return NetworkEmbedder(checkpoint.digest, network, load_tokenizer(checkpoint))


@dataclass(frozen=True)
class NetworkEmbedder:
    """An `Embedder` of the mean hidden states; search does not use it, so its weight is 0."""

    digest: str
    network: Network
    tokenizer: Tokenizer
    weight: float = 0.0

    @property
    def dimensions(self) -> int:
        """Return D, the width of the network."""
        return self.network.shape.width

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the texts' vectors (texts, D, float32), each of length 1; zeros for an empty text.

        A text longer than the context is cut.
        """
        means = mean_states(self.network, self.tokenizer, texts)
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        return means / np.where(lengths > 0, lengths, 1.0)


@torch.inference_mode()
def mean_states(network: Network, tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray:
    """Return the mean hidden state of each text's tokens, float32 (texts, D)."""
    most = network.shape.context_tokens - 1
    encoded = [tokens[:most] for tokens in tokenizer.encode(texts)]
    means = np.zeros((len(texts), network.shape.width), np.float32)
    for batch in batches_by_length([len(tokens) for tokens in encoded]):
        tokens, inside = padded([encoded[n] for n in batch], tokenizer.end_of_document)
        means[batch] = mean_of(network, tokens, inside).cpu().numpy()
    return means


def mean_of(network: Network, tokens: Tensor, inside: Tensor) -> Tensor:
    """Return the mean hidden state (B, D, float32) of each text that `padded` put into a row."""
    device = network.head_VD.device
    hidden = network(tokens.to(device))[:, 1:].float()
    weights = inside.to(device)[:, :, None]
    return (hidden * weights).sum(1) / weights.sum(1)


def batches_by_length(lengths: Sequence[int], tokens: int = BATCH_TOKENS) -> Iterator[np.ndarray]:
    """Yield the numbers of texts that share a batch, shortest first; empty texts are in none.

    tokens: at most so many are in a batch, padding included, unless one text has more.
    """
    sizes = np.asarray(lengths, np.int64)
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] > 0]
    start = 0
    while start < len(order):
        ends = np.arange(1, len(order) - start + 1) * (sizes[order[start:]] + 1)
        end = start + max(1, int(np.searchsorted(ends, tokens, side="right")))
        yield order[start:end]
        start = end


def padded(encoded: Sequence[Sequence[int]], first: int) -> tuple[Tensor, Tensor]:
    """Return tokens (B, 1 + T) after a first one, and which of the T are a text's: float (B, T)."""
    lengths = torch.tensor([len(tokens) for tokens in encoded])
    longest = int(lengths.max())
    tokens = torch.full((len(encoded), 1 + longest), first)
    for row, own in enumerate(encoded):
        tokens[row, 1 : 1 + len(own)] = torch.tensor(own)
    return tokens, (torch.arange(longest) < lengths[:, None]).float()
