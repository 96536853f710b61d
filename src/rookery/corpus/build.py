"""The corpus stage: from the posts in the lake to documents to learn from, and later ones to be judged by.

    gate -> clean -> redact -> quality -> exact duplicates -> floods -> near duplicates
         -> split by time -> threads -> documents

The steps up to quality are in `admit.py`, the others in the modules of their names. Here is their
order, and the law that holds over all of them: every post of the lake is either in a document or
counted under exactly one reason. Posts are sorted by time and id before any step that looks at more
than one, since a lake has no order of its own.

The artifact: `train.parquet` and `validation.parquet` (document.py), `report.json` and `report.html`
(report.py), `held.ids` (core/lineage.py).
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home, Policy
from rookery.core.lineage import write_held
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.core.verdict import Tally
from rookery.corpus import dedup, language, quality, report, split, threads
from rookery.corpus.admit import Admitted, admit
from rookery.corpus.document import DOCUMENT_SCHEMA, LAKE_VERSION, SPLITS, write_documents
from rookery.corpus.sieve import Sieve
from rookery.posts.lake import Lake, open_lake
from rookery.posts.live import Standing, live_log

VERSION = 2
THREAD_GAP = "\n\n"  # a clean post holds no empty line, so this parts the posts of a thread


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
    policy = home.settings.rights.policy
    stage = Stage("corpus", VERSION, config, {"lake": lake.name, "standing": standing.digest, "policy": policy})
    return run_stage(home, stage, lambda workspace: _make(workspace, lake, standing, policy, config), context)


def _make(workspace: Workspace, lake: Lake, standing: Standing, policy: Policy, config: CorpusConfig) -> dict:
    admitted = admit(lake, standing, policy, workspace.tally, workspace.context)
    sieve = sift(admitted, workspace.context)
    _need_some(admitted, sieve, workspace.tally)
    documents = assemble(admitted, sieve, config, workspace.context)
    for name, table in documents.items():
        write_documents(workspace.path / f"{name}.parquet", table)
    for reason, rows in sieve.dropped.items():
        workspace.tally.drop(reason, len(rows))
    workspace.tally.kept = len(sieve.rows)
    facts, shown = report.describe(admitted, sieve, documents, workspace.tally)
    report.write(workspace.path, facts)
    write_held(workspace.path, [*admitted.column("id").take(pa.array(sieve.rows)).to_pylist(), *shown])
    return {LAKE_VERSION: lake.version} | {f"documents_{name}": table.num_rows for name, table in documents.items()}


def sift(admitted: Admitted, context: Context) -> Sieve:
    """Drop by quality, then duplicates: each step looks at what those before it have left."""
    sieve = Sieve(admitted.posts.num_rows)
    for reason in quality.RULES:
        says_no = pc.fill_null(pc.equal(admitted.column("quality"), reason), False)
        sieve.drop(reason, np.flatnonzero(says_no.to_numpy(zero_copy_only=False)))
    left = lambda name: admitted.column(name).filter(sieve.mask)  # noqa: E731
    sieve.drop(dedup.EXACT_DUPLICATE, sieve.rows[dedup.repeats(left("key"))])
    sieve.drop(dedup.TEMPLATE_FLOOD, sieve.rows[dedup.floods(left("author"), left("template"))])
    with context.progress.task("finding near duplicates", len(sieve.rows), "posts") as task:
        first = dedup.near_duplicates(left("key"), task.advance)
    sieve.drop(dedup.NEAR_DUPLICATE, sieve.rows[first != np.arange(len(first))])
    return sieve


def assemble(admitted: Admitted, sieve: Sieve, config: CorpusConfig, context: Context) -> dict[str, pa.Table]:
    """Documents of what is left, for each split in shuffled order; posts that would put a thread on both sides drop."""
    parent = threads.parents(*(admitted.column(name) for name in ("id", "reply_to", "conversation")))
    root = threads.roots(parent)
    rows = sieve.rows
    created = admitted.column("created").cast(pa.int64()).to_numpy()[rows]
    train_rows = split.cut(created, config.validation_share, config.validation_limit)
    sieve.drop(split.THREAD_IN_TRAIN, split.straddlers(root, rows, train_rows))
    posts = _with_languages(admitted.posts, sieve.rows, context)
    documents = {}
    for number, (name, part) in enumerate(zip(SPLITS, np.split(rows, [train_rows]), strict=True)):
        order, starts = threads.reading_order(part[sieve.alive[part]], parent, root)
        shuffled = np.random.default_rng([config.seed, number]).permutation(len(starts))
        documents[name] = _documents(posts.take(pa.array(order)).combine_chunks(), starts).take(pa.array(shuffled))
    return documents


def _need_some(admitted: Admitted, sieve: Sieve, gate_tally: Tally) -> None:
    """Two posts at least: one to learn from, one to be judged by."""
    if len(sieve.rows) >= 2:
        return
    reasons = gate_tally.dropped + Counter({reason: len(rows) for reason, rows in sieve.dropped.items()})
    said = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common(3))
    what = f"{len(sieve.rows)} of {admitted.in_lake:,} posts are left to make a corpus of"
    raise DataError(what, mend=f"Dropped: {said}" if said else "Ingest more posts")


def _with_languages(posts: pa.Table, rows: np.ndarray, context: Context) -> pa.Table:
    """The posts with languages guessed for those among `rows` that have no tag."""
    wanted = np.zeros(posts.num_rows, dtype=bool)
    wanted[rows] = True
    tags, wanted = posts["language"].combine_chunks(), pa.array(wanted)
    wanted = pc.and_(wanted, pc.is_null(tags))
    keys = posts["key"].filter(wanted).combine_chunks()
    with context.progress.task("guessing languages", len(keys), "posts") as task:
        guesses = language.guess(keys, task.advance)
    guessed = pc.replace_with_mask(tags, wanted, guesses.cast(tags.type))
    return posts.set_column(posts.schema.get_field_index("language"), "language", guessed)


def _documents(posts: pa.Table, starts: np.ndarray) -> pa.Table:
    """Documents of posts in reading order, one from each start; each has the id and language of its first post."""
    inside, first = pa.array(np.append(starts, posts.num_rows), pa.int32()), pa.array(starts)
    column = {name: posts[name].combine_chunks() for name in posts.schema.names}
    lists = {name: pa.ListArray.from_arrays(inside, column[name]) for name in ("text", "id", "author")}
    created = column["created"].cast(pa.int64()).to_numpy()
    last = np.maximum.reduceat(created, starts) if len(starts) else created
    columns = {
        "id": column["id"].take(first),
        "text": pc.binary_join(lists["text"], pa.scalar(THREAD_GAP, column["text"].type)),
        "post_ids": lists["id"],
        "author_ids": lists["author"],
        "language": column["language"].take(first),
        "created": pa.array(last).cast(DOCUMENT_SCHEMA.field("created").type),
    }
    return pa.table(columns)
