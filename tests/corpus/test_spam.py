"""Spam rules drop the posts of machines and link farms, and keep those of eager people."""

import numpy as np
import pyarrow as pa
import pytest

from rookery.corpus.spam import clockwork, domains, faster_than_human, link_farms

MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE


def test_the_host_of_the_first_link_is_the_domain_and_shortened_links_have_none():
    texts = [
        "see https://www.Example.org/a and http://b.net",
        "www.example.org",
        "https://t.co/x",
        "no link",
        "",
    ]
    found = domains(pa.array(texts))
    assert found[0] == found[1] != 0
    assert found[2:].tolist() == [0, 0, 0]
    assert domains(pa.array(["http://b.net:80/x"]))[0] != found[0]


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


def test_a_site_that_many_authors_push_with_one_text_is_a_farm():
    author, domain = np.arange(60) % 6, np.full(60, 9, np.uint64)
    repeated = np.arange(60) >= 6
    assert link_farms(author, domain, repeated).all()
    assert not link_farms(author % 4, domain, repeated & (np.arange(60) % 2 > 0)).any()


def test_a_newspaper_that_links_to_itself_is_no_farm_and_an_author_of_copies_is():
    author = np.repeat([1, 2], 60)
    domain = np.where(author == 1, 5, 6).astype(np.uint64)
    repeated = (author == 2) & (np.arange(120) % 2 == 0)
    assert (link_farms(author, domain, repeated) == (author == 2)).all()


def test_posts_without_links_of_a_farming_author_stay():
    domain = np.array([6] * 95 + [0] * 5, np.uint64)
    hit = link_farms(np.zeros(100, np.int64), domain, np.ones(100, bool))
    assert hit.tolist() == [True] * 95 + [False] * 5


def test_no_posts_no_spam():
    none, no_domain = np.empty(0, np.int64), np.empty(0, np.uint64)
    assert len(clockwork(none, none)) == len(faster_than_human(none, none)) == 0
    assert (
        len(link_farms(none, no_domain, np.empty(0, bool)))
        == len(domains(pa.array([], pa.string())))
        == 0
    )


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


@pytest.mark.parametrize(
    ("authors", "posts", "repeated", "farm"),
    [(5, 50, 40, True), (4, 50, 40, False), (5, 49, 49, False), (5, 50, 39, False)],
)
def test_a_farmed_site_has_five_authors_fifty_posts_and_four_fifths_copies(
    authors, posts, repeated, farm
):
    author = np.append(np.arange(posts) % authors, [99] * 20)
    domain = np.append(np.full(posts, 9), [8] * 20).astype(np.uint64)
    hit = link_farms(author, domain, np.arange(posts + 20) < repeated)
    assert hit.tolist() == [farm] * posts + [False] * 20


@pytest.mark.parametrize(
    ("posts", "linking", "repeated", "farm"),
    [(50, 45, 23, True), (50, 44, 44, False), (50, 45, 22, False), (49, 49, 49, False)],
)
def test_a_farming_author_has_fifty_posts_nine_in_ten_to_one_site_and_half_copies(
    posts, linking, repeated, farm
):
    places = np.arange(posts)
    domain = np.where(places < linking, 6, 0).astype(np.uint64)
    hit = link_farms(np.zeros(posts, np.int64), domain, places < repeated)
    assert hit.tolist() == [farm] * linking + [False] * (posts - linking)


@pytest.mark.parametrize("host", ["t.co", "bit.ly", "wp.me"])
def test_a_shortened_link_leads_to_no_domain(host):
    assert domains(pa.array([f"see https://{host}/x", f"see http://{host}.net/x"])).tolist()[0] == 0
    assert domains(pa.array([f"see http://{host}.net/x"]))[0] != 0
