"""Phases: a model continues to learn from a grown corpus, killed or not, and only if it fits."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import CONFIG, losses, make_shards, make_tokenizer

from rookery.core.artifact import find_artifacts
from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.home import create_home
from rookery.corpus.shards import open_shards
from rookery.model.checkpoint import WEIGHTS, load_network
from rookery.model.config import config_for_phase, config_for_scale, learning_rate_factor
from rookery.model.layout import tensors
from rookery.model.layout.tensors import tensor_files
from rookery.model.phases import OPTIMIZER, config_of, find_checkpoint, learned_before, phases
from rookery.model.shape import training_flops_per_token
from rookery.model.train import train
from rookery.model.training import thresholds
from rookery.model.training.notes import read_notes
from rookery.posts.forget import forget
from tests.model.test_train import Killed, killing

FIRST = replace(CONFIG, warmup_steps=2, decay_steps=4, checkpoint_steps=5)
SECOND = replace(FIRST, warmup_steps=0, seed=1)


class Growing:
    """A home with a tokenizer, in which documents arrive."""

    def __init__(self, folder):
        self.home = create_home(folder)
        self.tokenizer = make_tokenizer(self.home)

    def train(
        self, config=FIRST, documents=200, earlier=None, context=Context(), held_out="validation"
    ):
        shards = make_shards(self.home, self.tokenizer, documents, held_out=held_out)
        return train(self.home, shards, self.tokenizer, config, context, earlier=earlier)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a home with a first run and a phase after it, which no test may change."""
    growing = Growing(tmp_path_factory.mktemp("undisturbed") / "home")
    first = growing.train()
    return growing, first, growing.train(SECOND, 300, first)


@pytest.fixture
def growing(tmp_path, made):
    """Return a copy of the same home after its first run, which a test may change."""
    shutil.copytree(
        made[0].home.path, tmp_path / "home", ignore=shutil.ignore_patterns(f"{made[2].key}*")
    )
    return Growing(tmp_path / "home")


@pytest.fixture
def first(growing, made):
    return find_checkpoint(growing.home, made[1].key)


def test_a_phase_begins_with_the_weights_that_were_published_and_the_optimizer_of_then(
    made, tmp_path
):
    """A phase with rates of zero publishes the weights that it began with, and counts on."""
    first, still = made[1], Growing(tmp_path / "home")
    frozen = replace(SECOND, matrix_learning_rate=0.0, vector_learning_rate=0.0)
    second = still.train(frozen, 300, still.train())
    assert_same_weights(first, second)
    before, after = (load_file(one.file(OPTIMIZER)) for one in (first, second))
    assert [int(kept["steps"]) for kept in (before, after)] == [12, 24]
    assert before.keys() == after.keys()
    assert first.file(OPTIMIZER).stat().st_mode == first.file(WEIGHTS).stat().st_mode


def assert_same_weights(*checkpoints):
    ours, theirs = (dict(load_network(one).state_dict()) for one in checkpoints)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_phase_goes_on_from_what_was_learned(made):
    _, first, second = made
    assert losses(second)[0] < losses(first)[-4]


def test_a_phase_learns_at_the_full_rate_at_once_and_spends_its_own_compute():
    earlier = config_for_scale(0.01)
    phase = config_for_phase(earlier, 0.002)
    assert learning_rate_factor(phase, 0) == 1 > learning_rate_factor(earlier, 0)
    assert (phase.shape, phase.batch_tokens) == (earlier.shape, earlier.batch_tokens)
    assert phase.tokens * training_flops_per_token(phase.shape) == pytest.approx(0.002e15, rel=0.05)
    assert 0 < phase.decay_steps < phase.steps
    assert phase.seed != earlier.seed  # the same posts come in another order
    with pytest.raises(UsageError, match="positive number of petaFLOP"):
        config_for_phase(earlier, 0)


def test_what_lies_in_several_files_is_gone_on_with_alike(made, tmp_path, monkeypatch):
    monkeypatch.setattr(tensors, "FILE_BYTES", 10_000)
    several = Growing(tmp_path / "home")
    first = several.train()
    assert min(len(tensor_files(first.path, name)) for name in (WEIGHTS, OPTIMIZER)) > 2
    assert_same_weights(several.train(SECOND, 300, first), made[2])


@pytest.mark.parametrize(("step", "saved"), [(0, None), (6, 5), (8, 5), (11, 10)])
def test_a_phase_that_was_killed_at_any_step_goes_on_to_the_same_weights(
    growing, first, made, said, step, saved
):
    with pytest.raises(Killed):
        growing.train(SECOND, 300, first, Context(progress=killing(step)))
    again = growing.train(SECOND, 300, first, Context(progress=said))
    assert said.lines == ([f"Going on after step {saved}."] if saved else [])
    assert again.digest == made[2].digest
    assert losses(again) == losses(made[2])


def test_a_checkpoint_names_what_its_weights_went_through(made):
    growing, first, second = made
    third = growing.train(replace(SECOND, seed=2), 400, second)
    assert [(p.steps, p.tokens) for p in phases(first)] == [(12, 12 * 256)]
    assert [(p.steps, p.tokens) for p in phases(third)] == [(12, 12 * 256)] * 3
    assert third.manifest.metrics["tokens"] == 36 * 256
    assert third.manifest.metrics["flops"] == 36 * 256 * training_flops_per_token(FIRST.shape)
    inputs = third.manifest.inputs
    assert inputs["earlier"] == second.digest
    assert inputs["shards of phase 1"] == first.manifest.inputs["shards"]
    assert inputs["shards of phase 2"] == second.manifest.inputs["shards"]


def test_laws_that_look_at_the_compute_of_all_phases_together_are_said_aloud(
    tmp_path, said, monkeypatch
):
    of_each = FIRST.tokens * training_flops_per_token(FIRST.shape)
    monkeypatch.setattr(thresholds, "THRESHOLDS", (thresholds.Threshold(1.5 * of_each, "A law"),))
    growing, context = Growing(tmp_path / "home"), Context(progress=said)
    first = growing.train(context=context)
    assert said.lines == []
    growing.train(SECOND, 300, first, context)
    assert said.lines == [f"{2 * of_each:.1e} FLOP is more than {1.5 * of_each:.0e}. A law"]


def test_what_is_forgotten_is_left_out_of_a_later_phase(growing, first):
    forget(growing.home, [], [f"author{i}" for i in range(10)], Context())
    second = growing.train(SECOND, 300, first)
    assert losses(second) == [None] * SECOND.steps
    assert_same_weights(first, second)


def held_out_losses(checkpoint):
    noted = [
        note["held_out_loss"]
        for note in read_notes(checkpoint.path / "notes")
        if "held_out_loss" in note
    ]
    return [*noted, checkpoint.manifest.metrics["validation_loss"]]


def test_a_phase_is_not_judged_by_what_an_earlier_one_learned_from(growing, first, made):
    """The date of the split moved back: the held-out posts are those the first phase learned."""
    assert None not in held_out_losses(made[2])
    assert set(held_out_losses(growing.train(SECOND, 300, first, held_out="train"))) == {None}


def test_what_an_earlier_phase_learned_from_is_told_apart_document_by_document(
    growing, first, said, monkeypatch
):
    monkeypatch.setattr("rookery.model.phases.PIECE_POSTS", 7)
    second = growing.train(SECOND, 300, first)
    held_back = open_shards(
        make_shards(growing.home, growing.tokenizer, 4_000, held_out="train"), "validation"
    )

    def known(earlier):
        return learned_before(growing.home, earlier, held_back, said.say).tolist()

    assert known(None) == [False] * 400
    assert known(second) == [number < 300 for number in range(400)]
    assert said.lines == []
    (of_the_second,) = (
        one
        for one in find_artifacts(growing.home.artifacts)
        if one.digest == phases(second)[1].digest
    )
    shutil.rmtree(of_the_second.path)
    assert known(second) == [number < 200 for number in range(400)]
    assert len(said.lines) == 1
    assert "no longer exist" in said.lines[0]


def test_another_tokenizer_is_refused_by_name(growing, first):
    growing.tokenizer = make_tokenizer(growing.home, "other")
    with pytest.raises(
        DataError, match=f"checkpoint {first.key} was not trained with the tokenizer"
    ):
        growing.train(SECOND, 300, first)


def test_another_shape_is_refused_by_name(growing, first):
    deeper = replace(SECOND, shape=replace(SECOND.shape, layers=3))
    with pytest.raises(
        DataError, match=rf"checkpoint {first.key} has another shape: layers: 2 -> 3"
    ):
        growing.train(deeper, 300, first)


def test_a_checkpoint_without_its_optimizer_is_refused(growing, first):
    first.file(OPTIMIZER).unlink()
    with pytest.raises(
        DataError,
        match=f"{first.key} holds no optimizer state to continue from.*{OPTIMIZER} was removed",
    ):
        growing.train(SECOND, 300, first)


@pytest.mark.parametrize("name", [OPTIMIZER, WEIGHTS])
def test_a_state_that_has_changed_is_refused(growing, first, name):
    data = bytearray(first.file(name).read_bytes())
    data[-1] ^= 1
    first.file(name).write_bytes(data)
    with pytest.raises(DataError, match=rf"a file of a finished artifact has changed.*{name}"):
        growing.train(SECOND, 300, first)


def test_a_checkpoint_is_found_by_the_beginning_of_its_key(made):
    growing, first, _ = made
    assert find_checkpoint(growing.home, first.key[:9]).key == first.key
    for name, found in (("", "[23]"), ("no-such-key", "no")):
        with pytest.raises(UsageError, match=f"{found} checkpoints have a key that begins with"):
            find_checkpoint(growing.home, name)


def test_a_checkpoint_says_how_it_was_trained(made):
    assert config_of(made[2]) == SECOND
