"""The corpus stage: from the posts in the lake to documents to learn from, and later ones to be judged by.

    gate -> clean -> redact -> quality -> language      post by post, in parts (prepare.py)
         -> exact duplicates -> floods -> near duplicates   on the numbers of all (prepared.py, dedup.py)
         -> split by time -> threads -> documents       through buckets on disk (gather.py)

Here is their order, and the law that holds over all of them: every post of the lake is either in a
document or counted under exactly one reason. Posts stand in order of time before any step that looks at
more than one, since a lake has no order of its own; so the result is the same however the work was cut up.

The artifact: `train.parquet` and `validation.parquet` (document.py), `report.json` and `report.html`
(report.py), `duplicates.parquet` (which kept post stands for each dropped one, both as `hash_ids`), and
`held.ids` (core/lineage.py).
"""

import functools
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Cluster, Home, Policy
from rookery.core.lineage import write_held_hashes
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.core.verdict import Tally
from rookery.corpus import dedup, minhash, quality, report, split, threads
from rookery.corpus.document import LAKE_VERSION, SPLITS, write_documents
from rookery.corpus.gather import Layout, gather, shuffled
from rookery.corpus.prepare import prepare
from rookery.corpus.prepared import BAND, Posts
from rookery.corpus.sieve import Sieve
from rookery.posts.lake import Lake, open_lake
from rookery.posts.live import Standing, live_log

VERSION = 3
DUPLICATES = "duplicates.parquet"


@dataclass(frozen=True)
class CorpusConfig:
    """validation_share: the part of the posts, the latest, that is held out; validation_limit: at most how many."""

    validation_share: float = 0.05
    validation_limit: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.validation_share < 1:
            raise UsageError(f"validation_share must lie between 0 and 1, not be {self.validation_share}")
        if self.validation_limit < 1:
            raise UsageError(f"validation_limit must be at least 1, not {self.validation_limit}")


def build(home: Home, context: Context, config: CorpusConfig = CorpusConfig()) -> Artifact:
    """Make the corpus of the newest version of the lake, without what is forgotten now.

    Raises `UsageError` if there is no lake, `DataError` if fewer than two posts are left.
    """
    lake = open_lake(home)
    with live_log(home) as log:
        standing = log.standing()
    policy, cluster = home.settings.rights.policy, home.settings.corpus
    stage = Stage("corpus", VERSION, config, {"lake": lake.name, "standing": standing.digest, "policy": policy})
    return run_stage(home, stage, lambda workspace: _make(workspace, lake, standing, policy, cluster, config), context)


def _make(
    workspace: Workspace, lake: Lake, standing: Standing, policy: Policy, cluster: Cluster, config: CorpusConfig
) -> dict:
    context = workspace.context
    posts = prepare(lake, standing, policy, workspace.scratch / "parts", cluster, context)
    workspace.tally.dropped.update(posts.refused)
    sieve, duplicates = sift(posts, context)
    _need_some(posts, sieve, workspace.tally)
    layouts = assemble(posts, sieve, config)
    for reason, rows in sieve.dropped.items():
        workspace.tally.drop(reason, len(rows))
    workspace.tally.kept = len(sieve.rows)
    pq.write_table(duplicates, workspace.path / DUPLICATES, compression="zstd")
    documents = _write(workspace, posts, layouts)
    facts, shown = report.describe(posts, sieve, documents, workspace.tally)
    report.write(workspace.path, facts)
    held = np.concatenate([posts.numbers("id_hash", sieve.rows), hash_ids(shown)])
    write_held_hashes(workspace.path, held)
    return {LAKE_VERSION: lake.version} | {f"documents_{name}": layout.documents for name, layout in layouts.items()}


def sift(posts: Posts, context: Context) -> tuple[Sieve, pa.Table]:
    """Drop by quality, then duplicates: each step looks at what those before it have left."""
    sieve = Sieve(len(posts))
    codes, reasons = posts.coded("quality")
    for reason in quality.RULES:
        sieve.drop(reason, np.flatnonzero(codes == reasons.index(reason)) if reason in reasons else codes[:0])
    exact = _drop_copies(sieve, dedup.EXACT_DUPLICATE, dedup.earliest(posts.numbers("key_hash", sieve.rows)))
    flooded = dedup.floods(*(posts.numbers(name, sieve.rows) for name in ("author_hash", "template_hash")))
    sieve.drop(dedup.TEMPLATE_FLOOD, sieve.rows[flooded])
    rows = sieve.rows
    with context.progress.task("finding near duplicates", minhash.BANDS, "bands") as task:

        def band(number: int) -> np.ndarray:
            task.advance()
            return posts.numbers(f"{BAND}{number}", rows)

        keys = lambda places: posts.pick(rows[places], ["key"])["key"].to_pylist()  # noqa: E731
        stands = dedup.near_duplicates(band, posts.sketches(rows), keys)
    near = _drop_copies(sieve, dedup.NEAR_DUPLICATE, stands)
    return sieve, _duplicates(posts, {"exact": exact, "near": near})


def assemble(posts: Posts, sieve: Sieve, config: CorpusConfig) -> dict[str, Layout]:
    """Where each post that is left goes, for each split; posts that would put a thread on both sides drop."""
    parent = threads.parents(*(posts.numbers(f"{name}_hash") for name in ("id", "reply", "conversation")))
    root = threads.roots(parent)
    rows = sieve.rows
    train_rows = split.cut(posts.numbers("created", rows), config.validation_share, config.validation_limit)
    sieve.drop(split.THREAD_IN_TRAIN, split.straddlers(root, rows, train_rows))
    layouts = {}
    for number, (name, part) in enumerate(zip(SPLITS, np.split(rows, [train_rows]), strict=True)):
        order, starts = threads.reading_order(part[sieve.alive[part]], parent, root)
        layouts[name] = shuffled(order, starts, np.random.default_rng([config.seed, number]))
    return layouts


def _write(workspace: Workspace, posts: Posts, layouts: dict[str, Layout]) -> report.Documents:
    """Both splits; the held-out one first, so that what is learned from can be compared with it."""
    seen = report.Documents()
    total = sum(layout.documents for layout in layouts.values())
    with workspace.context.progress.task("writing documents", total, "documents") as task, _beside() as also:
        for name in reversed(SPLITS):
            tables = gather(posts, layouts[name], workspace.scratch / name)
            counted = (also(table, functools.partial(seen.add, name), task) for table in tables)
            write_documents(workspace.path / f"{name}.parquet", counted)
    return seen


@contextmanager
def _beside():
    """While a table is written and the next one gathered, another thread counts it; never more than one behind."""
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
    reasons = gate_tally.dropped + Counter({reason: len(rows) for reason, rows in sieve.dropped.items()})
    said = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common(3))
    what = f"{len(sieve.rows)} of {posts.in_lake:,} posts are left to make a corpus of"
    raise DataError(what, mend=f"Dropped: {said}" if said else "Ingest more posts")


def _drop_copies(sieve: Sieve, reason: str, stands: np.ndarray) -> np.ndarray:
    """Drop the rows for which another stands; returns (n, 2) rows: the one that stands, the one dropped."""
    rows = sieve.rows
    copies = np.flatnonzero(stands != np.arange(len(rows)))
    sieve.drop(reason, rows[copies])
    return np.stack([rows[stands[copies]], rows[copies]], axis=1)


def _duplicates(posts: Posts, pairs: dict[str, np.ndarray]) -> pa.Table:
    """Which kept post stands for each dropped one, in the order of time."""
    hashes = posts.numbers("id_hash")[np.concatenate(list(pairs.values()))]
    kind = np.repeat(list(pairs), [len(part) for part in pairs.values()])
    return pa.table({"representative": hashes[:, 0], "post": hashes[:, 1], "kind": pa.array(kind, pa.string())})
