"""Measure language identification of posts, accuracy and speed, beside py3langid itself.

    python benchmarks/bench_language.py --data tweets.parquet --messages /usr/share/locale

Truth is the vendor's tag on the English, Russian, German, Italian and French posts; its other tags
are wrong too often. Links and mentions are removed first for both (the key of
`corpus/normalize.py`). The language of every post is guessed, since that of an author may help with
another post; no tag of the vendor is used. A post without a known language counts as wrong.
Accuracy is given over a sample for both, and over all posts for ours.

Short texts are the beginnings of messages that programs show, translated by people, from the
catalogues of the machine (`--messages`): at 10 characters in scripts that decide by themselves, and
at 60 in twelve other languages, with and without the rule for scripts.
"""

import argparse
import contextlib
import gettext
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from process import progress
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from record import table, write_result

from rookery.corpus import language, normalize
from rookery.corpus.prepared import hash_repeated_ids

CODES = {"English": "en", "Russian": "ru", "German": "de", "Italian": "it", "French": "fr"}
BAR_ACCURACY = 0.95
DECIDING = {"Japanese": "ja", "Chinese": "zh_CN", "Korean": "ko", "Thai": "th", "Hebrew": "he",
            "Greek": "el"}  # fmt: skip
OTHERS = "cs de es fi fr hu id it nl pl ru tr".split()
BAR_SHORT = 0.90
MESSAGES = 2000  # of each language


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--messages", type=Path, required=True)
    parser.add_argument("--posts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    posts = read(arguments.data)
    chosen = np.random.default_rng(arguments.seed).permutation(np.flatnonzero(posts.truth != None))  # noqa: E711
    rows = np.sort(chosen[: arguments.posts])
    keys = posts.keys.take(pa.array(rows))
    peer = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    guess = {
        "rookery, text alone": lambda: language.guess(keys).to_numpy(zero_copy_only=False),
        "py3langid": lambda: np.array(
            [peer.classify(text)[0] for text in keys.to_pylist()], dtype=object
        ),
    }
    answers, seconds = {}, {name: [] for name in guess}
    for number in range(arguments.rounds):
        progress(f"round {number + 1} of {arguments.rounds}")
        for name, way in guess.items():
            started = time.process_time()
            answers[name] = way()
            seconds[name].append(time.process_time() - started)
    progress(f"all {len(posts.keys):,} posts")
    everything = of_pipeline(posts)
    answers = {"rookery": everything[rows]} | answers
    text = body(posts, rows, answers, seconds, everything)
    text += short_texts(arguments.messages, arguments.seed)
    print(
        write_result("language", "Languages of posts", ["py3langid", "pyarrow"], text).read_text()
    )


@dataclass(frozen=True)
class Tagged:
    """Posts: their keys, their authors as numbers, and the code of the vendor's tag or None."""

    keys: pa.Array
    authors: np.ndarray
    truth: np.ndarray


def read(data: Path) -> Tagged:
    tweets = pq.read_table(data, columns=["content", "author_id", "language"])
    texts = tweets["content"].combine_chunks().cast(pa.string())
    truth = np.array([CODES.get(name) for name in tweets["language"].to_pylist()], dtype=object)
    authors = hash_repeated_ids(tweets["author_id"].combine_chunks().cast(pa.string()))
    return Tagged(normalize.key(normalize.clean(texts)), authors, truth)


def of_pipeline(posts: Tagged) -> np.ndarray:
    """Return every post's language as the pipeline gives it: guessed, else the author's."""
    guessed = language.guess(posts.keys).dictionary_encode()
    names = [*guessed.dictionary.to_pylist(), None]
    codes = guessed.indices.fill_null(language.UNKNOWN).to_numpy(zero_copy_only=False)
    return np.array(names, dtype=object)[language.of_authors(codes, posts.authors)]


def body(
    posts: Tagged, rows: np.ndarray, answers: dict, seconds: dict, everything: np.ndarray
) -> str:
    truth, columns = (
        posts.truth[rows],
        ["what", "right, of all", "known", "right, of those", "right, of those with words"],
    )
    worded = pc.greater(pc.binary_length(posts.keys), 0).to_numpy(zero_copy_only=False)
    lines = []
    for name, answer in answers.items():
        speed = f"{len(truth) / statistics.median(seconds[name]):,.0f}" if name in seconds else ""
        lines.append([name, *shares(answer, truth, worded[rows]), recall(answer, truth), speed])
    tagged = posts.truth != None  # noqa: E711
    whole = everything[tagged], posts.truth[tagged]
    lines.append(
        [f"rookery, all {tagged.sum():,}", *shares(*whole, worded[tagged]), recall(*whole), ""]
    )
    ratios = (
        b / a
        for a, b in zip(
            *(seconds[name] for name in ("rookery, text alone", "py3langid")), strict=True
        )
    )
    parts = ", ".join(f"{code} {(truth == code).sum():,}" for code in CODES.values())
    right = (answers["rookery"] == truth).mean()
    return (
        f"{len(truth):,} posts ({parts}), {len(seconds['py3langid'])} rounds, alternating. A "
        f"post of which no "
        f"language is known counts as wrong. Bar of {BAR_ACCURACY}, over all posts: "
        f"{_met(right)}. Rookery takes "
        f"{statistics.median(ratios):.1f} times less CPU time than py3langid. "
        f"{1 - worded[tagged].mean():.1%} of the "
        "posts have no word (links, mentions, emoji): their language can only be their "
        "author's.\n\n"
        + table([*columns, "recall en / ru / de / it / fr", "posts a CPU second"], lines)
    )


def short_texts(folder: Path, seed: int) -> str:
    """Return how many short messages get their language: by script, and in other scripts."""
    progress("messages")
    short = []
    for name, code in DECIDING.items():
        keys = beginnings(folder, code, 10, seed)
        right = language.guess(keys).to_numpy(zero_copy_only=False) == code[:2]
        is_latin = pc.match_substring_regex(keys, "[a-z]").to_numpy(zero_copy_only=False)
        share = right[~is_latin].mean()
        met = "met" if share >= BAR_SHORT else "NOT met"
        short.append(
            [name, (~is_latin).sum(), f"{share:.3f}", met, f"{right[is_latin].mean():.3f}"]
        )
    longer = []
    for code in OTHERS:
        keys = beginnings(folder, code, 60, seed)
        by_model = np.array(language.classify(keys.to_pylist())[0], dtype=object)
        right = language.guess(keys).to_numpy(zero_copy_only=False) == code
        by_script = len(keys) - language.by_script(keys).null_count
        longer.append([code, len(keys), f"{(by_model == code).mean():.3f}", f"{right.mean():.3f}",
                       by_script])  # fmt: skip
    return (
        "\n\nAt 10 characters, none of which was guessed before. Messages with Latin letters stand "
        "apart, since those name options and programs, often with nothing else. Bar of "
        f"{BAR_SHORT}:\n\n"
        + table(["language", "messages", "right", "bar", "right, with Latin letters"], short)
        + "\n\nAt 60 characters in other scripts. A guess that is unsure counts as wrong; none may "
        "be decided by its script:\n\n"
        + table(["language", "messages", "by the model", "as guessed", "by script"], longer)
    )


def beginnings(folder: Path, code: str, characters: int, seed: int) -> pa.Array:
    """Return the keys of some messages in a language, each cut to its first characters."""
    messages: list[str] = []
    for path in sorted((folder / code / "LC_MESSAGES").glob("*.mo")):
        if not path.name.startswith("iso"):  # names of countries and languages
            with open(path, "rb") as file, contextlib.suppress(UnicodeDecodeError):
                catalogue = gettext.GNUTranslations(file)._catalog  # a few have no UTF-8 head
                messages += [text for key, text in catalogue.items() if key and text != key]
    keys = pc.unique(normalize.key(normalize.clean(pa.array(messages, pa.string()))))
    keys = keys.filter(pc.greater_equal(pc.utf8_length(keys), characters))
    order = np.random.default_rng(seed).permutation(len(keys))[:MESSAGES]
    return pc.utf8_slice_codeunits(keys.take(pa.array(np.sort(order))), 0, characters)


def shares(answer: np.ndarray, truth: np.ndarray, worded: np.ndarray) -> list[str]:
    right, known = answer == truth, answer != None  # noqa: E711
    return [
        f"{share:.3f}"
        for share in (right.mean(), known.mean(), right[known].mean(), right[worded].mean())
    ]


def recall(answer: np.ndarray, truth: np.ndarray) -> str:
    return " / ".join(f"{(answer == truth)[truth == code].mean():.3f}" for code in CODES.values())


def _met(accuracy: float) -> str:
    return "met" if accuracy >= BAR_ACCURACY else "NOT met"


if __name__ == "__main__":
    main()
