"""The whole stage: its input, its output, and the laws that hold over it."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.core.config import with_settings
from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.home import create_home
from rookery.core.lineage import trace
from rookery.corpus.build import CorpusConfig, build_corpus
from rookery.corpus.document import SPLITS, Document, from_row, read_documents
from rookery.corpus.erase import learns_from
from rookery.corpus.normalize import key
from rookery.posts.forget import forget
from rookery.posts.lake import append, open_lake
from rookery.posts.post import to_table
from rookery.town.posts import TownConfig, ingest_town

SUBJECTS = "rook crow raven jackdaw magpie jay chough elm oak ash beech birch maple willow".split()
VERBS = "sees hears meets follows leaves finds builds keeps".split()
PLACES = "river hill church tower meadow road market harbour school bridge mill farm".split()


def sentence(n: int) -> str:
    """Return a plain sentence, another one for each number."""
    random = np.random.default_rng(n)

    def pick(words: list[str]) -> str:
        return words[random.integers(len(words))]

    return (
        f"{pick(SUBJECTS)} {pick(VERBS)} {pick(SUBJECTS)} near {pick(PLACES)} and "
        f"{pick(PLACES)} with {pick(SUBJECTS)}"
    )


def documents(corpus, split: str | None = None) -> list[Document]:
    splits = [split] if split else SPLITS
    return [
        from_row(row)
        for s in splits
        for batch in read_documents(corpus, s)
        for row in batch.to_pylist()
    ]


def held_posts(corpus) -> set[str]:
    return {post for document in documents(corpus) for post in document.post_ids}


@pytest.fixture
def plain(a_post):
    return [a_post(sentence(n)) for n in range(60)]


def test_every_plain_post_becomes_a_document_with_its_own_id(home, put, plain):
    put(*plain)
    corpus = build_corpus(home, Context())
    assert {(d.id, d.text, d.post_ids, d.author_ids, d.created) for d in documents(corpus)} == {
        (p.id, p.text, (p.id,), (p.author,), p.created) for p in plain
    }
    assert corpus.manifest.metrics == {
        "lake_version": 0,
        "documents_train": 48,
        "documents_validation": 12,
    }


def test_no_lake_is_wrong_use(home):
    with pytest.raises(UsageError, match="no posts yet"):
        build_corpus(home, Context())


@pytest.mark.parametrize(
    "wrong", ["validation_share=1.5", "validation_share=0", "validation_limit=0"]
)
def test_a_setting_without_sense_is_refused_by_name(wrong):
    with pytest.raises(UsageError, match=wrong.partition("=")[0]):
        with_settings(CorpusConfig(), [wrong])


def test_too_few_posts_are_one_clear_line_with_the_reasons(home, put, a_post):
    put(
        a_post("short"),
        a_post("a direct word to a friend", visibility="direct"),
        a_post(sentence(1)),
    )
    with pytest.raises(DataError, match=r"1 of 3 posts are left.*Dropped: .*too_short 1"):
        build_corpus(home, Context())
    assert home.newest("corpus") is None


@pytest.mark.parametrize("earlier", [1, 200])
def test_held_out_posts_that_all_answer_earlier_threads_are_one_clear_line(
    home, put, a_post, earlier
):
    first = [a_post(sentence(n)) for n in range(earlier)]
    put(
        *first,
        *(
            a_post(sentence(1_000 + n), reply_to=first[-1].id)
            for n in range(1 if earlier == 1 else 50)
        ),
    )
    command = [sys.executable, "-m", "rookery.cli.main", "corpus", "build", "--home", home.path]
    done = subprocess.run(command, capture_output=True, text=True)
    (line,) = (
        line for line in done.stderr.splitlines() if line.startswith("rookery: ")
    )  # others say what took long
    assert done.returncode == 2, done.stderr
    assert re.search(r"no document .*validation.*thread_in_train \d+.*validation_share", line)
    assert str(home.path) in line
    assert [path.name for path in home.artifacts.glob("corpus/*/*")] == ["scratch"]


def test_what_may_not_be_trained_on_is_nowhere_in_the_artifact(home, put, plain, a_post):
    secret = "nobody must ever read this unmistakable sentence"
    closed = [
        a_post(f"{secret} {v}", visibility=v)
        for v in ("unlisted", "followers", "direct", "unknown")
    ]
    closed += [
        a_post(secret, consent_training=False),
        a_post(secret, id="gone"),
        a_post(secret, author="leaver"),
    ]
    put(*plain, *closed)
    forget(home, ["gone"], ["leaver"], Context())
    corpus = build_corpus(home, Context())
    assert held_posts(corpus) == {p.id for p in plain}
    assert corpus.manifest.tally["dropped"] == {
        "not_public": 3,
        "forgotten": 2,
        "author_opted_out": 1,
        "visibility_unknown": 1,
    }
    for path in (corpus.file("report.html"), corpus.file("report.json")):
        assert "unmistakable" not in path.read_text()


def test_opt_in_takes_only_those_who_said_yes(tmp_path, plain):
    home = create_home(tmp_path / "opt-in", "opt-in")
    willing = [replace(p, consent_training=True) for p in plain[:10]]
    append(home, to_table([*willing, *plain[10:]]).to_batches(), "test")
    corpus = build_corpus(home, Context())
    assert held_posts(corpus) == {p.id for p in willing}
    assert corpus.manifest.policy == "opt-in"


def test_forgetting_makes_another_corpus_without_the_post(home, put, plain):
    put(*plain)
    before = build_corpus(home, Context())
    forget(home, [plain[3].id], [], Context())
    after = build_corpus(home, Context())
    assert held_posts(before) - held_posts(after) == {plain[3].id}
    assert [t.artifact.key for t in trace(home, plain[3].id, learns_from)] == [before.key]


def test_of_texts_that_say_the_same_only_the_earliest_is_kept(home, put, plain, a_post):
    copies = [
        a_post(f"RT @ada: {plain[0].text.upper()}! https://t.co/x{n}", author="bot")
        for n in range(3)
    ]
    near = a_post(plain[1].text + "s", author="cy")
    put(*plain, *copies, near)
    corpus = build_corpus(home, Context())
    assert held_posts(corpus) == {p.id for p in plain}
    assert corpus.manifest.tally["dropped"] == {"exact_duplicate": 3, "near_duplicate": 1}


def test_personal_data_is_redacted_before_anything_is_written(home, put, plain, a_post):
    put(*plain, a_post("write to ada.lovelace@example.org about the rooks"))
    corpus = build_corpus(home, Context())
    assert "write to [email] about the rooks" in {d.text for d in documents(corpus)}
    assert all(b"lovelace" not in path.read_bytes() for path in corpus.path.iterdir())


def test_a_thread_is_one_document_with_all_its_posts_and_authors(home, put, plain, a_post):
    first = a_post("who has seen the rooks today?", author="ada")
    answer = a_post("they are at the mill, all forty", author="bo", reply_to=first.id)
    other = a_post("mine are still in the south", author="cy", reply_to=first.id)
    deeper = a_post("forty? I counted only thirty", author="ada", reply_to=answer.id)
    put(
        first,
        answer,
        other,
        deeper,
        *(replace(p, created=deeper.created.replace(year=2027)) for p in plain),
    )
    (thread,) = [d for d in documents(build_corpus(home, Context())) if d.id == first.id]
    assert thread.text.split("\n\n") == [first.text, answer.text, deeper.text, other.text]
    assert thread.post_ids == (first.id, answer.id, deeper.id, other.id)
    assert thread.author_ids == ("ada", "bo", "ada", "cy")
    assert thread.created == deeper.created


def test_no_thread_and_no_text_stands_on_both_sides_and_validation_is_later(
    home, put, plain, a_post
):
    late = [
        a_post(sentence(1000 + n), reply_to=plain[n % 60].id if n % 2 else None) for n in range(20)
    ]
    put(*plain, *late)
    corpus = build_corpus(home, Context(), CorpusConfig(validation_limit=20))
    train, validation = documents(corpus, "train"), documents(corpus, "validation")
    assert max(d.created for d in train) < min(d.created for d in validation)
    assert corpus.manifest.tally["dropped"] == {"thread_in_train": 8}
    texts = [set(key(pa.array([d.text for d in side])).to_pylist()) for side in (train, validation)]
    assert not texts[0] & texts[1]


def test_a_post_shown_as_a_sample_of_what_was_dropped_is_traced_to_the_corpus(
    home, put, plain, a_post
):
    short = a_post("too short")
    put(*plain, short)
    corpus = build_corpus(home, Context())
    assert short.id not in held_posts(corpus)
    found = trace(home, short.id, learns_from)
    assert [(t.artifact.key, t.how, t.learned) for t in found] == [(corpus.key, "holds", False)]


def test_the_order_in_which_posts_came_in_changes_nothing(tmp_path, plain):
    made = []
    for name, posts in (("forward", plain), ("backward", plain[::-1])):
        home = create_home(tmp_path / name)
        append(home, to_table(posts[:25]).to_batches(), "one")
        append(home, to_table(posts[25:]).to_batches(), "two")
        made.append(build_corpus(home, Context()))
    assert made[0].manifest.files == made[1].manifest.files
    assert made[0].digest == made[1].digest


def test_another_seed_shuffles_otherwise_and_keeps_the_same_documents(home, put, plain):
    put(*plain)
    one, two = (
        documents(build_corpus(home, Context(), CorpusConfig(seed=seed)), "train")
        for seed in (0, 1)
    )
    assert one != two
    assert sorted(d.id for d in one) == sorted(d.id for d in two)


TEXTS = st.one_of(
    st.integers(0, 15).map(sentence),
    st.sampled_from(
        [
            "",
            "ok",
            "#a #b #c #d",
            "*** *** ***",
            "a@example.org wrote",
            "https://t.co/a https://t.co/b",
        ]
    ),
    st.text(max_size=30),
)
POSTS = st.tuples(
    TEXTS, st.sampled_from(["public", "direct", "unknown"]), st.sampled_from([None, True, False])
)


@given(st.lists(POSTS, min_size=1, max_size=25))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
def test_every_post_of_the_lake_is_kept_or_dropped_for_one_reason(tmp_path_factory, a_post, posts):
    home = create_home(tmp_path_factory.mktemp("law"))
    drawn = [a_post(t, visibility=v, consent_training=c) for t, v, c in posts]
    sure = [a_post(sentence(100 + n)) for n in range(2)]
    append(home, to_table([*drawn, *sure]).to_batches(), "test")
    tally = (corpus := build_corpus(home, Context())).manifest.tally
    assert tally["kept"] + sum(tally["dropped"].values()) == open_lake(home).count()
    assert (
        tally["kept"] == len(held_posts(corpus)) == sum(len(d.post_ids) for d in documents(corpus))
    )


def test_the_town_keeps_its_rules(home):
    ingest_town(home, TownConfig(posts=5000), Context())
    corpus = build_corpus(home, Context())
    tally, lake = (
        corpus.manifest.tally,
        pa.Table.from_batches(open_lake(home).batches()).to_pylist(),
    )
    assert tally["kept"] + sum(tally["dropped"].values()) == len(lake)
    free = {
        p["id"] for p in lake if p["visibility"] == "public" and p["consent_training"] is not False
    }
    assert held_posts(corpus) <= free
    assert {"not_public", "author_opted_out", "exact_duplicate"} <= tally["dropped"].keys()
    assert any(len(d.post_ids) > 1 for d in documents(corpus))
    assert {"en"} < {d.language for d in documents(corpus)}


BUILD = """
import sys
from pathlib import Path
from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.corpus.build import build_corpus
print(build_corpus(open_home(Path(sys.argv[1])), Context()).digest)
"""


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_it_ends_with_the_same_artifact(tmp_path):
    command = [sys.executable, "-c", BUILD]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    homes = [create_home(tmp_path / name) for name in ("calm", "killed")]
    for home in homes:
        ingest_town(home, TownConfig(posts=10_000), Context())
    started = time.monotonic()
    calm = subprocess.run(
        [*command, homes[0].path], env=environment, capture_output=True, text=True, check=True
    )
    seconds = time.monotonic() - started
    for share in (0.4, 0.6, 0.75, 0.9):
        process = subprocess.Popen(
            [*command, homes[1].path], env=environment, stdout=subprocess.DEVNULL
        )
        time.sleep(share * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    again = subprocess.run(
        [*command, homes[1].path], env=environment, capture_output=True, text=True, check=True
    )
    assert again.stdout == calm.stdout
