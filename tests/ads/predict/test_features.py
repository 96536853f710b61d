"""Features of views: hashed by arrays, to the buckets that their texts have."""

import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.ads.predict.features import (
    MOST_WORDS,
    ad_codes,
    field_buckets,
    padded,
    view_buckets,
)
from rookery.core.protocols import FEATURE_BUCKETS, NO_FEATURE

WORDS = st.lists(st.text(max_size=6), max_size=MOST_WORDS + 3)


def _bucket(feature: str) -> int:
    return zlib.crc32(feature.encode()) % 2**32 // (2**32 // FEATURE_BUCKETS)


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), WORDS, st.data())
def test_the_buckets_are_those_of_the_features_as_texts(ids, words, data):
    similarity = data.draw(st.lists(st.floats(-9, 9), min_size=len(ids), max_size=len(ids)))
    matched = np.array([[n % 2 == 0, n % 3 == 0] for n in range(len(ids))])
    made = view_buckets(ad_codes(ids), np.array(similarity), words, "en", ["tea", "чай"], matched)
    for name, near, row in zip(ids, similarity, made, strict=True):
        level = f"similar:{max(-2, min(6, round(near)))}"
        around = [level, "language:en", *(f"word:{word}" for word in words[:MOST_WORDS])]
        n = ids.index(name) if ids.count(name) == 1 else None
        if n is None:
            continue
        around += ["keyword:tea"] * (n % 2 == 0) + ["keyword:чай"] * (n % 3 == 0)
        features = {"all", level, f"ad:{name}", *(f"ad:{name}|{thing}" for thing in around)}
        assert set(row[row != NO_FEATURE].tolist()) == {_bucket(one) for one in features}


@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=9), st.integers(0, 3))
def test_a_column_is_hashed_as_its_texts_are_whole_or_cut(values, start):
    column = pa.array(values, pa.string()).slice(start)
    expected = [_bucket(f"C1={value or ''}") for value in values[start:]]
    assert field_buckets("C1", column).tolist() == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([[3]], [[3]]),
        ([[1, 2, 3], [], [4]], [[1, 2, 3], [-1, -1, -1], [4, -1, -1]]),
    ],
)
def test_rows_of_several_lengths_become_one_array(rows, expected):
    assert padded(rows).tolist() == expected
