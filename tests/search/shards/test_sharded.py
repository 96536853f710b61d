"""What shards find together is what one index finds: the same posts, order, scores and counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.home import WHOLE, Searching, Shard
from rookery.core.protocols import HashedEmbedder
from rookery.posts.consent import state
from rookery.posts.forget import forget
from rookery.search.answers.answer import ask
from rookery.search.build import build_index
from rookery.search.held import holds
from rookery.search.index import weights_of
from rookery.search.post import post_page
from rookery.search.query import parse
from rookery.search.saved import news_of, save_search
from rookery.search.scope import KnownReader
from rookery.search.search import search_posts
from rookery.search.shards.served import ServedShard, ShardQuestion
from rookery.search.shards.sharded import ShardedIndex
from rookery.search.suggest import completions, correction, trends
from rookery.workflows.erase import erase
from rookery.workflows.trace import trace

SHARDS = 3
QUERIES = ("rook", "rook tower", "rook -tower", '"rook tower"', "rook OR owl", "from:author2 rook",
           "rook min_faves:9", "rook since:2026-02-01T00:30", "zeppelin", "rook zeppelin owl",
           "from:author3", "#night rook")  # fmt: skip


class Served:
    """Shards in this process; `down` are those that do not answer."""

    def __init__(self, home, embedder=HashedEmbedder, clock=None):
        homes = [replace(home, shard=Shard(n, SHARDS)) for n in range(SHARDS)]
        self.shards = [ServedShard(one, embedder, clock) for one in homes]
        self.count, self.down = SHARDS, set()

    def ask(self, questions):
        return {n: self.shards[n].ask(one) for n, one in questions.items() if n not in self.down}

    def missed(self):
        return frozenset(self.down)


@pytest.fixture
def both(home, indexed, a_post):
    """One index of 90 posts by 17 authors, and the same posts in three shards."""
    moment = datetime(2026, 2, 1, tzinfo=UTC)
    words = ("tower", "owl", "castle night", "tower owl #night", "field of snow")
    one = indexed(*(
        a_post(f"rook {words[n % 5]} number{n} " + "rook " * (n % 3), id=f"r{n}", likes=n,
               author=f"author{n % 17}", created=moment + timedelta(minutes=n),
               reply_to=f"r{n - 1}" if n % 4 == 1 else None)
        for n in range(90)
    ))  # fmt: skip
    served = split(home, one.clock)
    return one, served, ShardedIndex(home, served, one.clock, weights_of(home))


def split(home, clock):
    for n in range(SHARDS):
        build_index(replace(home, shard=Shard(n, SHARDS)), HashedEmbedder(), Context())
    return Served(home, clock=clock)


def told(results):
    hits = [(hit.id, hit.text, hit.highlights, hit.copies) for hit in results.hits]
    return hits, [round(hit.score, 5) for hit in results.hits], results.understood


def everything(index, text, mode, reader=None):
    """Return all pages of a search."""
    pages, cursor = [], None
    while True:
        page = search_posts(index, text, 7, mode, cursor, reader=reader)
        pages.append(told(page))
        cursor = page.cursor
        if cursor is None or len(pages) > 20:
            return pages


@pytest.mark.parametrize("mode", ["best", "latest"])
@pytest.mark.parametrize("text", QUERIES)
def test_shards_find_what_one_index_finds_page_by_page(both, text, mode):
    one, _, many = both
    assert everything(many, text, mode) == everything(one, text, mode)


def test_every_post_is_in_one_shard_by_its_author(both):
    one, served, many = both
    posts = [shard.ask(ShardQuestion("about")).value.posts for shard in served.shards]
    assert sum(posts) == one.posts == many.posts == 90
    assert all(posts)


def test_a_reader_is_shown_the_same_in_shards(both):
    one, _, many = both
    reader = KnownReader("ada", blocks=("author2", "author5"), muted_words=("castle",))
    assert everything(many, "rook", "best", reader) == everything(one, "rook", "best", reader)


@pytest.mark.parametrize("country", ["DE", "FR"])
def test_what_is_withheld_in_a_country_is_hidden_there_in_every_shard(both, country):
    one, _, many = both
    state(one.home, ["r4", "r8"], ["author3"], "withheld", "on", Context(), ["DE"])
    reader = KnownReader("ada", country=country)
    assert everything(many, "rook", "best", reader) == everything(one, "rook", "best", reader)
    found = {hit.id for hit in search_posts(many, "rook", 100, "latest", reader=reader).hits}
    assert ("r4" in found) == (country == "FR")


def test_a_forgotten_post_is_hidden_in_every_shard_and_counts_nowhere(both):
    one, _, many = both
    forget(one.home, ["r4", "r8"], [], Context())
    assert many.as_of_now().posts == 88
    assert everything(many, "rook", "best") == everything(one, "rook", "best")


@pytest.mark.parametrize("depth", [5, 10, 20])
def test_of_many_matches_shards_propose_those_that_one_index_proposes(both, depth):
    one, _, many = both
    query = parse("rook tower", one.clock.now(), UTC)
    for name in ("with_all", "with_some"):
        here = getattr(one.as_of_now(), name)(query, depth)
        there = getattr(many.as_of_now(), name)(query, depth)
        ids = [[row["id"] for row in index.as_of_now().rows(found)]
               for index, found in ((one, here), (many, there))]  # fmt: skip
        assert len(ids[1]) == len(ids[0]) == depth
        assert len(set(ids[0]) & set(ids[1])) >= 0.9 * depth


def test_counts_of_authors_add_up_over_shards(both):
    one, _, many = both
    assert completions(many, "#ni") == completions(one, "#ni") == ("#night",)
    assert completions(many, "from:auth", 20) == completions(one, "from:auth", 20)
    assert correction(many, "rook towre") == correction(one, "rook towre")
    assert trends(many) == trends(one)


def test_the_page_of_a_post_and_an_answer_are_those_of_one_index(both):
    one, _, many = both
    here, there = post_page(one, "r5", "rook owl"), post_page(many, "r5", "rook owl")
    assert [h.id for h in there.thread] == [h.id for h in here.thread]
    assert there.hit.parts.keys() == here.hit.parts.keys()
    assert (
        ask(many, "Which rook is in the tower?").note
        == ask(one, "Which rook is in the tower?").note
    )


def test_a_saved_search_tells_what_came_into_any_shard(both, put, a_post):
    one, _, many = both
    save_search(many, "rooks", "rook")
    put(*(a_post(f"a new rook {n}", id=f"n{n}", author=f"new{n}") for n in range(4)), key="more")
    split(one.home, one.clock)
    assert {hit.id for hit in news_of(many, "rooks").hits} == {"n0", "n1", "n2", "n3"}


def test_a_shard_that_does_not_answer_is_left_out_and_it_is_said_until_it_does(both):
    _, served, many = both
    assert many.lag() is None
    all_posts = {hit[0] for page in everything(many, "rook", "latest") for hit in page[0]}
    served.down = {1}
    some = {hit[0] for page in everything(many, "rook", "latest") for hit in page[0]}
    assert some < all_posts
    assert "1 of the 3 shards" in many.lag().line()
    assert many.lag().to_dict()["shards_missing"] == 1
    served.down = {0, 1, 2}
    assert search_posts(many, "rook").hits == ()
    served.down = set()
    assert many.lag() is None
    assert {hit[0] for page in everything(many, "rook", "latest") for hit in page[0]} == all_posts


def test_an_index_without_any_shard_names_the_command(home, put, a_post):
    put(a_post("a rook"))
    many = ShardedIndex(home, Served(home), None, weights_of(home))
    with pytest.raises(UsageError, match="there is no search index yet"):
        many.with_value("id", ["x"], 1)


def test_an_author_who_is_renamed_has_the_post_in_one_shard(both, put, a_post):
    one, _, many = both
    names = [f"name{n}" for n in range(8)]
    for n, name in enumerate(names):
        edited = datetime(2026, 3, 1 + n, tzinfo=UTC)
        put(a_post(f"gannet {n}", id="same", author=name, edited=edited), key=name)
        split(one.home, one.clock)
    assert len(search_posts(many, "gannet").hits) == 1


def test_an_erasure_reaches_every_shard_and_an_index_of_another_split(both, put, a_post):
    one, _, many = both
    home = replace(one.home, settings=replace(one.home.settings, search=Searching("", 3, "ray")))
    held = [replace(home, shard=Shard(n, SHARDS)) for n in range(SHARDS)]
    assert sum(holds(shard, "r4") for shard in held) == 1
    assert "search index" in places(home, "r4")
    forget(home, ["r4"], [], Context())
    erased = {(one["place"], one["unit"]): one["count"] for one in erase(home)["erased"]}
    assert erased["search index", "posts"] == 1
    assert not any(holds(shard, "r4") for shard in held)
    assert not (replace(home, shard=WHOLE).search / "current.json").exists()
    assert "search index" not in places(home, "r4")
    assert len(search_posts(many, "rook", 100, "latest").hits) == 89


def places(home, post_id):
    return {place["place"] for place in trace(home, post_id)["places"]}


def test_the_settings_refuse_shards_without_a_cluster():
    with pytest.raises(DataError, match='needs runner = "ray"'):
        Searching(shards=3)
    with pytest.raises(DataError, match="shards must be from 1"):
        Searching(shards=0, runner="ray")
