"""Parts of the lake: prepared once, and in one order however they were cut."""

import numpy as np
import pyarrow as pa
import pytest

from rookery.core.context import Context
from rookery.core.home import Cluster
from rookery.corpus import prepare as preparing
from rookery.corpus.prepare import Preparation, prepare
from rookery.posts.lake import append, open_lake
from rookery.posts.post import to_table
from rookery.posts.restrictions import Restrictions


@pytest.fixture
def prepared(home, tmp_path):
    """Prepare the home's lake in a folder of some name."""

    def run(name: str):
        return prepare(
            open_lake(home),
            Preparation(Restrictions(), "public"),
            tmp_path / name,
            Cluster(),
            Context(),
        )

    return run


def texts(posts) -> list[str]:
    return posts.pick(pa.array(range(len(posts))).to_numpy(), ["text"])["text"].to_pylist()


def test_a_finished_part_is_not_made_again(put, a_post, prepared):
    put(*(a_post(f"rook number {n}") for n in range(20)))
    first = prepared("parts").parts[0].stat()
    again = prepared("parts").parts[0].stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)


def test_however_the_lake_was_cut_the_posts_stand_in_one_order(home, a_post, prepared, monkeypatch):
    posts = [a_post(f"rook number {n}") for n in range(30)]
    for start in (20, 0, 10):
        append(home, to_table(posts[start : start + 10]).to_batches(), f"from {start}")
    whole = prepared("one")
    monkeypatch.setattr(preparing, "PART_POSTS", 5)
    cut = prepared("many")
    assert (len(whole.parts), len(cut.parts)) == (1, 3)
    assert texts(whole) == texts(cut) == [post.text for post in posts]


def test_posts_of_one_moment_stand_in_the_order_of_the_ends_of_their_ids(put, a_post, prepared):
    moment = a_post().created
    ids = ["at://b/3kaaaaaaaaaab", "at://a/3kaaaaaaaaaac", "9", "10", "at://a/3kaaaaaaaaaad"]
    put(*(a_post(f"rook {id}", id=id, created=moment) for id in ids[::-1]))
    kept = [text.removeprefix("rook ") for text in texts(prepared("parts"))]
    assert [id for id in kept if id.startswith("at")] == [
        "at://b/3kaaaaaaaaaab",
        "at://a/3kaaaaaaaaaac",
        "at://a/3kaaaaaaaaaad",
    ]
    assert kept.index("9") < kept.index("10")


def test_what_the_gate_refuses_is_counted_and_nowhere_in_the_parts(put, a_post, prepared):
    put(a_post("an open word"), a_post("a secret word", visibility="direct"))
    posts = prepared("parts")
    assert (posts.in_lake, posts.refused["training"], texts(posts)) == (
        2,
        {"not_public": 1},
        ["an open word"],
    )
    assert b"secret" not in posts.parts[0].read_bytes()


def test_a_short_post_is_in_the_language_of_its_author_in_whatever_part(
    home, a_post, prepared, monkeypatch
):
    long = [
        "the rooks came back to the elm this morning",
        "and the old church has a new roof as well",
    ]
    said = [*(("ada", text) for text in [*long, "again"]), ("bo", "tonight")]
    for author, text in said:
        append(home, to_table([a_post(text, author=author, language=None)]).to_batches(), text)
    monkeypatch.setattr(preparing, "PART_POSTS", 1)
    posts = prepared("parts")
    assert len(posts.parts) == len(said)
    languages = posts.pick(np.arange(len(posts)), ["text", "language"])["language"].to_pylist()
    assert languages == ["en", "en", "en", None]
