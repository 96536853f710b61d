"""The exact join against a naive one."""

import importlib.util
from itertools import combinations
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

FILE = Path(__file__).parents[2] / "benchmarks" / "jaccard_join.py"
spec = importlib.util.spec_from_file_location("jaccard_join", FILE)
jaccard_join = importlib.util.module_from_spec(spec)
spec.loader.exec_module(jaccard_join)


def naive(texts, least):
    runs = [{text[i : i + 5] for i in range(max(1, len(text) - 4))} for text in texts]
    return [
        [i, j]
        for i, j in combinations(range(len(texts)), 2)
        if len(runs[i] & runs[j]) / len(runs[i] | runs[j]) >= least
    ]


@given(
    st.lists(st.text("ab", min_size=1, max_size=14), min_size=2, max_size=20),
    st.sampled_from([0.5, 0.8, 1.0]),
)
def test_exactly_the_pairs_that_are_alike_are_found(texts, least):
    assert jaccard_join.similar_pairs(texts, least).tolist() == naive(texts, least)
