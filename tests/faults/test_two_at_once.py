"""Two processes on one home: one waits or is refused with a clear line, and nothing is lost."""

import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from rookery.core.context import Context
from rookery.core.locks import exclusive
from rookery.posts.ingest import ingest
from rookery.posts.lake import open_lake
from rookery.posts.live import live_log
from rookery.posts.post import to_table
from rookery.town.posts import TownConfig, town_posts

PARTS, PART_POSTS = 4, 500
COLUMNS = ["id", "author", "created", "text", "language", "visibility"]


@pytest.fixture
def parts(tmp_path):
    """Return the posts of a town in several tables."""
    table = to_table(list(town_posts(TownConfig(posts=PARTS * PART_POSTS + 10)))).select(COLUMNS)
    paths = [tmp_path / f"part{number}.parquet" for number in range(PARTS)]
    for number, path in enumerate(paths):
        pq.write_table(table.slice(number * PART_POSTS, PART_POSTS), path)
    return paths


@pytest.fixture
def start(home):
    def start(*words) -> subprocess.Popen:
        command = [
            sys.executable,
            "-m",
            "rookery.cli.main",
            *map(str, words),
            "--home",
            str(home.path),
        ]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    return start


def ended(process) -> tuple[int, list[str]]:
    """Return the exit code of a process and its error lines, without its progress."""
    _, said = process.communicate(timeout=120)
    return process.returncode, [line for line in said.splitlines() if line.startswith("rookery:")]


def test_while_one_process_writes_to_the_lake_posts_can_be_forgotten_and_a_second_writer_is_refused(
    home, parts, start
):
    ingest(home, parts[:1], None, Context())
    one = next(open_lake(home).batches(["id"]))["id"][0].as_py()
    with exclusive(home.path / "lake.lock", "the lake"):
        second, forgetting = start("posts", "ingest", parts[1]), start("posts", "forget", one)
        code, said = ended(second)
        assert (code, len(said)) == (2, 1)
        assert "another process is working on the lake" in said[0]
        assert ended(forgetting) == (0, [])
    assert open_lake(home).count() == PART_POSTS
    assert ended(start("posts", "ingest", parts[1])) == (0, [])
    assert open_lake(home).count() == 2 * PART_POSTS


@pytest.mark.slow
def test_everything_at_once_ends_as_one_after_the_other(home, parts, start):
    ingest(home, parts[:1], None, Context())
    gone = open_lake(home).table.to_pyarrow_table(columns=["id"])["id"].to_pylist()[:5]
    build = ("corpus", "build")
    waiting = {("posts", "ingest", path) for path in parts[1:]} | {
        build,
        ("posts", "forget", *gone),
    }
    deadline = time.monotonic() + 120
    while waiting:
        assert time.monotonic() < deadline
        running = [(words, start(*words)) for words in sorted(waiting, key=str)] + [
            (build, start(*build))
        ]
        for words, process in running:
            code, said = ended(process)
            assert code == 0 or (code == 2 and len(said) == 1 and "another process" in said[0]), (
                said
            )
            waiting -= {words} if code == 0 else set()
    assert ended(start(*build)) == (0, [])
    ids = [id_ for batch in open_lake(home).batches(["id"]) for id_ in batch["id"].to_pylist()]
    assert (len(ids), len(set(ids))) == (PARTS * PART_POSTS, PARTS * PART_POSTS)
    corpus = home.newest("corpus")
    corpus.verify()
    held = pq.read_table(corpus.path / "train.parquet", columns=["post_ids"])[
        "post_ids"
    ].to_pylist()
    assert held
    assert not set(gone) & {post for posts in held for post in posts}
    with live_log(home) as log:
        assert log.restrictions().forgotten_posts == set(gone)
