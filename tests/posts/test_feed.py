"""The feed: every arrival comes once, in rising order, whatever happens to the files meanwhile."""

import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.context import Context, FixedClock
from rookery.core.errors import BusyError, DataError
from rookery.core.home import Home, create_home, open_home
from rookery.posts import feed, ingest, lake
from rookery.posts.erase import erase_inbox, erase_lake, plan_erasure
from rookery.posts.event import THE_POST, Event
from rookery.posts.feed import FEED_SCHEMA, latest, pages, read
from rookery.posts.ingest import ingest_batches
from rookery.posts.lake import open_lake
from rookery.posts.live import live_log
from rookery.posts.post import Post, from_row, to_batch
from rookery.posts.streams.inbox import Inbox, StreamMessage, flush_to_lake
from rookery.posts.versions import supersedes

CONTEXT = Context(FixedClock(datetime(2026, 7, 1, tzinfo=UTC)))
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
GOLDEN = Path(__file__).parents[1] / "golden"


def version(id: str, number: int, **fields) -> Post:
    """Return the n-th version of a post; posts are spread over three months."""
    created = FIRST + timedelta(days=31 * (int(id) % 3))
    edited = created + timedelta(hours=number) if number else None
    author, text = f"author {int(id) % 4}", f"{id} as of {number}"
    return Post(id, author, text, created, edited=edited, **fields)


def take(home: Home, *posts: Post, key: str = "key"):
    return ingest_batches(home, "test", key, lambda: iter([(to_batch(posts), [])]), CONTEXT)


def stream(home: Home, *posts: Post) -> None:
    with live_log(home) as log:
        Inbox(log).store("stream", [StreamMessage((post,)) for post in posts], CONTEXT.clock)


def found(home: Home, after: int = 0) -> list[tuple[int, str]]:
    rows = [row for page in pages(home, after) for row in page.rows.to_pylist()]
    return [(row["number"], row["id"]) for row in rows]


def test_posts_of_files_and_streams_come_in_the_order_of_their_arrival(home):
    assert (latest(home), found(home)) == (0, [])
    take(home, version("3", 0), version("1", 0), version("2", 0), key="a")
    stream(home, version("5", 0), version("4", 0))
    take(home, version("6", 0), key="b")
    expected = [(1, "3"), (2, "1"), (3, "2"), (4, "5"), (5, "4"), (6, "6")]
    assert (latest(home), found(home)) == (6, expected)
    flush_to_lake(home, CONTEXT)
    assert (latest(home), found(home)) == (6, expected)
    assert read(home, 0, 100).rows.schema == FEED_SCHEMA


def test_a_home_may_have_blanks_and_signs_in_its_name(tmp_path):
    home = create_home(tmp_path / "a home, 100% é")
    take(home, version("1", 0))
    assert found(home) == [(1, "1")]


def test_an_edit_is_an_arrival_of_its_own_and_what_it_edits_comes_no_more(home):
    take(home, version("1", 0), version("2", 0), key="a")
    take(home, version("1", 1), key="b")
    assert found(home) == [(2, "2"), (3, "1")]
    assert read(home, 2, 10).rows["text"].to_pylist() == ["1 as of 1"]


def test_a_reader_is_told_where_to_read_on_and_that_there_is_nothing_new(home):
    take(home, *(version(str(n), 0) for n in range(1, 8)))
    first = read(home, 0, 3)
    assert (first.rows["id"].to_pylist(), first.last) == (["1", "2", "3"], 3)
    assert [page.last for page in pages(home, first.last, 3)] == [6, 7]
    assert (read(home, 7, 3).rows.num_rows, read(home, 7, 3).last) == (0, 7)
    with pytest.raises(DataError, match="no post ever had the number 8"):
        read(home, 8, 3)


def test_while_a_reader_keeps_up_with_a_stream_the_lake_is_not_looked_at(home, monkeypatch):
    take(home, version("1", 0))
    stream(home, version("2", 0), version("3", 0))
    monkeypatch.setattr(feed, "find_lake", lambda home: pytest.fail("the lake was opened"))
    assert read(home, 1, 10).rows["id"].to_pylist() == ["2", "3"]


def test_few_new_posts_are_read_without_the_files_of_the_others(home, monkeypatch):
    for n in range(1, 5):
        take(home, version(str(3 * n), 0), key=f"{n}")
    opened = []
    original = lake.read_numbered

    def read_numbered(path, *args):
        opened.append(path)
        return original(path, *args)

    monkeypatch.setattr(lake, "read_numbered", read_numbered)
    assert read(home, 3, 10).rows["id"].to_pylist() == ["12"]
    assert len(opened) == 1


def test_what_is_forgotten_comes_no_more_before_and_after_its_erasure(home):
    take(home, version("1", 0), version("2", 0), version("11", 0))
    stream(home, version("3", 0), version("7", 0))
    with live_log(home) as log:
        log.append("forget_post", ["2"], CONTEXT.clock, "asked")
        log.append("forget_author", ["author 3"], CONTEXT.clock, "asked")
    assert found(home) == [(1, "1")]
    erase(home)
    assert (found(home), latest(home)) == ([(1, "1")], 5)


def test_an_erasure_at_the_same_time_is_waited_for_and_at_last_told(home, monkeypatch):
    take(home, version("1", 0))
    original, failures = feed.find_lake, [BusyError("posts are being erased")] * 2

    def busy(home):
        if failures:
            raise failures.pop()
        return original(home)

    monkeypatch.setattr(feed, "find_lake", busy)
    assert found(home) == [(1, "1")]
    failures += [BusyError("posts are being erased")] * 2
    assert read(home, 0, 1).rows.num_rows == 1
    failures += [BusyError("posts are being erased")] * 9
    with pytest.raises(BusyError):
        read(home, 0, 1)


def test_a_file_that_an_erasure_takes_from_a_reader_is_told_in_one_line(home):
    take(home, version("1", 0))
    for path in open_lake(home).paths():
        path.unlink()
    with pytest.raises(BusyError, match="being erased"):
        read(home, 0, 1)


@pytest.fixture
def older(tmp_path) -> Home:
    """A home of a release that gave posts no numbers."""
    with tarfile.open(GOLDEN / "home_older.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return open_home(next(path.parent for path in tmp_path.glob("*/rookery.toml")))


def test_posts_of_an_older_home_have_the_lowest_numbers_and_keep_them(older, monkeypatch):
    waiting = version("900001", 0)
    with live_log(older) as log:  # as the release before stored it
        inbox = Inbox(log)
        inbox.store("stream", [StreamMessage((waiting,))], CONTEXT.clock)
        for table in ("numbering", "numbered_write", "numbered_file"):
            log.execute(f"DROP TABLE {table}")
    posts = open_lake(older).count()
    before = found(older)
    assert [number for number, _ in before] == list(range(1, posts + 2))
    assert before[-1] == (posts + 1, waiting.id)
    monkeypatch.setattr(lake, "MOST_FILES", 0)  # every month is written anew
    take(older, version("900002", 0))
    flush_to_lake(older, CONTEXT)
    assert found(older) == [*before, (posts + 2, "900002")]


def test_a_read_begun_before_the_lake_is_written_anew_is_as_of_that_moment(home, monkeypatch):
    take(home, *(version(str(n), 0) for n in range(1, 40)), key="a")
    reading = pages(home, 0, 3)
    seen = [next(reading)]
    monkeypatch.setattr(lake, "MOST_FILES", 0)
    take(home, version("2", 1), version("41", 0), key="b")
    seen += reading
    numbers = [n for page in seen for n in page.rows["number"].to_pylist()]
    assert numbers == list(range(1, 40))
    assert found(home, 39) == [(40, "41"), (41, "2")]


# A random history, with kills at the two moments that matter, and two readers beside it.


class Killed(BaseException):
    """A process that ends at once."""


@dataclass
class Tailer:
    """A reader that holds what it got, and checks that the feed keeps its promise."""

    home: Home
    last: int = 0
    seen: dict[int, tuple[str, str]] = field(default_factory=dict)
    held: dict[str, Post] = field(default_factory=dict)

    def read(self, limit: int) -> None:
        page = read(self.home, self.last, limit)
        self._take(page, limit)

    def read_all(self, limit: int) -> None:
        for page in pages(self.home, self.last, limit):
            self._take(page, limit)
        assert self.last == latest(self.home)

    def _take(self, page, limit: int) -> None:
        numbers = page.rows["number"].to_pylist()
        assert len(numbers) <= limit
        assert numbers == sorted(set(numbers))
        assert all(self.last < number <= page.last for number in numbers)
        self.last = page.last
        for row in page.rows.to_pylist():
            post = from_row(row)
            self.seen[row["number"]] = (post.id, post.text)
            if post.id not in self.held or supersedes(post, self.held[post.id]):
                self.held[post.id] = post


def fail_after(original: Callable) -> Callable:
    def fails(*args, **kwargs):
        original(*args, **kwargs)
        raise Killed

    return fails


def killed(owner: object, name: str, act: Callable[[], object]) -> None:
    """Do something that is killed right after a function of its own has returned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, fail_after(getattr(owner, name)))
        try:
            act()
        except Killed:
            pass


def erase(home: Home) -> None:
    plan = plan_erasure(home)
    erase_lake(home, plan)
    erase_inbox(home, plan)


ids = st.integers(1, 9).map(str)
posts = st.lists(
    st.builds(
        version,
        ids,
        st.integers(0, 3),
        visibility=st.sampled_from(["unknown", "public", "followers"]),
        place=st.sampled_from([None, "an elm"]),
    ),
    min_size=1,
    max_size=5,
)
deeds = st.one_of(
    st.tuples(st.sampled_from(["ingest", "stream", "ingest, killed"]), posts),
    st.tuples(st.sampled_from(["flush", "flush, killed", "erase"]), st.none()),
    st.tuples(st.sampled_from(["forget", "scrub"]), ids),
    st.tuples(st.sampled_from(["read", "read all"]), st.integers(1, 4)),
)


@settings(max_examples=30)
@given(st.lists(deeds, min_size=3, max_size=14), st.integers(1, 3), st.integers(1, 3))
def test_a_reader_gets_each_arrival_once_and_holds_what_the_home_holds(
    tmp_path_factory, history, most_files, piece
):
    home = create_home(tmp_path_factory.mktemp("home"))
    tailer, forgotten = Tailer(home), set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake, "MOST_FILES", most_files)
        patch.setattr(ingest, "PIECE_POSTS", piece)
        for number, (deed, what) in enumerate(history):
            match deed:
                case "ingest":
                    take(home, *what, key=f"k{number}")
                case "ingest, killed":
                    killed(lake, "_commit", partial(take, home, *what, key=f"k{number}"))
                case "stream":
                    stream(home, *what)
                case "flush":
                    flush_to_lake(home, CONTEXT)
                case "flush, killed":
                    killed(lake, "_commit", partial(flush_to_lake, home, CONTEXT))
                case "forget":
                    forgotten.add(what)
                    with live_log(home) as log:
                        log.append("forget_post", [what], CONTEXT.clock, "asked")
                case "scrub":
                    with live_log(home) as log:
                        log.record([Event("scrub_place", what, THE_POST)], CONTEXT.clock)
                case "erase":
                    erase(home)
                case "read":
                    tailer.read(what)
                case "read all":
                    tailer.read_all(what)
        tailer.read_all(2)
        rebuilt = Tailer(home)
        rebuilt.read_all(100)
        assert rebuilt.seen.items() <= tailer.seen.items()
        assert {post: held.text for post, held in rebuilt.held.items()} == {
            post: held.text for post, held in tailer.held.items() if post not in forgotten
        }
        while flush_to_lake(home, CONTEXT):
            pass
        tailer.read_all(3)
        in_lake = (from_row(row) for batch in lake_batches(home) for row in batch.to_pylist())
        assert {p.id: (p.text, p.visibility) for p in in_lake if p.id not in forgotten} == {
            p.id: (p.text, p.visibility) for p in tailer.held.values() if p.id not in forgotten
        }


def lake_batches(home: Home):
    found = lake.find_lake(home)
    return found.batches() if found else ()
