"""Documents come out whole and in the order asked for, however small the buckets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.context import Context
from rookery.corpus import gather
from rookery.corpus.build import CorpusConfig, build_corpus
from rookery.corpus.document import from_row, read_documents
from rookery.town.posts import TownConfig, ingest_town


@given(st.lists(st.integers(1, 4), max_size=12), st.integers(0, 5))
def test_shuffling_moves_documents_and_keeps_their_posts_together(sizes, seed):
    rows = np.arange(100, 100 + sum(sizes))
    starts = np.cumsum([0, *sizes])[:-1].astype(np.int64)
    layout = gather.shuffled(
        rows, starts, np.ones(len(sizes), np.int64), np.random.default_rng(seed)
    )
    pieces = np.split(layout.rows, layout.starts[1:-1]) if sizes else []
    assert sorted(map(tuple, pieces)) == sorted(
        map(tuple, np.split(rows, starts[1:]) if sizes else [])
    )


def test_the_size_of_the_buckets_changes_nothing(home, monkeypatch):
    ingest_town(home, TownConfig(posts=1500), Context())
    made = []
    for documents, share in ((gather.GROUP_DOCUMENTS, 0.05), (7, 0.0500001)):
        monkeypatch.setattr(gather, "GROUP_DOCUMENTS", documents)
        corpus = build_corpus(home, Context(), CorpusConfig(validation_share=share))
        made.append(
            [
                from_row(row)
                for batch in read_documents(corpus, "train")
                for row in batch.to_pylist()
            ]
        )
    assert len(made[0]) > 100
    assert made[0] == made[1]


def test_items_made_ahead_come_in_order_and_an_error_after_those_before_it():
    def items():
        yield from range(3)
        raise ValueError("no fourth")

    made = gather.ahead(items())
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no fourth"):
        next(made)
    assert list(gather.ahead(iter(()))) == []


def test_items_used_beside_come_in_order_and_an_error_of_their_use_is_raised():
    used = []
    assert list(gather.beside(iter(range(4)), used.append)) == used == [0, 1, 2, 3]
    assert list(gather.beside(iter(()), used.append)) == []
    with pytest.raises(ZeroDivisionError):
        list(gather.beside(iter([1, 0]), lambda n: 1 / n))
