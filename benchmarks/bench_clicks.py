"""Measure the prediction of clicks: on click logs, on planted pairs, off-policy, and exploring.

    python benchmarks/bench_clicks.py DATA --vowpal PYTHON

DATA is the folder with `ads_avazu`, `ads_criteo` and `ads_obd`. PYTHON is that of a virtual
environment with Vowpal Wabbit (`peer_vowpal.py` says how to make one). Everything else is
simulated, with fixed seeds. Prints and writes `results/clicks.md`; ends with 1 if a bar is missed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from record import table, write_result

from rookery.ads.predict.calibration import CalibratedPredictor, auc, log_loss
from rookery.ads.predict.evaluate import RATES, evaluate, split
from rookery.ads.predict.exploring import sample_ad
from rookery.ads.predict.features import ad_codes, view_buckets
from rookery.ads.predict.ftrl import FtrlPredictor
from rookery.ads.predict.logs import ClickLog, read_choices, read_clicks
from rookery.ads.predict.offpolicy import counted_policy, estimates, judge
from rookery.core.protocols import FEATURE_BUCKETS, ClickPredictor
from rookery.model import clicks as deep

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from simulated_choices import a_world
from simulated_group import Day, a_day, without_exploring

FOLDS = 3
LOGS = {"Avazu": "ads_avazu/avazu_hour0.csv.gz", "Criteo": "ads_criteo/criteo_dac_head.csv.gz"}
AUC_LESS, LOSS_MORE = 0.005, 0.003
PAIR_FIELDS, PAIR_VALUES, PAIR_VIEWS, PAIR_LEARNED = 8, 30, 120_000, 100_000
LOGS_SIMULATED = 1000
DAYS = 20
SPEED_ADS, SPEED_VIEWS = 200, 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--vowpal", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bars: list[list[str]] = []
    body = [
        on_logs(arguments.data, arguments.vowpal, bars),
        on_pairs(bars),
        on_simulated_logs(arguments.data, bars),
        on_days(bars),
        speeds(),
    ]
    shown = table(["bar", "needed", "reached", "held"], bars)
    packages = ["numpy", "scikit-learn", "torch"]
    title = "Prediction of clicks"
    print(write_result("clicks", title, packages, "\n".join([shown, *body])).read_text())
    sys.exit(any(bar[-1] == "no" for bar in bars))


def bar(bars: list[list[str]], name: str, needed: str, reached: str, held: bool) -> None:
    """Note whether a bar is held."""
    bars.append([name, needed, reached, "yes" if held else "no"])


def on_logs(data: Path, vowpal: Path, bars: list[list[str]]) -> str:
    """Compare FTRL and DCNv2 with Vowpal Wabbit on equal folds of both logs."""
    rows = []
    for name, file in LOGS.items():
        log = read_clicks(data / file)
        peers = of_vowpal(log, vowpal)
        best_auc, best_loss = max(peers.values())[0], min(loss for _, loss in peers.values())
        for rate, (its_auc, its_loss) in peers.items():
            rows.append([name, f"Vowpal Wabbit, rate {rate}", f"{its_auc:.4f}", f"{its_loss:.4f}"])
        own = evaluate(log, FOLDS)
        rows.append(measured(name, "FTRL", own.auc, own.log_loss, own.calibration))
        plain = evaluate(log, FOLDS, uncalibrated)
        rows.append(
            measured(name, "FTRL, not calibrated", plain.auc, plain.log_loss, plain.calibration)
        )
        crossed = evaluate(log, FOLDS, deep_candidates(log))
        rows.append(measured(name, "DCNv2", crossed.auc, crossed.log_loss, crossed.calibration))
        rows.append([name, "the mean rate", "0.5000", f"{own.constant_log_loss:.4f}"])
        needed = best_auc - AUC_LESS
        bar(bars, f"{name}: AUC", f"≥ {needed:.4f}", f"{own.auc:.4f}", own.auc >= needed)
        most = best_loss + LOSS_MORE
        reached = own.log_loss
        bar(bars, f"{name}: log loss", f"≤ {most:.4f}", f"{reached:.4f}", reached <= most)
    return (
        f"\n## Click logs\n\nMeans of {FOLDS} equal folds, each predicted from the others in one "
        "pass, as both logs tell no time. Rookery's rates are chosen inside the training part; "
        "those of Vowpal Wabbit are all shown, and each bar is by its best. The same features for "
        "all. Standard error of an AUC: about .01; all systems are judged by the same views.\n\n"
        + table(
            ["log", "system", "AUC", "log loss", "predicted by real clicks", "calibration error"],
            [[*row, *[""] * (6 - len(row))] for row in rows],
        )
    )


def measured(
    name: str, system: str, its_auc: float, its_loss: float, its: dict[str, float]
) -> list[str]:
    """Return a row of the table of logs."""
    by_real, error = its["predicted_by_real"], its["expected_error"]
    return [name, system, f"{its_auc:.4f}", f"{its_loss:.4f}", f"{by_real:.3f}", f"{error:.4f}"]


def uncalibrated(ctr: float) -> list[FtrlPredictor]:
    """Return the candidates without calibration."""
    return [FtrlPredictor(rate, ctr) for rate in RATES]


def deep_candidates(log: ClickLog) -> Callable[[float], list[CalibratedPredictor]]:
    """Return what makes DCNv2 at each rate, for the fields of a log."""
    fields = log.buckets.shape[1]
    return lambda ctr: [
        CalibratedPredictor(deep.DeepPredictor(deep.ClickShape(fields, rate=rate, prior_ctr=ctr)))
        for rate in deep.RATES
    ]


def of_vowpal(log: ClickLog, python: Path) -> dict[str, tuple[float, float]]:
    """Return AUC and log loss of Vowpal Wabbit by rate, on the same folds."""
    columns = [[f"{n}={v or ''}" for v in texts.to_pylist()] for n, texts in log.fields.items()]
    words = zip(log.clicked.astype(int), zip(*columns, strict=True), strict=True)
    lines = [f"{clicked} {' '.join(one)}" for clicked, one in words]
    folds = list(split(log, FOLDS))
    with tempfile.TemporaryDirectory() as folder:
        for n, (train, test) in enumerate(folds):
            (Path(folder) / f"{n}.train").write_text("\n".join(lines[row] for row in train))
            (Path(folder) / f"{n}.test").write_text("\n".join(lines[row] for row in test))
        peer = Path(__file__).parent / "peer_vowpal.py"
        said = subprocess.run([python, peer, folder], capture_output=True, text=True, check=True)
    found = {}
    for rate, parts in json.loads(said.stdout).items():
        scores = [
            (auc(np.array(p), log.clicked[test]), log_loss(np.array(p), log.clicked[test]))
            for p, (_, test) in zip(parts, folds, strict=True)
        ]
        found[rate] = tuple(np.mean(scores, axis=0).tolist())
    return found


def on_pairs(bars: list[list[str]]) -> str:
    """Compare DCNv2 with FTRL where clicks hang on a pair of fields."""
    random = np.random.default_rng(0)
    values = random.integers(PAIR_VALUES, size=(PAIR_VIEWS, PAIR_FIELDS))
    signs = random.integers(2, size=(2, PAIR_VALUES))
    truth = np.where(signs[0][values[:, 0]] ^ signs[1][values[:, 1]], 0.4, 0.02)
    clicked = random.random(PAIR_VIEWS) < truth
    places = random.permutation(FEATURE_BUCKETS)[: PAIR_FIELDS * PAIR_VALUES]
    buckets = places.reshape(PAIR_FIELDS, PAIR_VALUES)[np.arange(PAIR_FIELDS), values]
    learned, judged = slice(0, PAIR_LEARNED), slice(PAIR_LEARNED, None)
    best, rows = auc(truth[judged], clicked[judged]), []
    shape = deep.ClickShape(PAIR_FIELDS, prior_ctr=float(clicked[learned].mean()))
    systems: dict[str, ClickPredictor] = {
        "DCNv2": deep.DeepPredictor(shape),
        "FTRL": FtrlPredictor(prior_ctr=shape.prior_ctr),
    }
    reached = {}
    for name, predictor in systems.items():
        began = time.process_time()
        predictor.learn(buckets[learned], clicked[learned])
        seconds = time.process_time() - began
        predicted = predictor.predict(buckets[judged])
        reached[name] = auc(predicted, clicked[judged])
        rows.append([name, f"{reached[name]:.4f}", f"{PAIR_LEARNED / seconds:,.0f}"])
    deep_auc, linear = reached["DCNv2"], reached["FTRL"]
    needed = f"≥ {best - 0.01:.4f}"
    bar(bars, "planted pairs: DCNv2's AUC", needed, f"{deep_auc:.4f}", deep_auc >= best - 0.01)
    bar(bars, "planted pairs: a linear model's", "< 0.55", f"{linear:.4f}", linear < 0.55)
    rows.append(["the truth", f"{best:.4f}", ""])
    return (
        f"\n## Planted pairs\n\n{PAIR_FIELDS} fields of {PAIR_VALUES} values; two of them make a "
        f"click likely (40%) or not (2%), neither alone. {PAIR_LEARNED:,} views learned from in "
        "one pass, the default rate.\n\n"
        + table(["system", "AUC", "views learned from a CPU second"], rows)
    )


def on_simulated_logs(data: Path, bars: list[list[str]]) -> str:
    """Count how often the 95% intervals cover the truth."""
    rows, lowest, highest = [], 1.0, 0.0
    for ctr, views in ((0.05, 5_000), (0.02, 10_000), (0.005, 10_000)):
        random, covered = np.random.default_rng(1), []
        for _ in range(LOGS_SIMULATED):
            world = a_world(random, ctr)
            log = world.log(views, random)
            counted = counted_policy(world.judged_log(views, random), log)
            for policy in (world.judged, counted):
                found = estimates(log, policy).values()
                covered.append([one.low <= world.truth <= one.high for one in found])
        shares = np.mean(np.reshape(covered, (LOGS_SIMULATED, 2, 3)), axis=0)
        lowest, highest = min(lowest, shares.min()), max(highest, shares.max())
        for known, its in zip(("known", "counted"), shares, strict=True):
            rows.append([f"{views:,}", f"{ctr:.1%}", known, *(f"{share:.1%}" for share in its)])
    bar(
        bars,
        f"intervals of {LOGS_SIMULATED:,} logs that cover the truth",
        "93% to 97%",
        f"{lowest:.1%} to {highest:.1%}",
        bool(lowest >= 0.93 and highest <= 0.97),
    )
    obd = data / "ads_obd"
    real = judge(read_choices(obd / "men_random.parquet"), read_choices(obd / "men_bts.parquet"))
    shown = [
        [name, *(f"{x:.4f}" for x in (one.value, one.low, one.high))] for name, one in real.rows()
    ]
    return (
        f"\n## Off-policy\n\nHow many of {LOGS_SIMULATED:,} simulated logs have a 95% interval "
        "that covers the truth. Chances of the policy known, or counted in a log of its own.\n\n"
        + table(["views", "clicks", "chances", "IPS", "SNIPS", "DR"], rows)
        + "\nOpen Bandit, men: the policy `bts` judged by the random log, clicks a view.\n\n"
        + table(["", "estimate", "low", "high"], shown)
    )


def on_days(bars: list[list[str]]) -> str:
    """Compare exploring with showing the best so far, in a simulated day of a group."""
    ways = {"Thompson sampling": sample_ad, "without exploring": without_exploring}
    days: dict[str, list[Day]] = {
        name: [a_day(choose, seed) for seed in range(DAYS)] for name, choose in ways.items()
    }
    found = [day.best_at_end for day in days["Thompson sampling"]]
    regrets = {name: np.array([day.regret_clicks for day in its]) for name, its in days.items()}
    explored, never = regrets.values()
    share = f"{min(found):.1%} at least"
    bar(bars, "unlucky ad's share of the day's last quarter", "> 80%", share, min(found) > 0.8)
    both = f"{explored.mean():.0f} against {never.mean():.0f}"
    bar(
        bars,
        "clicks missed, exploring and not",
        "fewer",
        both,
        bool(explored.mean() < never.mean()),
    )
    rows = [
        [
            name,
            f"{regrets[name].mean():.0f}",
            f"{regrets[name].min():.0f} to {regrets[name].max():.0f}",
            sum(day.best_at_end > 0.5 for day in its),
        ]
        for name, its in days.items()
    ]
    return (
        "\n## Exploring\n\nA simulated day of a group of five ads, 20,000 views: one has three "
        "times the usual rate (6%) and has had 40 views without a click. "
        f"{DAYS} days by seed.\n\n"
        + table(["", "clicks missed, mean", "range", f"found (of {DAYS} days)"], rows)
    )


def speeds() -> str:
    """Measure features and predictions of an auction, and learning, in CPU seconds."""
    random = np.random.default_rng(0)
    codes, similarity = ad_codes([f"ad-{n}" for n in range(SPEED_ADS)]), np.zeros(SPEED_ADS)
    words = [f"word{n}" for n in range(12)]
    predictor = FtrlPredictor()
    views = random.integers(FEATURE_BUCKETS, size=(SPEED_VIEWS, 39))
    clicked = random.random(SPEED_VIEWS) < 0.1
    network = deep.DeepPredictor(deep.ClickShape(39))
    buckets = view_buckets(codes, similarity, words, "en")
    made = ms(lambda: view_buckets(codes, similarity, words, "en"), 200)
    learned = "views of 39 features learned from a second"
    rows = [
        ["features of 200 ads beside a text, ms", made],
        ["FTRL, 200 predictions of 17 features, ms", ms(lambda: predictor.predict(buckets), 200)],
        [f"FTRL, {learned}", rate(lambda: predictor.learn(views, clicked))],
        ["DCNv2, 200 predictions of 39 features, ms", ms(lambda: network.predict(views[:200]), 50)],
        [f"DCNv2, {learned}", rate(lambda: network.learn(views, clicked))],
    ]
    return "\n## Speed\n\nIn CPU time of one thread.\n\n" + table(["", ""], rows)


def ms(call: Callable[[], object], times: int) -> str:
    """Return the CPU milliseconds of a call."""
    call()
    began = time.process_time()
    for _ in range(times):
        call()
    return f"{(time.process_time() - began) / times * 1000:.2f}"


def rate(call: Callable[[], object]) -> str:
    """Return the views learned from in a CPU second."""
    began = time.process_time()
    call()
    return f"{SPEED_VIEWS / (time.process_time() - began):,.0f}"


if __name__ == "__main__":
    main()
