"""Page after page: nothing comes twice or is missed while posts arrive, and nobody fills a page."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.posts.forget import forget
from rookery.search.search import search_posts

MODES = ("best", "latest")


def pages(index, text, limit, **options):
    """Yield the pages of a search; each is asked for with the cursor of the one before."""
    cursor = None
    while True:
        page = search_posts(index, text, limit=limit, cursor=cursor, **options)
        yield page
        cursor = page.cursor
        if cursor is None:
            return


def ids(found) -> list[str]:
    return [hit.id for page in found for hit in page.hits]


@pytest.fixture
def rooks(indexed, a_post):
    """An index of 45 different posts about rooks by five authors, eight of them at one moment."""
    moment = datetime(2026, 2, 1, tzinfo=UTC)
    posts = [
        a_post(
            f"rook number{n}",
            id=f"r{n:02}",
            author=f"author{n % 5}",
            created=moment + timedelta(seconds=0 if 20 <= n < 28 else n),
        )
        for n in range(43)
    ]
    later = [a_post(f"rook later{n}", id=f"z{n}", created=datetime(2030, 1, n + 1, tzinfo=UTC))
             for n in range(2)]  # fmt: skip
    return indexed(*posts, *later)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", [1, 4, 7, 45, 100])
def test_page_after_page_shows_every_post_once(rooks, mode, limit):
    found = list(pages(rooks, "rook", limit, mode=mode))
    assert len(ids(found)) == len(set(ids(found))) == 45
    assert all(len(page.hits) == limit for page in found[:-1])
    assert found[-1].hits


def test_the_pages_of_latest_are_one_list_in_the_order_of_time(rooks):
    whole = ids(pages(rooks, "rook", 100, mode="latest"))
    assert whole[-2:] == ["z1", "z0"]  # dated in the future
    for limit in (1, 6):
        assert ids(pages(rooks, "rook", limit, mode="latest")) == whole


@pytest.mark.parametrize("mode", MODES)
def test_posts_that_arrive_or_go_between_two_pages_move_nothing(rooks, home, indexed, a_post, mode):
    whole = ids(pages(rooks, "rook", 100, mode=mode))
    first = search_posts(rooks, "rook", limit=10, mode=mode)
    arrived = [
        a_post(f"rook rook rook new{n}", id=f"new{n}", created=datetime(2026, 6, 1, tzinfo=UTC))
        for n in range(5)
    ]
    later = indexed(*arrived, key="later")
    gone = [first.hits[3].id, whole[30]]
    forget(home, gone, [], Context())
    rest = search_posts(later, "rook", limit=100, mode=mode, cursor=first.cursor)
    after = ids([first, rest])
    assert len(after) == len(set(after))
    assert set(after) >= set(whole) - {whole[30]}
    assert whole[30] not in after
    if mode == "latest":
        assert not {post.id for post in arrived} & set(after)  # they stand above the first page


def test_a_relaxed_search_goes_on_relaxed(indexed, a_post):
    index = indexed(*(a_post(f"rook alone{n}", id=str(n)) for n in range(9)))
    found = list(pages(index, "rook zeppelin", 4))
    assert len(ids(found)) == len(set(ids(found))) == 9
    assert all("some of the words" in page.understood for page in found)


def test_a_strict_search_that_ends_does_not_become_a_relaxed_one(indexed, a_post):
    index = indexed(
        *(a_post(f"rook day{n}", id=f"both{n}") for n in range(3)), a_post("rook", id="one")
    )
    found = list(pages(index, "rook day0 OR day1 OR day2", 2))
    assert sorted(ids(found)) == ["both0", "both1", "both2"]


def test_at_most_a_third_of_a_page_is_of_one_author_while_there_are_others(indexed, a_post):
    index = indexed(
        *(a_post(f"rook rook rook loud{n}", id=f"loud{n:03}", author="eve") for n in range(230)),
        *(a_post(f"one rook among words{n}", author=f"author{n}") for n in range(20)),
    )
    first, second, *rest = pages(index, "rook", 10)
    for page in (first, second):
        assert Counter(hit.author for hit in page.hits)["eve"] == 3
    assert [hit.author for hit in first.hits[:3]] == ["eve"] * 3
    assert len(ids([first, second, *rest])) == 250
    named = search_posts(index, "rook from:eve", limit=10)
    assert [hit.author for hit in named.hits] == ["eve"] * 10
    assert len(search_posts(index, "rook", limit=10, mode="latest").hits) == 10


def test_copies_of_what_an_earlier_page_showed_do_not_come_again(indexed, a_post):
    index = indexed(
        *(a_post(f"Rooks are back https://t.co/{n}", author=f"a{n}") for n in range(6)),
        *(a_post(f"a rook of day{n}", author=f"b{n}") for n in range(6)),
    )
    found = list(pages(index, "rooks", 2))
    assert len(ids(found)) == 7
    assert sum(hit.copies for page in found for hit in page.hits) == 5


def test_a_post_of_tags_comes_after_one_of_words(indexed, a_post):
    index = indexed(
        a_post("#rook #rooks #rookday #birds #crow #jay #owl", id="tags", author="eve"),
        a_post("the rook that nests behind our school came back today", id="words"),
    )
    best = search_posts(index, "rook")
    assert [hit.id for hit in best.hits] == ["words", "tags"]
    assert best.hits[1].parts["stuffed"] < 0 == best.hits[0].parts["stuffed"]


@pytest.mark.parametrize("mode", MODES)
def test_a_cursor_of_another_search_or_order_is_refused(rooks, mode):
    cursor = search_posts(rooks, "rook", limit=3, mode=mode).cursor
    other = "best" if mode == "latest" else "latest"
    with pytest.raises(UsageError, match="another order"):
        search_posts(rooks, "rook", mode=other, cursor=cursor)
    for text, given in (("rooks", cursor), ("rook", "nonsense"), ("rook", "")):
        with pytest.raises(UsageError, match="not one of this search"):
            search_posts(rooks, text, mode=mode, cursor=given)


def test_the_last_page_has_no_cursor_and_a_hidden_post_makes_none(rooks, home):
    assert search_posts(rooks, "rook", limit=45).cursor is None
    assert search_posts(rooks, "rook", limit=44).cursor is not None
    forget(home, ["r07"], [], Context())
    assert search_posts(rooks, "rook", limit=44).cursor is None
    assert search_posts(rooks, "rook", limit=44, mode="latest").cursor is None
