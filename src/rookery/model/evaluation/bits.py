"""Bits: how many a network needs to encode each of some texts, the measure of all evaluation.

Each text is judged alone, by its own tokens only: neither the end of the text costs anything, nor
the control tokens (corpus/control.py) that come before it in training. The computation runs on the
device and in the precision of the network. What the bits are used for is in `evaluate.py`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from rookery.core.context import Progress, SilentProgress
from rookery.model.network import Network
from rookery.model.tokenizer import Tokenizer
from rookery.model.training.loss import IGNORED


def text_bits(
    network: Network,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    progress: Progress | None = None,
    controls: Sequence[Sequence[str]] | None = None,
) -> np.ndarray:
    """Return the bits (float64, one for each text) of the negative log-likelihood of its tokens.

    The first token is predicted from what training puts before a text and its control tokens. A
    text longer than the context is read in windows, each of which begins halfway through the one
    before, and every token is counted once. controls: those of each text, by name; a name for which
    the tokenizer has no token is left out.
    """
    before = [
        _before(tokenizer, names) for names in ([()] * len(texts) if controls is None else controls)
    ]
    windows = list(_windows(before, tokenizer.encode(texts), network.shape.context_tokens))
    bits = np.zeros(len(texts))
    with (progress or SilentProgress()).task("evaluation", len(windows), "texts") as task:
        for batch in _batches(windows):
            for window, nats in zip(batch, _losses(network, batch), strict=True):
                bits[window.text] += nats / math.log(2)
            task.advance(len(batch))
    return bits


@dataclass(frozen=True)
class _Window:
    """A stretch of tokens, with the one before it.

    text: the number of the text. known: how many of the first targets do not count, since they are
    control tokens or are counted in another window.
    """

    text: int
    tokens: list[int]
    known: int


def _before(tokenizer: Tokenizer, controls: Sequence[str]) -> list[int]:
    """Return the tokens that a text's first token is predicted from."""
    return [
        *tokenizer.before_text,
        *(tokenizer.special[name] for name in controls if name in tokenizer.special),
    ]


def _windows(
    before: Sequence[Sequence[int]], encoded: Sequence[Sequence[int]], context_tokens: int
) -> Iterator[_Window]:
    stride = max(context_tokens // 2, 1)
    for text, (given, tokens) in enumerate(zip(before, encoded, strict=True)):
        whole = [*given, *tokens]
        yield _Window(text, whole[: context_tokens + 1], len(given) - 1)
        for start in range(stride, len(whole) - 1 - (context_tokens - stride), stride):
            yield _Window(text, whole[start : start + context_tokens + 1], context_tokens - stride)


def _batches(windows: list[_Window], tokens: int = 4_096) -> Iterator[list[_Window]]:
    """Yield batches of windows of similar length, so that there is little padding."""
    batch: list[_Window] = []
    for window in sorted(windows, key=lambda w: (len(w.tokens), w.text)):
        if batch and (len(batch) + 1) * len(window.tokens) > tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


@torch.no_grad()
def _losses(network: Network, batch: Sequence[_Window]) -> np.ndarray:
    """Return the nats (float64, one for each window) of the targets that count."""
    longest = max(len(w.tokens) for w in batch)
    tokens = torch.zeros(len(batch), longest, dtype=torch.long)
    targets = torch.full((len(batch), longest - 1), IGNORED)
    for row, window in enumerate(batch):
        tokens[row, : len(window.tokens)] = torch.tensor(window.tokens)
        targets[row, window.known : len(window.tokens) - 1] = tokens[
            row, window.known + 1 : len(window.tokens)
        ]
    device = network.head_VD.device
    logits = network.logits(network(tokens[:, :-1].to(device))).float()
    nats = F.cross_entropy(
        logits.flatten(0, 1), targets.flatten().to(device), ignore_index=IGNORED, reduction="none"
    )
    return nats.view_as(targets).double().sum(dim=1).cpu().numpy()
