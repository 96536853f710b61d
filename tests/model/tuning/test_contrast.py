"""Contrast: the two texts of a pair come nearer than others, and only their tokens' rows move."""

import numpy as np
import pytest
import torch

from rookery.model.tuning.contrast import Bags, ContrastiveTable

NONE_SHARED = np.zeros((8, 8), dtype=bool)


def bags(texts: list[list[int]]) -> Bags:
    return Bags(np.concatenate(texts).astype(np.int64), np.cumsum([0, *map(len, texts)]))


def pairs() -> tuple[Bags, Bags]:
    """Return eight pairs; pair n is of the tokens 4n, 4n + 1 and 4n + 2, 4n + 3."""
    left, right = ([[4 * n + k, 4 * n + k + 1] for n in range(8)] for k in (0, 2))
    return bags(left), bags(right)


def table(rate: float = 0.05) -> ContrastiveTable:
    rows = np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32)
    return ContrastiveTable(rows * 0.1, temperature=0.05, learning_rate=rate)


def test_the_loss_is_that_of_finding_each_text_among_those_of_its_batch():
    tuned = table()
    left, right = pairs()
    a, b = (
        torch.stack([tuned.rows[torch.from_numpy(side.tokens)].view(8, 2, 16).sum(1)])[0]
        for side in (left, right)
    )
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    scores = (a @ b.T / 0.05).double()
    expected = -(scores.log_softmax(1).diag() + scores.log_softmax(0).diag()).mean() / 2
    assert tuned.learn(left, right, NONE_SHARED) == pytest.approx(float(expected), abs=1e-4)


def test_the_loss_falls_and_only_rows_of_the_batch_move():
    tuned = table()
    before = tuned.rows.clone()
    losses = [tuned.learn(*pairs(), NONE_SHARED) for _ in range(50)]
    assert losses[-1] < 0.1 < losses[0]
    assert torch.equal(tuned.rows[32:], before[32:])
    assert (tuned.rows[:32] != before[:32]).any(dim=1).all()


def test_pairs_that_share_a_text_are_not_told_from_each_other():
    left, right = bags([[0], [0]]), bags([[1], [2]])
    sharing = ~np.eye(2, dtype=bool)
    assert table().learn(left, right, sharing) == pytest.approx(0.0, abs=1e-6)
    assert table().learn(left, right, ~sharing & sharing) > 0.1


def test_a_table_goes_on_from_its_state():
    one, other = table(), table()
    one.learn(*pairs(), NONE_SHARED)
    other.restore({name: value.clone() for name, value in one.state().items()})
    assert one.learn(*pairs(), NONE_SHARED) == other.learn(*pairs(), NONE_SHARED)
    assert torch.equal(one.rows, other.rows)
