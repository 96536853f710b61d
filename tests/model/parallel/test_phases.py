"""A later phase starts from the same plateau however the earlier one was spread, and however it is spread itself."""

import pytest

from tests.model.parallel.test_curves import assert_same_run, named
from tests.model.parallel.test_resume import STOP

LAYOUTS = [{"shard": 2}, {"tensor": 2}, {"pipeline": 2}, {"replicate": 2}]


@pytest.mark.slow
@pytest.mark.parametrize("degrees", LAYOUTS, ids=named)
def test_two_processes_go_on_from_a_plateau_as_one_does(two, attempt, degrees):
    alone, spread = attempt("alone"), attempt("spread")
    assert_same_run(spread.grown(spread.by(two, **degrees)).by(two, **degrees), alone.grown(alone.alone()).alone())


@pytest.mark.slow
def test_sizes_that_do_not_divide_evenly_go_on_from_a_plateau_too(four, attempt):
    uneven = {"vocabulary": 66, "hidden": 66, "head_size": 2}
    alone, spread = (attempt(name, shape=uneven) for name in ("alone", "spread"))
    assert_same_run(spread.grown(spread.by(four)).by(four), alone.grown(alone.alone()).alone())


def test_a_phase_of_two_processes_that_stopped_goes_on_bit_for_bit(two, attempt):
    undisturbed, stopped = attempt("undisturbed"), attempt("stopped")
    expected = undisturbed.grown(undisturbed.by(two)).by(two)
    phase = stopped.grown(stopped.by(two))
    assert phase.by(two, stop=STOP) is None
    assert phase.by(two).digest == expected.digest
