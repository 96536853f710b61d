"""`rookery posts erase`: afterwards no file says it, a kill changes nothing, and all that was made
still works.
"""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from rookery.core.artifact import find_artifacts
from rookery.core.context import Context, FixedClock, SilentProgress
from rookery.core.errors import BusyError, DataError
from rookery.core.home import Home, Rights, Settings, open_home
from rookery.core.locks import erasing_posts, exclusive, reading_posts
from rookery.core.protocols import HashedEmbedder
from rookery.corpus import report
from rookery.corpus.build import build_corpus
from rookery.corpus.document import SPLITS, read_documents
from rookery.corpus.shards import open_shards, write_shards
from rookery.model.config import TrainConfig
from rookery.model.evaluate import evaluate
from rookery.model.shape import ModelShape
from rookery.model.tokenizer import load_tokenizer
from rookery.model.train import train
from rookery.posts import consent as word
from rookery.posts.forget import forget
from rookery.posts.lake import open_lake
from rookery.posts.live import live_log
from rookery.search.build import build_index
from rookery.search.index import open_index
from rookery.search.search import search_posts
from rookery.workflows.erase import erase
from rookery.workflows.trace import trace as trace_post
from tests.workflows.full_home import (
    COPIED,
    GOING,
    IDS,
    WORDS,
    in_lake,
    make_full_home,
    public,
    walk,
    walk_tokens,
)

SHAPE = ModelShape(
    vocabulary=384,
    width=32,
    layers=1,
    heads=2,
    kv_heads=1,
    head_size=16,
    hidden=64,
    context_tokens=64,
)
CONFIG = TrainConfig(
    0.0, SHAPE, steps=4, batch_tokens=1024, micro_batch_tokens=1024, checkpoint_steps=2
)


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Home:
    """Everything is due and nothing erased; not to be changed."""
    return make_full_home(tmp_path_factory.mktemp("full") / "home")


@pytest.fixture(scope="module")
def erased(full, tmp_path_factory) -> tuple[Home, dict]:
    """The same after one erasure, and what that said; not to be changed."""
    home = copied(full, tmp_path_factory.mktemp("erased"))
    return home, erase(home, Context())


def copied(home: Home, folder) -> Home:
    shutil.copytree(home.path, folder / "home")
    return open_home(folder / "home")


def state(home: Home) -> dict[str, object]:
    """What an erasure leaves: files by digest, rows, and none of its own traces."""
    assert not list(home.path.rglob("*.part*"))
    artifacts = list(find_artifacts(home.artifacts))
    for artifact in artifacts:
        artifact.verify()
    rows = sorted(
        json.dumps(row, default=str)
        for batch in open_lake(home).batches()
        for row in batch.to_pylist()
    )
    aside = {path.name: path.read_text() for path in home.set_aside.iterdir()}
    with live_log(home) as log:
        waiting = log.execute("SELECT post FROM arrived").fetchall()
        restrictions = log.restrictions()
    files = {
        f"{a.kind} {a.key}": [a.digest, a.manifest.files, a.manifest.erased.get("documents")]
        for a in artifacts
    }
    return {
        "files": files,
        "rows": rows,
        "aside": aside,
        "waiting": waiting,
        "standing": restrictions.digest,
    }


@pytest.mark.parametrize("name", WORDS)
def test_before_it_a_file_says_every_word_and_afterwards_none_does(full, erased, name):
    assert walk(full, WORDS[name].encode()), "the walk does not see it where it is"
    assert walk(erased[0], WORDS[name].encode()) == set()


def test_the_walk_sees_into_every_place(full):
    places = {path.split("/")[0] for path in walk(full, b"quazzlebrick")}
    assert places >= {"lake", "artifacts", "search", "set_aside"}
    assert "live.sqlite" in {path.split("-wal")[0] for path in walk(full, b"clappernudge")}
    assert "live.sqlite" in {path.split("-wal")[0] for path in walk(full, b"thrumbleword")}
    assert {"report.json"} <= {p.split("/")[-1] for p in walk(full, b"wibblenost")}
    assert "text's terms" in walk(full, b"quazzlebrick")


def test_words_that_others_said_too_stay_with_them_alone(full, erased):
    assert {"report.json", "duplicates.parquet", "train.parquet"} - {
        p.split("/")[-1] for p in walk(full, COPIED.encode())
    }
    assert {path.split("/")[0] for path in walk(erased[0], COPIED.encode())} <= {
        "lake",
        "search",
        "text's terms",
    }


@pytest.mark.parametrize(
    "name", ["a post", "an author", "an edited post", "a replaced post", "a deleted account"]
)
def test_afterwards_no_shard_holds_its_tokens(full, erased, name):
    assert walk_tokens(full, GOING[name].text)
    assert not walk_tokens(erased[0], GOING[name].text)


@pytest.mark.parametrize("name", IDS)
def test_afterwards_only_the_live_log_names_what_is_forgotten(full, erased, name):
    beside = {
        path for path in walk(erased[0], f'"{name}"'.encode()) if not path.startswith("live.sqlite")
    }
    # who answered a forgotten post still says whom: that is in the answer's own row
    answers = (
        {path for path in beside if path.startswith(("lake/", "search/"))}
        if name == "gone-1"
        else set()
    )
    assert beside == answers


def test_what_stays_is_as_it_was(full, erased):
    home, _ = erased
    gone = {"gone-1", "zelda-1", "zelda-2", "1000", "dora-1", "2000", "2001", "copied-1"}
    before = {row["id"]: row for batch in open_lake(full).batches() for row in batch.to_pylist()}
    after = {row["id"]: row for batch in open_lake(home).batches() for row in batch.to_pylist()}
    assert after == {id: row | {"place": None} for id, row in before.items() if id not in gone}
    corpora = (find_artifacts(of.artifacts, "corpus") for of in (full, home))
    for corpus, same in zip(*corpora, strict=True):
        assert (corpus.key, corpus.digest) == (same.key, same.digest)
        for split in SPLITS:
            documents = [
                [d for b in read_documents(c, split) for d in b.to_pylist()] for c in (corpus, same)
            ]
            assert len(documents[0]) == len(documents[1])
            assert all(a == b or not b["text"] for a, b in zip(*documents, strict=True))


def test_shards_keep_their_offsets_and_every_other_token(full, erased):
    shards = zip(
        find_artifacts(full.artifacts, "shards"),
        find_artifacts(erased[0].artifacts, "shards"),
        strict=True,
    )
    for before, after in shards:
        assert before.digest == after.digest
        for split in SPLITS:
            a, b = open_shards(before, split), open_shards(after, split)
            assert (a.offsets == b.offsets).all()
            changed = a.tokens != b.tokens
            assert (b.tokens[changed] == b.end_of_document).all()
            assert not changed.any() or changed.mean() < 0.2


def test_it_says_what_it_rewrote_and_a_second_time_there_is_nothing(full, tmp_path):
    home = copied(full, tmp_path)
    places = {one["place"].split()[0]: one for one in erase(home, Context())["erased"]}
    assert set(places) == {"set", "live", "corpus", "shards", "lake", "search"}
    before = state(home)
    assert erase(home, Context())["erased"] == []
    assert state(home) == before


def test_what_is_not_for_good_is_not_erased(full, tmp_path):
    home = copied(full, tmp_path)
    erase(home, Context())
    before = walk(home, b"rooks")
    word.state(home, [], ["kim"], "suspended", "on", Context())
    assert erase(home, Context())["erased"] == []
    assert walk(home, b"rooks") == before


def test_what_was_made_before_still_trains_resumes_and_is_judged(full, tmp_path):
    home = copied(full, tmp_path)
    tokenizer, corpus = home.newest("tokenizer"), home.newest("corpus")
    shards = home.newest("shards")
    whole = copied(full, tmp_path / "whole")
    with pytest.raises(Killed):
        train(home, shards, tokenizer, CONFIG, Context(progress=KillingProgress(3)))
    erase(home, Context())
    shards = home.newest("shards")
    resumed = train(home, shards, tokenizer, CONFIG, Context())
    undisturbed = train(whole, whole.newest("shards"), tokenizer, CONFIG, Context())
    assert resumed.digest == undisturbed.digest
    result = json.loads(
        evaluate(home, resumed, home.newest("corpus"), Context()).file("result.json").read_text()
    )
    assert 0 < result["bits_per_byte"]["model"] < 12
    assert report.compression(home.newest("corpus"), shards)["en"] > 1
    assert corpus.key == home.newest("corpus").key


class Killed(BaseException):
    """Stands for the end of the process."""


class KillingProgress(SilentProgress):
    """Ends the run after so many steps."""

    def __init__(self, steps: int):
        self.steps_left = steps

    @contextmanager
    def task(self, title, total=None, unit=""):
        yield self

    def advance(self, n=1, note=""):
        self.steps_left -= n
        if self.steps_left < 0:
            raise Killed


def test_shards_of_an_erased_corpus_have_nothing_to_learn_where_a_document_went(full, tmp_path):
    home = copied(full, tmp_path)
    for folder in home.artifacts.glob("shards/*/"):
        shutil.rmtree(folder)
    erase(home, Context())
    corpus, tokenizer = home.newest("corpus"), home.newest("tokenizer")
    made = open_shards(write_shards(home, corpus, load_tokenizer(tokenizer), Context()), "train")
    empty = [
        not text
        for batch in read_documents(corpus, "train", ["text"])
        for text in batch["text"].to_pylist()
    ]
    assert any(empty)
    with live_log(home) as log:
        assert made.masked(log.restrictions())[empty].all()


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_any_write_it_goes_on_and_ends_alike(full, tmp_path, monkeypatch, kills):
    whole = copied(full, tmp_path / "whole")
    writes = killed_after(None, whole, monkeypatch)
    assert writes > 20
    expected = state(whole)
    for after in sorted(Random(kills).sample(range(writes), kills)):
        home = copied(full, tmp_path / f"killed-{after}")
        killed_after(after, home, monkeypatch)
        erase(home, Context())
        assert state(home) == expected, f"killed at write {after}"
        assert not any(walk(home, one.encode()) for one in WORDS.values())


def killed_after(writes: int | None, home: Home, monkeypatch) -> int:
    """Erase until so many syncs of files are done (None: to the end); returns how many there
    were.
    """
    done = 0

    def fsync(descriptor: int) -> None:
        nonlocal done
        if done == writes:
            raise Killed
        done += 1

    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(os, "fsync", fsync)
        erase(home, Context())
    return done


def test_an_artifact_whose_erasure_was_cut_short_says_so(full, tmp_path, monkeypatch):
    home = copied(full, tmp_path)
    monkeypatch.setattr("rookery.corpus.erase._rewrite_documents", raise_killed)
    with suppress(Killed):
        erase(home, Context())
    with pytest.raises(DataError, match=r"an erasure was cut short here .*posts erase` again"):
        next(find_artifacts(home.artifacts, "corpus")).verify()


def raise_killed(*_):
    raise Killed


def test_it_is_refused_while_something_is_made_of_posts_and_the_other_way(full, tmp_path):
    home = copied(full, tmp_path)
    before = walk(home, b"quazzlebrick")
    with reading_posts(home), pytest.raises(BusyError, match="what is made of posts"):
        erase(home, Context())
    with exclusive(home.path / "lake.lock", "the lake"), pytest.raises(BusyError, match="the lake"):
        erase(home, Context())
    assert walk(home, b"quazzlebrick") == before
    with erasing_posts(home):
        for make in (
            lambda: build_corpus(home, Context()),
            lambda: build_index(home, HashedEmbedder(), Context()),
        ):
            with pytest.raises(BusyError, match="the erasure of posts"):
                make()


def test_an_account_may_come_back_until_its_days_are_over(full, tmp_path):
    home = copied(full, tmp_path)
    patient = Home(home.path, Settings(Rights(erase_within_days=100_000)))
    erase(patient, Context())
    assert walk(patient, b"mumblethrip")
    assert not walk(patient, b"quazzlebrick")
    erase(home, Context())
    assert not walk(home, b"mumblethrip")


def test_a_home_without_posts_has_nothing_to_erase(home):
    assert erase(home, Context()) == {"erased": [], "owed": []}


def test_a_forgotten_post_does_not_come_back_after_it(full, tmp_path):
    home = copied(full, tmp_path)
    erase(home, Context())
    in_lake(home, public(GOING["a post"]), public(GOING["an author"]))
    assert {p.split("/")[0] for p in walk(home, b"quazzlebrick")} == set()


def test_an_edited_post_is_not_found_by_its_old_words_before_the_index_is_built_anew(full):
    index = open_index(full, HashedEmbedder())
    results = search_posts(index, "frandlewick")
    assert (results.hits, results.left_out) == ((), {})


def places_of(home: Home, post: str) -> dict[str, tuple[str, str]]:
    return {p["place"].split()[0]: (p["how"], p["by"]) for p in trace_post(home, post)["places"]}


def test_trace_says_by_when_it_has_to_be_gone_and_afterwards_only_what_learned_owes(full, erased):
    due = (Context().clock.now() + timedelta(days=30)).date()
    before, after = places_of(full, "gone-1"), places_of(erased[0], "gone-1")
    days = {due.isoformat(), (due - timedelta(days=1)).isoformat()}  # midnight may have passed
    assert {how for how, _ in before.values()} == {"holds", "derives"}
    assert set(before) == {"lake", "search", "set", "corpus", "shards", "tokenizer"}
    assert {by for _, by in before.values()} <= days
    assert {place: how for place, (how, _) in after.items()} == {
        "corpus": "held",
        "shards": "held",
        "tokenizer": "derives",
    }
    assert {place for place, (_, by) in after.items() if by} == {"tokenizer"}


@pytest.mark.parametrize("post", ["zelda-1", "dora-1", "gone-waiting"])
def test_a_post_that_went_for_its_authors_sake_is_still_forgotten(full, erased, post):
    after = trace_post(erased[0], post)
    assert after["forgotten"]
    assert not after["in_lake"]
    assert "holds" not in {place["how"] for place in after["places"]}
    owed = {place["place"].split()[0] for place in after["places"] if place["owed"]}
    learned = post in learned_in(full)
    assert owed == ({"tokenizer"} if learned else set())


def learned_in(home: Home) -> set[str]:
    """The posts of all training documents."""
    return {
        post
        for corpus in find_artifacts(home.artifacts, "corpus")
        for batch in read_documents(corpus, "train", ["post_ids"])
        for posts in batch["post_ids"].to_pylist()
        for post in posts
    }


@pytest.mark.parametrize("why", ["dropped", "held out"])
def test_nothing_is_owed_for_a_post_from_which_nothing_learned(full, tmp_path, why):
    home = clean(full, tmp_path)
    corpora = list(find_artifacts(home.artifacts, "corpus"))
    held_out = {
        post
        for batch in read_documents(corpora[-1], "validation", ["post_ids"])
        for posts in batch["post_ids"].to_pylist()
        for post in posts
    }
    shown = set(report.shown(report.read(corpora[-1])))
    candidates = held_out if why == "held out" else shown - held_out
    post = min(candidates - learned_in(home))
    before = {p["place"].split()[0]: p["how"] for p in trace_post(home, post)["places"]}
    assert before["corpus"] == "holds"
    assert "tokenizer" not in before
    forget(home, [post], [], Context())
    assert {p["place"].split()[0] for p in trace_post(home, post)["places"] if p["owed"]} >= {
        "lake",
        "corpus",
    }
    result = erase(home, Context())
    assert result["erased"]
    assert result["owed"] == []
    after = trace_post(home, post)
    assert after["forgotten"]
    assert {p["how"] for p in after["places"]} == {"held"}
    assert not any(p["owed"] for p in after["places"])


def test_a_debt_begins_when_a_post_that_was_learned_from_was_forgotten(full, tmp_path):
    """Not when another one was, from which nothing learned or which is not there at all."""
    home = clean(full, tmp_path)
    learned = min(learned_in(home))
    early, late = (Context(FixedClock(datetime(2026, month, 1, tzinfo=UTC))) for month in (1, 7))
    forget(home, ["nowhere"], [], early)
    forget(home, [learned], [], late)
    (owed,) = erase(home, late)["owed"]
    assert owed["place"].startswith("tokenizer")
    assert owed["by"] == (late.clock.now() + timedelta(days=30)).date().isoformat()
    by = {p["by"] for p in trace_post(home, learned)["places"] if p["owed"]}
    assert by == {owed["by"]}


def clean(full: Home, folder) -> Home:
    """The same home with nothing due: its log is empty."""
    home = copied(full, folder)
    for path in home.path.glob("live.sqlite*"):
        path.unlink()
    return home


def test_trace_tells_an_earlier_version_from_the_one_that_holds(full, erased):
    found = trace_post(full, "edited-1")
    how = [place["how"] for place in found["places"]]
    assert not found["forgotten"]
    assert (
        how.count("holds an earlier version") == 3
    )  # of the first corpus, its shards, and the index
    assert how.count("holds") == 3  # of the lake, the second corpus and its shards
    assert [place["owed"] for place in found["places"] if place["how"] == "holds"] == [""] * 3
    assert "holds an earlier version" not in [
        place["how"] for place in trace_post(erased[0], "edited-1")["places"]
    ]


def test_trace_names_the_version_that_came_instead(full, erased):
    for home in (full, erased[0]):
        assert trace_post(home, "1000")["superseded_by"] == "1001"


def test_the_command_prints_what_it_did_and_refuses_in_one_line(full, tmp_path):
    home = copied(full, tmp_path)
    command = [sys.executable, "-m", "rookery.cli.main", "posts", "erase", "--home", str(home.path)]
    with exclusive(home.path / "lake.lock", "the lake"):
        refused = subprocess.run(command, capture_output=True, text=True)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    first, second = (subprocess.run(command, capture_output=True, text=True) for _ in range(2))
    assert "lake" in first.stdout
    assert "tokenizer" in first.stdout
    assert second.stdout.startswith("There is nothing to erase.")
