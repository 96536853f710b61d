"""Three shards on Ray: real processes, of which one is killed while queries run."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from rookery.core.home import SETTINGS
from rookery.town.posts import TownConfig, ingest_town

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
ON_RAY = """
import os, signal, sys, time
from pathlib import Path
import ray
from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.search.search import search_posts
from rookery.search.shards.served import ShardQuestion
from rookery.workflows.search import build_index, open_index

if __name__ == "__main__":
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    home = open_home(Path(sys.argv[1]))
    print("built", build_index(home, Context()).posts)
    index = open_index(home)
    def ids(mode="latest"):
        return [hit.id for hit in search_posts(index, "the", 1000, mode).hits]
    every = ids()
    print("every", len(every))
    print("found", len(every), index.lag())
    print("best", *[hit.id for hit in search_posts(index, "storm harbour").hits])
    processes = [ray.get(actor.__ray_call__.remote(lambda shard: os.getpid()))
                 for actor in index._shards._actors]
    print("processes", len({os.getpid(), *processes}))
    os.kill(processes[1], signal.SIGKILL)
    started, waits, degraded, lag = time.monotonic(), [], 0, None
    while time.monotonic() - started < 60:
        began = time.monotonic()
        found = ids()
        waits.append(time.monotonic() - began)
        assert set(found) <= set(every)
        if len(found) < len(every):
            degraded += 1
            lag = lag or index.lag()
        elif degraded and index.lag() is None:
            break
    print("degraded", degraded, lag and lag.line())
    print("healed", ids() == every, index.lag())
    print("waited", round(max(waits), 1), "for", round(time.monotonic() - started, 1))
    ray.shutdown()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    from rookery.core.context import Context
    from rookery.core.home import create_home

    home = create_home(tmp_path_factory.mktemp("cluster") / "home")
    ingest_town(home, TownConfig(posts=2_000), Context())
    return home


def told(home, script, folder):
    (folder / "on_ray.py").write_text(textwrap.dedent(script))
    run = subprocess.run(
        [sys.executable, folder / "on_ray.py", home.path],
        capture_output=True, text=True, timeout=240, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return dict(line.split(" ", 1) for line in run.stdout.splitlines() if " " in line)


def set_shards(home):
    settings = home.path / SETTINGS
    one = settings.read_text()
    settings.write_text(one.replace('shards = 1\nrunner = "native"', 'shards = 3\nrunner = "ray"'))


def test_a_killed_shard_is_missed_and_comes_back(home, tmp_path):
    set_shards(home)
    out = told(home, ON_RAY, tmp_path)
    assert (out["processes"], out["found"]) == ("4", f"{out['every']} None")
    degraded, line = out["degraded"].split(" ", 1)
    assert int(degraded) > 0
    assert line == (
        "The posts in 1 of the 3 shards of the index are missing: they do not answer, and are "
        "being started again."
    )
    assert out["healed"] == "True None"


def test_whoever_searches_asks_the_readers_of_the_process_that_follows(home, tmp_path):
    set_shards(home)
    follow = rookery(home, "search", "index", "--follow")
    follower = subprocess.Popen(follow, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    try:
        posts = tmp_path / "more.jsonl"
        posts.write_text("".join(map(line, range(6))))
        assert run(rookery(home, "posts", "ingest", posts, "--visibility", "public")).stdout
        query = rookery(home, "search", "query", "gannet", "--mode", "latest", "--json")
        for _ in range(60):
            out = run(query).stdout
            found = json.loads(out) if out else {"hits": []}
            if len(found["hits"]) == 6:
                break
            time.sleep(1)
        assert [hit["id"] for hit in found["hits"]] == ["g5", "g4", "g3", "g2", "g1", "g0"]
        assert "lag" not in found
        again = run(follow)
        assert again.returncode == 2
        assert "another process keeps the search index current" in again.stderr
        assert len(again.stderr.splitlines()) <= 2
    finally:
        follower.send_signal(signal.SIGINT)
        assert follower.wait(30) == 0


def rookery(home, *arguments):
    return [sys.executable, "-m", "rookery", *map(str, arguments), "--home", str(home.path)]


def run(command):
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def line(n):
    post = {"id": f"g{n}", "author": f"gull{n}", "text": f"a gannet dives {n}",
            "created": f"2026-01-0{n + 1}T00:00:00Z"}  # fmt: skip
    return json.dumps(post) + "\n"
