"""The corpus stage: from the posts in the lake to documents to learn from, and later ones to be
judged by.

    gate -> clean -> redact -> quality -> language      post by post, in parts (prepare.py)
         -> the author's language, where it is unknown (prepared.py)
         -> machines -> exact duplicates -> floods -> near duplicates -> link farms
         -> split -> threads -> mixture             on the numbers of all (prepared.py, dedup.py, spam.py)
         -> documents                               through buckets on disk (gather.py)

Here is their order, and the law that holds over all of them: every post of the lake is either in a
document or counted under exactly one reason. Posts stand in order of time before any step that
looks at more than one, since a lake has no order of its own; so the result is the same however the
work was cut up.

The artifact: `train.parquet` and `validation.parquet` (document.py), `report.json` and
`report.html` (report.py), `card.md` (card.py), `duplicates.parquet` (which kept post stands for
each dropped one, both as `hash_ids`), and `held.ids` (core/lineage.py).
"""

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rookery.core.artifact import Artifact
from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home
from rookery.core.lineage import write_held_hashes
from rookery.core.locks import reading_posts
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.core.verdict import Tally
from rookery.corpus import card, dedup, minhash, mixture, quality, report, spam, split, threads
from rookery.corpus.document import LAKE_VERSION, SPLITS, write_documents
from rookery.corpus.gather import SplitLayout, ahead, gather, shuffled
from rookery.corpus.prepare import Preparation, prepare
from rookery.corpus.prepared import BAND, Posts
from rookery.corpus.sieve import Sieve
from rookery.posts.lake import Lake, open_lake
from rookery.posts.live import live_log

VERSION = 7
DUPLICATES = "duplicates.parquet"


@dataclass(frozen=True)
class CorpusConfig:
    """validation_share: the part of the posts, the latest, that is held out; validation_limit: at
    most how many.

    seed: of the documents' order and of every choice by chance.
    split: `time`, or `author` to hold out people too (split.py).
    placeholders: mentions become @USER and links HTTPURL.
    controls: documents begin with control tokens (control.py).
    mixture: weights such as `language:en` (mixture.py).
    """

    validation_share: float = 0.05
    validation_limit: int = 20_000
    seed: int = 0
    split: Literal["time", "author"] = "time"
    placeholders: bool = False
    controls: bool = False
    mixture: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.validation_share < 1:
            raise UsageError(
                f"validation_share must lie between 0 and 1, not be {self.validation_share}"
            )
        if self.validation_limit < 1:
            raise UsageError(f"validation_limit must be at least 1, not {self.validation_limit}")
        mixture.check(self.mixture)


def build(home: Home, context: Context, config: CorpusConfig = CorpusConfig()) -> Artifact:
    """Make the corpus of the newest version of the lake, without what is forgotten now.

    Raises `UsageError` if there is no lake, `DataError` if fewer than two posts are left or one
    side has no document.
    """
    with reading_posts(home):
        lake = open_lake(home)
        with live_log(home) as log:
            restrictions = log.restrictions()
        policy = home.settings.rights.policy
        stage = Stage(
            "corpus",
            VERSION,
            config,
            {"lake": lake.name, "standing": restrictions.digest, "policy": policy},
        )
        preparation = Preparation(restrictions, policy, config.placeholders)
        return run_stage(
            home,
            stage,
            lambda workspace: _make(workspace, home, lake, preparation, config),
            context,
        )


def _make(
    workspace: Workspace, home: Home, lake: Lake, preparation: Preparation, config: CorpusConfig
) -> dict:
    context = workspace.context
    posts = prepare(lake, preparation, workspace.scratch / "parts", home.settings.corpus, context)
    workspace.tally.dropped.update(posts.refused["training"])
    sieve, copies = sift(posts, context)
    _need_some(posts, sieve, workspace.tally)
    layouts = assemble(posts, sieve, config)
    _need_both(layouts, sieve, home.lake)
    for reason, rows in sieve.dropped.items():
        workspace.tally.drop(reason, len(rows))
    workspace.tally.kept = len(sieve.rows)
    pq.write_table(_duplicates(posts, copies), workspace.path / DUPLICATES, compression="zstd")
    documents = _write(workspace, posts, layouts, config.controls)
    facts = report.describe(posts, sieve, copies, documents, workspace.tally)
    facts["leakage"]["an_author"] = _shared_authors(posts, layouts)
    facts |= {"settings": to_plain(config), "policy": preparation.policy, "lake": lake.name}
    report.write(workspace.path, facts)
    card.write(workspace.path, facts)
    held = np.concatenate([posts.numbers("id_hash", sieve.rows), hash_ids(report.shown(facts))])
    write_held_hashes(workspace.path, held)
    return {LAKE_VERSION: lake.version} | {
        f"documents_{name}": layout.documents for name, layout in layouts.items()
    }


def sift(posts: Posts, context: Context) -> tuple[Sieve, dict[str, np.ndarray]]:
    """Drop by quality, then machines, copies and farms: each step looks at what those before it
    have left.

    Also, for exact and near copies, (n, 2) rows: the post that stands for the other, and the other.
    """
    sieve = Sieve(len(posts))
    codes, reasons = posts.coded("quality")
    for reason in quality.RULES:
        sieve.drop(
            reason,
            np.flatnonzero(codes == reasons.index(reason)) if reason in reasons else codes[:0],
        )
    author, created = posts.numbers("author_hash"), posts.numbers("created")
    for reason, rule in (
        (spam.FASTER_THAN_HUMAN, spam.faster_than_human),
        (spam.CLOCKWORK, spam.clockwork),
    ):
        sieve.drop(reason, np.flatnonzero(rule(author, created)))
    exact = _drop_copies(
        sieve, dedup.EXACT_DUPLICATE, dedup.earliest(posts.numbers("key_hash", sieve.rows))
    )
    flooded = dedup.floods(
        *(posts.numbers(name, sieve.rows) for name in ("author_hash", "template_hash"))
    )
    sieve.drop(dedup.TEMPLATE_FLOOD, sieve.rows[flooded])
    rows = sieve.rows
    with context.progress.task("finding near duplicates", minhash.BANDS, "bands") as task:

        def band(number: int) -> np.ndarray:
            task.advance()
            return posts.numbers(f"{BAND}{number}", rows)

        keys = lambda places: posts.pick(rows[places], ["key"])["key"].to_pylist()  # noqa: E731
        stands = dedup.near_duplicates(band, posts.sketches(rows), keys)
    near = _drop_copies(sieve, dedup.NEAR_DUPLICATE, stands)
    repeated = np.zeros(len(posts), dtype=bool)
    repeated[np.concatenate([sieve.dropped[reason] for reason in dedup.REASONS])] = True
    sieve.drop(
        spam.LINK_FARM,
        np.flatnonzero(spam.link_farms(author, posts.numbers("domain_hash"), repeated)),
    )
    return sieve, {"exact": exact, "near": near}


def assemble(posts: Posts, sieve: Sieve, config: CorpusConfig) -> dict[str, SplitLayout]:
    """Where each post that is left goes, for each split; what would be on both sides or outside the
    mixture drops.
    """
    parent = threads.parents(
        *(posts.numbers(f"{name}_hash") for name in ("id", "reply", "quote", "conversation"))
    )
    root = threads.roots(parent)
    rows = sieve.rows
    train_rows = split.cut(
        posts.numbers("created", rows), config.validation_share, config.validation_limit
    )
    if config.split == "author":
        _hold_out_authors(posts, sieve, train_rows, config.seed)
    earlier = rows[:train_rows][sieve.alive[rows[:train_rows]]]
    sieve.drop(
        split.THREAD_IN_TRAIN,
        split.straddlers(root, np.append(earlier, rows[train_rows:]), len(earlier)),
    )
    layouts = {}
    for number, (name, part) in enumerate(zip(SPLITS, np.split(rows, [train_rows]), strict=True)):
        order, starts = threads.reading_order(part[sieve.alive[part]], parent, root)
        copies = _copies(posts, order[starts], config)
        sieve.drop(
            mixture.MIXTURE, order[np.repeat(copies == 0, np.diff(starts, append=len(order)))]
        )
        copies = copies if name == "train" else np.minimum(copies, 1)
        layouts[name] = shuffled(
            order, starts, copies, np.random.default_rng([config.seed, number])
        )
    return layouts


def _hold_out_authors(posts: Posts, sieve: Sieve, train_rows: int, seed: int) -> None:
    """Before the cut the held-out authors' posts drop, after it all others'."""
    earlier, later = np.split(sieve.rows, [train_rows])
    held = split.held_out(posts.numbers("author_hash"), seed)
    sieve.drop(split.HELD_OUT_AUTHOR, earlier[held[earlier]])
    sieve.drop(split.AFTER_THE_CUT, later[~held[later]])


def _copies(posts: Posts, first: np.ndarray, config: CorpusConfig) -> np.ndarray:
    """How often each document is taken by the mixture; a document is what its first post is."""
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


def _shared_authors(posts: Posts, layouts: dict[str, SplitLayout]) -> int:
    """How many held-out documents have an author of whom something is learned."""
    train, validation = (posts.numbers("author_hash", layouts[name].rows) for name in SPLITS)
    return split.shared_authors(train, validation, layouts["validation"].starts)


def _write(
    workspace: Workspace, posts: Posts, layouts: dict[str, SplitLayout], controls: bool
) -> report.Documents:
    """Both splits; the held-out one first, so that what is learned from can be compared with it."""
    seen = report.Documents()
    total = sum(layout.documents for layout in layouts.values())
    with (
        workspace.context.progress.task("writing documents", total, "documents") as task,
        _beside() as also,
    ):
        for name in reversed(SPLITS):
            tables = ahead(gather(posts, layouts[name], workspace.scratch / name, controls))
            counted = (also(table, functools.partial(seen.add, name), task) for table in tables)
            write_documents(workspace.path / f"{name}.parquet", counted)
    return seen


@contextmanager
def _beside():
    """While a table is written, another thread counts it; never more than one behind."""
    with ThreadPoolExecutor(1) as pool:
        waiting: list[Future] = []

        def also(table: pa.Table, count: Callable[[pa.Table], None], task) -> pa.Table:
            while waiting:
                waiting.pop().result()
            waiting.append(pool.submit(count, table))
            task.advance(table.num_rows)
            return table.drop_columns("key")

        yield also
        while waiting:
            waiting.pop().result()


def _need_some(posts: Posts, sieve: Sieve, gate_tally: Tally) -> None:
    """Two posts at least: one to learn from, one to be judged by."""
    if len(sieve.rows) >= 2:
        return
    reasons = gate_tally.dropped + Counter(
        {reason: len(rows) for reason, rows in sieve.dropped.items()}
    )
    said = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common(3))
    what = f"{len(sieve.rows)} of {posts.in_lake:,} posts are left to make a corpus of"
    raise DataError(what, hint=f"Dropped: {said}" if said else "Ingest more posts")


def _need_both(layouts: dict[str, SplitLayout], sieve: Sieve, where: Path) -> None:
    """A document on each side, which threads, a mixture or a split by author may leave without."""
    chosen = (split.THREAD_IN_TRAIN, mixture.MIXTURE, split.HELD_OUT_AUTHOR, split.AFTER_THE_CUT)
    said = ", ".join(
        f"{r} {len(sieve.dropped[r]):,}" for r in chosen if len(sieve.dropped.get(r, ()))
    )
    for name, layout in layouts.items():
        if not layout.documents:
            hint = "Ingest more posts, or --set another validation_share, split or mixture"
            raise DataError(
                f"no document is left for {name}; dropped: {said}", where=where, hint=hint
            )


def _drop_copies(sieve: Sieve, reason: str, stands: np.ndarray) -> np.ndarray:
    """Drop the rows for which another stands; returns (n, 2) rows: the one that stands, the one
    dropped.
    """
    rows = sieve.rows
    copies = np.flatnonzero(stands != np.arange(len(rows)))
    sieve.drop(reason, rows[copies])
    return np.stack([rows[stands[copies]], rows[copies]], axis=1)


def _duplicates(posts: Posts, pairs: dict[str, np.ndarray]) -> pa.Table:
    """Which kept post stands for each dropped one, in the order of time."""
    hashes = posts.numbers("id_hash")[np.concatenate(list(pairs.values()))]
    kind = np.repeat(list(pairs), [len(part) for part in pairs.values()])
    return pa.table(
        {"representative": hashes[:, 0], "post": hashes[:, 1], "kind": pa.array(kind, pa.string())}
    )
