"""Measuring the machine: the answer is a scale whose training takes the minutes asked for."""

from dataclasses import dataclass

import pytest

from rookery.core.context import FixedClock
from rookery.core.errors import UsageError
from rookery.model.config import config_for_scale
from rookery.model.measure import made_up_rows, scale_for_minutes, seconds_per_step


@dataclass
class TickingClock(FixedClock):
    """On which every look takes a hundredth of a second: a machine that needs as long for any step."""

    def monotonic_seconds(self) -> float:
        self.elapsed_seconds += 0.01
        return self.elapsed_seconds


def test_the_scale_takes_the_minutes_asked_for():
    config = config_for_scale(scale_for_minutes(0.2, TickingClock()))
    assert config.steps * seconds_per_step(config, TickingClock()) == pytest.approx(12, rel=0.15)


def test_the_scale_has_two_digits_so_that_a_person_can_repeat_it():
    assert len(f"{scale_for_minutes(0.2, TickingClock()):.10g}".strip("0").replace(".", "").lstrip("0")) <= 2


def test_the_made_up_work_is_a_micro_batch():
    config = config_for_scale(0.01)
    assert made_up_rows(config).inputs.size == min(config.micro_batch_tokens, config.batch_tokens)


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf")])
def test_minutes_that_are_no_time_are_refused(minutes):
    with pytest.raises(UsageError, match="positive number"):
        scale_for_minutes(minutes)
