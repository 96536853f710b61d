"""Replay: pacing over logs of bids, beside the best in hindsight."""

import gzip
import json
import sys

import numpy as np
import pytest

from rookery.ads.replay import BidLog, best_value, paced_value, replay
from rookery.cli.main import main


def a_log(views=4_000, seed=0):
    chance = np.random.default_rng(seed)
    pctr = chance.beta(2, 400, views)
    return BidLog(np.rint(chance.gamma(2, 40, views) * (0.5 + pctr / pctr.mean() / 2)), pctr)


def test_the_best_in_hindsight_buys_the_cheapest_clicks():
    log = BidLog(np.array([4.0, 1, 9, 2]), np.array([0.4, 0.2, 0.3, 0.1]))
    assert best_value(log, 5) == pytest.approx(0.6)
    assert best_value(log, 0) == 0


def test_pacing_never_passes_a_budget_and_spends_it():
    log = a_log()
    for part in (2, 8, 32):
        budget = log.prices.sum() / part
        value, spent = paced_value(log, budget)
        assert 0.9 * budget <= spent <= budget
        assert 0.85 <= value / best_value(log, budget) <= 1.0


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `rookery ads replay WORDS` in this process; return its exit code and what it says."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["rookery", "ads", "replay", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return run


def test_a_log_is_read_with_a_header_or_with_tabs_plain_or_gzip(run, tmp_path):
    log = a_log(700)
    lines = [f"0,{price:.0f},{chance}" for price, chance in zip(log.prices, log.pctr, strict=True)]
    plain = tmp_path / "bids.csv"
    plain.write_text("\n".join(["click,market_price,pctr", *lines]) + "\n")
    packed = tmp_path / "train.txt.gz"
    packed.write_bytes(
        gzip.compress("\n".join(x.replace(",", "\t") + "\t1" for x in lines).encode())
    )
    found = [json.loads(run(path, "--json")[1]) for path in (plain, packed)]
    assert found[0] == found[1] == json.loads(json.dumps(replay(log)))
    assert [one["fraction"] for one in found[0]["budgets"]] == ["1/2", "1/4", "1/8", "1/16", "1/32"]
    assert "of the best value" in run(plain)[1]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("click,price\n0,1\n", "no column market_price, pctr"),
        ("click,market_price,pctr\n0,1,0.5\n0,x,0.5\n", "line 3"),
        ("click,market_price,pctr\n0,1,1.5\n", "line 2"),
        ("0\t1\n", "line 1"),
        ("click,market_price,pctr\n0,1,0.5\n", "more than 500 views"),
    ],
)
def test_what_is_no_log_is_refused_in_one_line(run, tmp_path, text, line):
    path = tmp_path / "bids.csv"
    path.write_text(text)
    code, _, error = run(path)
    assert code == 2
    assert line in error
    assert error.count("\n") == 1


def test_a_file_that_is_not_there_is_named(run, tmp_path):
    code, _, error = run(tmp_path / "none.csv")
    assert (code, error.count("\n")) == (2, 1)
