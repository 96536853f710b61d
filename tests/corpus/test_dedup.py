"""Duplicates, against brute force."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.digest import hash_ids
from rookery.corpus import dedup, minhash
from rookery.corpus.dedup import ALIKE, earliest, floods, jaccard
from rookery.corpus.normalize import key

WORDS = st.sampled_from(
    "rook crow raven jackdaw elm oak nest spring church tower morning again".split()
)
TEXTS = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)


def edited(text: str, random: np.random.Generator) -> str:
    """Return the text with one to three of its characters changed."""
    letters = list(text)
    for place in random.integers(len(letters), size=random.integers(1, 4)):
        letters[place] = "xyz"[random.integers(3)]
    return "".join(letters)


def near_duplicates(texts: pa.Array) -> np.ndarray:
    hashes = minhash.signatures(texts)
    return dedup.near_duplicates(
        minhash.bands(hashes).__getitem__,
        minhash.sketches(hashes),
        lambda places: texts.take(pa.array(places)).to_pylist(),
    )


@given(st.lists(st.sampled_from("abcd")))
def test_the_earliest_of_equal_texts_stands_for_all(texts):
    assert earliest(hash_ids(texts)).tolist() == [texts.index(text) for text in texts]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), max_size=20))
def test_a_flood_is_an_authors_fourth_of_one_template(posts):
    authors, templates = (hash_ids(post[n] for post in posts) for n in (0, 1))
    expected = [posts[:place].count(post) >= 3 for place, post in enumerate(posts)]
    assert floods(authors, templates).tolist() == expected


@given(st.lists(TEXTS, min_size=1, max_size=30, unique=True))
@settings(max_examples=60)
def test_each_dropped_text_is_alike_to_the_earlier_kept_one_that_stands_for_it(texts):
    representative = near_duplicates(pa.array(texts))
    assert (representative <= np.arange(len(texts))).all()
    assert (representative[representative] == representative).all()
    for place in np.flatnonzero(representative != np.arange(len(texts))):
        assert jaccard(texts[place], texts[representative[place]]) >= ALIKE


def test_similarity_counts_runs_of_five_characters():
    assert jaccard("abcdefg", "abcdefg") == 1
    assert jaccard("abcdef", "abcdexyz") == pytest.approx(1 / 5)
    assert jaccard("abc", "xyz") == 0


def test_nearly_all_pairs_above_the_threshold_are_found():
    random = np.random.default_rng(3)
    letters = "abcdefghijklmnopqrstuvwxyz      "
    originals = [
        "".join(letters[n] for n in random.integers(32, size=random.integers(40, 140)))
        for _ in range(400)
    ]
    copies = [edited(text, random) for text in originals]
    alike = np.array([jaccard(a, b) >= ALIKE for a, b in zip(originals, copies, strict=True)])
    found = near_duplicates(pa.array(originals + copies))[400:] == np.arange(400)
    assert 100 < alike.sum() < 400
    assert found[alike].mean() >= 0.99
    assert not found[~alike].any()


def test_a_flood_of_one_text_with_small_changes_is_one_star():
    text = (
        "the rooks are back in the old elm behind the church, says someone who counts them "
        "every single morning"
    )
    texts = [f"{text}, number {n:04}" for n in range(2000)]
    assert (near_duplicates(pa.array(texts)) == 0).all()


@pytest.mark.slow
def test_real_posts_agree_with_brute_force(shared_data):
    table = pq.read_table(shared_data / "tweets_ira/tweets.parquet", columns=["content"]).slice(
        200_000, 3000
    )
    keys = key(table["content"].combine_chunks()).to_pylist()
    keys = [text for text in dict.fromkeys(keys) if len(text) >= 12]
    runs = [{text[i : i + 5] for i in range(len(text) - 4)} for text in keys]
    truth = set()
    for b, runs_b in enumerate(runs):
        for a in range(b):
            shared = len(runs[a] & runs_b)
            if shared >= ALIKE * (len(runs[a]) + len(runs_b) - shared):
                truth.add((a, b))
    representative = near_duplicates(pa.array(keys))
    kept = representative == np.arange(len(keys))
    found = [not (kept[a] and kept[b]) for a, b in truth]
    assert len(truth) >= 10
    assert np.mean(found) >= 0.95
    assert all((representative[b], b) in truth for b in np.flatnonzero(~kept))


BASE = "abcdefghijklmnopqrstuvwx"  # 24 characters, so 20 runs of five


@pytest.mark.parametrize(("more", "representative"), [("12345", [0, 0]), ("123456", [0, 1])])
def test_four_fifths_of_all_runs_in_common_is_a_near_duplicate_and_less_is_none(
    more, representative
):
    texts = [BASE, BASE + more]
    assert (jaccard(*texts) >= 0.8) == (representative == [0, 0])
    assert near_duplicates(pa.array(texts)).tolist() == representative


def test_no_chain_joins_texts_that_are_not_alike():
    """The second is like the first and the third like the second; the third stays all the same."""
    texts = [BASE, BASE + "12345", BASE + "1234567890"]
    assert jaccard(texts[1], texts[2]) > 0.8 > jaccard(texts[0], texts[2])
    assert near_duplicates(pa.array(texts)).tolist() == [0, 0, 2]


def test_a_text_like_two_kept_ones_is_represented_by_the_first():
    texts = ["12345" + BASE, BASE + "67890", BASE]
    assert near_duplicates(pa.array(texts)).tolist() == [0, 1, 0]


def test_in_a_bucket_each_text_is_compared_with_the_first_and_the_eight_before_it():
    band = np.array([7, *[5] * 12, 9], np.uint64)
    pairs = dedup._pairs_of_band(band)
    found = {(pair >> 32, pair & 0xFFFFFFFF) for pair in pairs.tolist()}
    assert found == {(a, b) for b in range(1, 13) for a in range(1, b) if a == 1 or b - a <= 8}
    assert len(pairs) == len(found)


@pytest.mark.parametrize(("equal", "representative"), [(31, [0, 0]), (30, [0, 1])])
def test_pairs_are_checked_down_to_three_deviations_below_the_threshold(equal, representative):
    sketches = np.zeros((2, minhash.HASHES), np.uint8)
    sketches[1, equal:] = 1
    same_bucket = np.zeros(2, np.uint64)
    found = dedup.near_duplicates(
        lambda number: same_bucket, sketches, lambda places: [BASE] * len(places)
    )
    assert found.tolist() == representative


def test_a_text_of_fewer_than_five_characters_is_one_run():
    assert jaccard("abc", "abc") == 1
    assert jaccard("abc", "xbc") == jaccard("", "abc") == 0
