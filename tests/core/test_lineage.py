"""Lineage: which artifacts hold a post, and which were made from those."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.context import Context, FixedClock
from rookery.core.lineage import HELD, holds, trace, write_held
from rookery.core.stage import Stage, run_stage


@given(st.sets(st.text(max_size=5)), st.text(max_size=5))
def test_a_folder_holds_exactly_the_posts_that_were_noted(tmp_path_factory, ids, other):
    folder = tmp_path_factory.mktemp("held")
    write_held(folder, ids)
    assert all(holds(folder, post_id) for post_id in ids)
    assert holds(folder, other) == (other in ids)


def test_held_ids_do_not_depend_on_order_and_repetition(tmp_path):
    write_held(tmp_path, ["b", "a", "b"])
    first = (tmp_path / HELD).read_bytes()
    write_held(tmp_path, ["a", "b"])
    assert (tmp_path / HELD).read_bytes() == first
    assert np.all(np.diff(np.frombuffer(first, "<u8")) > 0)


def test_a_folder_without_a_note_holds_nothing(tmp_path):
    assert not holds(tmp_path, "1")


def make(home, kind, inputs, ids=None):
    def work(workspace):
        (workspace.path / "name").write_text(f"{kind} {sorted(inputs)}")
        if ids is not None:
            write_held(workspace.path, ids)
        return {}

    return run_stage(home, Stage(kind, 1, {}, inputs), work, Context(FixedClock()))


def test_trace_finds_what_holds_a_post_and_all_that_derives_from_it(home):
    corpus = make(home, "corpus", {"lake": "lake@0"}, ["1", "2"])
    other = make(home, "corpus", {"lake": "lake@1"}, ["2"])
    model = make(home, "checkpoint", {"corpus": corpus.digest})
    export = make(home, "export", {"checkpoint": model.digest})
    shards = make(home, "shards", {"corpus": corpus.digest}, ["1", "2"])
    make(home, "checkpoint", {"corpus": other.digest, "tokenizer": "t"})
    found = {t.artifact.digest: t.how for t in trace(home, "1")}
    assert found == {
        corpus.digest: "holds", shards.digest: "holds", model.digest: "derives", export.digest: "derives"
    }  # fmt: skip
    assert list(trace(home, "3")) == []
