"""The split by time and by author, and how much its sides share."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.digest import hash_ids
from rookery.corpus.split import HELD_AUTHORS, Overlap, cut, held_out, shared_authors, straddlers


def shared_text(train: pa.Array, validation: pa.Array) -> dict[str, int]:
    overlap = Overlap(validation)
    for text in train.to_pylist():
        overlap.see(pa.array([text]))
    return overlap.counts()


@given(st.lists(st.integers(0, 1000), min_size=2), st.integers(1, 60))
def test_both_sides_have_posts_and_train_is_never_later(times, limit):
    created = np.sort(np.array(times))
    train = cut(created, 0.05, limit)
    assert 0 < train < len(created)
    assert created[train - 1] <= created[train]


def test_validation_is_the_given_share_at_least_fifty_and_at_most_the_limit():
    assert cut(np.arange(10_000), 0.05, 20_000) == 9_500
    assert cut(np.arange(500), 0.05, 20_000) == 450
    assert cut(np.arange(100), 0.05, 20_000) == 80
    assert cut(np.arange(10_000), 0.05, 100) == 9_900


def test_posts_of_one_moment_stay_on_one_side():
    days = np.repeat(np.arange(40), 50)
    train = cut(days, 0.06, 20_000)
    assert days[train - 1] < days[train]
    last_day_heavy = np.repeat([0, 1, 2], [300, 300, 400])
    assert cut(last_day_heavy, 0.05, 20_000) == 600


def test_a_later_post_of_a_thread_that_is_learned_from_is_named():
    root = np.array([0, 1, 0, 3, 3])
    assert straddlers(root, np.arange(5), 2).tolist() == [2]


def test_shared_texts_are_counted_whole_and_by_runs_of_eight_words():
    train = pa.array(["one two three four five six seven eight nine", "a short one"])
    validation = pa.array(
        [
            "a short one",
            "zero one two three four five six seven eight",
            "one two three four five six seven new eight",
            "nothing shared at all",
        ]
    )
    assert shared_text(train, validation) == {"same_text": 1, "a_run_of_eight_words": 1}


@pytest.mark.parametrize(
    "text",
    [
        "今日は川のそばで烏を見ました",
        "今天我们在河边看见了乌鸦",
        "วันนี้เราเห็นนกกา",
        "ယနေ့မြစ်နားမှာ",
        "ថ្ងៃនេះយើងឃើញ",
    ],
    ids=["Japanese", "Chinese", "Thai", "Myanmar", "Khmer"],
)
def test_a_quotation_is_found_in_scripts_that_write_no_spaces(text):
    train, other = pa.array([text, "烏 が 飛ぶ"]), text[::-1]
    assert (
        shared_text(train, pa.array([f"见{text}", text[:7], other, f"rt {text[:8]}"]))[
            "a_run_of_eight_words"
        ]
        == 2
    )


SPACED, UNSPACED = ["rook", "грач", "까마귀", "غراب", "éé"], ["烏", "カラス", "กา"]


@given(st.data(), st.sampled_from([SPACED, SPACED + UNSPACED]))
def test_a_shared_run_is_eight_words_or_characters_that_follow_each_other_on_both_sides(data, some):
    keys = st.lists(st.lists(st.sampled_from(some), max_size=12).map(" ".join), max_size=4)
    train, validation = data.draw(keys), data.draw(keys)

    def runs(key: str) -> set[tuple[str, ...]]:
        words = [w for word in key.split(" ") for w in ([word] if word in SPACED else word)]
        return {tuple(words[n : n + 8]) for n in range(len(words) - 7)}

    learned = set().union(*map(runs, train))
    expected = sum(not learned.isdisjoint(runs(key)) for key in validation)
    assert (
        shared_text(pa.array(train, pa.string()), pa.array(validation, pa.string()))[
            "a_run_of_eight_words"
        ]
        == expected
    )


def test_a_run_does_not_reach_over_the_end_of_a_document():
    train = pa.array(["one two three four", "five six seven eight"])
    assert (
        shared_text(train, pa.array(["one two three four five six seven eight"]))[
            "a_run_of_eight_words"
        ]
        == 0
    )


def test_shared_authors_counts_documents_and_not_posts():
    train, validation = np.array([1, 2, 3], np.uint64), np.array([1, 1, 9, 9, 2], np.uint64)
    assert shared_authors(train, validation, np.array([0, 2, 3, 5])) == 2


def test_the_same_authors_are_held_out_whatever_else_is_there():
    hashes = hash_ids(f"author {n}" for n in range(5_000))
    held = held_out(hashes, seed=0)
    assert held.mean() == pytest.approx(HELD_AUTHORS, abs=0.02)
    assert (held_out(hashes[::7], seed=0) == held[::7]).all()


def test_a_moment_with_half_of_all_posts_before_it_goes_to_validation_whole():
    assert cut(np.repeat([0, 1], [50, 50]), 0.05, 20_000) == 50
    assert cut(np.repeat([0, 1], [49, 51]), 0.05, 20_000) == 80
    assert cut(np.arange(4), 0.05, 20_000) == 3


def test_a_fifth_of_all_authors_is_held_out():
    assert held_out(hash_ids(f"author {n}" for n in range(20_000)), seed=0).mean() == pytest.approx(
        0.2, abs=0.01
    )


def test_a_text_counts_as_often_as_training_has_it_or_its_most_frequent_run():
    run = "one two three four five six seven eight"
    overlap = Overlap(pa.array(["short", f"{run} nine", "short", "never", f"zero {run}"]))
    for train in (["short", run], ["short", f"{run} nine", "short"], [f"x {run} y"]):
        overlap.see(pa.array(train))
    assert overlap.times().tolist() == [3, 3, 3, 0, 3]
    assert [column.tolist() for column in overlap.seen()] == [
        [True, True, True, False, False],
        [False, True, False, False, True],
    ]
