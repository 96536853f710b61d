"""The inventory: a text's candidates are those of a plain search, through all changes."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.ads.ledger.store import open_store, sqlite_url
from rookery.ads.select import index as module
from rookery.ads.select.index import Inventory
from rookery.ads.select.words import words_of
from rookery.ads.terms.objects import KnownVersion, Listing
from rookery.core.protocols import HashedEmbedder
from tests.support.selling import campaign

EMBEDDER = HashedEmbedder(dimensions=32)
NOTHING = np.zeros(32, np.float32)


def listing(key: int, **fields) -> Listing:
    """Make a group with one ad from the fields of a campaign."""
    book = campaign(f"g{key}", **fields)
    return Listing(
        key,
        book.groups[0],
        key,
        book.campaigns[0],
        book.advertisers[0],
        tuple(KnownVersion(key, one) for one in book.versions),
    )


def candidates(inventory, text, worth=None, vector=NOTHING, most=200):
    rows = len(inventory.columns)
    worth = np.ones(rows) if worth is None else worth
    return inventory.candidates(words_of(text), vector, worth, most)


def names(inventory, found) -> list[str]:
    return [inventory.columns.ids[row][0] for row in found.rows.tolist()]


def test_rows_come_with_the_keywords_that_they_bid_on():
    inventory = Inventory(EMBEDDER)
    inventory.load([
        listing(1, keywords=("tea", "harbour")), listing(2, keywords=("harbour",)),
        listing(3, keywords=("rum",), excluded=("tea",)),
    ])  # fmt: skip
    found = candidates(inventory, "tea, rum and harbour")
    assert names(inventory, found) == ["g1", "g2", "g3"]
    texts = [inventory.keywords.texts[number] for number in found.keywords]
    matched = [{t for t, has in zip(texts, row, strict=True) if has} for row in found.matched]
    assert matched == [{"tea", "harbour"}, {"harbour"}, {"rum"}]
    assert found.excluded.tolist() == [False, False, True]


def test_the_most_worth_are_kept_and_who_does_not_run_is_told():
    inventory = Inventory(EMBEDDER)
    inventory.load([listing(n, keywords=("tea", "cup")) for n in range(1, 9)])
    worth = np.array([0.0, 5, 1, 7, 3, 2, 0, 4])
    found = candidates(inventory, "cup of tea", worth, most=3)
    assert names(inventory, found) == ["g2", "g4", "g8"]
    assert [inventory.columns.ids[row][0] for row in found.others] == ["g1", "g7"]


def test_a_text_fits_by_meaning_where_it_is_nearer_than_others_keywords_are():
    inventory = Inventory(EMBEDDER)
    words = [f"word{n} thing{n}" for n in range(30)]
    inventory.load([
        listing(n, keywords=(word,), meaning=(f"{word} {word}",)) for n, word in enumerate(words, 1)
    ])  # fmt: skip
    vector = EMBEDDER.embed(["thing7 word7 now"])[0]
    found = candidates(inventory, "nothing here", vector=vector)
    assert "g8" in names(inventory, found)
    assert not found.matched.any()
    assert found.similarity[names(inventory, found).index("g8")] > 3


def test_with_few_keywords_of_others_nothing_fits_by_meaning():
    inventory = Inventory(EMBEDDER)
    inventory.load([listing(1, keywords=("tea",)), listing(2, keywords=("rum",))])
    assert not len(candidates(inventory, "none", vector=EMBEDDER.embed(["tea tea"])[0]).rows)


WORDS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True)


@settings(max_examples=40)
@given(
    steps=st.lists(st.lists(st.tuples(st.integers(1, 12), WORDS), max_size=4), max_size=12),
    text=st.lists(st.sampled_from("abcdef"), max_size=4),
)
def test_through_all_changes_candidates_are_those_of_a_plain_search(steps, text):
    """With a sealed part as small as possible, so that the fresh one and merging take part."""
    before, module.FEW = module.FEW, 4
    fresh, module._FRESH_ROWS = module._FRESH_ROWS, 3
    try:
        inventory, plain = Inventory(EMBEDDER), {}
        inventory.load([listing(n, keywords=("a",)) for n in range(1, 7)])
        plain = {n: ["a"] for n in range(1, 7)}
        for step in steps:
            inventory.change(
                [listing(key, keywords=tuple(words)) for key, words in dict(step).items()]
            )
            plain |= dict(step)
            if inventory._merging is not None and random.random() < 0.5:
                inventory._merging.join()
            found = names(inventory, candidates(inventory, " ".join(text)))
            expected = {f"g{key}" for key, words in plain.items() if set(words) & set(text)}
            assert set(found) == expected
    finally:
        module.FEW, module._FRESH_ROWS = before, fresh


def test_many_vectors_are_sorted_into_lists_and_found():
    generator = np.random.default_rng(1)

    known = {}

    class Given:
        digest, dimensions, weight = "given", 16, 1.0

        def embed(self, texts):
            for text in texts:
                vector = generator.standard_normal(16).astype(np.float32)
                known.setdefault(text, vector / np.linalg.norm(vector))
            return np.stack([known[text] for text in texts])

    inventory = Inventory(Given())
    inventory.load([listing(n, keywords=(f"w{n}",), meaning=(f"m{n}",)) for n in range(1, 3_001)])
    assert inventory._sealed.vectors.centres is not None
    hits = [
        f"g{n}" in names(inventory, candidates(inventory, "-", vector=known[f"m{n}"]))
        for n in range(1, 301)
    ]
    assert np.mean(hits) > 0.97


def test_texts_of_ads_come_back_as_they_are(tmp_path):
    inventory = Inventory(EMBEDDER)
    inventory.load([listing(1, title="Чай", body="日本茶", ads=("Second",)), listing(2)])
    columns = inventory.columns
    assert columns.text(0, 0).title == "Чай"
    assert (columns.text(0, 1).title, columns.text(0, 1).ad) == ("Second", "g1-2")
    assert columns.versions_of(1).tolist() == [2]
    counts = np.arange(9).reshape(3, 3)
    assert columns.sums_by_row(counts).tolist() == [[6, 8, 10], [6, 7, 8]]
    open_store(sqlite_url(tmp_path / "x")).dispose()


@pytest.mark.parametrize("count", [0, 1])
def test_an_inventory_of_nothing_finds_nothing(count):
    inventory = Inventory(EMBEDDER)
    inventory.load([])
    assert len(candidates(inventory, "tea" * count).rows) == 0
