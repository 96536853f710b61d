"""Exploring: an unlucky ad is found, and every choice knows how likely it was."""

import numpy as np
import pytest
from simulated_group import a_day, without_exploring

from rookery.ads.predict.exploring import sample_ad, with_uniform_slice

SEEDS = range(5)


def test_an_ad_with_three_times_the_usual_rate_is_found_after_an_unlucky_start():
    days = [a_day(sample_ad, seed) for seed in SEEDS]
    never = [a_day(without_exploring, seed) for seed in SEEDS]
    assert min(day.best_at_end for day in days) > 0.8
    assert np.mean([day.regret_clicks for day in days]) < 0.5 * np.mean(
        [day.regret_clicks for day in never]
    )


def test_an_ad_is_shown_as_often_as_it_is_likely_to_be_the_best():
    random = np.random.default_rng(0)
    views, clicks = np.array([1000, 1000, 1000]), np.array([20, 20, 20])
    shown = [sample_ad(views, clicks, random) for _ in range(3000)]
    assert np.bincount(shown, minlength=3) == pytest.approx([1000] * 3, abs=100)
    assert {sample_ad(views, np.array([20, 200, 20]), random) for _ in range(200)} == {1}


def test_the_same_generator_gives_the_same_ad_and_more_clicks_than_views_are_borne():
    views, clicks = np.array([5, 0]), np.array([7, 0])
    first, again = (sample_ad(views, clicks, np.random.default_rng(3)) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_a_uniform_slice_shows_each_ad_as_often_as_its_propensity_says(share):
    random = np.random.default_rng(1)
    choices = [with_uniform_slice(2, 4, random, share) for _ in range(20_000)]
    for place in range(4):
        of_place = [one for one in choices if one.place == place]
        expected = share / 4 + (1 - share) * (place == 2)
        assert len(of_place) / len(choices) == pytest.approx(expected, abs=0.012)
        assert all(one.propensity == pytest.approx(expected) for one in of_place)
    assert np.mean([one.explored for one in choices]) == pytest.approx(share, abs=0.01)
