"""What a network needs, in bits, to say each of some texts: the measure that evaluation is made of.

Each text is judged alone, its own tokens only: what it would cost to say that it ends is not
counted, nor what it would cost to say the control tokens (corpus/control.py) that it begins with in
training. Works on the device and in the precision that the network has. What is made of the bits is
in `evaluate.py`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from rookery.core.context import Progress, SilentProgress
from rookery.model.loss import IGNORED
from rookery.model.network import Network
from rookery.model.tokenizer import Tokenizer


def text_bits(
    network: Network,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    progress: Progress | None = None,
    controls: Sequence[Sequence[str]] | None = None,
) -> np.ndarray:
    """Bits (float64, one a text) that the network needs for each text's own tokens.

    The first token is predicted from the end-of-document token, and the text's control tokens after
    it. A text longer than the context is read in windows that each begin halfway through the one
    before, and every token is counted once. controls: of each text, by name; one that the tokenizer
    has no token for is not said.
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
    """A stretch of tokens, the one before it included; the first `known` targets are no text or
    counted elsewhere.
    """

    text: int
    tokens: list[int]
    known: int


def _before(tokenizer: Tokenizer, controls: Sequence[str]) -> list[int]:
    """What a text's first token is predicted from."""
    return [
        tokenizer.end_of_document,
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
    """Windows of like length together, so that little is padded."""
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
    """Nats (float64, one a window) of the targets that are not counted elsewhere."""
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
