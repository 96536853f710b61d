"""Pairs: which posts of a corpus belong together, and which are held back."""

import numpy as np
import pyarrow as pa
import pytest

from rookery.model.embed import fold
from rookery.model.tuning.pairs import (
    SOURCES,
    Pairs,
    find_pairs,
    held_back,
    read_posts,
)
from tests.support.paired_home import make_corpus, paired_posts

A, B, C = "grey rooks build high nests", "black crows steal small eggs", "an owl sleeps all day"


def table(*posts: tuple[str, str | None, str | None]) -> pa.Table:
    """Return posts 0, 1, … of (text, reply_to, quote_of), as `read_posts` would."""
    texts, replies, quotes = zip(*posts, strict=True)
    named = [pa.array(column, pa.string()) for column in (texts, replies, quotes)]
    ids = pa.array([str(n) for n in range(len(posts))])
    return pa.table([ids, *named], ["id", "text", "reply_to", "quote_of"])


def pairs(*posts) -> list[tuple[int, int, str]]:
    posts = table(*posts)
    found = find_pairs(posts, fold(posts["text"].to_pylist()))
    return [
        (a, b, SOURCES[source])
        for (a, b), source in zip(found.rows.tolist(), found.source, strict=True)
    ]


def test_a_reply_a_quote_and_a_shared_link_are_pairs_of_the_earlier_and_the_later_post():
    found = pairs(
        (A, None, None),
        (B, "0", None),
        (C, None, "1"),
        (f"{A} https://e.org/1", None, None),
        (f"https://e.org/1. {B}", None, None),
    )
    assert found == [(0, 1, "reply"), (1, 2, "quote"), (3, 4, "link")]


def test_texts_that_are_nearly_the_same_or_hardly_any_words_are_no_pair():
    assert pairs((A, None, None), (f"{A} again", "0", None)) == []
    assert pairs((A, None, None), ("so true, ada", "0", None)) == []
    assert pairs((f"{A} http://e.org", None, None), (f"{A}! http://e.org", None, None)) == []


def test_a_post_that_replies_to_itself_or_to_a_post_that_is_not_there_is_no_pair():
    assert pairs((A, "0", None), (B, "77", None)) == []


def test_posts_are_those_of_training_documents_with_their_threads_taken_apart(home):
    corpus = make_corpus(home)
    posts = read_posts(home, corpus)
    assert posts["created"].to_pylist() == sorted(posts["created"].to_pylist())
    written = {post.id: post for post in paired_posts()}
    assert 400 < posts.num_rows < len(written)  # the later ones are held out of training
    for row in posts.to_pylist():
        post = written[row["id"]]
        assert (row["text"], row["author"]) == (post.text, post.author)
        assert (row["reply_to"], row["quote_of"]) == (post.reply_to, post.quote_of)


@pytest.mark.parametrize("count", [0, 1, 15, 300])
def test_the_latest_pairs_are_held_back_and_nothing_learned_is_as_late(count):
    rows = np.sort(np.random.default_rng(0).integers(0, 1000, (count, 2)), axis=1)
    rows = rows[np.argsort(rows[:, 1])].reshape(-1, 2)
    learned, held, border = held_back(Pairs(rows, np.zeros(count, np.int64)))
    assert len(learned) + len(held) == count
    assert len(held) >= count / 10
    assert (learned.rows < border).all()
    assert (held.rows[:, 1] >= border).all()
