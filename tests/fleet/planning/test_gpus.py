"""The catalogue of GPUs."""

import pytest

from rookery.core.errors import UsageError
from rookery.fleet.planning.gpus import CATALOGUE, find_gpu


def test_a_gpu_is_found_whatever_the_case():
    assert find_gpu("H100").peak_flops == pytest.approx(989.4e12)


def test_an_unknown_gpu_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"'tpu'.*a100, h100"):
        find_gpu("tpu")


def test_no_catalogue_entry_sustains_more_than_its_peak():
    assert all(0 < gpu.sustained < 1 and gpu.price_per_hour > 0 for gpu in CATALOGUE)
