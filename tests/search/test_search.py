"""Searching, as a person sees it."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.core.context import Context
from rookery.core.home import Rights, Settings
from rookery.posts.forget import forget
from rookery.search.search import search_posts


@pytest.fixture
def town(indexed, a_post):
    """A few posts about trams."""
    return indexed(
        a_post("The tram is late again #Trams", id="late", author="Ada", language="en", likes=3),
        a_post(
            "Trams and buses run late at night",
            id="buses",
            author="bob",
            language="en-GB",
            likes=10,
        ),
        a_post("Die Straßenbahn kommt nie, sagt @Ada", id="german", author="bob", language="de"),
        a_post("late again, the tram", id="turned", author="eve", language="en"),
        a_post("パリの熱力学 https://www.rooks.org/x", id="paris", author="eve", language="ja"),
    )


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("tram", {"late", "buses", "turned"}),  # trams as well
        ("TRAM late", {"late", "buses", "turned"}),
        ('"late again"', {"late", "turned"}),
        ('"tram is late"', {"late"}),
        ("tram -buses", {"late", "turned"}),
        ('tram -"late again"', {"buses"}),
        ("buses OR straßenbahn", {"buses", "german"}),
        ("(buses OR again) night", {"buses"}),
        ("from:ada", {"late"}),
        ("from:@ADA tram", {"late"}),
        ("lang:en tram", {"late", "buses", "turned"}),
        ("lang:en-gb tram", {"buses"}),
        ("#trams", {"late"}),
        ("#Trams tram", {"late"}),
        ("@ada", {"german"}),
        ("strassenbahn OR Straßenbahn", {"german"}),
        ("tram min_likes:3", {"late", "buses"}),
        ("tram min_likes:4", {"buses"}),
        ("tram since:2026-01-01T00:02", {"buses", "turned"}),
        ("tram until:2026-01-01T00:02", {"late"}),
        ("tram until:2026-01-01", set()),
        ("熱力学", {"paris"}),
        ("パリ", {"paris"}),
        ("ハリ", set()),
        ("力", {"paris"}),
        ("rooks.org", {"paris"}),
        ("-tram", {"german", "paris"}),
        ("", {"late", "buses", "german", "turned", "paris"}),
        ("zeppelin", set()),
        ("zeppelin balloon", set()),
        ("tram -tram", set()),
        ("zeppelin night lang:xx", set()),
    ],
)
def test_a_query_finds_exactly_these_posts(town, found, text, ids):
    assert set(found(town, text)) == ids


def test_a_hit_shows_the_post_and_what_its_score_is_made_of(town):
    hit = search_posts(town, "straßenbahn").hits[0]
    assert (hit.id, hit.author, hit.language) == ("german", "bob", "de")
    assert hit.created == datetime(2026, 1, 1, 0, 3, tzinfo=UTC)
    assert hit.text == "Die Straßenbahn kommt nie, sagt @Ada"
    assert {"bm25", "vector"} <= hit.parts.keys()
    assert hit.parts["bm25"] > 0


def test_where_no_post_has_all_words_those_with_some_are_shown_and_that_is_said(town, found):
    results = search_posts(town, "zeppelin night again -turned lang:en")
    assert {hit.id for hit in results.hits} == {"late", "buses", "turned"}
    assert results.understood == (
        "zeppelin, night, again, without turned, in en; no post has all of this, these have some "
        "of the words"
    )
    assert found(town, "zeppelin night -tram") == []  # what binds goes on binding
    assert found(town, '"zeppelin tram"') == []


def test_latest_is_newest_first_and_a_time_to_come_stands_last(indexed, a_post, found):
    index = indexed(
        a_post("rook", id="old"),
        a_post("rook", id="future", created=datetime(2031, 1, 1, tzinfo=UTC)),
        a_post("rook rook rook", id="new"),
    )
    assert found(index, "rook", mode="latest") == ["new", "old", "future"]
    assert found(index, "rook", mode="latest", limit=1) == ["new"]


def test_copies_of_a_text_are_shown_once_and_counted(indexed, a_post):
    index = indexed(
        *(a_post(f"Rooks are back https://t.co/{n}", id=f"copy{n}") for n in range(5)),
        a_post("a rook"),
    )
    results = search_posts(index, "rooks", limit=2)
    assert len(results.hits) == 2
    assert results.left_out == {"copy": 4}
    assert max(hit.copies for hit in results.hits) == 4
    assert len(search_posts(index, "rooks", mode="latest").hits) == 6


def test_a_page_is_filled_up_in_place_of_what_may_not_be_shown(home, indexed, a_post):
    index = indexed(
        *(
            a_post(f"rook number{n}", id=str(n), author="eve" if n < 290 else "ada")
            for n in range(300)
        )
    )
    forget(home, [], ["eve"], Context())
    results = search_posts(index, "rook", limit=10)
    assert {hit.author for hit in results.hits} == {"ada"}
    assert len(results.hits) == 10
    assert len(search_posts(index, "rook", limit=11).hits) == 10


def test_a_policy_that_changed_holds_at_once(indexed, a_post, found):
    index = indexed(
        a_post("rook", id="silent"), a_post("rook day", id="agreed", consent_search=True)
    )
    strict = replace(index, home=replace(index.home, settings=Settings(rights=Rights("opt-in"))))
    assert set(found(index, "rook")) == {"silent", "agreed"}
    assert found(strict, "rook") == ["agreed"]


_SEARCHER = """
    import sys
    from pathlib import Path
    from rookery.core.home import open_home
    from rookery.core.protocols import HashedEmbedder
    from rookery.search.index import open_index
    from rookery.search.answers.answer import ask
    from rookery.search.search import search_posts

    index = open_index(open_home(Path(sys.argv[1])), HashedEmbedder())
    for line in sys.stdin:
        results = [search_posts(index, line, mode=mode) for mode in ("best", "latest")]
        ids = [hit.id for found in results for hit in found.hits]
        ids += [h.id for h in ask(index, line).sources]
        print(" ".join(sorted(ids)), flush=True)
"""


def test_a_forgotten_post_is_gone_at_once_in_a_process_that_has_the_index_open(
    home, indexed, a_post
):
    indexed(
        a_post("the old harbour ferry leaves at noon", id="keep", author="ada"),
        a_post("the new harbour ferry leaves at nine", id="forget", author="bob"),
        a_post("our harbour ferry leaves at midnight", id="other", author="eve"),
    )
    program = [sys.executable, "-c", textwrap.dedent(_SEARCHER), str(home.path)]
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as other:

        def ask():
            other.stdin.write("harbour ferry\n")
            other.stdin.flush()
            return other.stdout.readline().split()

        assert ask() == ["forget"] * 3 + ["keep"] * 3 + ["other"] * 3
        forget(home, ["forget"], [], Context())
        assert ask() == ["keep"] * 3 + ["other"] * 3
        forget(home, [], ["eve"], Context())
        assert ask() == ["keep"] * 3
        other.stdin.close()


_FILTERS = [
    "from:ada",
    "lang:en",
    "min_likes:3",
    "-late",
    "#trams",
    "since:2026-01-01T00:02",
    'until:2026-01-01T00:04"',
]


@given(
    words=st.sampled_from(["tram", "late", '"late again"', "tram OR night", ""]),
    more=st.sampled_from(_FILTERS),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_filter_only_narrows(town, found, words, more):
    assert set(found(town, f"{words} {more}")) <= set(found(town, words))


@given(text=st.text(max_size=40))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
def test_any_text_can_be_searched(town, text):
    for mode in ("best", "latest"):
        assert search_posts(town, text, mode=mode).understood
