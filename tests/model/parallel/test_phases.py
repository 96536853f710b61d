"""A later phase starts from the same state, however it and the earlier one were spread."""

import pytest
from safetensors.torch import load_file

from rookery.model.phases import OPTIMIZER
from tests.model.parallel.test_curves import assert_same_run, named, soak
from tests.model.parallel.test_resume import SAVED, STOP

LAYOUTS = [{"shard": 2}, {"tensor": 2}, soak({"pipeline": 2}), soak({"replicate": 2})]


def assert_goes_on_alike(crew, single_process, spread, degrees) -> None:
    """Assert that a crew saves one process's optimizer state, and that both go on alike from it."""
    earlier = spread.by(crew, **degrees)
    ours, theirs = (
        load_file(made.file(OPTIMIZER)) for made in (earlier, single_process.single_process())
    )
    assert ours.keys() == theirs.keys()
    assert ours["steps"] == theirs["steps"] == single_process.config.steps
    # rounding makes some 4e-6 of a tensor's length
    assert all(
        (ours[name] - theirs[name]).norm() <= 1e-4 * theirs[name].norm()
        for name in ours
        if name != "steps"
    )
    assert_same_run(
        spread.grown(earlier).by(crew, **degrees), single_process.grown(earlier).single_process()
    )


@pytest.mark.slow
@pytest.mark.parametrize("degrees", LAYOUTS, ids=named)
def test_two_processes_go_on_as_one_does(two, attempt, degrees):
    assert_goes_on_alike(two, attempt("alone"), attempt("spread"), degrees)


@pytest.mark.slow
def test_sizes_that_do_not_divide_evenly_go_on_too(four, attempt):
    uneven = {
        "vocabulary": 66,
        "hidden": 66,
        "head_size": 6,
    }  # keys of two numbers, normed, magnify rounding
    assert_goes_on_alike(four, attempt("alone", shape=uneven), attempt("spread", shape=uneven), {})


def test_a_phase_of_two_processes_that_stopped_goes_on_bit_for_bit(two, attempt):
    undisturbed, stopped = attempt("undisturbed"), attempt("stopped")
    expected = undisturbed.grown(undisturbed.by(two)).by(two)
    phase = stopped.grown(stopped.by(two))
    assert phase.by(two, stop=STOP) is None
    assert phase.by(two).digest == expected.digest
    assert phase.began_at == SAVED
