"""Spam rules drop the posts of machines, and keep those of eager people."""

import numpy as np

from rookery.corpus.spam import clockwork, faster_than_human

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE


def test_only_the_day_of_more_than_480_posts_is_dropped():
    author = np.array([1] * 500 + [2] * 480 + [1] * 5)
    created = np.concatenate([np.arange(500), np.arange(480), DAY + np.arange(5)])
    assert faster_than_human(author, created).tolist() == [True] * 500 + [False] * 485


def test_equal_waits_are_clockwork_and_mixed_waits_are_not():
    random = np.random.default_rng(0)
    machine = np.arange(150) * 30 * MINUTE
    person = np.cumsum(random.integers(2, 300, size=150)) * MINUTE
    author = np.array([7] * 150 + [8] * 150)
    created = np.concatenate([machine, person])
    mixed = random.permutation(300)
    assert (clockwork(author[mixed], created[mixed]) == (author[mixed] == 7)).all()


def test_a_quick_dispute_and_a_short_history_are_not_clockwork():
    bursts = np.repeat(np.arange(60) * DAY, 5) + np.tile(
        np.arange(5) * MINUTE, 60
    )  # five posts, a minute apart
    few = np.arange(100) * 30 * MINUTE
    assert not clockwork(
        np.zeros(300, np.int64), bursts + np.repeat(np.arange(60) ** 2 * MINUTE, 5)
    ).any()
    assert not clockwork(np.ones(100, np.int64), few).any()


def test_no_posts_no_spam():
    none = np.empty(0, np.int64)
    assert len(clockwork(none, none)) == len(faster_than_human(none, none)) == 0


def test_a_machine_has_a_hundred_waits_of_two_minutes_or_more_half_of_them_equal():
    def is_machine(*minutes: int) -> bool:
        created = np.cumsum([0, *minutes]) * MINUTE
        return bool(clockwork(np.zeros(len(created), np.int64), created).all())

    other = range(10, 110)
    assert is_machine(*[2] * 100)
    assert not is_machine(*[2] * 99)
    assert not is_machine(*[1] * 100)
    assert is_machine(*[5] * 100, *other)
    assert not is_machine(*[5] * 99, *other)


def test_a_wait_is_counted_in_whole_minutes_and_by_its_own_author_only():
    uneven = np.cumsum([30 * MINUTE + n * MINUTE // 200 for n in range(101)])
    assert clockwork(np.zeros(101, np.int64), uneven).all()
    regular = np.arange(101) * 30 * MINUTE
    two = np.repeat([1, 2], [51, 50])
    assert not clockwork(two, regular).any()
    assert clockwork(np.repeat([1, 2], 101), np.tile(regular, 2)).all()


def test_posts_of_a_whole_day_are_counted_together():
    created = np.arange(481) * (DAY // 481)
    assert faster_than_human(np.zeros(481, np.int64), created).all()
    assert not faster_than_human(np.zeros(481, np.int64), created * 2).any()


def test_a_day_ends_at_midnight_utc():
    author = np.zeros(600, np.int64)
    over_midnight = DAY - 300 + np.arange(600)
    assert not faster_than_human(author, over_midnight).any()
    assert faster_than_human(author, over_midnight - 300).all()
