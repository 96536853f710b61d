"""A run goes on where it stopped, with the same batches, on any number of processes."""

import math

import pytest
from crew import saved_where_a_note_fails
from tiny_run import losses

from rookery.core.context import Context, FixedClock
from rookery.core.pause import pause, resume
from rookery.model.degrees import Degrees
from rookery.posts.forget import forget
from tests.model.parallel.test_curves import named

STOP, SAVED = 6, 4  # the step before which a run ends, and that after which its newest state is


def test_two_processes_go_on_bit_for_bit(two, attempt):
    undisturbed = attempt("undisturbed").by(two)
    stopped = attempt("stopped")
    assert stopped.by(two, stop=STOP) is None
    made = stopped.by(two)
    assert stopped.began_at == SAVED
    assert made.digest == undisturbed.digest
    assert losses(made) == losses(undisturbed)


def test_a_finished_checkpoint_is_found_by_all_processes_and_no_step_is_taken(two, attempt):
    run = attempt()
    made = run.by(two)
    assert run.by(two) == made
    assert run.began_at is None


def test_a_first_process_that_may_not_begin_keeps_no_other_waiting(two, attempt):
    run = attempt()
    pause(run.home, "an outage", FixedClock())
    with pytest.raises(RuntimeError, match=r"an outage|the first process of the run could not go"):
        run.by(two)
    resume(run.home)
    assert run.by(two).kind == "checkpoint"


@pytest.mark.slow
@pytest.mark.parametrize(
    "degrees",
    [
        {"pipeline": 2, "groups_per_stage": 2},
        pytest.param({"tensor": 2}, marks=pytest.mark.soak),
        pytest.param({"context": 2}, marks=pytest.mark.soak),
    ],
    ids=str,
)
def test_other_layouts_go_on_bit_for_bit_too(two, attempt, degrees):
    undisturbed = attempt("undisturbed").by(two, **degrees)
    stopped = attempt("stopped")
    assert stopped.by(two, stop=STOP, **degrees) is None
    assert stopped.by(two, **degrees).digest == undisturbed.digest
    assert stopped.began_at == SAVED


CHANGES = [
    ({}, {"tensor": 2}),
    ({"tensor": 2}, {}),
    ({}, {"shard": 4}),
    ({"tensor": 2, "pipeline": 2}, {}),
    ({"shard": 2}, {"shard": 4}),
]
OTHER_CHANGES = [
    ({"shard": 4}, {"tensor": 2}),
    ({"pipeline": 2}, {"tensor": 2, "pipeline": 2}),
    ({"tensor": 2, "pipeline": 2}, {"shard": 2}),
]


def with_marks(*layouts: dict[str, int]):
    return pytest.param(*layouts, marks=[pytest.mark.slow] if max(map(count, layouts)) == 4 else [])


def count(degrees: dict[str, int]) -> int:
    return math.prod(degrees.values())


@pytest.mark.parametrize(
    ("saved_by", "goes_on"),
    [with_marks(*change) for change in CHANGES]
    + [pytest.param(*change, marks=pytest.mark.soak) for change in OTHER_CHANGES],
    ids=lambda degrees: named(degrees) or "alone",
)
def test_what_some_saved_any_other_number_goes_on_with(
    two, four, attempt, reference, saved_by, goes_on
):
    crews, run = {1: None, 2: two, 4: four}, attempt()
    first, second = crews[count(saved_by)], crews[count(goes_on)]
    assert run.by(first, stop=STOP, **saved_by) is None
    assert losses(run.by(second, **goes_on)) == pytest.approx(losses(reference()), abs=2e-5)
    assert run.began_at == SAVED


def test_what_is_forgotten_before_a_run_goes_on_is_left_out_by_whoever_goes_on(
    two, attempt, reference
):
    single_process, spread = attempt("alone"), attempt("spread")
    for run, crew in ((single_process, None), (spread, two)):
        assert run.by(crew, stop=STOP) is None
        forget(run.home, [], ["author3"], Context())
    found, expected, undisturbed = (
        losses(spread.single_process()),
        losses(single_process.single_process()),
        losses(reference()),
    )
    assert found == pytest.approx(expected, abs=2e-5)
    assert found[:SAVED] == pytest.approx(undisturbed[:SAVED], abs=2e-5)
    assert found[SAVED:] != pytest.approx(undisturbed[SAVED:], abs=1e-3)


@pytest.mark.slow
def test_pipelines_of_different_depth_end_bit_for_bit_alike(two, four, attempt):
    shallow, deep = attempt("shallow").by(two, pipeline=2), attempt("deep").by(four, pipeline=4)
    assert shallow.digest == deep.digest


@pytest.mark.parametrize("victim", [0, 1])
def test_a_note_that_one_process_cannot_write_is_said_and_the_state_removed(two, tmp_path, victim):
    (said, step), (silent, same) = two.run(saved_where_a_note_fails, Degrees(), tmp_path, victim)
    assert (step, same, silent) == (1, 1, [])
    (line,) = said
    assert line.startswith("The state could not be saved, so the one before it is kept: OSError")
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
