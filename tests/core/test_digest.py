"""Digests: equal content has equal names, also tomorrow."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.digest import digest_bytes, digest_file, digest_value, hash_ids

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(plain)
def test_a_value_has_one_digest_whatever_the_order_of_its_keys(value):
    def turned(v):
        if isinstance(v, dict):
            return {key: turned(v[key]) for key in reversed(v)}
        return [turned(item) for item in v] if isinstance(v, list) else v

    assert digest_value(turned(value)) == digest_value(value)


@given(st.binary())
def test_a_file_has_the_digest_of_its_bytes(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("digest") / "file"
    path.write_bytes(data)
    assert digest_file(path) == digest_bytes(data)


@given(st.lists(st.text(max_size=6)))
def test_ids_are_hashed_each_for_itself_and_in_order(ids):
    hashes = hash_ids(ids)
    assert hashes.dtype == np.dtype("<u8")
    assert hashes.shape == (len(ids),)
    assert [int(h) for h in hashes] == [int(hash_ids([i])[0]) for i in ids]
    assert len(set(hashes.tolist())) == len(set(ids))


def test_digests_are_the_same_as_in_every_other_release():
    assert digest_value({"b": [1, None, True], "a": "ä"}) == "a1c7f370b7686d80f8edbc4511ff1d79"
    assert hash_ids(["1", "ä"]).tolist() == [8518482412311870710, 4152366542966443504]
