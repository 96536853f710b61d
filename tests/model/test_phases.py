"""A model goes on learning from a grown corpus: from where the plateau ended, killed or not, and only where it fits."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import CONFIG, losses, make_shards, make_tokenizer

from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.home import create_home
from rookery.model.checkpoint import load_network
from rookery.model.config import config_for_phase, config_for_scale, learning_rate_factor, plateau_step
from rookery.model.phases import PLATEAU, config_of, find_checkpoint, phases
from rookery.model.shape import training_flops_per_token
from rookery.model.train import train
from rookery.posts.forget import forget
from tests.model.test_train import ActingProgress, Killed, killing

FIRST = replace(CONFIG, warmup_steps=2, decay_steps=4, checkpoint_steps=5)  # the plateau ends after step 8 of 12
SECOND = replace(FIRST, warmup_steps=0, seed=1)


class Growing:
    """A home with a tokenizer, in which documents arrive."""

    def __init__(self, folder):
        self.home = create_home(folder)
        self.tokenizer = make_tokenizer(self.home)

    def train(self, config=FIRST, documents=200, earlier=None, context=Context()):
        shards = make_shards(self.home, self.tokenizer, documents)
        return train(self.home, shards, self.tokenizer, config, context, earlier=earlier)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A first run and a phase after it, undisturbed; not to be changed."""
    growing = Growing(tmp_path_factory.mktemp("undisturbed") / "home")
    first = growing.train()
    return growing, first, growing.train(SECOND, 300, first)


@pytest.fixture
def growing(tmp_path, made):
    """The same home after its first run, to do something else with."""
    shutil.copytree(made[0].home.path, tmp_path / "home", ignore=shutil.ignore_patterns(f"{made[2].key}*"))
    return Growing(tmp_path / "home")


@pytest.fixture
def first(growing, made):
    return find_checkpoint(growing.home, made[1].key)


def test_a_plateau_is_the_state_before_the_first_step_of_the_decay(made, tmp_path):
    undecayed = Growing(tmp_path / "home").train(replace(FIRST, steps=8, decay_steps=0))
    kept = load_file(made[1].file(PLATEAU))
    assert int(kept["steps"]) == 8
    assert learning_rate_factor(FIRST, 7) == 1 > learning_rate_factor(FIRST, 8)
    assert all(torch.equal(kept[f"master.{name}"], w) for name, w in load_network(undecayed).state_dict().items())
    assert any(not torch.equal(kept[f"master.{name}"], w) for name, w in load_network(made[1]).state_dict().items())


def test_a_phase_begins_where_the_plateau_ended(made):
    _, first, second = made
    assert losses(second)[0] < losses(first)[4]
    assert int(load_file(second.file(PLATEAU))["steps"]) == 16


def test_a_phase_learns_at_the_full_rate_at_once_and_spends_its_own_compute():
    earlier = config_for_scale(0.01)
    phase = config_for_phase(earlier, 0.002)
    assert learning_rate_factor(phase, 0) == 1 > learning_rate_factor(earlier, 0)
    assert (phase.shape, phase.batch_tokens) == (earlier.shape, earlier.batch_tokens)
    assert phase.tokens * training_flops_per_token(phase.shape) == pytest.approx(0.002e15, rel=0.05)
    assert 0 < plateau_step(phase) < phase.steps
    assert phase.seed != earlier.seed  # the same posts come in another order
    with pytest.raises(UsageError, match="positive number of petaFLOP"):
        config_for_phase(earlier, 0)


@pytest.mark.parametrize("step", [0, 6, 8, 11])
def test_a_phase_that_was_killed_at_any_step_goes_on_to_the_same_weights(growing, first, made, step):
    with pytest.raises(Killed):
        growing.train(SECOND, 300, first, Context(progress=killing(step)))
    again = growing.train(SECOND, 300, first)
    assert again.digest == made[2].digest
    assert losses(again) == losses(made[2])


def test_a_checkpoint_names_what_its_weights_went_through(made):
    growing, first, second = made
    third = growing.train(replace(SECOND, seed=2), 400, second)
    assert [(p.steps, p.tokens) for p in phases(first)] == [(12, 12 * 256)]
    assert [(p.steps, p.tokens) for p in phases(third)] == [(8, 8 * 256), (8, 8 * 256), (12, 12 * 256)]
    assert third.manifest.metrics["tokens"] == 28 * 256
    assert third.manifest.metrics["flops"] == 28 * 256 * training_flops_per_token(FIRST.shape)
    inputs = third.manifest.inputs
    assert inputs["earlier"] == second.digest
    assert inputs["shards of phase 1"] == first.manifest.inputs["shards"]
    assert inputs["shards of phase 2"] == second.manifest.inputs["shards"]


def test_what_is_forgotten_is_left_out_of_a_later_phase(growing, first):
    forget(growing.home, [], [f"author{i}" for i in range(10)], Context())
    second = growing.train(SECOND, 300, first)
    assert losses(second) == [None] * SECOND.steps
    kept = load_file(first.file(PLATEAU))
    assert all(torch.equal(kept[f"master.{name}"], w) for name, w in load_network(second).state_dict().items())


def test_another_tokenizer_is_refused_by_name(growing, first):
    growing.tokenizer = make_tokenizer(growing.home, "other")
    with pytest.raises(DataError, match=f"checkpoint {first.key} was not trained with the tokenizer"):
        growing.train(SECOND, 300, first)


def test_another_shape_is_refused_by_name(growing, first):
    deeper = replace(SECOND, shape=replace(SECOND.shape, layers=3))
    with pytest.raises(DataError, match=rf"checkpoint {first.key} has another shape: layers: 2 -> 3"):
        growing.train(deeper, 300, first)


def test_a_run_that_only_decays_keeps_nothing_to_go_on_from(growing):
    decayed = growing.train(replace(FIRST, decay_steps=12))
    with pytest.raises(DataError, match=f"checkpoint {decayed.key} keeps no state to go on from"):
        growing.train(SECOND, 300, decayed)


def test_a_plateau_that_has_changed_is_refused(growing, first):
    data = bytearray(first.file(PLATEAU).read_bytes())
    data[-1] ^= 1
    first.file(PLATEAU).write_bytes(data)
    with pytest.raises(DataError, match=rf"a file of a finished artifact has changed.*{PLATEAU}"):
        growing.train(SECOND, 300, first)


def test_a_plateau_whose_state_is_damaged_is_said_and_the_model_is_published(tmp_path, said):
    growing = Growing(tmp_path / "home")

    def damage() -> None:
        for file in growing.home.artifacts.glob("checkpoint/*/scratch/step-00000008/.metadata"):
            file.unlink()

    acting = ActingProgress(10, damage)
    acting.say = said.say
    first = growing.train(context=Context(progress=acting))
    assert [line for line in said.lines if line.startswith("The plateau's state could not be saved")]
    assert not first.file(PLATEAU).exists()
    assert load_network(first)


def test_a_checkpoint_is_found_by_the_beginning_of_its_key(made):
    growing, first, _ = made
    assert find_checkpoint(growing.home, first.key[:9]).key == first.key
    for name, found in (("", "[23]"), ("no-such-key", "no")):
        with pytest.raises(UsageError, match=f"{found} checkpoints have a key that begins with"):
            find_checkpoint(growing.home, name)


def test_a_checkpoint_says_how_it_was_trained(made):
    assert config_of(made[2]) == SECOND
