"""A hidden post leaves no trace: what a query gets is what it would get had the post never been."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as laws
from hypothesis import strategies as st

from rookery.core.config import to_plain
from rookery.core.context import Context, FixedClock
from rookery.core.home import Rights, create_home
from rookery.posts.consent import consent, state
from rookery.posts.forget import forget
from rookery.posts.lake import append
from rookery.posts.post import to_table
from rookery.search.answers.answer import ask
from rookery.search.build import build_index
from rookery.search.index import open_index
from rookery.search.search import search_posts

WORDS = ("tram", "late", "night", "ferry", "harbour", "noon", "rook", "elm")
QUERIES = (
    *WORDS,
    "tram late", "night ferry harbour", "tram zeppelin", "tram OR rook -late", '"late night"',
    "from:eve", "from:eve tram", "#elm", "", "-tram", "since:2026-01-01 noon zeppelin",
)  # fmt: skip


class Even:
    """An embedder to which all texts are alike, so that vectors depend on no other text."""

    dimensions = 8
    digest = "even"
    weight = 0.1

    def embed(self, texts):
        return np.full((len(texts), 8), 8**-0.5, dtype=np.float32)


def shown(index, query: str) -> str:
    """All that anybody gets for a query, as JSON."""
    found = [search_posts(index, query, limit, mode) for limit, mode in
             ((3, "best"), (50, "best"), (3, "latest"), (50, "latest"))]  # fmt: skip
    return json.dumps(to_plain([*found, ask(index, query)]), default=str)


def made(folder, posts):
    """A home with an index of some posts."""
    home = create_home(folder)
    append(home, to_table(posts).to_batches(), "test")
    build_index(home, Even(), Context())
    return home, open_index(home, Even(), FixedClock(FixedClock().time.replace(month=7)))


@pytest.fixture
def five(a_post):
    """Posts of which one alone says what nobody else does."""
    return [
        a_post("the tram is late again at the harbour", id="a", author="ada"),
        a_post("the tram xyzzy quux is late, and plugh too #plugh", id="secret", author="eve"),
        a_post("plugh is what the ferry carries at noon every day", id="b", author="bob"),
        a_post("the night tram and the ferry are late at noon", id="c", author="bob"),
        a_post("rooks are loud in the old elm over the harbour", id="d", author="ada"),
    ]


WAYS = {
    "forgotten": lambda home: forget(home, ["secret"], [], Context()),
    "of a forgotten author": lambda home: forget(home, [], ["eve"], Context()),
    "suspended": lambda home: state(home, [], ["eve"], "suspended", "on", Context()),
    "withheld": lambda home: state(home, ["secret"], [], "withheld", "on", Context()),
    "of an author who refuses": lambda home: consent(home, ["eve"], {"search": "no"}, Context()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("query", ["xyzzy", "tram xyzzy", "late xyzzy quux", "xyzzy ferry noon"])
def test_the_words_of_a_hidden_post_get_what_words_of_no_post_get(tmp_path, five, way, query):
    home, index = made(tmp_path / "home", five)
    assert "secret" in shown(index, query)
    WAYS[way](home)
    nonsense = query.replace("xyzzy", "zyxxy").replace("quux", "qxuu")
    got = shown(index, query).replace("xyzzy", "zyxxy").replace("quux", "qxuu")
    assert got == shown(index, nonsense)
    assert "forgotten" not in got


@pytest.mark.parametrize("way", WAYS)
def test_all_queries_get_what_they_would_had_the_post_never_been(tmp_path, five, way):
    home, index = made(tmp_path / "home", five)
    _, without = made(tmp_path / "without", [post for post in five if post.id != "secret"])
    WAYS[way](home)
    for query in (*QUERIES, "plugh", "tram plugh", "xyzzy", "@eve #plugh"):
        assert shown(index, query) == shown(without, query), query


def test_a_post_whose_state_ends_is_found_again(tmp_path, five):
    home, index = made(tmp_path / "home", five)
    before = shown(index, "tram xyzzy")
    state(home, [], ["eve"], "suspended", "on", Context())
    assert shown(index, "tram xyzzy") != before
    state(home, [], ["eve"], "suspended", "off", Context())
    assert shown(index, "tram xyzzy") == before


def strict(index):
    """The index of a home whose policy has become opt-in since it was built."""
    settings = replace(index.home.settings, rights=Rights(policy="opt-in"))
    return replace(index, home=replace(index.home, settings=settings))


def test_under_another_policy_all_posts_are_judged_anew(tmp_path, five):
    agreed = [replace(post, consent_search=post.id != "secret" or None) for post in five]
    _, index = made(tmp_path / "home", agreed)
    _, without = made(tmp_path / "without", [post for post in agreed if post.id != "secret"])
    index, without = strict(index), strict(without)
    assert {hit.id for hit in search_posts(without, "").hits} == {"a", "b", "c", "d"}
    for query in ("xyzzy", "tram plugh", "tram"):
        assert shown(index, query) == shown(without, query)


posts = st.lists(
    st.tuples(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join),
        st.sampled_from(("ada", "bob", "eve")),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@given(posts=posts, gone=st.sampled_from((None, "eve")), query=st.sampled_from(QUERIES))
@laws(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
def test_whatever_is_hidden_nothing_is_left_of_it(tmp_path_factory, a_post, posts, gone, query):
    made_posts = [(a_post(text, author=author), hidden) for text, author, hidden in posts]
    folder = tmp_path_factory.mktemp("hidden")
    home, index = made(folder / "home", [post for post, _ in made_posts])
    left = [p for p, hidden in made_posts if not hidden and p.author != gone]
    if not left:
        return  # a lake without posts has no index
    _, without = made(folder / "without", left)
    forget(home, [p.id for p, hidden in made_posts if hidden], [gone] if gone else [], Context())
    assert shown(index, query) == shown(without, query)


def test_many_hidden_posts_do_not_take_the_places_of_others(tmp_path, a_post):
    hidden = [a_post(f"tram tram number {n}", id=f"h{n}", author="eve") for n in range(300)]
    others = [a_post(f"the tram of line {n} is late", id=f"o{n}", author="ada") for n in range(20)]
    home, index = made(tmp_path / "home", hidden + others)
    _, without = made(tmp_path / "without", others)
    forget(home, [], ["eve"], Context())
    for query in ("tram", "tram number", "tram line 3", "from:eve", "number"):
        assert shown(index, query) == shown(without, query)
