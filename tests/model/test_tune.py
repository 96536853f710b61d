"""Tuning: a finished model goes on learning, killed or not, and what does not learn stays."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import CONFIG, SHAPE, losses, make_shards, make_tokenizer

from rookery.core.config import from_plain, to_plain
from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.home import create_home
from rookery.corpus.shards import open_shards
from rookery.model import tune as tuning
from rookery.model.checkpoint import WEIGHTS, load_network
from rookery.model.config import TuneConfig, config_for_tuning
from rookery.model.degrees import Degrees
from rookery.model.embed import FILE as EMBEDDING
from rookery.model.parallel.processes import Processes
from rookery.model.phases import check_goes_on, config_of, find_checkpoint, phases
from rookery.model.train import train
from rookery.model.tune import config_of_length, tune
from rookery.posts.forget import forget
from rookery.workflows.train import base_config
from tests.model.test_train import Killed, killing

FIRST = replace(CONFIG, steps=20, warmup_steps=2, decay_steps=8)
SIZES = {"steps": 12, "batch_tokens": 256, "micro_batch_tokens": 128, "checkpoint_steps": 4}
ADAPTERS = TuneConfig(0.0, SHAPE, **SIZES, vector_learning_rate=0.02, lora_rank=4)
FULL = replace(ADAPTERS, lora_rank=0, matrix_learning_rate=0.01, vector_learning_rate=0.005)
STILL = {"matrix_learning_rate": 0.0, "vector_learning_rate": 0.0, "weight_decay": 0.0}
both = pytest.mark.parametrize("config", [ADAPTERS, FULL], ids=["adapters", "full"])


class Trained:
    """A home with a small trained model, and other documents to tune it on."""

    def __init__(self, folder):
        self.home = create_home(folder)
        tokenizer = make_tokenizer(self.home)
        self.base = train(self.home, make_shards(self.home, tokenizer), tokenizer, FIRST, Context())
        self.shards = make_shards(self.home, tokenizer, documents=120, held_out="later")

    def tune(self, config, context=Context(), base=None):
        return tune(self.home, base or self.base, self.shards, config, context)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Not to be changed, but by making what is not there yet."""
    return Trained(tmp_path_factory.mktemp("undisturbed") / "home")


def weights_of(checkpoint):
    return load_file(checkpoint.file(WEIGHTS))


@both
def test_with_rates_of_zero_a_model_stays_as_it_is(undisturbed, config):
    still = undisturbed.tune(replace(config, **STILL))
    for name, weight in weights_of(undisturbed.base).items():
        assert torch.equal(weights_of(still)[name], weight), name


@both
def test_a_model_learns_what_it_is_tuned_on(undisturbed, config):
    tuned = undisturbed.tune(config)
    assert losses(tuned)[-1] < losses(tuned)[0] - 0.1
    assert tuned.manifest.metrics["validation_loss"] < losses(tuned)[0]
    assert losses(tuned)[0] < losses(undisturbed.base)[0] - 0.5  # it begins where the base ended


def test_adapters_change_the_matrices_of_the_layers_and_nothing_else(undisturbed):
    before, after = weights_of(undisturbed.base), weights_of(undisturbed.tune(ADAPTERS))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith(("_proj.weight", "lm_head.weight"))}
    for name in changed:
        assert torch.linalg.matrix_rank(after[name] - before[name]) <= ADAPTERS.lora_rank
    assert undisturbed.tune(ADAPTERS).file(EMBEDDING).read_bytes() == (
        undisturbed.base.file(EMBEDDING).read_bytes()
    )


@both
def test_killed_it_goes_on_to_the_same_weights(undisturbed, tmp_path, config):
    other = Trained(tmp_path / "home")
    with pytest.raises(Killed):
        other.tune(config, Context(progress=killing(6)))
    assert other.tune(config).digest == undisturbed.tune(config).digest


def test_a_tuning_names_its_base_and_all_phases(undisturbed):
    tuned = undisturbed.tune(ADAPTERS)
    assert tuned.manifest.inputs["earlier"] == undisturbed.base.digest
    assert [phase.steps for phase in phases(tuned)] == [20, 12]
    assert config_of(tuned) == ADAPTERS
    assert from_plain(TuneConfig, to_plain(ADAPTERS)) == ADAPTERS


def test_a_tuned_model_is_tuned_again(undisturbed):
    again = undisturbed.tune(FULL, base=undisturbed.tune(ADAPTERS))
    assert len(phases(again)) == 3
    load_network(again)


def test_a_phase_does_not_go_on_from_a_tuned_model(undisturbed):
    tuned = undisturbed.tune(ADAPTERS)
    with pytest.raises(DataError, match=r"no optimizer state.*adopted or tuned"):
        check_goes_on(tuned, undisturbed.base, FIRST)
    with pytest.raises(DataError, match="was tuned, so no phase can continue it"):
        base_config(None, tuned)
    found = find_checkpoint(undisturbed.home, "newest", undisturbed.shards)
    assert found.digest == undisturbed.base.digest


def test_what_is_forgotten_is_not_learned(tmp_path):
    trained = Trained(tmp_path / "home")
    forget(trained.home, [f"train{n}" for n in range(120)])
    tuned = trained.tune(ADAPTERS)
    assert losses(tuned) == [None] * ADAPTERS.steps
    before, after = weights_of(trained.base), weights_of(tuned)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_adapters_are_refused_with_degrees_that_cut_their_matrices(undisturbed):
    cut = replace(Processes(), degrees=Degrees(tensor=2))
    with pytest.raises(UsageError, match="replicate and shard only"):
        tune(undisturbed.home, undisturbed.base, undisturbed.shards, ADAPTERS, Context(), cut)


@pytest.mark.parametrize("rank", [-1, 33])
def test_a_rank_that_no_matrix_has_is_refused(rank):
    with pytest.raises(UsageError, match="lora_rank"):
        replace(ADAPTERS, lora_rank=rank)


def test_the_length_of_a_tuning_follows_from_its_tokens():
    config = config_for_tuning(SHAPE, 100_000, lora_rank=8)
    assert abs(config.tokens - 100_000) <= config.batch_tokens / 2
    assert config.warmup_steps + config.decay_steps == config.steps
    assert config_for_tuning(SHAPE, 1, lora_rank=8).steps > 1
    with pytest.raises(UsageError, match="at least one token"):
        config_for_tuning(SHAPE, 0, lora_rank=8)


def test_a_tuning_sees_so_many_tokens_or_each_document_so_often(undisturbed, monkeypatch):
    there = open_shards(undisturbed.shards, "train").tokens.size

    def seen(**length):
        return config_of_length(undisturbed.base, undisturbed.shards, 4, **length).tokens

    few = config_for_tuning(SHAPE, 1, 4).tokens  # of the fewest steps
    assert seen(tokens=50_000) == pytest.approx(50_000, rel=0.05)
    assert seen(epochs=20) == pytest.approx(20 * there, rel=0.05)
    assert seen() == max(few, seen(epochs=1))
    monkeypatch.setattr(tuning, "DEFAULT_TOKENS", 40_000)
    assert seen() <= max(few, 40_000)
