"""Tuning for search: exact after a kill, without what is forgotten, refused where it is too
little.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rookery.core.context import Context, SilentProgress, SystemClock
from rookery.core.digest import hash_ids
from rookery.core.errors import DataError, PausedError
from rookery.core.home import create_home
from rookery.core.pause import pause, resume
from rookery.model.embed import fold, load_embedder
from rookery.model.tuning import search
from rookery.model.tuning.pairs import read_posts
from rookery.model.tuning.search import Batches, select
from rookery.posts.live import live_log
from tests.support.paired_home import SMALL, make_corpus, paired_posts, tune

ROOT = Path(__file__).parents[3]
KILLED = """
import os, signal, sys
from rookery.model.tuning import search
from tests.support.paired_home import *

save = search._States.save
def kill_after(self, step):
    save(self, step)
    if step == 30:
        os.kill(os.getpid(), signal.SIGKILL)
search._States.save = kill_after
home = open_home(Path(sys.argv[1]))
tune(home, Context(progress=Noted(home)))
"""


def forget(home, *posts: str) -> None:
    with live_log(home) as log:
        log.append("forget_post", posts, SystemClock(), "asked")


def run(home, *how: str) -> subprocess.CompletedProcess:
    beside = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, *how, str(home.path)]
    return subprocess.run(command, env=os.environ | beside, capture_output=True, text=True)


def test_texts_of_a_pair_come_near_and_the_manifest_says_how_many_pairs_of_each_source(home):
    make_corpus(home)
    made = tune(home)
    embedder = load_embedder(made)
    assert embedder.dimensions == SMALL.dimensions
    first, second = (
        embedder.embed([post.text.split(" http")[0] for post in paired_posts()[half:200:2]])
        for half in (0, 1)
    )
    near = first @ second.T
    same = np.arange(100)[:, None] % 40 == np.arange(100) % 40
    assert near[same].mean() > near[~same].mean() + 0.3
    counts = made.manifest.metrics["pairs"]
    assert counts.keys() == {"reply", "quote", "link", "crop", "held_back"}
    assert all(counts.values())


def test_a_killed_tuning_goes_on_and_ends_with_the_same_bytes(home, tmp_path):
    make_corpus(home)
    killed = run(home, "-c", KILLED)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    ended = run(home, "-m", "tests.support.paired_home")
    assert ended.returncode == 0, ended.stderr
    assert "Going on after step 30." in (home.path / "said").read_text().splitlines()
    other = create_home(tmp_path / "other")
    make_corpus(other)
    assert home.newest("embedder").digest == tune(other).digest


def test_a_paused_tuning_goes_on_and_ends_with_the_same_bytes(home, tmp_path, monkeypatch):
    make_corpus(home)
    advance = Batches.at

    def pause_at_25(self, step):
        if step == 25:
            pause(home, "", SystemClock())
        return advance(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(Batches, "at", pause_at_25)
        with pytest.raises(PausedError):
            tune(home)
    resume(home)
    made = tune(home)
    other = create_home(tmp_path / "other")
    make_corpus(other)
    assert made.digest == tune(other).digest


def test_a_damaged_state_is_passed_over_with_a_line(home, said):
    make_corpus(home)
    assert run(home, "-c", KILLED).returncode == -signal.SIGKILL
    (state,) = home.artifacts.glob(f"embedder/*/scratch/{search.STATE}")
    state.write_bytes(state.read_bytes()[:100])
    tune(home, Context(progress=said))
    assert "The saved state is damaged, so tuning begins anew." in said.lines


def test_too_few_pairs_are_refused_in_one_line_and_leave_no_artifact(home):
    make_corpus(home, pairs=20)
    with pytest.raises(DataError, match=r"has \d+ pairs of texts to learn from, at least 100"):
        tune(home)
    assert home.newest("embedder") is None


def test_a_word_that_only_a_forgotten_post_has_stays_unknown(home, put, a_post):
    put(a_post("zyzzyva qoph " * 4, author="zoe"), key="rare")
    corpus = make_corpus(home)
    forget(home, "1")
    embedder = load_embedder(tune(home))
    assert corpus.manifest.metrics["documents_train"]
    rare = set(embedder.tokenizer.encode(fold(["zyzzyva qoph"]))[0])
    usual = {
        token
        for tokens in embedder.tokenizer.encode(fold([post.text for post in paired_posts()]))
        for token in tokens
    }
    assert rare - usual
    assert not embedder.table[sorted(rare - usual)].any()


class _Other:
    def advance(self, n=1, note=""):
        pass


class _Forgetting(SilentProgress):
    """A display that forgets an author when so many steps are done."""

    def __init__(self, home, steps: int):
        self._home, self._left = home, steps

    def task(self, title, total=None, unit=""):
        return contextlib.nullcontext(self if "tuning" in title else _Other())

    def advance(self, n=1, note=""):
        self._left -= n
        if self._left == 0:
            forget(self._home, *(f"{n}-0" for n in range(250)))


def test_what_is_forgotten_while_it_runs_is_in_no_later_batch(home, monkeypatch):
    corpus = make_corpus(home)
    seen = []
    texts = Batches.texts

    def noted(self, pairs, step):
        seen.append((step, self.material.texts.post_hashes[pairs.ravel()]))
        return texts(self, pairs, step)

    monkeypatch.setattr(Batches, "texts", noted)
    made = tune(home, Context(progress=_Forgetting(home, 20)))
    gone = hash_ids([f"{n}-0" for n in range(250)])
    before = [np.isin(hashes, gone).any() for step, hashes in seen if step < 19]
    after = [np.isin(hashes, gone).any() for step, hashes in seen if step > 20]
    assert all(before)
    assert after
    assert not any(after)
    assert made.manifest.inputs["corpus"] == corpus.digest


def test_no_text_of_a_held_back_pair_is_learned_from(home):
    corpus = make_corpus(home)
    made = tune(home)
    selection = select(home, corpus, SMALL)
    hashes = hash_ids(read_posts(home, corpus)["id"].to_pylist())
    late = hashes[selection.held.rows[:, 1]]
    assert len(late) == made.manifest.metrics["pairs"]["held_back"]
    assert not np.isin(late, hash_ids(selection.posts["id"].to_pylist())).any()
