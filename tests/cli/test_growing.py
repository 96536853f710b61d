"""`rookery model train --from`: a model goes on learning as posts arrive.

Every post that it saw in an earlier phase is still traced to it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from rookery.core.artifact import find_artifacts
from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.corpus.build import build_corpus
from rookery.model.config import with_steps
from rookery.model.phases import config_of, find_checkpoint, phases
from rookery.posts.forget import forget
from rookery.workflows.erase import MAKE_ANEW, erase
from rookery.workflows.trace import trace as trace_post
from rookery.workflows.train import apply_settings, base_config, train

WORDS = ("rooks", "trams", "bread", "rowing", "stars", "gardens", "films", "choirs")
SCALE, SETTINGS = 0.0001, ["steps=4", "decay_steps=2"]


@pytest.fixture
def grow(home, put, a_post):
    """Add more posts, and build a corpus of all."""

    def more(when: str):
        texts = (
            f"{when} {a} were better than {b}, said number {n}"
            for n, a in enumerate(WORDS)
            for b in WORDS
        )
        put(*(a_post(text) for text in texts), key=when)
        return build_corpus(home, Context())

    return more


def trained(home, earlier=None, settings=SETTINGS):
    return train(home, SCALE, settings=settings, earlier=earlier)


def test_the_newest_goes_on_once_for_each_corpus(home, grow):
    grow("today")
    first = trained(home)
    with pytest.raises(
        UsageError, match="every checkpoint that can go on has learned from the newest corpus"
    ):
        trained(home, "newest")
    grow("tomorrow")
    second = trained(home, "newest")
    assert trained(home, "newest").digest == second.digest  # the same command again: nothing to do
    assert second.manifest.inputs["earlier"] == first.digest
    assert second.manifest.inputs["tokenizer"] == first.manifest.inputs["tokenizer"]
    grow("in a year")
    third = trained(home, "newest")
    assert [phase.corpus for phase in phases(third)] == [
        c.digest for c in find_artifacts(home.artifacts, "corpus")
    ]
    assert config_of(third).warmup_steps == 0


def test_there_is_nothing_to_go_on_from_at_first(home, grow):
    grow("today")
    with pytest.raises(UsageError, match="there is no checkpoint yet"):
        trained(home, "newest")
    trained(home)
    (tokenizer,) = find_artifacts(home.artifacts, "tokenizer")
    shutil.rmtree(tokenizer.path)
    grow("tomorrow")
    with pytest.raises(DataError, match=r"the tokenizer of the checkpoint .* is gone"):
        trained(home, "newest")


def test_without_a_scale_a_phase_takes_as_much_as_the_one_before(home, grow):
    grow("today")
    assert base_config(None, trained(home)).scale_petaflop == SCALE
    assert base_config(0.5, trained(home)).scale_petaflop == 0.5
    with pytest.raises(UsageError, match="positive number of petaFLOP"):
        base_config(0)


def test_another_shape_is_refused(home, grow):
    grow("today")
    first = trained(home)
    grow("tomorrow")
    with pytest.raises(
        DataError, match=f"checkpoint {first.key} has another shape: layers: 1 -> 2"
    ):
        trained(home, "newest", [*SETTINGS, "shape.layers=2"])


def places_of_checkpoints(home, post: str) -> dict[str, tuple[str, str]]:
    found = [
        place
        for place in trace_post(home, post)["places"]
        if place["place"].startswith("checkpoint")
    ]
    return {place["place"].split()[1]: (place["how"], place["owed"]) for place in found}


def test_what_an_earlier_phase_saw_is_traced_to_the_later_one_and_owed_there(home, grow):
    grow("today")
    first = trained(home)
    forget(home, ["1"], [], Context())
    erase(home, Context())
    grow("tomorrow")
    second = trained(home, "newest")
    derives = {key: ("derives", MAKE_ANEW) for key in (first.key, second.key)}
    assert places_of_checkpoints(home, "1") == derives
    assert {f"checkpoint {key}" for key in derives} <= {
        one["place"] for one in erase(home, Context())["owed"]
    }
    shutil.rmtree(first.path)  # as the first is owed; the second still goes on from what it learned
    assert places_of_checkpoints(home, "1") == {second.key: ("derives", MAKE_ANEW)}
    assert f"checkpoint {second.key}" in {one["place"] for one in erase(home, Context())["owed"]}


def test_a_post_that_came_later_is_traced_to_the_later_phase_alone(home, grow):
    grow("today")
    trained(home)
    grow("tomorrow")
    second = trained(home, "newest")
    newest_learned = str(len(WORDS) ** 2 + 1)
    assert list(places_of_checkpoints(home, newest_learned)) == [second.key]


def test_a_phase_keeps_the_settings_that_its_run_had(home, grow):
    grow("today")
    first = trained(home, settings=[*SETTINGS, "matrix_learning_rate=0.01"])
    config, *_ = apply_settings(base_config(SCALE, first), ["steps=3"])
    assert config == with_steps(replace(config_of(first), warmup_steps=0, seed=1), 3)


def command(home, *options: str) -> subprocess.CompletedProcess:
    """Run `rookery model train` as a person types it."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "ROOKERY_HOME": str(home.path),
    }
    line = [sys.executable, "-m", "rookery", "model", "train", "--json", *options]
    return subprocess.run(
        line, env=environment, capture_output=True, text=True, timeout=250, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("processes", [[], ["--processes", "2"]], ids=["one", "two"])
def test_the_command_goes_on_and_refuses_in_one_line(home, grow, processes):
    asked = ("--scale", "0.0001", "--set", "steps=4", *processes)
    grow("today")
    first = trained(home)
    refused = command(home, *asked, "--from", "newest")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "every checkpoint that can go on has learned from the newest corpus" in refused.stderr
    grow("tomorrow")
    done = command(home, *asked, "--from", first.key[:8])
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["phases"]) == 2
    assert (
        find_checkpoint(home, json.loads(done.stdout)["key"]).manifest.inputs["earlier"]
        == first.digest
    )


@pytest.mark.slow
def test_minutes_choose_a_scale_for_the_shape_that_goes_on(home, grow):
    grow("today")
    first = trained(home)
    grow("tomorrow")
    done = command(home, "--from", "newest", "--minutes", "0.005")
    assert done.returncode == 0, done.stderr
    made = config_of(home.newest("checkpoint"))
    assert made.shape == config_of(first).shape
    assert made.scale_petaflop == float(
        re.search(r"--scale (\S+)\); the same command", done.stderr)[1]
    )
