"""The whole loop through the real command: it runs through, twice is once, and a kill anywhere
changes nothing.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rookery.core.artifact import find_artifacts
from rookery.core.home import open_home
from rookery.posts.lake import open_lake

SCALE = "0.001"
ROOKERY = [sys.executable, "-m", "rookery.cli.main"]


def demo(home: Path, *more: str) -> list[str]:
    """The command of a demo on the town at a small scale, or on what `more` says."""
    scale = [] if "--minutes" in more else ["--scale", SCALE]
    return [*ROOKERY, "demo", "--no-serve", "--json", "--home", str(home), *scale, *more]


def run(*command: str) -> dict:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def digests(home: Path) -> dict[str, str]:
    """What the demo made, by kind; and what its lake, which is no artifact, holds."""
    opened = open_home(home)
    found = {a.kind: a.digest for a in find_artifacts(opened.artifacts)}
    return found | {"lake": open_lake(opened).name, "posts": str(open_lake(opened).count())}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, dict]:
    """A demo on the built-in town that nothing disturbed, and what it printed."""
    home = tmp_path_factory.mktemp("demo") / "home"
    return home, run(*demo(home))


@pytest.mark.slow
def test_demo_runs_the_whole_loop(finished):
    home, result = finished
    names = [stage["name"] for stage in result["stages"]]
    assert names == [
        "posts",
        "corpus",
        "scale",
        "model",
        "evaluation",
        "export",
        "search",
        "answer",
        "ads",
    ]
    assert set(result["bits_per_byte"]) == {"model", "zstd", "ngram", "xz"}
    assert result["answer"]
    assert all(sentence["citations"] for sentence in result["answer"])
    assert 0.5 < result["ads"]["auc_model"] <= 1
    for artifact in find_artifacts(open_home(home).artifacts):
        artifact.verify()


@pytest.mark.slow
def test_demo_run_again_makes_nothing_again(finished):
    home, _ = finished
    before = digests(home)
    run(*demo(home))
    assert digests(home) == before


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_demo_killed_again_and_again_ends_with_the_same_artifacts(finished, tmp_path):
    home = tmp_path / "home"
    moments = random.Random(5)
    seconds, kills = 3.0, 0
    while True:
        process = subprocess.Popen(demo(home), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=moments.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            kills, seconds = (
                kills + 1,
                seconds * 1.3,
            )  # longer each time, so that a stage without parts gets done
            continue
        assert process.returncode == 0
        break
    assert kills >= 5
    assert digests(home) == digests(finished[0])


@pytest.mark.slow
def test_demo_on_other_posts_in_the_same_home_is_refused(finished, tmp_path):
    posts = tmp_path / "posts.csv"
    posts.write_text("id,author,created,text\n1,ada,2026-01-01,hello\n")
    done = subprocess.run(demo(finished[0], "--posts", str(posts)), capture_output=True, text=True)
    assert done.returncode == 2
    assert "this home holds a demo on other posts" in done.stderr


@pytest.mark.slow
def test_a_post_forgotten_after_the_demo_is_hidden_at_once_and_traced(finished):
    home, _ = finished

    def ask(*words: str) -> dict:
        return run(*ROOKERY, *words, "--home", str(home), "--json")

    hit = ask("search", "query", "tram")["hits"][0]
    ask("posts", "forget", hit["id"])
    assert hit["id"] not in [
        h["id"] for h in ask("search", "query", "tram", "--limit", "1000")["hits"]
    ]
    trace = ask("trace", hit["id"])
    assert trace["forgotten"]
    assert "lake" in [place["place"] for place in trace["places"]]
    assert all(
        place["owed"] and place["by"] for place in trace["places"] if place["how"] == "holds"
    )
    ask("posts", "erase")
    assert "holds" not in [place["how"] for place in ask("trace", hit["id"])["places"]]
    assert "checkpoint" in [
        place["place"].split()[0] for place in ask("trace", hit["id"])["places"] if place["owed"]
    ]


@pytest.mark.slow
def test_the_scale_that_minutes_chose_is_kept_after_a_kill(tmp_path):
    home = tmp_path / "home"
    command = demo(home, "--minutes", "0.05")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while (chosen := chosen_scale(home)) is None:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert run(*command)["scale"] == chosen


def chosen_scale(home: Path) -> float | None:
    """The scale in the notes of a demo, once there is one."""
    notes = home / "demo.json"
    return json.loads(notes.read_text())["scale"] if notes.exists() else None


@pytest.mark.slow
def test_demo_runs_on_real_posts(shared_data, tmp_path):
    posts = shared_data / "tweets_ira" / "tweets.parquet"
    columns = "text=content,author=author_id,created=created_at,language=language,id=post_id"
    result = run(
        *demo(tmp_path / "home", "--posts", str(posts), "--map", columns, "--limit", "5000")
    )
    taken = "4,768 posts added, 0 already there, 232 set aside"  # those that repeat others
    assert result["stages"][0]["made"] == taken
    assert all(0 < bits < 8 for bits in result["bits_per_byte"].values())
    assert result["ads"]["ledger_agrees"]


def test_a_demo_whose_posts_were_refused_can_be_mended_in_the_same_home(tmp_path):
    home, empty, posts = tmp_path / "home", tmp_path / "empty.csv", tmp_path / "posts.csv"
    empty.touch()
    posts.write_text("id,author,created,body\n1,ada,2026-01-01,a word about rooks\n")

    def said(*words: str) -> str:
        done = subprocess.run(demo(home, *words), capture_output=True, text=True)
        assert done.returncode == 2
        return done.stderr

    assert "the file is empty" in said("--posts", str(empty))
    assert "there is no column 'txt'" in said(
        "--posts", str(posts), "--map", "text=txt,author=author,created=created"
    )
    assert "1 of 1 posts are left" in said(
        "--posts", str(posts), "--map", "text=body,author=author,created=created"
    )
    assert "other posts" in said("--posts", str(empty))
