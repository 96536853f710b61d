"""Work is spread over processes and its results come in order, on a cluster as on one machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rookery.core.context import Context
from rookery.core.home import SETTINGS, Cluster, create_home
from rookery.corpus.build import build_corpus
from rookery.corpus.prepare import PART_POSTS
from rookery.corpus.spread import spread
from rookery.town.posts import TownConfig, ingest_town


def test_results_come_in_the_order_of_the_items():
    assert list(spread(abs, range(-20, 0), Cluster())) == list(range(20, 0, -1))
    assert list(spread(abs, [], Cluster())) == []


def test_an_error_of_the_work_is_raised_here_as_it_was():
    with pytest.raises(ValueError, match="'x'"):
        list(spread(int, ["1", "x", "2"], Cluster()))


ON_RAY = """
import sys
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.corpus.build import build_corpus

if __name__ == "__main__":
    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    print(build_corpus(open_home(Path(sys.argv[1])), Context()).digest)
    ray.shutdown()
    cluster.shutdown()
"""


@pytest.mark.slow
def test_two_workers_of_a_ray_cluster_make_the_same_documents_as_this_machine(tmp_path):
    pytest.importorskip("ray")
    homes = [create_home(tmp_path / name) for name in ("native", "ray")]
    for home in homes:
        ingest_town(home, TownConfig(posts=3 * PART_POSTS), Context())
    settings = homes[1].path / SETTINGS
    settings.write_text(settings.read_text().replace('runner = "native"', 'runner = "ray"'))
    here = build_corpus(homes[0], Context())
    (tmp_path / "on_ray.py").write_text(ON_RAY)
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [sys.executable, tmp_path / "on_ray.py", homes[1].path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == here.digest
