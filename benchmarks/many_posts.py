"""Write more posts than there are: the real ones again and again, in other words each time.

    python benchmarks/many_posts.py tweets.parquet OUT.parquet --posts 12000000

Copy 0 is the real posts. In every other copy another word takes the place of each word: the
vocabulary is shuffled by the copy's seed, a word only among words of its own kind (link, mention,
hashtag, or the language in which it occurs most) that are about as frequent. So within a copy equal
posts stay equal and near duplicates stay near; lengths, languages and frequencies stay about what
they were; and posts of two copies are no duplicates of each other. Ids and authors carry the copy's
number. Memory holds one copy as word numbers, whatever the number of posts.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

BATCH_POSTS = 65_536
BLANK = pa.scalar(" ", pa.large_string())
BLOCK_WORDS = 64  # words of one kind, as frequent as each other, that are shuffled among themselves
SCHEMA = pa.schema(
    [
        ("post_id", pa.string()),
        ("author_id", pa.string()),
        ("content", pa.string()),
        ("created_at", pa.timestamp("us")),
    ]
)


@dataclass(frozen=True)
class Numbered:
    """The real posts with a number for every word.

    words: the words as UTF-8, in the order of first use; a word's number is its place.
    """

    tweets: pa.Table
    words: pa.Array
    numbers: np.ndarray
    offsets: np.ndarray
    blocks: tuple[np.ndarray, np.ndarray]


def write_posts(source: Path, target: Path, posts: int) -> None:
    """Write exactly this many posts, copy after copy, the last one cut."""
    real = numbered(source)
    with pq.ParquetWriter(target, SCHEMA, compression="zstd") as writer:
        left, copy = posts, 0
        while left:
            for batch in copied(real, copy):
                writer.write_batch(batch.slice(0, left))
                left -= min(left, batch.num_rows)
                if not left:
                    break
            copy += 1


def numbered(source: Path) -> Numbered:
    """Read the real posts and number their words."""
    tweets = pq.read_table(
        source, columns=["post_id", "author_id", "content", "created_at", "language"]
    )
    split = pc.split_pattern(tweets["content"].combine_chunks().cast(pa.large_string()), " ")
    words = split.flatten().dictionary_encode()
    numbers, offsets = words.indices.to_numpy(), split.offsets.to_numpy()
    languages = (
        tweets["language"]
        .combine_chunks()
        .dictionary_encode()
        .indices.to_numpy(zero_copy_only=False)
    )
    kinds = kinds_of(words.dictionary, numbers, np.repeat(languages, np.diff(offsets)))
    return Numbered(
        tweets, words.dictionary, numbers, offsets, blocks_of(kinds, np.bincount(numbers))
    )


def kinds_of(words: pa.Array, numbers: np.ndarray, languages: np.ndarray) -> np.ndarray:
    """Return the kind of each word.

    It is link, mention or hashtag, else the language in which the word occurs most often.
    """
    seen = np.bincount(
        numbers.astype(np.int64) << 8 | languages.astype(np.int64), minlength=len(words) << 8
    )
    kinds = seen.reshape(-1, 256).argmax(axis=1).astype(np.int64)
    for number, sign in enumerate(("", "http", "@", "#"), start=1):
        starts = pc.starts_with(words, sign) if sign else pc.equal(words, "")
        kinds[starts.to_numpy(zero_copy_only=False)] = 256 + number
    return kinds


def blocks_of(kinds: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the words by kind, each from the most frequent down, and the block of each."""
    order = np.lexsort((-counts, kinds))
    starts = np.flatnonzero(np.diff(kinds[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return order, np.cumsum(place % BLOCK_WORDS == 0)


def copied(real: Numbered, copy: int) -> Iterator[pa.RecordBatch]:
    """Yield one copy, batch by batch."""
    words = real.words if not copy else real.words.take(pa.array(stand_ins(real, copy)))
    for start in range(0, len(real.tweets), BATCH_POSTS):
        rows = real.tweets.slice(start, BATCH_POSTS).combine_chunks().to_batches()[0]
        offsets = real.offsets[start : start + rows.num_rows + 1]
        inside = words.take(pa.array(real.numbers[offsets[0] : offsets[-1]]))
        texts = pc.binary_join(
            pa.ListArray.from_arrays(pa.array(offsets - offsets[0], pa.int32()), inside), BLANK
        )
        named = [
            pc.binary_join_element_wise(rows[name].cast(pa.string()), f"{copy}", "-")
            for name in ("post_id", "author_id")
        ]
        yield pa.record_batch([*named, texts.cast(pa.string()), rows["created_at"]], schema=SCHEMA)


def stand_ins(real: Numbered, copy: int) -> np.ndarray:
    """Return for each word the number of the word that takes its place in a copy.

    Words are shuffled inside their block.
    """
    order, blocks = real.blocks
    shuffled = np.empty_like(order)
    shuffled[order] = order[np.argsort(blocks + np.random.default_rng(copy).random(len(order)))]
    return shuffled


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--posts", type=int, required=True)
    given = parser.parse_args()
    write_posts(given.source, given.target, given.posts)
