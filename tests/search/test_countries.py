"""What is withheld in some countries leaves no trace there, and is found by readers elsewhere."""

import json

import numpy as np
import pytest

from rookery.core.config import to_plain
from rookery.core.context import Context, FixedClock
from rookery.core.home import create_home
from rookery.posts.consent import state
from rookery.posts.lake import append
from rookery.posts.live import live_log
from rookery.posts.post import USES, to_table
from rookery.posts.rights import gate
from rookery.search.answers.answer import ask
from rookery.search.answers.kept import KeptAnswers
from rookery.search.build import build_index
from rookery.search.engine.generation import want_anew
from rookery.search.held import holds
from rookery.search.index import open_index
from rookery.search.post import post_page
from rookery.search.scope import KnownReader
from rookery.search.search import search_posts
from rookery.search.suggest import completions

DE, FR, IT = (KnownReader(name, country=name) for name in ("DE", "FR", "IT"))
QUERIES = ("xyzzy", "tram", "tram xyzzy", "late quux", "plugh", "from:eve", "", "#plugh noon")


class Even:
    """An embedder to which all texts are alike, so that vectors depend on no other text."""

    dimensions = 8
    digest = "even"
    weight = 0.1

    def embed(self, texts):
        return np.full((len(texts), 8), 8**-0.5, dtype=np.float32)


@pytest.fixture
def five(a_post):
    return [
        a_post("the tram is late again at the harbour", id="a", author="ada"),
        a_post("the tram xyzzy quux is late, and plugh too #plugh", id="secret", author="eve"),
        a_post("plugh is what the ferry carries at noon every day", id="b", author="bob"),
        a_post("the night tram and the ferry are late at noon", id="c", author="bob"),
        a_post("rooks are loud in the old elm over the harbour", id="d", author="ada"),
    ]


def made(folder, posts):
    home = create_home(folder)
    append(home, to_table(posts).to_batches(), "test")
    build_index(home, Even(), Context())
    return home, opened(home)


def opened(home):
    return open_index(home, Even(), FixedClock(FixedClock().time.replace(month=7)))


def shown(index, query, reader):
    pages = ((3, "best"), (50, "best"), (3, "latest"), (50, "latest"))
    found = [search_posts(index, query, limit, mode, reader=reader) for limit, mode in pages]
    return json.dumps(to_plain([*found, ask(index, query, reader=reader)]), default=str)


def ids(index, query, reader=None):
    return {hit.id for hit in search_posts(index, query, reader=reader).hits}


WAYS = {
    "a post": lambda home: state(home, ["secret"], [], "withheld", "on", Context(), ["DE", "fr"]),
    "its author": lambda home: state(home, [], ["eve"], "withheld", "on", Context(), ["FR", "DE"]),
}


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_there_and_for_strangers_it_leaves_no_trace_and_elsewhere_it_is_found(
    tmp_path, five, way, is_before
):
    home, index = made(tmp_path / "home", five)
    _, without = made(tmp_path / "without", [post for post in five if post.id != "secret"])
    WAYS[way](home)
    if is_before:
        want_anew(home)
        build_index(home, Even(), Context())
        index = opened(home)
    for query in QUERIES:
        for reader in (None, DE, FR, KnownReader("nowhere")):
            assert shown(index, query, reader) == shown(without, query, reader), (query, reader)
    assert ids(index, "xyzzy", IT) == {"secret"}
    assert post_page(index, "secret", reader=IT)
    assert post_page(index, "secret", reader=DE) is post_page(index, "secret") is None


def test_a_change_holds_at_once_and_after_the_next_commit(tmp_path, five):
    home, index = made(tmp_path / "home", five)
    context = Context()
    for countries, value, seen in ((["DE"], "on", "FI"), (["FR"], "on", "DI"), ([], "on", ""),
                                   (["IT"], "on", "DF"), ([], "off", "DFIS")):  # fmt: skip
        state(home, ["secret"], [], "withheld", value, context, countries)
        for is_committed in (False, True):
            if is_committed:
                build_index(home, Even(), context)
            elif countries == ["IT"]:
                continue  # nobody could find it before, so that it was taken out
            found = [name for name, reader in (("D", DE), ("F", FR), ("I", IT), ("S", None))
                     if ids(index, "xyzzy", reader)]  # fmt: skip
            assert "".join(found) == seen, (countries, value)


def test_a_post_that_comes_after_its_author_was_withheld_is_hidden_there(tmp_path, five, a_post):
    home, index = made(tmp_path / "home", five)
    WAYS["its author"](home)
    assert ids(index, "xyzzy", IT) == {"secret"}
    append(home, to_table([a_post("xyzzy again", id="e", author="eve")]).to_batches(), "more")
    build_index(home, Even(), Context())
    assert ids(index, "xyzzy", IT) == {"secret", "e"}
    assert ids(index, "xyzzy", DE) == ids(index, "xyzzy") == set()


def test_another_reason_hides_it_everywhere(tmp_path, five):
    home, index = made(tmp_path / "home", five)
    WAYS["a post"](home)
    state(home, [], ["eve"], "suspended", "on", Context())
    assert ids(index, "xyzzy", IT) == set()
    state(home, [], ["eve"], "suspended", "off", Context())
    assert ids(index, "xyzzy", IT) == {"secret"}


def test_everything_but_a_readers_search_refuses_it(tmp_path, five):
    home, index = made(tmp_path / "home", five)
    WAYS["a post"](home)
    with live_log(home) as log:
        restrictions = log.restrictions()
    reasons = [gate(to_table(five), use, "public", restrictions).to_pylist() for use in USES]
    assert {tuple(one) for one in reasons} == {(None, "withheld", None, None, None)}
    assert not ask(index, "where is the xyzzy quux?", reader=IT).sources
    assert not KeptAnswers().ask(index, "where is the xyzzy quux?").sources
    assert completions(index, "from:eve") == ()
    assert holds(home, "secret")
