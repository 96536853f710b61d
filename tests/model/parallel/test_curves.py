"""However a run is spread over processes, it learns what one process learns: real processes on gloo, in float32."""

import pytest
from safetensors.torch import load_file
from tiny_run import losses

TWO = [
    {"shard": 2},
    {"replicate": 2},
    {"context": 2},
    {"tensor": 2},
    {"pipeline": 2},
    {"pipeline": 2, "groups_per_stage": 2},
]
FOUR = [
    {"shard": 4},
    {"replicate": 2, "shard": 2},
    {"shard": 2, "tensor": 2},
    {"shard": 2, "context": 2},
    {"shard": 2, "pipeline": 2},
    {"shard": 2, "pipeline": 2, "groups_per_stage": 2},
    {"replicate": 2, "tensor": 2},
    {"replicate": 2, "pipeline": 2},
    {"tensor": 2, "pipeline": 2},
    {"tensor": 2, "pipeline": 2, "groups_per_stage": 2},
    {"context": 2, "tensor": 2},
    {"context": 2, "pipeline": 2},
    {"pipeline": 4},
]


def named(degrees: dict) -> str:
    return "-".join(f"{name}{n}" for name, n in degrees.items())


def assert_same_run(made, expected) -> None:
    assert losses(made) == pytest.approx(losses(expected), abs=2e-5)
    assert made.manifest.metrics["validation_loss"] == pytest.approx(
        expected.manifest.metrics["validation_loss"], abs=2e-4
    )
    ours, theirs = (load_file(artifact.file("model.safetensors")) for artifact in (made, expected))
    assert ours.keys() == theirs.keys()
    # a hundredth of what the weights have moved; rounding grows in Muon's iteration
    assert all((ours[name] - theirs[name]).abs().max() < 2e-3 for name in ours)


@pytest.mark.parametrize("degrees", TWO, ids=named)
def test_two_processes_learn_what_one_learns(two, attempt, reference, degrees):
    assert_same_run(attempt().by(two, **degrees), reference())


@pytest.mark.slow
@pytest.mark.parametrize("degrees", FOUR, ids=named)
def test_four_processes_learn_what_one_learns(four, attempt, reference, degrees):
    assert_same_run(attempt().by(four, **degrees), reference())


@pytest.mark.parametrize("degrees", [{"tensor": 2}, {"pipeline": 2}], ids=named)
def test_an_output_matrix_of_its_own_is_spread_too(two, attempt, reference, degrees):
    assert_same_run(attempt(tied=False).by(two, **degrees), reference(tied=False))


@pytest.mark.slow
def test_steps_that_do_not_divide_evenly_are_learned_all_the_same(four, attempt):
    """Seven rows a step for three shares of unequal size, of which the last has none of some kinds."""
    alone, spread = (attempt(name, batch_tokens=7 * 32, steps=5, decay_steps=0) for name in ("alone", "spread"))
    assert_same_run(spread.by(four, shard=4), alone.alone())
