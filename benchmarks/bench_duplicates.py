"""Compare near-duplicate detection with brute force: its recall and its precision.

    python benchmarks/bench_duplicates.py --data tweets.parquet

Truth: a post has a near duplicate when the runs of five characters of its key and those of an
earlier post's have a Jaccard similarity of 0.8 or more. Equal keys are removed first. Found: the
posts that the corpus drops as near duplicates, each with its representative; a drop is right when
these two are that similar. The corpus keeps a post whose only similar post was dropped itself (no
chains), so there are two recalls. *Of the kept*: of the posts that have an earlier, kept, similar
post, the part dropped. *Of all*: of the posts that have any earlier similar post, the part dropped.
"""

import argparse
import time
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaccard_join import similar_pairs
from process import progress
from record import table, write_result

from rookery.corpus import dedup, minhash, normalize, quality

ALIKE = 0.8
BAR_RECALL, BAR_PRECISION = 0.95, 0.98


@dataclass(frozen=True)
class Counted:
    """The counts of one sample.

    alike: posts with an earlier similar post; alike_to_kept: with an earlier similar post that was
    kept. right: dropped posts that are similar to their representative.
    """

    posts: int
    alike: int
    alike_to_kept: int
    dropped: int
    right: int
    seconds: float

    def row(self, name: str) -> list[str]:
        return [
            name, f"{self.posts:,}", f"{self.alike:,}", f"{self.dropped:,}",
            f"{self.recall_of_kept:.3f}", f"{self.recall_of_all:.3f}", f"{self.precision:.3f}",
            f"{self.posts / self.seconds:,.0f}",
        ]  # fmt: skip

    @property
    def recall_of_kept(self) -> float:
        return self.right / max(self.alike_to_kept, 1)

    @property
    def recall_of_all(self) -> float:
        return self.right / max(self.alike, 1)

    @property
    def precision(self) -> float:
        return self.right / max(self.dropped, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--posts", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    tweets = pq.read_table(arguments.data, columns=["content", "language", "created_at"]).sort_by(
        "created_at"
    )
    counts: dict[str, list[Counted]] = {}
    for seed in range(arguments.seeds):
        for name, choose in {
            "random": random_posts,
            "contiguous English": contiguous_english,
        }.items():
            progress(f"{name}, seed {seed}")
            keys = distinct_keys(choose(tweets, arguments.posts, np.random.default_rng(seed)))
            counts.setdefault(name, []).append(counted(keys))
    print(
        write_result(
            "duplicates", "Near duplicates against brute force", ["daft", "numpy"], body(counts)
        ).read_text()
    )


def random_posts(tweets: pa.Table, posts: int, random: np.random.Generator) -> pa.Table:
    """Return random posts of the whole file, in the order of time."""
    return tweets.take(pa.array(np.sort(random.choice(len(tweets), posts, replace=False))))


def contiguous_english(tweets: pa.Table, posts: int, random: np.random.Generator) -> pa.Table:
    """Return English posts that follow one another in time.

    Here the copies of a campaign are close together.
    """
    english = tweets.filter(pc.equal(tweets["language"], "English"))
    return english.slice(int(random.integers(len(english) - posts)), posts)


def distinct_keys(tweets: pa.Table) -> pa.Array:
    """Return the keys among which near duplicates are searched: long enough, each once."""
    keys = normalize.key(normalize.clean(tweets["content"].combine_chunks().cast(pa.string())))
    return pc.unique(keys.filter(pc.greater_equal(pc.binary_length(keys), quality.MIN_BYTES)))


def near_duplicates(keys: pa.Array) -> np.ndarray:
    """Return the place of each key's representative, its own if the key is kept.

    int64 of shape (keys,).
    """
    hashes = minhash.signatures(keys)

    def texts(places: np.ndarray) -> list[str]:
        return keys.take(pa.array(places)).to_pylist()

    return dedup.near_duplicates(minhash.bands(hashes).__getitem__, minhash.sketches(hashes), texts)


def counted(keys: pa.Array) -> Counted:
    """Run both ways on the same keys, and count."""
    started = time.monotonic()
    representatives = near_duplicates(keys)
    seconds = time.monotonic() - started
    dropped = representatives != np.arange(len(keys))
    earlier, later = similar_pairs(keys.to_pylist(), ALIKE).T
    right = np.isin(np.flatnonzero(dropped) << 32 | representatives[dropped], later << 32 | earlier)
    to_go = np.unique(later[~dropped[earlier]])
    return Counted(
        posts=len(keys),
        alike=len(np.unique(later)),
        alike_to_kept=len(to_go),
        dropped=int(dropped.sum()),
        right=int(right.sum()),
        seconds=seconds,
    )


def summed(counts: list[Counted]) -> Counted:
    return Counted(
        *(sum(getattr(count, field.name) for count in counts) for field in fields(Counted))
    )


def body(counts: dict[str, list[Counted]]) -> str:
    rows = [
        count.row(f"{name}, seed {seed}")
        for name, part in counts.items()
        for seed, count in enumerate(part)
    ]
    whole = summed([count for part in counts.values() for count in part])
    rows += [summed(part).row(f"{name}, together") for name, part in counts.items()] + [
        whole.row("all together")
    ]
    met = whole.recall_of_kept >= BAR_RECALL and whole.precision >= BAR_PRECISION
    bar = f"Bar over all samples: recall of the kept {BAR_RECALL}, precision {BAR_PRECISION}: "
    bar += "met." if met else "NOT met."
    columns = [
        "sample",
        "posts",
        "alike",
        "dropped",
        "recall of the kept",
        "recall of all",
        "precision",
        "posts/s",
    ]
    return f"Jaccard {ALIKE} over runs of five characters of the key. {bar}\n\n" + table(
        columns, rows
    )


if __name__ == "__main__":
    main()
