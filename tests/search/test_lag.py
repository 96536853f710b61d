"""Search goes on without a writer, on a full disk and with damaged files, and says since when."""

import subprocess
from datetime import datetime

import pytest
from disk import small_disk
from followed import eventually, follower, stream

from rookery.core.context import Context, FixedClock, SystemClock
from rookery.core.errors import DataError
from rookery.core.locks import exclusive
from rookery.core.protocols import HashedEmbedder
from rookery.posts.event import Event
from rookery.posts.forget import forget
from rookery.posts.live import live_log
from rookery.search.build import build_index
from rookery.search.engine.generation import in_force
from rookery.search.follow import follow_index
from rookery.search.index import open_index
from rookery.search.lag import BUSY, DISK_FULL, NOBODY
from rookery.search.search import search_posts


def lag_of(home):
    """Return the lag of the index as whoever opens it now sees it."""
    return open_index(home, HashedEmbedder()).lag()


def test_without_a_writer_it_says_as_of_when_the_index_is(home, put, a_post, indexed):
    assert indexed(a_post("a rook", id="1"), a_post("a raven", id="2")).lag() is None
    forget(home, ["2"], [], Context())
    assert lag_of(home) is None  # what is hidden is hidden, and nothing is missing
    put(a_post("another rook", id="3"), key="second")
    lag = lag_of(home)
    cursor = open_index(home, HashedEmbedder()).view.cursor
    assert (lag.why, lag.committed) == (NOBODY, datetime.fromisoformat(cursor.committed))
    assert lag.line().startswith(f"Posts since {lag.committed:%Y-%m-%d %H:%M:%S} UTC are missing")
    build_index(home, HashedEmbedder(), Context())
    assert lag_of(home) is None


def test_a_post_that_may_be_seen_again_is_missing_until_it_is_taken_in(home, a_post, indexed):
    indexed(a_post("a rook", id="1"))
    with live_log(home) as log:
        log.record([Event("state_post", "1", "withheld", "on")], SystemClock())
    build_index(home, HashedEmbedder(), Context())
    with live_log(home) as log:
        log.record([Event("state_post", "1", "withheld", "off")], SystemClock())
    clock = FixedClock()
    index = open_index(home, HashedEmbedder(), clock)
    assert index.lag().why == NOBODY
    build_index(home, HashedEmbedder(), Context())
    forget(home, ["another"], [], Context())  # lifts nothing
    clock.elapsed_seconds += 2.0
    assert index.lag() is None


def test_it_is_looked_at_once_a_second_and_a_writer_at_work_is_waited_for(home, put, a_post):
    put(a_post("a rook", id="1"))
    build_index(home, HashedEmbedder(), Context())
    clock = FixedClock()
    index = open_index(home, HashedEmbedder(), clock)
    with exclusive(home.search / "writer.lock", "the search index"):
        put(a_post("another rook", id="2"), key="second")
        assert index.lag() is None
        clock.elapsed_seconds += 2.0
        assert index.lag() is None
        clock.elapsed_seconds += 2.0
        assert index.lag().why == BUSY
    assert index.lag().why == BUSY  # not looked at again yet
    clock.elapsed_seconds += 1.0
    assert index.lag().why == NOBODY


@pytest.fixture
def tiny_disk(home):
    """Give the index of a home a disk of its own."""
    with small_disk(home.search):
        yield home.search


def test_on_a_full_disk_search_goes_on_and_the_writer_heals(home, a_post, tiny_disk):
    stream(home, a_post("the first rook", id="0"))
    build_index(home, HashedEmbedder(), Context())
    index = open_index(home, HashedEmbedder())
    with follower(home) as process:
        for n in range(1, 7):
            words = (f"rook{n}x{word}" for word in range(1_000))
            stream(home, *(a_post(f"{next(words)} " * 40, id=f"{n}-{m}") for m in range(500)))
        assert eventually(lambda: (lag := index.lag()) and lag.why == DISK_FULL)
        assert [hit.id for hit in search_posts(index, "first rook").hits] == ["0"]
        assert process.poll() is None
        subprocess.run(["mount", "-o", "remount,size=64m", tiny_disk], check=True)
        assert eventually(lambda: search_posts(index, "rook6x499").hits)
        assert eventually(lambda: index.lag() is None)
    assert open_index(home, HashedEmbedder()).view.posts == 3_001


def test_damaged_columns_are_made_again_beside_and_open_readers_go_on(home, a_post):
    stream(home, *(a_post(f"rook number {n}", id=str(n)) for n in range(50)))
    build_index(home, HashedEmbedder(), Context())
    index, generation = open_index(home, HashedEmbedder()), in_force(home)
    path = generation.folder(home) / "columns" / "posts.bin"
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.unlink()
    path.write_bytes(half)
    with pytest.raises(DataError, match="damaged"):
        open_index(home, HashedEmbedder())
    assert len(search_posts(index, "rook", 50).hits) == 50
    with follower(home):
        assert eventually(lambda: in_force(home) != generation)
        stream(home, a_post("one more rook", id="50"))
        assert eventually(lambda: len(search_posts(index, "rook", 60).hits) == 51)
    assert open_index(home, HashedEmbedder()).view.posts == 51


def test_a_follower_that_starts_while_a_new_model_waits_keeps_the_old_index_current(
    home, put, a_post, indexed, found
):
    index = indexed(*(a_post(f"a rook {n}", id=str(n)) for n in range(5_000)))
    old, seen = in_force(home), []

    def ended():
        if not seen:
            put(a_post("a late raven", id="late"), key="second")
        seen.append((in_force(home) == old, found(index, "raven")))
        return in_force(home) != old

    by_digest = {HashedEmbedder().digest: HashedEmbedder()}
    follow_index(home, lambda: HashedEmbedder(seed=1), Context(), ended, by_digest.get)
    assert (True, ["late"]) in seen  # found in the old one, while the new one was being filled
    assert open_index(home, HashedEmbedder(seed=1)).view.posts == 5_001
