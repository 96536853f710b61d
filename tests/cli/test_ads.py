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


# What is sold, previews and the books
# -------------------------------------------------------------------------------------------------

CAMPAIGNS = """\
currency = "EUR"
[[campaign]]
id = "tea"
advertiser = "Tea House"
title = "Tea above the harbour"
body = "Forty teas."
url = "https://example.com/tea"
bid = 0.25
budget = 50
keywords = ["tea"]
"""


@pytest.fixture
def selling(home, tmp_path):
    """A home into which a campaign was imported; and a function that runs `rookery ads` on it."""
    file = tmp_path / "campaigns.toml"
    file.write_text(CAMPAIGNS)

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return ads(*words, "--home", home.path)

    assert "new" in run("import", file).stdout
    return run


def test_a_campaign_is_imported_approved_resumed_previewed_and_exported(selling, tmp_path):
    assert "unreviewed" in selling("serve", "tea").stdout
    assert "Approved: tea" in selling("approve", "--all").stdout
    assert "3 in all" in selling("resume", "campaign", "tea", "--below").stdout
    told = json.loads(selling("serve", "a cup of tea", "--json").stdout)
    assert told["offers"][0]["title"] == "Tea above the harbour"
    assert "Paid for by Tea House" in selling("serve", "tea").stdout
    selling("pause", "group", "tea")
    assert "paused" in selling("serve", "tea").stdout
    for form in ("csv", "json", "toml"):
        file = tmp_path / f"again.{form}"
        selling("export", file)
        counts = json.loads(selling("import", file, "--json").stdout)
        assert (counts["new"], counts["changed"], counts["unchanged"]) == (0, 0, 4)


def test_the_books_are_reported_audited_and_reasons_told(selling):
    assert json.loads(selling("report", "--json").stdout)["totals"]["ledger_agrees"]
    assert selling("audit").stdout == "The books agree.\n"
    assert json.loads(selling("why", "tea", "--json").stdout) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["import", "nowhere.toml"], "cannot be read"),
        (["approve"], "no ad is named"),
        (["approve", "nothing"], "there is no ad nothing"),
        (["pause", "campaign", "nothing"], "there is no campaign nothing"),
        (["why", "nothing"], "there is no campaign nothing"),
        (["explain", "17"], "there is no record of auction 16"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(selling, words, line):
    refused = selling(*words)
    assert refused.returncode == 2
    assert line in refused.stderr
    assert len(refused.stderr.strip().splitlines()) <= 3


def test_a_file_with_faults_is_told_with_row_and_field_and_not_taken(selling, tmp_path):
    file = tmp_path / "faults.csv"
    file.write_text("campaign,group,bid,budget\nnew,new,abc,5\ntea,tea,0.5,much\n")
    refused = selling("import", file)
    assert refused.returncode == 2
    for part in ("row 2, bid", "row 3, budget", "Nothing was imported"):
        assert part in refused.stderr
