"""Thresholds of training compute: which are passed, and what is said of them."""

import pytest

from rookery.model.training.thresholds import thresholds_passed, warnings


@pytest.mark.parametrize(
    ("flops", "passed"), [(1e23, 0), (1.01e23, 1), (9e24, 1), (2e25, 2), (3e26, 3)]
)
def test_a_threshold_is_passed_by_more_than_it_and_not_by_just_as_much(flops, passed):
    assert len(thresholds_passed(flops)) == passed


def test_each_warning_names_the_amount_the_threshold_and_the_law():
    (first, second) = warnings(2e25)
    assert "2.0e+25 FLOP is more than 1e+23. EU" in first
    assert "1e+25" in second
    assert "article 51(2)" in second


@pytest.mark.parametrize(("threshold", "passed"), [(1e23, 1), (1e25, 2), (1e26, 3)])
def test_a_run_of_exactly_a_threshold_has_not_passed_it(threshold, passed):
    assert len(thresholds_passed(threshold)) == passed - 1
    assert len(thresholds_passed(threshold * 1.01)) == passed
