"""A follower killed while it fills a new model's index: the next one keeps the old one current."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from followed import eventually, stream

from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.core.protocols import HashedEmbedder
from rookery.posts.forget import forget
from rookery.search.build import build_index
from rookery.search.engine.generation import in_force, wanted
from rookery.search.engine.reader import IndexReader
from rookery.search.index import open_index
from rookery.search.search import search_posts

OLD, NEW = HashedEmbedder(), HashedEmbedder(seed=1)
POSTS = 30_000
FOLLOW = """
import sys
from pathlib import Path
from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.core.protocols import HashedEmbedder
from rookery.search.follow import follow_index

old, new = HashedEmbedder(), HashedEmbedder(seed=1)
follow_index(open_home(Path(sys.argv[1])), lambda: new, Context(), earlier={old.digest: old}.get)
"""


@contextmanager
def filler(home):
    """Follow in a process of its own, with a newer model than the index in force has."""
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", FOLLOW, str(home.path)], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def filled(home):
    """Return how many posts the new model's index has committed."""
    goal = wanted(home, NEW)
    try:
        return IndexReader(goal.folder(home), goal.dimensions).view().cursor.posts
    except DataError:  # not begun yet
        return 0


@pytest.mark.slow
def test_the_next_follower_goes_on_and_keeps_the_old_index_current(home, put, a_post):
    put(*(a_post(f"a rook {n}", id=str(n)) for n in range(POSTS)))
    build_index(home, OLD, Context())
    index, old = open_index(home, OLD), in_force(home)
    with filler(home) as process:
        assert eventually(lambda: filled(home))
        process.kill()
        process.wait()
    half = filled(home)
    assert 0 < half < POSTS
    assert in_force(home) == old
    with filler(home):
        stream(home, a_post("a late raven", id="late"))
        forget(home, ["7"], [], Context())
        in_old = eventually(
            lambda: (
                IndexReader(old.folder(home), old.dimensions).view().cursor.posts == POSTS
                and [hit.id for hit in search_posts(index, "raven").hits] == ["late"]
            )
        )
        assert in_old
        assert in_force(home) == old  # while the new one is still being filled
        assert half <= filled(home) < POSTS
        assert eventually(lambda: in_force(home) != old)
    after = open_index(home, NEW)
    assert after.view.posts == POSTS
    assert [hit.id for hit in search_posts(after, "raven").hits] == ["late"]
    assert "7" not in {hit.id for hit in search_posts(after, "rook 7", 50).hits}
