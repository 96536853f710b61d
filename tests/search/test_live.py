"""A live index: a second process keeps it current while posts arrive, are edited and hidden."""

import random
import shutil
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from followed import eventually, follower, stream

from rookery.core.context import Context
from rookery.core.protocols import HashedEmbedder
from rookery.posts.event import Event
from rookery.posts.forget import forget
from rookery.posts.streams.inbox import flush_to_lake
from rookery.search.build import build_index
from rookery.search.engine.columns import hashed
from rookery.search.held import held_by
from rookery.search.index import open_index
from rookery.search.search import search_posts

EDITED = datetime(2026, 3, 1, tzinfo=UTC)


def test_what_arrives_is_found_what_is_edited_changes_and_what_is_hidden_goes(home, a_post):
    stream(home, a_post("a first rook", id="1"))
    build_index(home, HashedEmbedder(), Context())
    index = open_index(home, HashedEmbedder())

    def ids(text):
        return sorted(hit.id for hit in search_posts(index, text).hits)

    with follower(home) as process:
        stream(home, a_post("a second rook", id="2"), a_post("a third rook", id="3"))
        assert eventually(lambda: ids("rook") == ["1", "2", "3"])
        edited = a_post("a raven", id="2", edited=datetime(2026, 5, 1, tzinfo=UTC))
        stream(home, edited)
        assert eventually(lambda: ids("raven") == ["2"])
        assert ids("rook") == ["1", "3"]
        flush_to_lake(home, Context())  # the lake takes over what the index has already
        assert eventually(lambda: ids("raven") == ["2"] and ids("rook") == ["1", "3"])
        forget(home, ["3"], [], Context())
        assert ids("rook") == ["1"]  # at once, before the follower knows of it
        when = datetime(2026, 6, 1, tzinfo=UTC)
        for value, expected in (("on", []), ("off", ["1"])):
            stream(home, events=[Event("state_author", "ada", "suspended", value, when)])
            when = when.replace(day=when.day + 1)
            assert eventually(lambda expected=expected: ids("rook") == expected)
        assert process.poll() is None


def test_one_process_writes_and_a_build_waits_for_it(home, put, a_post):
    put(a_post("a rook"))
    build_index(home, HashedEmbedder(), Context())
    with follower(home) as first, follower(home) as second:
        (refused,) = eventually(lambda: [p for p in (first, second) if p.poll() is not None])
        assert refused.returncode != 0
        assert "another process" in refused.stderr.read()
        put(a_post("another rook"), key="second")
        assert build_index(home, HashedEmbedder(), Context()).posts == 2


@pytest.mark.parametrize(
    "kills", [4, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
def test_killed_again_and_again_it_holds_what_a_rebuilt_one_holds(home, a_post, kills):
    """Stream, edit and forget beside a follower that is killed at random moments."""
    chance, alive, number = random.Random(kills), {}, 0
    stream(home, a_post("a rook", id="0"))
    alive["0"] = a_post("a rook", id="0")
    build_index(home, HashedEmbedder(), Context())
    for _ in range(kills):
        with follower(home) as process:
            started = time.monotonic()
            lasts = 0.8 + chance.random()
            while time.monotonic() - started < lasts:
                number += 1
                post = a_post(f"rook number {number}", id=str(number))
                stream(home, post)
                alive[post.id] = post
                name = chance.choice(sorted(alive))
                if chance.random() < 0.2:
                    edited = EDITED + timedelta(seconds=number)
                    alive[name] = replace(alive[name], text=f"raven {number}", edited=edited)
                    stream(home, alive[name])
                elif chance.random() < 0.1 and len(alive) > 1:
                    forget(home, [name], [], Context())
                    del alive[name]
                if chance.random() < 0.05:
                    flush_to_lake(home, Context())
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
    build_index(home, HashedEmbedder(), Context())
    index = open_index(home, HashedEmbedder())
    view = index.view
    stored = view.posts_at([view.address_of(int(n)) for n in view.findable])
    assert {post["id"]: post["text"] for post in stored} == {p.id: p.text for p in alive.values()}
    held = held_by(home)
    assert len(held.ids) - len(held.dead) == len(alive)
    # few posts match each, so that all of them are candidates
    unedited = sorted(name for name, post in alive.items() if post.edited is None and name != "0")
    asked = [f"rook number {name}" for name in chance.sample(unedited, min(20, len(unedited)))]
    before = shown(index, asked)
    shutil.rmtree(home.search)
    build_index(home, HashedEmbedder(), Context())
    assert before == shown(open_index(home, HashedEmbedder()), asked)


def shown(index, queries):
    """Return what queries find, and what the index counts."""
    found = [
        sorted((hit.id, hit.score) for hit in search_posts(index, text, 50).hits)
        for text in queries
    ]
    terms = hashed(["rook", "raven", "number"])
    counts = index.view.statistics
    return found, counts.posts, counts.average_terms, counts.posts_with(terms).tolist()
