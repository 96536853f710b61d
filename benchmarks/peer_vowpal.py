"""Train and test Vowpal Wabbit on the folds of a click log.

Runs in a virtual environment of its own:

    python -m venv vw
    vw/bin/pip install vowpalwabbit==9.11.9
    vw/bin/python benchmarks/peer_vowpal.py FOLDER

`bench_clicks.py` calls it. FOLDER has `N.train` and `N.test` for each fold, a view on each line:
its click, then its features. One pass at each of three learning rates. Prints one JSON document:
the probability of each view of each fold, by rate.
"""

import argparse
import json
from pathlib import Path

from vowpalwabbit import Workspace

RATES = (0.2, 0.3, 0.5)  # 0.5 is its own default; it did worse at 0.05, 0.1 and 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print(
        json.dumps(
            {
                rate: [
                    predicted(rate, part.read_text(), part.with_suffix(".test").read_text())
                    for part in sorted(folder.glob("*.train"))
                ]
                for rate in RATES
            }
        )
    )


def predicted(rate: float, train: str, test: str) -> list[float]:
    """Return the probabilities of clicks on the views of `test` after one pass over `train`."""
    learner = Workspace(
        f"--loss_function logistic --link logistic -b 18 --learning_rate {rate} --quiet"
    )
    for line in train.splitlines():
        learner.learn(f"{_label(line)} {_features(line)}")
    return [learner.predict(_features(line)) for line in test.splitlines()]


def _label(line: str) -> str:
    return "1" if line.startswith("1") else "-1"


def _features(line: str) -> str:
    return f"| {line.partition(' ')[2]}"


if __name__ == "__main__":
    main()
