"""However a run is spread, it learns what one process learns: real processes, gloo, float32."""

import pytest
from crew import compiles_where_one_cannot, kept_by_each
from safetensors.torch import load_file
from tiny_run import losses, needs_compiler

from rookery.core.context import Context
from rookery.model.degrees import Degrees
from rookery.model.training.notes import read_notes
from rookery.posts.forget import forget

TWO = [
    {"shard": 2},
    {"replicate": 2},
    {"context": 2},
    {"tensor": 2},
    {"pipeline": 2},
    {"pipeline": 2, "groups_per_stage": 2},
    {"shard": 2, "recompute": 1.0, "offload": True},
    {"tensor": 2, "recompute": 0.5},
    {"context": 2, "recompute": 1.0},
    {"pipeline": 2, "recompute": 1.0},
]
PAIRS = [
    {"replicate": 2, "shard": 2},
    {"shard": 2, "context": 2},
    {"shard": 2, "tensor": 2},
    {"shard": 2, "pipeline": 2},
    {"context": 2, "tensor": 2},
    {"tensor": 2, "pipeline": 2},
]
OTHERS_OF_FOUR = [  # each kind of fault that these found is found by a pair, too
    {"replicate": 2, "context": 2},
    {"replicate": 2, "tensor": 2},
    {"replicate": 2, "pipeline": 2},
    {"context": 2, "pipeline": 2},
    {"tensor": 2, "pipeline": 2, "groups_per_stage": 2},
    {"shard": 4},
    {"replicate": 4},
    {"context": 4},
    {"tensor": 4},
    {"pipeline": 4},
    {"pipeline": 4, "groups_per_stage": 2},
    {"shard": 2, "pipeline": 2, "groups_per_stage": 2},
    {"replicate": 2, "pipeline": 2, "groups_per_stage": 2},
    {"context": 2, "pipeline": 2, "groups_per_stage": 2},
]
FOUR = [pytest.param(degrees, marks=pytest.mark.slow) for degrees in PAIRS]
FOUR += [pytest.param(degrees, marks=pytest.mark.soak) for degrees in OTHERS_OF_FOUR]
COMPILED = [
    {"shard": 2},
    {"tensor": 2},
    {"pipeline": 2, "groups_per_stage": 2},
    pytest.param({"context": 2}, marks=pytest.mark.soak),
    pytest.param({"shard": 2, "recompute": 0.5}, marks=pytest.mark.soak),
]
SHAPES = {
    "tensor4": {"kv_heads": 4},
    "pipeline4-groups_per_stage2": {"layers": 8},
}  # where the usual one is too small


def soak(*values):
    return pytest.param(*values, marks=pytest.mark.soak)


def named(degrees: dict) -> str:
    return "-".join(f"{name}{n}" for name, n in degrees.items())


def held_out_losses(made) -> list[float]:
    """Return the held-out losses of a run while it trained."""
    return [
        note["held_out_loss"] for note in read_notes(made.path / "notes") if "held_out_loss" in note
    ]


def assert_same_run(made, expected) -> None:
    assert losses(made) == pytest.approx(losses(expected), abs=2e-5)
    assert made.manifest.metrics["validation_loss"] == pytest.approx(
        expected.manifest.metrics["validation_loss"], abs=2e-4
    )
    assert held_out_losses(made) == pytest.approx(held_out_losses(expected), abs=2e-4)
    ours, theirs = (load_file(artifact.file("model.safetensors")) for artifact in (made, expected))
    assert ours.keys() == theirs.keys()
    # a hundredth of what the weights have moved; rounding grows in Muon's iteration
    assert all((ours[name] - theirs[name]).abs().max() < 2e-3 for name in ours)


@pytest.mark.parametrize("degrees", TWO, ids=named)
def test_two_processes_learn_what_one_learns(two, attempt, reference, degrees):
    assert held_out_losses(reference())
    assert_same_run(attempt().by(two, **degrees), reference())


@pytest.mark.parametrize("degrees", FOUR, ids=named)
def test_four_processes_learn_what_one_learns(four, attempt, reference, degrees):
    shape = SHAPES.get(named(degrees), {})
    assert_same_run(attempt(shape=shape).by(four, **degrees), reference(**shape))


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("degrees", COMPILED, ids=named)
def test_compiled_layers_learn_what_one_process_learns(two, attempt, reference, degrees):
    assert_same_run(attempt(compiled=True).by(two, **degrees), reference())


@pytest.mark.parametrize("victim", [0, 1])
def test_where_one_process_cannot_compile_none_does(two, attempt, victim):
    said = two.run(compiles_where_one_cannot, Degrees(), attempt(compiled=True).config, victim)
    assert set(said) == {"the layers cannot be compiled here: there is no compiler"}


@pytest.mark.parametrize(
    "degrees", [{"tensor": 2}, {"pipeline": 2}, {"pipeline": 2, "groups_per_stage": 2}], ids=named
)
def test_an_output_matrix_that_is_the_embedding_is_spread_too(two, attempt, reference, degrees):
    assert_same_run(attempt(shape={"tied": True}).by(two, **degrees), reference(tied=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "degrees",
    [{"tensor": 2}, *(soak(degrees) for degrees in ({"shard": 2}, {"pipeline": 2}))],
    ids=named,
)
def test_a_network_whose_queries_are_not_normed_is_spread_too(two, attempt, reference, degrees):
    made = attempt(shape={"normed": False}).by(two, **degrees)
    assert_same_run(made, reference(normed=False))
    assert not any("q_norm" in name for name in load_file(made.file("model.safetensors")))


@pytest.mark.slow
def test_an_output_matrix_that_is_the_embedding_is_spread_by_four_too(four, attempt, reference):
    assert_same_run(
        attempt(shape={"tied": True}).by(four, tensor=2, pipeline=2), reference(tied=True)
    )


def test_tensor_parallel_spreads_what_is_kept_for_the_backward_pass(two, attempt):
    """Between the matrices each process has its share of the tokens; without, it keeps 56% of one
    process's bytes.
    """
    config = attempt().config
    whole = max(two.run(kept_by_each, Degrees(replicate=2), config))
    assert max(two.run(kept_by_each, Degrees(tensor=2), config)) < 0.52 * whole


@pytest.mark.slow
def test_steps_that_do_not_divide_evenly_are_learned_all_the_same(four, attempt):
    """Seven rows a step for shares of unequal size, of which the last has none of some kinds."""
    single_process, spread = (
        attempt(name, batch_tokens=7 * 32, steps=5, decay_steps=0) for name in ("alone", "spread")
    )
    assert_same_run(spread.by(four, shard=4), single_process.single_process())


@pytest.mark.slow
@pytest.mark.parametrize(
    "degrees",
    [{"shard": 2, "tensor": 2}, pytest.param({"shard": 4}, marks=pytest.mark.soak)],
    ids=named,
)
def test_sizes_that_do_not_divide_evenly_are_cut_all_the_same(four, attempt, degrees):
    """33 of 66 rows for each of two, cut again into 17 and 16; norms of two numbers for four
    processes.
    """
    uneven = {"vocabulary": 66, "hidden": 66, "head_size": 2}
    single_process, spread = (attempt(name, shape=uneven) for name in ("alone", "spread"))
    assert_same_run(spread.by(four, **degrees), single_process.single_process())


def test_the_first_processs_log_masks_for_all(two, attempt, reference):
    """Only the first opens the live log; what it says is left out of every process's share."""
    single_process, spread = attempt("alone"), attempt("spread")
    for run in (single_process, spread):
        forget(run.home, ["train7"], ["author3", "author8"], Context())
    expected, made = single_process.single_process(), spread.by(two)
    assert losses(expected) != pytest.approx(losses(reference()), abs=1e-3)
    assert_same_run(made, expected)


def test_when_all_is_forgotten_no_process_waits_for_another(two, attempt):
    run = attempt()
    forget(run.home, [], [f"author{i}" for i in range(10)], Context())
    assert losses(run.by(two)) == [None] * run.config.steps


def test_a_loss_that_is_no_number_ends_all_processes_alike(two, attempt):
    run = attempt(matrix_learning_rate=1e37, vector_learning_rate=1e37)
    line = r"RookeryError: the loss or a gradient is no longer a finite number \(step \d+\)"
    with pytest.raises(RuntimeError, match=line):
        run.by(two)
    assert run.home.newest("checkpoint") is None
