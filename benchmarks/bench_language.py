"""Languages guessed of posts: how many right, and how many posts a second, beside py3langid itself.

    python benchmarks/bench_language.py --data tweets.parquet

Truth is the vendor's tag on the English, Russian, German, Italian and French posts; its other tags are
wrong too often. Links and mentions are taken away first for both (the key of `corpus/normalize.py`).
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from process import progress
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from record import table, write_result

from rookery.corpus import language, normalize

CODES = {"English": "en", "Russian": "ru", "German": "de", "Italian": "it", "French": "fr"}
BAR_ACCURACY = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--posts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keys, truth = sample(arguments.data, arguments.posts, arguments.seed)
    peer = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    ways = {
        "rookery": lambda: language.guess(keys).to_numpy(zero_copy_only=False),
        "py3langid": lambda: np.array([peer.classify(text)[0] for text in keys.to_pylist()], dtype=object),
    }
    guesses, seconds = {}, {name: [] for name in ways}
    for number in range(arguments.rounds):
        progress(f"round {number + 1} of {arguments.rounds}")
        for name, way in ways.items():
            started = time.monotonic()
            guesses[name] = way()
            seconds[name].append(time.monotonic() - started)
    text = body(truth, guesses, seconds)
    print(write_result("language", "Languages of posts", ["py3langid", "pyarrow"], text).read_text())


def sample(data: Path, posts: int, seed: int) -> tuple[pa.Array, np.ndarray]:
    """Random posts of the five languages: their keys and the codes of their tags."""
    tagged = pq.read_table(data, columns=["content", "language"])
    tagged = tagged.filter(pc.is_in(tagged["language"], pa.array(list(CODES), pa.large_string())))
    rows = np.random.default_rng(seed).choice(len(tagged), min(posts, len(tagged)), replace=False)
    tagged = tagged.take(pa.array(np.sort(rows)))
    texts = tagged["content"].combine_chunks().cast(pa.string())
    return normalize.key(normalize.clean(texts)), np.array([CODES[name] for name in tagged["language"].to_pylist()])


def body(truth: np.ndarray, guesses: dict, seconds: dict) -> str:
    rows = []
    for name, guess in guesses.items():
        right, said = guess == truth, np.array([g is not None for g in guess])
        recall = " / ".join(f"{right[truth == code].mean():.3f}" for code in CODES.values())
        median = statistics.median(seconds[name])
        rows.append(
            [name, f"{right.mean():.3f}", f"{said.mean():.3f}", f"{right[said].mean():.3f}", recall,
             f"{len(truth) / median:,.0f}"]
        )  # fmt: skip
    ratio = statistics.median(b / a for a, b in zip(seconds["rookery"], seconds["py3langid"], strict=True))
    ours = guesses["rookery"] == truth
    guessed = ours[[g is not None for g in guesses["rookery"]]].mean()
    parts = ", ".join(f"{code} {(truth == code).sum():,}" for code in CODES.values())
    return (
        f"{len(truth):,} posts ({parts}), {len(seconds['rookery'])} rounds, alternating. A post too short or too "
        f"unsure to guess is wrong in the first column and left out of the third. Bar of {BAR_ACCURACY}: over all "
        f"{_met(ours.mean())}, over those guessed {_met(guessed)}. Rookery is {ratio:.1f} times as fast.\n\n"
        + table(
            ["what", "right, of all", "guessed", "right, of those", "recall en / ru / de / it / fr", "posts/s"], rows
        )
    )


def _met(accuracy: float) -> str:
    return "met" if accuracy >= BAR_ACCURACY else "NOT met"


if __name__ == "__main__":
    main()
