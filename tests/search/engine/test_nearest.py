"""The nearest posts in meaning are those of comparing every vector, in any scope."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rookery.search.engine import nearest as module
from rookery.search.engine.columns import quantised
from rookery.search.engine.nearest import nearest


def a_view(vectors, shown):
    return SimpleNamespace(
        columns=SimpleNamespace(vectors=vectors), in_scope=lambda ordinals: shown[ordinals]
    )


@settings(deadline=None)
@given(st.data())
def test_they_are_those_of_comparing_each_one(data):
    seed, posts = data.draw(st.integers(0, 99)), data.draw(st.integers(1, 60))
    chance = np.random.default_rng(seed)
    vectors = quantised(chance.choice([-1, -0.5, 0.25, 1], (posts, data.draw(st.integers(1, 9)))))
    asked = quantised(chance.uniform(-1, 1, vectors.shape[1])) / 127
    assume(asked.any())
    shown = chance.random(posts) < data.draw(st.sampled_from([0.1, 0.6, 1.0]))
    among = np.flatnonzero(chance.random(posts) < data.draw(st.sampled_from([0.1, 0.5, 1.0])))
    count = data.draw(st.integers(1, 8))
    products = vectors.astype(int) @ np.rint(asked * 127).astype(int)
    wanted = sorted((n for n in among if shown[n]), key=lambda n: (-products[n], -n))[:count]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK_POSTS", data.draw(st.sampled_from([7, 1 << 18])))
        found = nearest(a_view(vectors, shown), asked, among, count).tolist()
    assert set(found) <= set(among[shown[among]].tolist())
    assert len(set(found)) == len(found)
    assert products[found].tolist() == products[wanted].tolist()


def test_a_text_without_a_vector_is_near_nothing():
    view = a_view(np.ones((3, 4), np.int8), np.ones(3, bool))
    assert not len(nearest(view, np.zeros(4), np.arange(3)))
