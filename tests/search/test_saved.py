"""Saved searches: each post that arrives and matches is told once."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rookery.core.context import Context, FixedClock
from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import HashedEmbedder
from rookery.posts.forget import forget
from rookery.search.build import build_index
from rookery.search.index import open_index
from rookery.search.saved import (
    SAVED,
    SavedSearch,
    mark_told,
    news_of,
    remove_search,
    save_search,
    saved_searches,
)


@pytest.fixture
def arrive(home, put):
    """Put posts into the lake and the index."""

    def arrive(*posts, key):
        put(*posts, key=key)
        build_index(home, HashedEmbedder(), Context())

    return arrive


def told(index, name, **options):
    """Return the ids that are new, and remember that they were told."""
    news = news_of(index, name, **options)
    mark_told(index.home, name, news)
    return [hit.id for hit in news.hits]


def test_each_post_that_arrives_and_matches_is_told_once(indexed, arrive, a_post):
    index = indexed(a_post("a tram", id="before"))
    save_search(index, "trams", "tram -late")
    assert told(index, "trams") == []
    old = a_post("an old tram", id="old", created=datetime(2020, 1, 1, tzinfo=UTC))
    arrive(a_post("trams", id="one"), a_post("a late tram"), a_post("a bus"), old, key="later")
    news = news_of(index, "trams")
    assert [hit.id for hit in news.hits] == ["one", "old"]  # newest first; late, but it is new
    assert news.hits[0].highlights == ((0, 5),)
    assert news_of(index, "trams") == news  # nobody was told yet
    assert told(index, "trams") == ["one", "old"]
    assert told(index, "trams") == []


def test_of_many_only_some_are_shown_and_all_are_counted(indexed, arrive, a_post):
    index = indexed(a_post("a bus"))
    save_search(index, "trams", "tram")
    arrive(*(a_post(f"tram {n}", id=f"t{n}") for n in range(9)), key="later")
    assert news_of(index, "trams").posts == 9
    assert told(index, "trams", limit=2) == ["t8", "t7"]
    assert told(index, "trams") == []


def test_a_hidden_post_is_not_told_at_once(home, indexed, arrive, a_post):
    index = indexed(a_post("a bus"))
    save_search(index, "trams", "tram")
    arrive(a_post("a tram", id="secret"), a_post("a tram", id="open"), key="later")
    forget(home, ["secret"], [], Context())
    news = news_of(index, "trams")
    assert [hit.id for hit in news.hits] == ["open"]
    assert news.posts == 1


def test_it_goes_on_after_an_index_was_made_anew(home, indexed, arrive, a_post):
    index = indexed(a_post("a tram", id="before"))
    save_search(index, "trams", "tram")
    arrive(a_post("a tram", id="later"), key="later")

    class Other(HashedEmbedder):
        digest = "other"

    build_index(home, Other(), Context())
    again = open_index(home, Other(), FixedClock())
    assert told(again, "trams") == ["later"]


def test_what_is_not_in_the_index_yet_is_told_when_it_is(home, indexed, put, a_post):
    index = indexed(a_post("a bus"))
    save_search(index, "trams", "tram")
    put(a_post("a tram", id="one"), key="later")
    assert told(index, "trams") == []
    build_index(home, HashedEmbedder(), Context())
    assert told(index, "trams") == ["one"]


def test_an_edited_post_is_told_again(indexed, arrive, a_post):
    post = a_post("a tram", id="one")
    index = indexed(post)
    save_search(index, "trams", "tram")
    edited = replace(post, text="two trams", edited=datetime(2026, 3, 1, tzinfo=UTC))
    arrive(edited, key="edited")
    assert [hit.text for hit in news_of(index, "trams").hits] == ["two trams"]


def test_searches_are_listed_and_removed(home, indexed, a_post):
    index = indexed(a_post("a tram"))
    assert saved_searches(home) == {}
    save_search(index, " trams ", "tram")
    save_search(index, "ada", "from:ada")
    assert saved_searches(home) == {
        "trams": SavedSearch("tram", 1),
        "ada": SavedSearch("from:ada", 1),
    }
    remove_search(home, "trams")
    assert list(saved_searches(home)) == ["ada"]


def test_mistakes_are_told(home, indexed, a_post):
    index = indexed(a_post("a tram"))
    save_search(index, "trams", "tram")
    with pytest.raises(UsageError, match="already"):
        save_search(index, "trams", "bus")
    with pytest.raises(UsageError, match="There are trams"):
        news_of(index, "bus")
    with pytest.raises(UsageError, match="no saved search 'bus'"):
        remove_search(home, "bus")
    with pytest.raises(UsageError, match="1 to 64"):
        save_search(index, "  ", "bus")
    with pytest.raises(UsageError, match="needs a query"):
        save_search(index, "bus", " ")
    (home.path / SAVED).write_text("[1]")
    with pytest.raises(DataError, match="cannot be read"):
        saved_searches(home)
