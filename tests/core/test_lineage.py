"""Lineage: which artifacts hold a post, and which were made from those."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.context import Context, FixedClock
from rookery.core.digest import hash_ids
from rookery.core.lineage import (
    ERASED,
    HELD,
    UNLEARNED,
    held_hashes,
    holds,
    note_erased,
    note_unlearned,
    trace,
    write_held_hashes,
)
from rookery.core.stage import Stage, run_stage


@given(st.sets(st.text(max_size=5)), st.text(max_size=5))
def test_a_folder_holds_exactly_the_posts_that_were_noted(tmp_path_factory, ids, other):
    folder = tmp_path_factory.mktemp("held")
    write_held_hashes(folder, hash_ids(ids))
    assert all(holds(folder, post_id) for post_id in ids)
    assert holds(folder, other) == (other in ids)


def test_held_ids_do_not_depend_on_order_and_repetition(tmp_path):
    write_held_hashes(tmp_path, hash_ids(["b", "a", "b"]))
    first = (tmp_path / HELD).read_bytes()
    write_held_hashes(tmp_path, hash_ids(["a", "b"]))
    assert (tmp_path / HELD).read_bytes() == first
    assert np.all(np.diff(np.frombuffer(first, "<u8")) > 0)


def test_a_folder_without_a_note_holds_nothing(tmp_path):
    assert not holds(tmp_path, "1")


def make(home, kind, inputs, ids=None):
    def work(workspace):
        (workspace.path / "name").write_text(f"{kind} {sorted(inputs)}")
        if ids is not None:
            write_held_hashes(workspace.path, hash_ids(ids))
        return {}

    return run_stage(home, Stage(kind, 1, {}, inputs), work, Context(FixedClock()))


def always(artifact, post_id):
    return True


def test_trace_finds_what_holds_a_post_and_all_that_derives_from_it(home):
    corpus = make(home, "corpus", {"lake": "lake@0"}, ["1", "2"])
    other = make(home, "corpus", {"lake": "lake@1"}, ["2"])
    model = make(home, "checkpoint", {"corpus": corpus.digest})
    export = make(home, "export", {"checkpoint": model.digest})
    shards = make(home, "shards", {"corpus": corpus.digest}, ["1", "2"])
    make(home, "checkpoint", {"corpus": other.digest, "tokenizer": "t"})
    found = {t.artifact.digest: t.how for t in trace(home, "1", always)}
    assert found == {
        corpus.digest: "holds",
        shards.digest: "holds",
        model.digest: "derives",
        export.digest: "derives",
    }
    assert list(trace(home, "3", always)) == []


def test_what_was_made_learned_from_a_post_only_if_one_of_its_inputs_did(home):
    judged = make(home, "corpus", {"lake": "lake@0"}, ["1"])
    learned = make(home, "corpus", {"lake": "lake@1"}, ["1"])
    tokenizer = make(home, "tokenizer", {"corpus": judged.digest})
    model = make(home, "checkpoint", {"corpus": judged.digest, "tokenizer": tokenizer.digest})
    other = make(home, "checkpoint", {"corpus": learned.digest, "tokenizer": tokenizer.digest})
    found = trace(home, "1", lambda artifact, _: artifact.digest == learned.digest)
    assert {t.artifact.digest: t.learned for t in found} == {
        judged.digest: False,
        tokenizer.digest: False,
        model.digest: False,
        learned.digest: True,
        other.digest: True,
    }


def test_what_was_made_of_an_artifact_still_derives_from_a_post_erased_from_it(home):
    corpus = make(home, "corpus", {"lake": "lake@0"}, ["1", "2"])
    model = make(home, "checkpoint", {"corpus": corpus.digest})
    note_erased(corpus.path, hash_ids(["1", "unknown"]))
    assert {t.artifact.digest: t.how for t in trace(home, "1", always)} == {
        corpus.digest: "held",
        model.digest: "derives",
    }
    assert {t.artifact.digest: t.how for t in trace(home, "2", always)} == {
        corpus.digest: "holds",
        model.digest: "derives",
    }
    assert list(trace(home, "unknown", always)) == []


def test_what_nothing_learned_from_is_noted_only_if_the_folder_still_holds_it(tmp_path):
    write_held_hashes(tmp_path, hash_ids(["1", "2"]))
    note_unlearned(tmp_path, hash_ids(["1", "unknown"]))
    note_erased(tmp_path, hash_ids(["1", "2"]))
    note_unlearned(tmp_path, hash_ids(["2"]))
    assert list(held_hashes(tmp_path, UNLEARNED)) == list(hash_ids(["1"]))


@settings(deadline=None)  # it waits for the disk
@given(st.sets(st.sampled_from("abcdef")), st.lists(st.sets(st.sampled_from("abcdef"))))
def test_erased_in_any_steps_a_post_is_noted_exactly_once(tmp_path_factory, ids, steps):
    folder = tmp_path_factory.mktemp("erased")
    write_held_hashes(folder, hash_ids(ids))
    for gone in steps:
        note_erased(folder, hash_ids(gone))
    gone = ids & set().union(*steps)
    assert sorted(held_hashes(folder, ERASED)) == sorted(hash_ids(gone))
    assert sorted(held_hashes(folder)) == sorted(hash_ids(ids - gone))


def test_an_empty_note_holds_nothing(tmp_path):
    write_held_hashes(tmp_path, hash_ids([]))
    assert not holds(tmp_path, "1")
    assert len(held_hashes(tmp_path)) == len(held_hashes(tmp_path, ERASED)) == 0
