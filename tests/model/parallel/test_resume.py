"""A run goes on where it stopped, whoever saved it: the same batches, on any number of processes."""

import pytest
from crew import saved_where_a_note_fails
from tiny_run import losses

from rookery.model.degrees import Degrees

STOP = 6  # the state after step 4 is the newest


def test_two_processes_go_on_bit_for_bit(two, attempt):
    undisturbed = attempt("undisturbed").by(two)
    stopped = attempt("stopped")
    assert stopped.by(two, stop=STOP) is None
    made = stopped.by(two)
    assert made.digest == undisturbed.digest
    assert losses(made) == losses(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [{"tensor": 2}, {"pipeline": 2, "groups_per_stage": 2}, {"context": 2}], ids=str)
def test_other_layouts_go_on_bit_for_bit_too(two, attempt, degrees):
    undisturbed = attempt("undisturbed").by(two, **degrees)
    stopped = attempt("stopped")
    assert stopped.by(two, stop=STOP, **degrees) is None
    assert stopped.by(two, **degrees).digest == undisturbed.digest


def test_what_two_saved_one_goes_on_with(two, attempt, reference):
    run = attempt()
    assert run.by(two, stop=STOP, tensor=2) is None
    assert losses(run.alone()) == pytest.approx(losses(reference()), abs=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [{"shard": 4}, {"tensor": 2, "pipeline": 2}], ids=str)
def test_what_four_saved_two_go_on_with_and_what_two_saved_four(two, four, attempt, reference, degrees):
    for name, first, second in (("down", four, two), ("up", two, four)):
        run = attempt(name)
        of_first, of_second = (degrees if crew is four else {} for crew in (first, second))
        assert run.by(first, stop=STOP, **of_first) is None
        assert losses(run.by(second, **of_second)) == pytest.approx(losses(reference()), abs=2e-5)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_note_that_one_process_cannot_write_is_said_and_the_state_removed(two, tmp_path, victim):
    (said, step), (silent, same) = two.run(saved_where_a_note_fails, Degrees(), tmp_path, victim)
    assert (step, same, silent) == (1, 1, [])
    (line,) = said
    assert line.startswith("The state could not be saved, so the one before it is kept: OSError")
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
