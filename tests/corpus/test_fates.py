"""Every post of the lake has one fate in a corpus, found again by its id."""

from collections import Counter

import pytest

from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.corpus.build import build_corpus
from rookery.corpus.document import SPLITS, read_documents
from rookery.corpus.fates import CODES, NAMES, POSTS, Fate, fate_of, find_ids
from rookery.posts.forget import forget
from rookery.posts.lake import open_lake
from rookery.town.posts import TownConfig, ingest_town

PLACES = "river hill church tower meadow road market harbour school bridge mill farm".split()


@pytest.fixture
def plain(a_post):
    return [
        a_post(f"from the {a} one sees the {b} and all the rooks above it")
        for a in PLACES
        for b in PLACES
        if a < b
    ]


def test_a_post_is_told_its_split_its_reason_or_whose_copy_it_is(home, put, plain, a_post):
    copy = a_post(f"RT @ada: {plain[0].text.upper()}!", author="bot")
    near = a_post(plain[1].text + "s", author="cy")
    short = a_post("hm")
    closed = a_post("a word to a friend", visibility="direct")
    gone = a_post("a word that its author took back")
    put(*plain, copy, near, short, closed, gone)
    forget(home, [gone.id], [], Context())
    corpus = build_corpus(home, Context())

    def told(post) -> Fate | None:
        return fate_of(corpus, post.id)

    def hashed(post) -> int:
        return int(hash_ids([post.id])[0])

    assert told(copy) == Fate("exact_duplicate", hashed(plain[0]))
    assert told(near) == Fate("near_duplicate", hashed(plain[1]))
    assert told(short) == Fate("too_short")
    assert told(closed) == Fate("not_public")
    assert told(gone) == Fate("forgotten")
    assert told(a_post("not in the lake")) is None
    kept = {
        post: split
        for split in SPLITS
        for batch in read_documents(corpus, split, ["post_ids"])
        for post in batch["post_ids"].flatten().to_pylist()
    }
    fates = {post.id: told(post).name for post in plain}
    assert {id: name for id, name in fates.items() if name in SPLITS} == kept
    assert set(kept.values()) == set(SPLITS)


def test_the_fates_of_all_posts_add_up_to_the_report(home):
    ingest_town(home, TownConfig(posts=3000), Context())
    corpus = build_corpus(home, Context())
    ids = [id for batch in open_lake(home).batches(["id"]) for id in batch["id"].to_pylist()]
    fates = [fate_of(corpus, id) for id in ids]
    tally = corpus.manifest.tally
    names = Counter(fate.name for fate in fates)
    assert names["train"] + names["validation"] == tally["kept"]
    assert {n: c for n, c in names.items() if n not in SPLITS} == tally["dropped"]
    assert {fate.name for fate in fates if fate.representative is not None} == {
        "exact_duplicate",
        "near_duplicate",
    }
    size = sum(corpus.file(name).stat().st_size for name in (POSTS, CODES))
    assert size == 12 * len(ids)
    assert corpus.file(NAMES).stat().st_size < 1000


def test_a_representative_is_named_by_its_hash(home, put, plain):
    put(*plain)
    wanted = [int(h) for h in hash_ids([plain[3].id, plain[7].id, "no such post"])]
    batches = open_lake(home).batches(["id"])
    assert find_ids(wanted, batches) == {wanted[0]: plain[3].id, wanted[1]: plain[7].id}
    assert find_ids([], iter(())) == {}


def test_a_corpus_of_an_earlier_release_tells_no_fate(home, put, plain):
    put(*plain)
    corpus = build_corpus(home, Context())
    for name in (POSTS, CODES, NAMES):
        corpus.file(name).unlink()
    assert fate_of(corpus, plain[0].id) is None
