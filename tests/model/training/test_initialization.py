"""The first weights: the same for any division into rows, and a first loss of a uniform guess."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import SHAPE, fresh_network, some_tokens

from rookery.model.training.initialization import initial_rows
from rookery.model.training.loss import summed_loss


@pytest.mark.parametrize(("tied", "tolerance"), [(True, 0.1), (False, 1e-5)])
def test_first_loss_is_that_of_a_uniform_guess(tied, tolerance):
    fresh = fresh_network(replace(SHAPE, tied=tied), 0)
    tokens = some_tokens(4, 32)
    loss = summed_loss(fresh, fresh(tokens), tokens.roll(1)) / tokens.numel()
    assert abs(loss.item() - math.log(SHAPE.vocabulary)) < tolerance


@given(st.integers(0, 200), st.integers(0, 200))
def test_some_rows_of_a_weight_are_drawn_as_the_whole_has_them(one, other):
    rows, size = slice(min(one, other), max(one, other)), torch.Size((200, 3))
    whole = initial_rows(5, "model.embed_tokens.weight", size, slice(0, 200))
    assert torch.equal(initial_rows(5, "model.embed_tokens.weight", size, rows), whole[rows])


def test_each_weight_and_each_seed_is_drawn_for_itself():
    size, rows = torch.Size((300, 40)), slice(0, 300)
    drawn = [
        initial_rows(seed, name, size, rows) for seed in (0, 1) for name in ("a.q_proj", "b.q_proj")
    ]
    assert all(abs(one.std().item() * 40**0.5 - 1) < 0.03 for one in drawn)
    parts = torch.cat([one[:256].reshape(4, 64 * 40) for one in drawn])
    likeness = torch.corrcoef(parts) - torch.eye(len(parts))
    assert likeness.abs().max() < 0.1  # of 2,560 numbers each: five deviations
