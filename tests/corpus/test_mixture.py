"""A mixture takes, leaves and repeats documents by weight, the same ones every time."""

import numpy as np
import pytest

from rookery.core.digest import hash_ids
from rookery.core.errors import UsageError
from rookery.corpus.mixture import chance, check, copies, weigh, years

HASHES = hash_ids(f"post {n}" for n in range(20_000))


def test_weights_multiply_over_language_year_and_source():
    created = np.array(["2016-06-01", "2016-12-31T23:59", "2017-01-01"], "datetime64[us]").view(
        np.int64
    )
    coded = {
        "language": (np.array([0, -1, 0]), ["en"]),
        "year": years(created),
        "source": (np.array([0, 0, 1]), ["reddit", "x"]),
    }
    weights = {
        "language:en": 0.5,
        "year:2016": 3.0,
        "source:reddit": 2.0,
        "language:unknown": 0.1,
        "source:none": 0.0,
    }
    assert weigh(weights, coded, 3).tolist() == pytest.approx([3.0, 0.6, 0.5])


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0, 2.5])
def test_a_weight_is_the_mean_number_of_copies(weight):
    taken = copies(np.full(len(HASHES), weight), HASHES, seed=1)
    assert taken.mean() == pytest.approx(weight, abs=0.02)
    assert set(taken.tolist()) <= {int(weight), int(weight) + 1}


def test_what_is_taken_at_a_low_weight_is_taken_at_a_higher_one():
    few, more = (copies(np.full(len(HASHES), weight), HASHES, seed=1) for weight in (0.2, 0.5))
    assert (few <= more).all()


def test_the_seed_chooses_others():
    one, other = (copies(np.full(len(HASHES), 0.5), HASHES, seed) for seed in (1, 2))
    assert 0.45 < (one == other).mean() < 0.55


def test_a_weight_of_one_never_drops_and_never_repeats():
    assert (copies(np.ones(len(HASHES)), HASHES, seed=3) == 1).all()


@pytest.mark.parametrize(
    "weights",
    [
        {"lang:en": 1.0},
        {"language:": 1.0},
        {"year:16": 1.0},
        {"source:x": -1.0},
        {"source:x": 99.0},
    ],
)
def test_weights_that_make_no_sense_are_refused(weights):
    with pytest.raises(UsageError):
        check(weights)


def test_the_same_documents_are_taken_in_every_release():
    hashes = np.array([0, 1, 2, 1 << 63, (1 << 64) - 1], np.uint64)
    assert chance(hashes, 0).tolist() == pytest.approx(
        [0.3055549296, 0.6143747110, 0.2795934769, 0.3763354905, 0.6313510648]
    )


def test_weights_from_zero_to_sixteen_are_taken_and_products_end_there():
    check({"language:en": 0.0, "language:de": 16.0, "year:2016": 1.0, "source:x": 1.0})
    for wrong in ({"source:x": 16.1}, {"source:x": -0.1}, {"year:20166": 1.0}, {"colon": 1.0}):
        with pytest.raises(UsageError):
            check(wrong)
    coded = {
        "language": (np.array([0, 0, -1]), ["en"]),
        "source": (np.array([0, 1, -1]), ["x", "y"]),
    }
    weights = {"language:en": 5.0, "source:x": 4.0, "source:unknown": 0.5, "source:absent": 9.0}
    assert weigh(weights, coded, 3).tolist() == [16.0, 5.0, 0.5]
