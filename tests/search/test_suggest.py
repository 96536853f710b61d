"""Typeahead, another spelling and trends: what at least five authors wrote, as of this moment."""

import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.core.config import to_plain
from rookery.core.context import Context, FixedClock
from rookery.core.protocols import HashedEmbedder
from rookery.posts.forget import forget
from rookery.search.build import build_index
from rookery.search.index import open_index
from rookery.search.search import search_posts
from rookery.search.suggest import Trend, completions, correction, trends

NOW = datetime(2026, 6, 30, tzinfo=UTC)


@pytest.fixture
def by(a_post):
    """Return posts of one text, each by another author of some names."""

    def by(authors, text, **fields):
        return [
            a_post(text, id=f"{author} {text}", author=author, **fields)
            for author in (
                [f"writer{n}" for n in range(authors)] if type(authors) is int else authors
            )
        ]

    return by


# Typeahead
# -------------------------------------------------------------------------------------------------


def test_a_tag_of_five_authors_is_completed_and_one_of_four_is_not(indexed, by):
    index = indexed(
        *by(7, "late #NightTram"), *by(5, "home #NightBus"), *by(4, "shy #NightOwl"),
        *by(["one"], "a #NightFlood"), *by(["one"], "more #NightFlood"),
    )  # fmt: skip
    assert completions(index, "#ni") == ("#nighttram", "#nightbus")
    assert completions(index, "#NIGHTB") == ("#nightbus",)
    assert completions(index, "#ni", limit=1) == ("#nighttram",)
    assert completions(index, "#x") == completions(index, "#") == completions(index, "") == ()


def test_an_author_is_completed_from_three_letters_on(indexed, by):
    index = indexed(*by(["Adalbert", "Ada Lovelace", "adam", "bob"], "rooks at dawn"))
    assert set(completions(index, "ada")) == {'from:"ada lovelace"', "from:adalbert", "from:adam"}
    assert completions(index, "from:adal") == completions(index, "@Adal") == ("from:adalbert",)
    assert completions(index, "from:ad") == completions(index, "@ad") == ()
    for found in completions(index, "ada"):  # finds what it says
        assert len(search_posts(index, found).hits) == 1


def test_a_plain_word_becomes_tags_and_authors(indexed, by):
    tags = [post for n in range(9) for post in by(5, f"hello #rook{n}")]
    index = indexed(*tags, *by([f"rooky{n}" for n in range(9)], "hello"))
    found = completions(index, "rook")
    assert [word[0] for word in found] == ["#"] * 4 + ["f"] * 4
    assert len(completions(index, "rooky")) == 8


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text(string.punctuation + "aé 雪", max_size=6))
def test_no_beginning_breaks_it(odd, prefix):
    for found in (completions(odd, prefix), completions(odd, f"#{prefix}")):
        assert len(found) == len(set(found)) <= 8


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """An index with authors of odd names."""
    from rookery.core.home import create_home
    from rookery.posts.lake import append
    from rookery.posts.post import Post, to_table

    home = create_home(tmp_path_factory.mktemp("odd") / "home")
    posts = [
        Post(id=str(n), text=f"a{sign} #a{sign}", author=f"aaa{sign}", created=NOW,
             visibility="public", source="test")
        for n, sign in enumerate(string.punctuation)
    ]  # fmt: skip
    append(home, to_table(posts).to_batches(), "odd")
    build_index(home, HashedEmbedder(), Context())
    return open_index(home, HashedEmbedder(), FixedClock(NOW))


def test_signs_in_a_beginning_stand_for_themselves(odd):
    assert completions(odd, "from:aaa.") == ("from:aaa.",)
    assert completions(odd, "from:aaa*") == ("from:aaa*",)


# Another spelling
# -------------------------------------------------------------------------------------------------


@pytest.fixture
def town(indexed, by):
    return indexed(
        *by(12, "The harbour ferry is late"), *by(12, "The government met at the harbour"),
        *by(4, "A zeppelin over the harbour"), *by(["one"] * 1, "A garden"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("harbuor", "harbour"),  # two letters exchanged
        ("harbou", "harbour"),
        ("Harbbour ferry", "harbour ferry"),
        ("goverment -late from:ada", "government -late from:ada"),
        ("govermant", "government"),  # two letters of a long word
        ('"late" OR (harbuor fery)', '"late" OR (harbour ferry)'),
        ("harbour", None),
        ("harbours", None),  # finds harbour by its ending
        ("zepelin", None),  # four authors use it
        ("gardn", None),  # one author
        ("late -harbuor", None),  # what is excluded
        ("#harbuor", None),
        ("from:harbuor", None),
        ("lte", None),  # short
        ("hxrbxur", None),  # two letters of a short word
        ("", None),
        ("港", None),
    ],
)
def test_another_spelling_is_one_that_five_authors_use(town, text, other):
    assert correction(town, text) == other


def test_a_word_that_many_posts_have_is_left_alone(indexed, by):
    index = indexed(*by(60, "the harbour"), *by(6, "the harbuor"))
    assert correction(index, "harbuor") is None


def test_another_spelling_has_its_accents(indexed, by):
    index = indexed(*by(6, "au théâtre ce soir", language="fr"))
    assert correction(index, "theatrre") == "théâtre"


def test_a_search_is_never_changed(town):
    results = search_posts(town, "harbuor")
    assert results.hits == ()
    assert results.understood == "harbuor"


# Trends
# -------------------------------------------------------------------------------------------------


def test_trends_are_tags_of_more_authors_than_the_week_before(indexed, by):
    this, last = {"created": NOW - timedelta(days=2)}, {"created": NOW - timedelta(days=9)}
    index = indexed(
        *by(20, "now #regatta", **this), *by(2, "then #regatta", **last),
        *by(9, "now #elms", **this),
        *by(4, "now #few", **this),
        *by(20, "now #always", **this), *by(20, "then #always", **last),
        *by(6, "now #noise", **this), *by(4, "then #noise", **last),
        *by(9, "then #over", **last),
        *by(9, "long ago #old", created=NOW - timedelta(days=30)),
        *by(["a"], "the newest post", created=NOW),
    )  # fmt: skip
    assert trends(index) == (Trend("#regatta", 20, 2), Trend("#elms", 9, 0))
    assert trends(index, 1) == (Trend("#regatta", 20, 2),)


def test_many_posts_of_few_authors_are_no_trend(indexed, a_post, by):
    flood = [a_post("#flood", author=f"bot{n % 5}", created=NOW) for n in range(200)]
    before = by([f"bot{n}" for n in range(4)], "#flood", created=NOW - timedelta(days=8))
    index = indexed(*flood, *before, *by(8, "#people", created=NOW))
    assert trends(index) == (Trend("#people", 8, 0),)


def test_a_wrong_date_does_not_end_the_week(home, indexed, by):
    index = indexed(
        *by(6, "#regatta", created=NOW), *by(6, "#future", created=NOW + timedelta(days=900))
    )
    assert trends(index) == (Trend("#regatta", 6, 0),)


def test_without_posts_of_the_time_there_are_no_trends(indexed, by):
    assert trends(indexed(*by(6, "#future", created=NOW + timedelta(days=900)))) == ()


# A hidden post leaves no trace
# -------------------------------------------------------------------------------------------------


def all_of(index):
    """Return all that is suggested."""
    return (
        [completions(index, prefix) for prefix in ("#se", "sec", "from:sec", "#op", "ope")],
        [correction(index, text) for text in ("secrat", "opne", "zzsecretz")],
        [to_plain(trend) for trend in trends(index)],
    )


def test_a_hidden_post_counts_nowhere_at_once_and_after_the_next_build(home, indexed, by):
    open_posts = by(9, "open gate #open", created=NOW)
    index = indexed(
        *open_posts, *by(4, "secret #secret", created=NOW),
        *by(["secretive"], "secret #secret #open", created=NOW + timedelta(hours=1)),
    )  # fmt: skip
    seen = all_of(index)
    assert seen[0][0] == ("#secret",)
    assert "from:secretive" in seen[0][1]
    assert seen[1][0] == "secret"
    assert {"#secret", "#open"} == {trend["text"] for trend in seen[2]}
    forget(home, ["secretive secret #secret #open"], [], Context())
    hidden = all_of(index)
    assert hidden[0][:3] == [(), (), ()]
    assert hidden[1][0] is None
    assert hidden[2] == [{"text": "#open", "posts": 9, "posts_before": 0}]
    build_index(home, HashedEmbedder(), Context())
    assert all_of(open_index(home, HashedEmbedder(), index.clock)) == hidden


def test_a_hidden_post_has_no_part_in_the_counts_of_others(home, indexed, by):
    index = indexed(
        *by(6, "#night one", created=NOW), *by(6, "#nightly two", created=NOW),
        *by(["more"], "#nightly three", created=NOW),
    )  # fmt: skip
    assert completions(index, "#ni") == ("#nightly", "#night")
    forget(home, ["more #nightly three"], [], Context())
    assert [trend.posts for trend in trends(index)] == [6, 6]


def test_counts_are_of_the_newest_commit(home, indexed, put, by):
    index = indexed(*by(4, "#regatta"))
    assert completions(index, "#reg") == ()
    put(*by(["fifth"], "#regatta"), key="later")
    build_index(home, HashedEmbedder(), Context())
    assert completions(index, "#reg") == ("#regatta",)
    edited = [replace(post, text="nothing", edited=NOW) for post in by(["fifth"], "#regatta")]
    put(*edited, key="edited")
    build_index(home, HashedEmbedder(), Context())
    assert completions(index, "#reg") == ()
