"""Assembly: where each post that is left goes, in which split, thread and document.

Threads become documents, documents get their number of copies from the mixture and a random order.
What would be in both splits or outside the mixture drops here. Only numbers are moved; gather.py
brings the texts to these places.
"""

from pathlib import Path

import numpy as np

from rookery.core.errors import DataError
from rookery.corpus import mixture, split, threads
from rookery.corpus.config import CorpusConfig
from rookery.corpus.document import SPLITS
from rookery.corpus.gather import SplitLayout, shuffled
from rookery.corpus.prepared import Posts
from rookery.corpus.sieve import Sieve

_REASONS = (
    split.THREAD_IN_TRAIN,
    mixture.MIXTURE,
    split.HELD_OUT_AUTHOR,
    split.AFTER_THE_CUT,
)


def assemble(posts: Posts, sieve: Sieve, config: CorpusConfig) -> dict[str, SplitLayout]:
    """Return for each split the posts in the order of its file, and drop those that fit in none."""
    parent = threads.parents(
        *(posts.numbers(f"{name}_hash") for name in ("id", "reply", "quote", "conversation"))
    )
    root = threads.roots(parent)
    rows = sieve.rows
    train_rows = split.cut(
        posts.numbers("created", rows), config.validation_share, config.validation_limit
    )
    earlier, later = np.split(rows, [train_rows])
    if config.split == "author":
        _hold_out_authors(posts, sieve, earlier, later, config.seed)
    _drop_straddlers(sieve, root, earlier, later)
    layouts = {}
    for number, (name, part) in enumerate(zip(SPLITS, (earlier, later), strict=True)):
        order, starts = threads.reading_order(part[sieve.alive[part]], parent, root)
        copies = _copies(posts, order[starts], config)
        posts_of_document = np.diff(starts, append=len(order))
        sieve.drop(mixture.MIXTURE, order[np.repeat(copies == 0, posts_of_document)])
        # Validation repeats nothing: a repeated document would count twice in every measurement.
        copies = copies if name == "train" else np.minimum(copies, 1)
        # Each split has its own stream of chance: the size of one never reorders the other.
        random = np.random.default_rng([config.seed, number])
        layouts[name] = shuffled(order, starts, copies, random)
    return layouts


def require_documents(layouts: dict[str, SplitLayout], sieve: Sieve, where: Path) -> None:
    """Raise `DataError` if threads, the mixture or a split by author leave a split empty."""
    counts = {reason: len(sieve.dropped.get(reason, ())) for reason in _REASONS}
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in counts.items() if count)
    for name, layout in layouts.items():
        if not layout.documents:
            raise DataError(
                f"no document is left for {name}; dropped: {dropped}",
                where=where,
                hint="Ingest more posts, or --set another validation_share, split or mixture",
            )


def shared_authors(posts: Posts, layouts: dict[str, SplitLayout]) -> int:
    """Count the validation documents of which an author has posts in training as well."""
    train, validation = (posts.numbers("author_hash", layouts[name].rows) for name in SPLITS)
    return split.shared_authors(train, validation, layouts["validation"].starts)


def _hold_out_authors(
    posts: Posts, sieve: Sieve, earlier: np.ndarray, later: np.ndarray, seed: int
) -> None:
    """Drop the held-out authors' posts before the cut, and all other authors' posts after it."""
    held_out = split.held_out(posts.numbers("author_hash"), seed)
    sieve.drop(split.HELD_OUT_AUTHOR, earlier[held_out[earlier]])
    sieve.drop(split.AFTER_THE_CUT, later[~held_out[later]])


def _drop_straddlers(
    sieve: Sieve, root: np.ndarray, earlier: np.ndarray, later: np.ndarray
) -> None:
    """Drop the later posts of threads that begin before the cut and are still in training."""
    train = earlier[sieve.alive[earlier]]
    straddlers = split.straddlers(root, np.append(train, later), len(train))
    sieve.drop(split.THREAD_IN_TRAIN, straddlers)


def _copies(posts: Posts, first: np.ndarray, config: CorpusConfig) -> np.ndarray:
    """Return how often the mixture takes each document, which is judged by its first post."""
    if not config.mixture:
        return np.ones(len(first), np.int64)
    sources, source_names = posts.coded("source")
    coded = {
        "year": mixture.years(posts.numbers("created", first)),
        "language": (posts.language[first], posts.languages),
        "source": (sources[first], source_names),
    }
    return mixture.copies(
        mixture.weigh(config.mixture, coded, len(first)),
        posts.numbers("id_hash", first),
        config.seed,
    )
