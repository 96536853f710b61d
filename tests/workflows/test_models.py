"""Which model serves: the newest, or the one that the settings name."""

import pytest

from rookery.core.errors import UsageError
from rookery.core.home import SETTINGS, open_home
from rookery.core.protocols import SeededGenerator
from rookery.workflows.models import checkpoint_of, generator_of, need_checkpoint, sample_of
from tests.model.conftest import make_checkpoint  # noqa: F401


def serving(home, name):
    path = home.path / SETTINGS
    path.write_text(path.read_text().replace('serve = "newest"', f'serve = "{name}"'))
    return open_home(home.path)


def test_without_a_model_the_twin_serves(home):
    assert checkpoint_of(home) is None
    assert generator_of(home) == SeededGenerator()
    with pytest.raises(UsageError, match="rookery model train` or `rookery model adopt"):
        need_checkpoint(home)


def test_a_trial_does_not_serve_merely_by_being_newest(home, make_checkpoint):  # noqa: F811
    first = make_checkpoint(seed=0)
    pinned = serving(home, first.key)
    trial = make_checkpoint(seed=1)
    assert checkpoint_of(home).digest == trial.digest
    assert checkpoint_of(pinned).digest == first.digest
    assert generator_of(pinned).digest == first.digest
    assert checkpoint_of(pinned, trial.key[:6]).digest == trial.digest
    assert checkpoint_of(pinned, "newest").digest == trial.digest


def test_a_key_that_is_of_no_model_is_named(home, make_checkpoint):  # noqa: F811
    make_checkpoint()
    with pytest.raises(UsageError, match="no checkpoints have a key that begins with 'zz'"):
        checkpoint_of(serving(home, "zz"))


def test_a_sample_is_the_same_each_time(home, make_checkpoint):  # noqa: F811
    checkpoint = make_checkpoint()
    samples = {sample_of(generator_of(home)) for _ in range(2)}
    assert len(samples) == 1
    assert checkpoint_of(home).digest == checkpoint.digest
