"""A tuning by several processes learns what one process does."""

from dataclasses import fields

import pytest

from rookery.model.config import TuneConfig
from tests.model.parallel.test_curves import assert_same_run, soak
from tests.model.parallel.test_resume import SAVED, STOP


def tuning_of(attempt, base, rank: int):
    grown = attempt.grown(base)
    known = {field.name: getattr(grown.config, field.name) for field in fields(grown.config)}
    grown.config = TuneConfig(**known, lora_rank=rank)
    return grown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("degrees", "rank"),
    [
        ({"shard": 2}, 4),
        ({"replicate": 2}, 0),
        soak({"shard": 2}, 0),
        soak({"replicate": 2}, 4),
    ],
    ids=str,
)
def test_two_processes_tune_as_one_does(two, attempt, degrees, rank):
    alone = attempt("alone")
    base = alone.single_process()
    expected = tuning_of(alone, base, rank).single_process()
    spread = attempt("spread")
    assert_same_run(tuning_of(spread, spread.single_process(), rank).by(two, **degrees), expected)


@pytest.mark.slow
def test_a_tuning_of_two_processes_that_stopped_goes_on_bit_for_bit(two, attempt):
    undisturbed, stopped = attempt("undisturbed"), attempt("stopped")
    expected = tuning_of(undisturbed, undisturbed.single_process(), 4).by(two)
    tuning = tuning_of(stopped, stopped.single_process(), 4)
    assert tuning.by(two, stop=STOP) is None
    assert tuning.by(two).digest == expected.digest
    assert tuning.began_at == SAVED
