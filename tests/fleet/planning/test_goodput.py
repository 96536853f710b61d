"""Goodput against a published run, and that no other interval of checkpoints is better."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.fleet.planning.goodput import goodput_of


def test_llama_3_was_interrupted_every_2_8_hours_and_kept_about_nine_tenths_of_its_time():
    goodput = goodput_of(405e9, 16_384)
    assert goodput.between_interruptions_seconds / 3600 == pytest.approx(54 * 24 / 466)
    assert 0.85 < goodput.share < 0.95  # published: "over 90% effective training time"


@given(st.floats(1e7, 1e13), st.integers(1, 100_000))
def test_no_other_interval_loses_less(parameters, gpus):
    goodput = goodput_of(parameters, gpus)

    def overhead(interval: float) -> float:
        lost = interval / 2 / goodput.between_interruptions_seconds
        return goodput.checkpoint_seconds / interval + lost

    best = overhead(goodput.interval_seconds)
    assert best <= overhead(goodput.interval_seconds * 1.1) * (1 + 1e-9)
    assert best <= overhead(goodput.interval_seconds * 0.9) * (1 + 1e-9)
    assert 0 < goodput.share < 1


@pytest.mark.parametrize(
    ("parameters", "gpus", "bandwidth"),
    [(1e9, 8, 2e9), (1e9, 9, 4e9), (405e9, 16_384, 200e9)],
)
def test_the_share_is_what_writing_lost_work_and_restarts_leave(parameters, gpus, bandwidth):
    """A node writes 2 GB/s, all of them at most 200 GB/s; a parameter takes 14 bytes."""
    goodput = goodput_of(parameters, gpus)
    between, write = 16_384 * 54 * 86_400 / 466 / gpus, 14 * parameters / bandwidth
    interval = (2 * write * between) ** 0.5
    assert goodput.between_interruptions_seconds == pytest.approx(between)
    assert goodput.checkpoint_seconds == pytest.approx(write)
    assert goodput.interval_seconds == pytest.approx(interval)
    lost = write / interval + (interval / 2 + 300) / between
    assert goodput.share == pytest.approx(1 / (1 + lost), abs=1e-9)
