"""A generation tells the same as the posts that were put into it, whatever came between."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.digest import hash_ids
from rookery.core.errors import DataError
from rookery.core.protocols import HashedEmbedder
from rookery.posts.post import Post, to_table
from rookery.search.engine.reader import IndexReader
from rookery.search.engine.writer import COLUMNS, COUNTS, GenerationWriter

EMBEDDER = HashedEmbedder(16)
WORDS = ("rook", "tower", "tram", "late", "harbour", "bell")
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("take"),
            st.lists(
                st.tuples(
                    st.integers(0, 8), st.lists(st.sampled_from(WORDS), max_size=4), st.booleans()
                ),
                min_size=1,
                max_size=5,
            ),
        ),
        st.tuples(st.just("take out"), st.integers(0, 8)),
        st.tuples(st.just("commit"), st.none()),
        st.tuples(st.just("kill"), st.none()),
        st.tuples(st.just("close"), st.none()),
    ),
    max_size=14,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    def folder():
        return tmp_path_factory.mktemp("generation")

    return folder


def _kill(writer):
    """Leave a writer as a killed process does: what it had appended is on the disk."""
    writer._columns.sync()
    writer._columns.close()
    writer._writer.rollback()
    writer._writer.wait_merging_threads()  # frees the lock, as the end of a process does


@settings(max_examples=25)
@given(steps=STEPS)
def test_whatever_was_done_a_reader_sees_what_was_committed(folders, steps):
    folder = folders()
    writer, held, committed, reader = GenerationWriter(folder, EMBEDDER), {}, {}, None
    for step, what in [*steps, ("commit", None)]:
        if step == "take":
            posts = [_post(str(n), " ".join(words)) for n, words, _ in what]
            reasons = [None if allowed else "refused" for *_, allowed in what]
            writer.take(to_table(posts), reasons)
            for post in posts:
                held.pop(post.id, None)
            # of several versions in one call the last that may be searched holds
            held |= {p.id: p.text for p, why in zip(posts, reasons, strict=True) if why is None}
        elif step == "take out":
            writer.take_out([str(what)], ["hidden"])
            held.pop(str(what), None)
        elif step == "commit":
            writer.commit(writer.cursor)
            committed = dict(held)
            reader = reader or IndexReader(folder, 16)
            _check(reader.view(), committed)
        else:
            _kill(writer) if step == "kill" else writer.close()
            writer, held = GenerationWriter(folder, EMBEDDER), dict(committed)
    writer.close()
    _check(IndexReader(folder, 16).view(), held)


def _post(post_id, text):
    return Post(post_id, "ada", text, datetime(2026, 1, 1, tzinfo=UTC), visibility="public")


def _check(view, texts):
    """Compare what a view holds with the texts by id, and its counts with those made anew."""
    addresses = [view.address_of(int(n)) for n in view.findable]
    assert {post["id"]: post["text"] for post in view.posts_at(addresses)} == texts
    assert set(view.columns.ids[view.findable].tolist()) == set(hash_ids(sorted(texts)).tolist())
    documents = [view.columns.terms_of(view.findable[n : n + 1])[0] for n in range(len(texts))]
    anew = Counter(term for document in documents for term in set(document.tolist()))
    assert (view.statistics.posts, view.statistics.terms) == (len(texts), sum(map(len, documents)))
    known = np.array([*anew, 1], np.uint32)  # nothing has the last
    assert view.statistics.posts_with(known).tolist() == [*anew.values(), 0]


def test_an_index_of_which_every_post_was_removed_counts_nothing(folders, a_post):
    folder = folders()
    writer = GenerationWriter(folder, EMBEDDER)
    writer.take(to_table([a_post("a rook", id="1")]), [None])
    writer.take_out(["1"], ["hidden"])
    writer.commit(writer.cursor)
    _check(IndexReader(folder, 16).view(), {})
    writer.close()
    _check(IndexReader(folder, 16).view(), {})


def test_of_several_refusals_of_one_post_the_last_counts(folders, a_post):
    from rookery.search.engine.column_files import refused

    folder = folders()
    writer = GenerationWriter(folder, EMBEDDER)
    posts = to_table([a_post(id="1"), a_post(id="2"), a_post(id="3")])
    writer.take(posts, ["unknown", "unknown", None])
    writer.take(posts.slice(0, 1), ["not public"])
    writer.take(posts.slice(1, 1), [None])
    writer.commit(writer.cursor)
    writer.close()
    numbers = refused(folder / COLUMNS, writer.cursor.extent)
    assert {why: numbers[n] for n, why in enumerate(writer.cursor.reasons, 1)} == {
        "unknown": 0,
        "not public": 1,
    }


@pytest.mark.parametrize("name", ["posts.bin", "terms.bin", "vectors.bin"])
def test_a_file_that_was_cut_short_is_told_to_reader_and_writer(folders, a_post, name):
    folder = folders()
    writer = GenerationWriter(folder, EMBEDDER)
    writer.take(to_table([a_post(), a_post()]), [None, None])
    writer.commit(writer.cursor)
    writer.close()
    path = folder / COLUMNS / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=name):
        IndexReader(folder, 16)
    with pytest.raises(DataError, match=name):
        GenerationWriter(folder, EMBEDDER)


def test_counts_that_were_cut_short_are_made_anew(folders, a_post):
    folder = folders()
    writer = GenerationWriter(folder, EMBEDDER)
    writer.take(to_table([a_post("a rook"), a_post("a tower")]), [None, None])
    writer.commit(writer.cursor)
    writer.close()
    path = folder / COUNTS
    path.write_bytes(path.read_bytes()[:-1])
    _check(IndexReader(folder, 16).view(), {"1": "a rook", "2": "a tower"})
