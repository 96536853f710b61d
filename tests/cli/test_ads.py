"""`rookery ads predict evaluate` and `rookery ads offpolicy`, as a person types them."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from simulated_choices import a_world

CRITEO = [f"I{n}" for n in range(1, 14)] + [f"C{n}" for n in range(1, 27)]


def ads(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rookery", "ads", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def click_log(tmp_path):
    """A log as Criteo lays it out, in which the value of C1 says whether a click is likely."""
    random = np.random.default_rng(0)
    liked = random.integers(2, size=1200)
    columns = {name: random.integers(5, size=1200).astype(str) for name in CRITEO}
    columns |= {
        "C1": np.where(liked, "yes", "no"),
        "click": random.random(1200) < 0.1 + 0.5 * liked,
    }
    columns["click"] = columns["click"].astype(int)
    pq.write_table(pa.table(columns), tmp_path / "clicks.parquet")
    return tmp_path / "clicks.parquet"


@pytest.fixture
def choice_logs(tmp_path):
    """Two logs of one world: as it was logged, and of the policy to judge."""
    random = np.random.default_rng(0)
    world, paths = a_world(random, ctr=0.1), []
    for name, log in (
        ("log", world.log(4000, random)),
        ("policy", world.judged_log(4000, random)),
    ):
        columns = {
            "item_id": log.items,
            "position": log.positions,
            "click": log.clicked.astype(int),
            "propensity_score": log.propensities,
        }
        paths.append(tmp_path / f"{name}.parquet")
        pq.write_table(pa.table(columns), paths[-1])
    return world, *paths


def test_a_click_log_is_evaluated(click_log):
    shown = ads("predict", "evaluate", click_log)
    assert shown.returncode == 0, shown.stderr
    assert "criteo" in shown.stdout
    assert "log loss of the mean rate" in shown.stdout
    found = json.loads(ads("predict", "evaluate", click_log, "--folds", 4, "--json").stdout)
    assert (found["rows"], len(found["folds"])) == (1200, 4)
    assert found["auc"] > 0.7
    assert found["log_loss"] < found["constant_log_loss"]


def test_dcnv2_is_evaluated_too(click_log):
    pytest.importorskip("torch")
    found = ads("predict", "evaluate", click_log, "--deep", "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["rows"] == 1200


def test_a_policy_is_judged_by_another_log(choice_logs):
    world, log, policy = choice_logs
    shown = ads("offpolicy", log, "--policy", policy)
    assert shown.returncode == 0, shown.stderr
    assert "doubly robust" in shown.stdout
    found = json.loads(ads("offpolicy", log, "--policy", policy, "--json").stdout)
    for kind in ("ips", "snips", "dr"):
        assert found[kind]["low"] < world.truth < found[kind]["high"]
    assert 0 < found["effective_views"] < found["views"] == 4000


def test_what_cannot_be_read_or_judged_is_refused_in_one_line(click_log, choice_logs, tmp_path):
    _, log, _ = choice_logs
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("click,word\n1,tea\n")
    for words, message in (
        (("predict", "evaluate", wrong), "no known click log"),
        (("predict", "evaluate", tmp_path / "none.csv"), "no such file"),
        (("predict", "evaluate", click_log, "--folds", 99), "cannot be judged in 99 folds"),
        (("offpolicy", wrong, "--policy", log), "no column item_id"),
        (("offpolicy", log, "--policy", click_log), "no column item_id"),
    ):
        refused = ads(*words)
        assert refused.returncode == 2
        assert message in refused.stderr
        assert refused.stderr.count("\n") == 1
