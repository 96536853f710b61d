"""The life of an index: built, found up to date, killed, swapped in, damaged."""

import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime

import pytest

from rookery.core.context import Context, SystemClock
from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import HashedEmbedder
from rookery.posts.event import Event
from rookery.posts.forget import forget
from rookery.posts.ingest import ingest_batches
from rookery.posts.live import live_log
from rookery.posts.sources.files import in_batches
from rookery.search.build import build_index
from rookery.search.engine.generation import FORMAT, in_force, want_anew
from rookery.search.follow import follow_index
from rookery.search.held import holds
from rookery.search.index import open_index


def test_only_posts_that_pass_the_gate_are_held_and_the_others_counted(home, put, a_post):
    put(
        a_post("a public rook", id="yes"),
        a_post("a private rook", id="no", visibility="direct"),
        a_post("a shy rook", id="shy", consent_search=False),
        a_post("a rook of which nothing is known", id="unknown", visibility="unknown"),
    )
    report = build_index(home, HashedEmbedder(), Context())
    assert report.posts == report.vectors == 1
    assert report.dropped == {"not_public": 1, "author_opted_out": 1, "visibility_unknown": 1}
    assert [holds(home, name) for name in ("yes", "no", "shy", "unknown")] == [
        True,
        False,
        False,
        False,
    ]


def test_building_again_does_nothing_until_something_changed(home, put, a_post):
    put(a_post(id="1"))
    assert build_index(home, HashedEmbedder(), Context()).built
    assert not build_index(home, HashedEmbedder(), Context()).built
    put(a_post(id="2"), key="second")
    assert build_index(home, HashedEmbedder(), Context()).posts == 2
    forget(home, ["1"], [], Context())
    report = build_index(home, HashedEmbedder(), Context())
    assert (report.posts, report.dropped) == (1, {"forgotten": 1})
    assert holds(home, "1")  # in the files, until the next generation takes over
    want_anew(home)
    assert build_index(home, HashedEmbedder(), Context()).built
    assert not holds(home, "1")


def test_an_open_index_sees_what_is_added_and_what_takes_over(home, put, a_post, indexed, found):
    index = indexed(a_post("a rook", id="1"))
    put(a_post("another rook", id="2"), key="second")
    assert found(index, "rook") == ["1"]
    build_index(home, HashedEmbedder(), Context())
    assert sorted(found(index, "rook")) == ["1", "2"]
    want_anew(home)
    report = build_index(home, HashedEmbedder(), Context())
    assert (report.built, report.posts) == (True, 2)
    assert sorted(found(index, "rook")) == ["1", "2"]
    assert len([p for p in home.search.iterdir() if p.is_dir()]) == 1


def test_an_edit_takes_the_place_of_the_post(home, put, a_post, indexed, found):
    index = indexed(a_post("a rook", id="1", author="ada"))
    edited = a_post("a raven", id="1", author="ada", edited=datetime(2026, 3, 1, tzinfo=UTC))
    ingest_posts(home, edited)
    assert found(index, "rook") == found(index, "raven") == []  # on its way: neither is shown
    assert build_index(home, HashedEmbedder(), Context()).posts == 1
    assert (found(index, "rook"), found(index, "raven")) == ([], ["1"])


def ingest_posts(home, *posts):
    """Take posts in, as a file of them would be."""
    return ingest_batches(home, "test", posts[0].text, lambda: in_batches(posts), Context())


def test_what_may_be_seen_again_comes_back(home, put, a_post, indexed, found):
    index = indexed(
        a_post("a black rook", id="1", author="ada"), a_post("a rook", id="2", author="bob")
    )
    states = [("on", ["2"]), ("off", ["1", "2"]), ("on", ["2"]), ("off", ["1", "2"])]
    for day, (value, ids) in enumerate(states, 1):
        happened = datetime(2026, 3, day, tzinfo=UTC)
        with live_log(home) as log:
            log.record([Event("state_author", "ada", "suspended", value, happened)], SystemClock())
        if value == "on":
            assert found(index, "rook") == ids  # at once, whatever the index holds
        report = build_index(home, HashedEmbedder(), Context())
        assert sorted(found(index, "rook")) == ids
        assert report.dropped == ({"suspended": 1} if value == "on" else {})


def test_a_build_of_nothing_is_an_index_that_finds_nothing(indexed, a_post, found):
    index = indexed(a_post("a rook", visibility="direct"))
    assert found(index, "rook") == found(index, "") == found(index, "rook tower") == []


def test_without_an_index_or_with_another_model_one_line_says_what_to_do(home, put, a_post):
    with pytest.raises(UsageError, match="rookery search index"):
        open_index(home, HashedEmbedder())
    assert not holds(home, "1")
    put(a_post())
    build_index(home, HashedEmbedder(), Context())
    with pytest.raises(UsageError, match="another model"):
        open_index(home, HashedEmbedder(seed=1))


def _break(home, name):
    folder = next(p for p in home.search.iterdir() if p.is_dir())
    path = {"meta": folder / "text" / "meta.json", "current": home.search / "current.json"}.get(
        name, folder / "columns" / name
    )
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("name", ["current", "posts.bin", "terms.bin", "vectors.bin", "meta"])
def test_a_damaged_index_says_so_in_one_line_and_is_mended_by_building(home, put, a_post, name):
    put(*(a_post(f"rook number {n}") for n in range(50)))
    build_index(home, HashedEmbedder(), Context())
    _break(home, name)
    with pytest.raises(DataError, match=r"damaged.*rookery search index"):
        open_index(home, HashedEmbedder())
    assert build_index(home, HashedEmbedder(), Context()).built
    assert open_index(home, HashedEmbedder()).view.posts == 50


def test_a_build_that_fails_leaves_the_index_in_force_and_the_next_no_leftovers(
    home, put, a_post, indexed, found
):
    class Failing(HashedEmbedder):
        def embed(self, texts):
            raise RuntimeError("out of memory")

    indexed(a_post("a rook", id="1"))
    put(a_post("another rook", id="2"), key="second")
    with pytest.raises(RuntimeError, match="out of memory"):
        build_index(home, Failing(seed=1), Context())
    assert found(open_index(home, HashedEmbedder()), "rook") == ["1"]
    build_index(home, HashedEmbedder(), Context())
    assert len([p for p in home.search.iterdir() if p.is_dir()]) == 1


def test_a_new_models_index_takes_over_from_the_one_that_is_followed(
    home, put, a_post, indexed, found
):
    """One call follows all the while: first for one model, then for another, then it is ended."""
    index = indexed(a_post("a rook", id="1"))
    models, steps = [HashedEmbedder()], []

    def ended():
        steps.append(found(index, "rook"))
        if len(steps) == 2:
            put(a_post("another rook", id="2"), key="second")
        if len(steps) == 6:
            models.append(HashedEmbedder(seed=1))
        return in_force(home).embedder == HashedEmbedder(seed=1).digest or len(steps) > 600

    follow_index(home, lambda: models[-1], Context(), ended)
    assert in_force(home).embedder == HashedEmbedder(seed=1).digest
    assert sorted(found(open_index(home, HashedEmbedder(seed=1)), "rook")) == ["1", "2"]
    assert len([p for p in home.search.iterdir() if p.is_dir()]) == 1
    assert [] not in steps  # no search that found nothing meanwhile


_DIES_WHILE_EMBEDDING = """
    import os, signal, sys
    from pathlib import Path
    from rookery.core.context import Context
    from rookery.core.home import open_home
    from rookery.core.protocols import HashedEmbedder
    from rookery.search.build import build_index

    class Dying(HashedEmbedder):
        def embed(self, texts):
            os.kill(os.getpid(), signal.SIGKILL)

    build_index(open_home(Path(sys.argv[1])), Dying(), Context())
"""


def test_a_killed_build_leaves_the_old_index_and_the_next_one_ends_it(
    home, put, a_post, indexed, found
):
    indexed(a_post("a rook", id="1"))
    put(a_post("another rook", id="2"), key="second")
    program = [sys.executable, "-c", textwrap.dedent(_DIES_WHILE_EMBEDDING), str(home.path)]
    assert subprocess.run(program, env=_environment()).returncode == -signal.SIGKILL
    assert found(open_index(home, HashedEmbedder()), "rook") == ["1"]
    build_index(home, HashedEmbedder(), Context())
    assert sorted(found(open_index(home, HashedEmbedder()), "rook")) == ["1", "2"]
    assert len([p for p in home.search.iterdir() if p.is_dir()]) == 1


def _environment():
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}


def test_an_index_of_another_release_is_named_and_made_anew(home, indexed, a_post):
    indexed(a_post("a rook"))
    current = home.search / "current.json"
    current.write_text(current.read_text().replace(f'"format": {FORMAT}', '"format": 1'))
    with pytest.raises(UsageError, match="made by another release"):
        open_index(home, HashedEmbedder())
    assert build_index(home, HashedEmbedder(), Context()).built
    assert open_index(home, HashedEmbedder()).posts == 1
