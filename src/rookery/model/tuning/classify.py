"""Classifying: all weights of a network learn to tell the labels of texts apart.

A linear layer on the mean hidden state is added, and everything moves by AdamW. It is for probing
only (`probe.py`): the result is judged and thrown away.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rookery.model.inference.pooling import batches_by_length, mean_of, padded
from rookery.model.network import Network
from rookery.model.tokenizer import Tokenizer

EPOCHS, BATCH_TEXTS = 4, 16
LEARNING_RATE = 5e-4


def finetuned(
    network: Network,
    tokenizer: Tokenizer,
    texts: tuple[Sequence[str], Sequence[str]],
    labels: np.ndarray,
    classes: int,
) -> np.ndarray:
    """Train a network on the first texts and their labels; return the labels of the others.

    labels: int64 (texts,), below `classes`.
    """
    most = network.shape.context_tokens - 1
    learned, judged = (
        [tokens[:most] or [tokenizer.end_of_document] for tokens in tokenizer.encode(part)]
        for part in texts
    )
    head = nn.Linear(network.shape.width, classes)
    nn.init.zeros_(head.weight)
    network.requires_grad_()
    optimizer = torch.optim.AdamW([*network.parameters(), *head.parameters()], LEARNING_RATE)
    random, steps = np.random.default_rng(0), EPOCHS * -(-len(learned) // BATCH_TEXTS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)

    def logits(rows: np.ndarray, encoded: list[list[int]]) -> torch.Tensor:
        tokens, inside = padded([encoded[n] for n in rows], tokenizer.end_of_document)
        return head(mean_of(network, tokens, inside))

    for _ in range(EPOCHS):
        order = random.permutation(len(learned))
        for start in range(0, len(order), BATCH_TEXTS):
            rows = order[start : start + BATCH_TEXTS]
            loss = F.cross_entropy(logits(rows, learned), torch.from_numpy(labels[rows]))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    given = np.zeros(len(judged), np.int64)
    with torch.inference_mode():
        for rows in batches_by_length([len(tokens) for tokens in judged]):
            given[rows] = logits(rows, judged).argmax(1).numpy()
    return given
