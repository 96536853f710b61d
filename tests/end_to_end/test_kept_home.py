"""A home of an earlier release (`tests/golden/make_home.py`) is used as it is: no stage runs
again.
"""

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from rookery.core.artifact import find_artifacts
from rookery.core.home import Home, open_home
from rookery.posts.lake import open_lake
from tests.golden.make_home import demo_command, write_posts

GOLDEN = Path(__file__).parents[1] / "golden"
SAME_ON_EVERY_MACHINE = ("corpus", "shards", "tokenizer")  # training rounds as the processor does


def _demo(home: Path, posts: Path) -> dict:
    write_posts(posts)
    done = subprocess.run(demo_command(home, posts), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _digests(home: Home) -> dict[str, str]:
    return {artifact.kind: artifact.digest for artifact in find_artifacts(home.artifacts)}


@pytest.fixture
def kept(tmp_path) -> Home:
    with tarfile.open(GOLDEN / "home.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return open_home(tmp_path / "home")


def test_a_home_of_an_earlier_release_is_used_without_one_stage_running_again(kept, tmp_path):
    runs, digests, lake = kept.runs.read_bytes(), _digests(kept), open_lake(kept).name
    index = (kept.search / "current.json").read_bytes()
    result = _demo(kept.path, tmp_path / "posts.csv")
    assert kept.runs.read_bytes() == runs
    assert _digests(kept) == digests
    assert open_lake(kept).name == lake
    assert (kept.search / "current.json").read_bytes() == index
    assert result["answer"]
    assert result["ads"]["views"] > 0
    for artifact in find_artifacts(kept.artifacts):
        artifact.verify()


def test_the_same_posts_make_the_same_digests_as_in_an_earlier_release(kept, tmp_path):
    _demo(tmp_path / "new", tmp_path / "posts.csv")
    new = _digests(open_home(tmp_path / "new"))
    assert {kind: new[kind] for kind in SAME_ON_EVERY_MACHINE} == {
        kind: _digests(kept)[kind] for kind in SAME_ON_EVERY_MACHINE
    }
