"""Fixtures that every package's tests share: a home in a temporary folder, and posts to put in
it.
"""

import os

# before any test loads torch, as `rookery.model` does: a test runs beside another one on two cores
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from rookery.core.context import SilentProgress
from rookery.core.home import Home, create_home
from rookery.posts.lake import append
from rookery.posts.post import Post, to_table

# no test is judged by a clock: the machine is shared
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create_home(tmp_path / "home")


@pytest.fixture
def a_post():
    """Make a public post; every call makes another id and a later time."""
    made = 0

    def make(text: str = "a word about rooks", **fields) -> Post:
        nonlocal made
        made += 1
        created = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=made)
        defaults = {
            "id": str(made),
            "author": "ada",
            "created": created,
            "visibility": "public",
            "source": "test",
        }
        return Post(**(defaults | {"text": text} | fields))

    return make


@pytest.fixture
def put(home):
    """Put posts into the home's lake in one transaction."""

    def put(*posts: Post, key: str = "test") -> None:
        append(home, to_table(list(posts)).to_batches(), key)

    return put


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data; a test that asks for it is skipped where it is absent."""
    if not SHARED_DATA.exists():
        pytest.skip("the real data (../shared/data) is not on this machine")
    return SHARED_DATA


class Said(SilentProgress):
    """A display that keeps what it was told to say."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def said() -> Said:
    return Said()
