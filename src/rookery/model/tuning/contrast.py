"""Contrast: the rows of a table learn that two texts of a pair are nearer than others.

The loss is InfoNCE in both directions (van den Oord et al. 2018; SimCSE, Gao et al. 2021): the
right text of each pair has to be found among the right texts of its batch, and the left one among
the left ones. A text is the sum of its tokens' rows, scaled to length 1, as the embedder makes it
(`embed.py`). The rows move by Adagrad (Duchi et al. 2011), which moves rare tokens as readily as
frequent ones; only rows of a batch's own tokens are touched.

Not here: which texts are pairs (`pairs.py`), and how a tuning goes on after a kill (`tune.py`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

TINY = 1e-10


@dataclass(frozen=True)
class Bags:
    """Texts as tokens, one text after another.

    tokens: int64. offsets: int64 (texts + 1,), where each text begins, and the end.
    """

    tokens: np.ndarray
    offsets: np.ndarray


class ContrastiveTable:
    """A table (V, D) in tuning: its rows, and Adagrad's sum of squares for each number in it."""

    def __init__(self, rows_VD: np.ndarray, temperature: float, learning_rate: float):
        self.rows = torch.tensor(rows_VD, dtype=torch.float32)
        self.squares = torch.full_like(self.rows, TINY)
        self._temperature, self._rate = temperature, learning_rate

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that tuning goes on from."""
        return {"rows": self.rows, "squares": self.squares}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from tensors that `state` returned."""
        self.rows, self.squares = state["rows"], state["squares"]

    def learn(self, left: Bags, right: Bags, same: np.ndarray, rate: float = 1.0) -> float:
        """Take one step on a batch of pairs and return its loss, in nats.

        same: bool (pairs, pairs), true where two different pairs share a text, so that neither is
        to be told from the other. rate: by which the learning rate is multiplied.
        """
        tokens = torch.from_numpy(np.concatenate([left.tokens, right.tokens]))
        used, place = torch.unique(tokens, return_inverse=True)
        rows = self.rows[used].requires_grad_()
        cut = len(left.tokens)
        a, b = (
            F.normalize(F.embedding_bag(one, rows, torch.from_numpy(bags.offsets[:-1]), mode="sum"))
            for one, bags in ((place[:cut], left), (place[cut:], right))
        )
        loss = _info_nce(a, b, torch.from_numpy(same), self._temperature)
        (gradient,) = torch.autograd.grad(loss, rows)
        self._move(used, gradient, rate)
        return loss.item()

    def _move(self, used: Tensor, gradient: Tensor, rate: float) -> None:
        squares = self.squares[used] + gradient.square()
        self.squares[used] = squares
        self.rows[used] -= rate * self._rate * gradient / squares.sqrt()


def _info_nce(a: Tensor, b: Tensor, same: Tensor, temperature: float) -> Tensor:
    logits = (a @ b.T / temperature).masked_fill(same, -torch.inf)
    truth = torch.arange(len(a))
    return (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
