"""The live log: what was forgotten stays forgotten, in every process, from that moment."""

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.context import FixedClock
from rookery.core.errors import StorageError
from rookery.core.home import create_home
from rookery.posts.live import live_log

names = st.lists(st.sampled_from("abcdef"), max_size=6)


@settings(max_examples=20, deadline=None)
@given(names, names, names)
def test_forgotten_among_says_what_forgotten_says(tmp_path_factory, posts, authors, asked):
    with live_log(create_home(tmp_path_factory.mktemp("home"))) as log:
        log.append("forget_post", posts, FixedClock(), "asked")
        log.append("forget_author", authors, FixedClock(), "asked")
        forgotten = log.forgotten()
        pairs = [(post, author) for post in asked for author in asked]
        assert log.forgotten_among(pairs) == {p for p, a in pairs if forgotten.holds(p, a)}
        assert forgotten.watermark == log.watermark()
        assert (forgotten.posts, forgotten.authors) == (set(posts), set(authors))


def test_forgetting_twice_is_noted_once(home):
    with live_log(home) as log:
        assert log.append("forget_post", ["1", "2", "1"], FixedClock(), "asked") == 2
        assert log.append("forget_post", ["2", "3"], FixedClock(), "asked") == 1
        assert len(log.forgotten().posts) == 3


def test_the_digest_depends_on_what_is_forgotten_and_not_on_when(home, tmp_path):
    with live_log(home) as one, live_log(create_home(tmp_path / "other")) as two:
        one.append("forget_post", ["1", "2"], FixedClock(), "asked")
        two.append("forget_post", ["2"], FixedClock(), "asked")
        assert one.forgotten().digest != two.forgotten().digest
        two.append("forget_post", ["1"], FixedClock(), "law")
        assert one.forgotten().digest == two.forgotten().digest


def test_more_posts_than_one_statement_takes_can_be_asked_for(home):
    with live_log(home) as log:
        log.append("forget_post", ["40000"], FixedClock(), "asked")
        assert log.forgotten_among([(str(n), "bo") for n in range(70_000)]) == {"40000"}


FORGET_AND_DIE = """
import os, signal, sys
from pathlib import Path
from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.posts.forget import forget
forget(open_home(Path(sys.argv[1])), ["1"], ["bo"], Context())
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_forgotten_survives_a_kill_and_is_seen_by_a_log_that_was_open(home):
    with live_log(home) as log:
        assert log.forgotten_among([("1", "ada")]) == set()
        died = subprocess.run([sys.executable, "-c", FORGET_AND_DIE, str(home.path)], check=False)
        assert died.returncode == -signal.SIGKILL
        assert log.forgotten_among([("1", "ada"), ("2", "bo"), ("3", "ada")]) == {"1", "2"}


def test_a_broken_log_is_one_clear_line(home):
    home.live.write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match=r"live\.sqlite"), live_log(home):
        pass
    assert os.path.getsize(home.live) == 1100
