"""Measuring the machine: the answer is a scale whose training takes the minutes asked for."""

from dataclasses import dataclass

import pytest

from rookery.core.context import FixedClock
from rookery.core.errors import UsageError
from rookery.model.config import config_for_scale
from rookery.model.training.measure import (
    nearest_scale,
    scale_for_minutes,
    seconds_per_step,
    synthetic_steps,
)
from rookery.model.training.run import Run


@dataclass
class TickingClock(FixedClock):
    """A clock that moves by a twentieth of a second at every look: a machine of constant speed."""

    tick_seconds: float = 0.05

    def monotonic_seconds(self) -> float:
        self.elapsed_seconds += self.tick_seconds
        return self.elapsed_seconds


def test_the_scale_takes_the_minutes_asked_for():
    config = config_for_scale(scale_for_minutes(0.2, TickingClock()))
    assert config.steps * seconds_per_step(config, TickingClock()) == pytest.approx(12, rel=0.15)


def test_the_scale_has_two_digits_so_that_a_person_can_repeat_it():
    assert (
        len(
            f"{scale_for_minutes(0.2, TickingClock()):.10g}".strip("0").replace(".", "").lstrip("0")
        )
        <= 2
    )


def test_the_made_up_work_is_whole_steps_of_the_run():
    run = Run.begin(config_for_scale(0.01))
    step = next(synthetic_steps(run))
    assert sum(rows.inputs.size for rows in step.rows) == run.config.batch_tokens
    assert step.learned_tokens == pytest.approx(
        run.config.batch_tokens, rel=0.1
    )  # the rows are well filled


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf")])
def test_minutes_that_are_no_time_are_refused(minutes):
    with pytest.raises(UsageError, match="positive number"):
        scale_for_minutes(minutes)


@pytest.mark.parametrize("wanted_seconds", [20, 60, 85, 89, 90, 95, 110, 130, 900])
@pytest.mark.parametrize("first", [0.002, 0.0225, 0.3])
def test_a_leap_of_the_time_at_another_shape_is_not_leapt_over(wanted_seconds, first):
    """At a scale of 0.0178 the shape changes, and the time with it: nothing lies between 89 and 125
    seconds.
    """

    def predicted_seconds(scale):
        return scale * (5000 if scale < 0.0178 else 7000)

    off = (
        predicted_seconds(nearest_scale(wanted_seconds, first, predicted_seconds)) / wanted_seconds
    )
    best = min(abs(predicted_seconds(n / 1000) / wanted_seconds - 1) for n in range(1, 200))
    assert abs(off - 1) <= best + 0.06


def test_the_scale_is_one_whose_shape_was_measured():
    measured = set()

    def predicted_seconds(scale):
        measured.add(scale)
        return 6000 * scale

    assert nearest_scale(90, 0.4, predicted_seconds) in measured
