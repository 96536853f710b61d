"""A home whose posts are pairs, and its tuning in a process of its own, which tests can kill.

`python paired_home.py HOME` tunes the home's embedder; what it prints lies in HOME/said.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import torch

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.context import Context, SilentProgress
from rookery.core.home import Home, open_home
from rookery.corpus.build import build_corpus
from rookery.model.tuning.search import SearchTuning, tune_search
from rookery.posts.lake import append
from rookery.posts.post import Post, to_table

SMALL = SearchTuning(
    vocabulary=1024,
    dimensions=16,
    batch_pairs=64,
    least_steps=60,
    epochs=1,
    most_crops=400,
    saved_steps=10,
)
SUBJECTS, WORDS = 40, 12
SYLLABLES = [a + b for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "u")]


def _words(subject: int) -> list[str]:
    """Return the words of a subject, which no other subject has."""
    random = np.random.default_rng(subject)
    return ["".join(random.choice(SYLLABLES, 3)) for _ in range(WORDS)]


def paired_posts(pairs: int = 300) -> list[Post]:
    """Return posts of which every two are about one subject in other words, and belong together.

    The second replies to the first, quotes it, or has the same link.
    """
    random, posts = np.random.default_rng(0), []
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(pairs):
        words = random.permutation(_words(number % SUBJECTS)).tolist()
        link = f" https://example.org/{number}" if number % 3 == 2 else ""
        for half in (0, 1):
            beside = [f"{'xyz'[n]}{random.integers(10_000)}" for n in range(2)]
            text = " ".join([*words[6 * half : 6 * half + 6], *beside]) + link
            relation = {0: "reply_to", 1: "quote_of"}.get(number % 3) if half else None
            posts.append(
                Post(
                    id=f"{number}-{half}",
                    author=f"author{(2 * number + half) % 50}",
                    text=text,
                    created=begin + timedelta(minutes=2 * number + half),
                    language="en",
                    visibility="public",
                    source="test",
                    **({relation: f"{number}-0"} if relation else {}),
                )
            )
    return posts


def make_corpus(home: Home, pairs: int = 300) -> Artifact:
    """Return the corpus of a home that holds nothing but pairs."""
    append(home, to_table(paired_posts(pairs)).to_batches(), "pairs")
    return build_corpus(home)


def tune(home: Home, context: Context = Context()) -> Artifact:
    """Tune the embedder of the home's corpus."""
    corpus = next(find_artifacts(home.artifacts, "corpus"))
    return tune_search(home, corpus, context, SMALL)


class Noted(SilentProgress):
    """A display that writes what it is told to say into the home."""

    def __init__(self, home: Home):
        self._file = home.path / "said"

    def say(self, line: str) -> None:
        with open(self._file, "a") as file:
            file.write(f"{line}\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    opened = open_home(Path(sys.argv[1]))
    tune(opened, Context(progress=Noted(opened)))
