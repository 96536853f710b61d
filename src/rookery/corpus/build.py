"""The corpus stage: from the posts in the lake to documents to learn from, and later ones to be judged by.

    gate -> clean -> redact -> quality -> exact duplicates -> floods -> near duplicates
         -> split by time -> threads -> documents

Each step is in the module of its name. Here is their order, and the law that holds over all of them:
every post of the lake is either in a document or counted under exactly one reason. Posts are sorted
by time and id before any step that looks at more than one, since a lake has no order of its own.

The artifact: `train.parquet` and `validation.parquet` (document.py), `report.json` and `report.html`
(report.py), `held.ids` (core/lineage.py).
"""

import functools
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.core.home import Home, Policy
from rookery.core.lineage import write_held
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus import dedup, language, normalize, privacy, quality, report, split, threads
from rookery.corpus.document import DOCUMENT_SCHEMA, write_documents
from rookery.corpus.sieve import Sieve
from rookery.posts.lake import Lake, open_lake
from rookery.posts.live import Forgotten, live_log
from rookery.posts.rights import GATE_COLUMNS, gate

VERSION = 1
COLUMNS = ("id", "author", "created", "text", "language", "reply_to", "conversation")
THREAD_GAP = "\n\n"  # a clean post holds no empty line, so this parts the posts of a thread


@dataclass(frozen=True)
class CorpusConfig:
    """near_duplicate: the least Jaccard similarity; validation: its share of the posts, and at most how many."""

    near_duplicate: float = 0.8
    validation_share: float = 0.05
    validation_limit: int = 20_000
    seed: int = 0


@dataclass(frozen=True)
class Admitted:
    """Posts that passed the gate, sorted by time: `COLUMNS` (text clean and redacted) with key, template, quality."""

    posts: pa.Table
    redacted: Counter[str]
    in_lake: int

    def column(self, name: str) -> pa.Array:
        return self.posts[name].combine_chunks()


def build(home: Home, context: Context, config: CorpusConfig = CorpusConfig()) -> Artifact:
    """Make the corpus of the newest version of the lake, without what is forgotten now.

    Raises `UsageError` if there is no lake, `DataError` if fewer than two posts are left.
    """
    lake = open_lake(home)
    with live_log(home) as log:
        forgotten = log.forgotten()
    policy = home.settings.rights.policy
    stage = Stage("corpus", VERSION, config, {"lake": lake.name, "forgotten": forgotten.digest, "policy": policy})
    return run_stage(home, stage, lambda workspace: _make(workspace, lake, forgotten, policy, config), context)


def _make(workspace: Workspace, lake: Lake, forgotten: Forgotten, policy: Policy, config: CorpusConfig) -> dict:
    tally, context = workspace.tally, workspace.context
    admitted = admit(lake, forgotten, policy, workspace)
    sieve = sift(admitted, config, context)
    if len(sieve.rows) < 2:
        most = (tally.dropped + Counter({r: len(rows) for r, rows in sieve.dropped.items()})).most_common(1)
        reason = f", most were dropped as {most[0][0]}" if most else ""
        raise DataError(f"{len(sieve.rows)} of {admitted.in_lake:,} posts are left to make a corpus of{reason}")
    parent = threads.parents(*(admitted.column(name) for name in ("id", "reply_to", "conversation")))
    root = threads.roots(parent)
    rows = sieve.rows
    created = admitted.column("created").cast(pa.int64()).to_numpy()
    train_rows = split.cut(created[rows], config.validation_share, config.validation_limit)
    sieve.drop(split.THREAD_IN_TRAIN, split.straddlers(root, rows, train_rows))

    tags = _languages(admitted, sieve.rows, context)
    documents = {}
    for number, (name, part) in enumerate({"train": rows[:train_rows], "validation": rows[train_rows:]}.items()):
        order, starts = threads.reading_order(part[sieve.alive[part]], parent, root)
        table = _documents(admitted.posts, tags, order, starts)
        shuffled = np.random.default_rng([config.seed, number]).permutation(table.num_rows)
        documents[name] = table.take(pa.array(shuffled))
        write_documents(workspace.path / f"{name}.parquet", documents[name])

    for reason, gone in sieve.dropped.items():
        tally.drop(reason, len(gone))
    tally.kept = len(sieve.rows)
    facts, shown = report.describe(admitted, sieve, documents, tally)
    report.write(workspace.path, facts)
    write_held(workspace.path, [*admitted.posts["id"].take(pa.array(sieve.rows)).to_pylist(), *shown])
    return {f"documents_{name}": table.num_rows for name, table in documents.items()}


def admit(lake: Lake, forgotten: Forgotten, policy: Policy, workspace: Workspace) -> Admitted:
    """Read the lake through the gate, batch by batch, and prepare what passes; refusals go to the tally."""
    redacted: Counter[str] = Counter()
    prepared = []
    posts = lake.count()
    with workspace.context.progress.task("cleaning posts", posts, "posts") as task, ThreadPoolExecutor(2) as pool:
        columns = list(dict.fromkeys([*GATE_COLUMNS, *COLUMNS]))
        for batch in _ahead(pool, functools.partial(_prepare, forgotten, policy), lake.batches(columns)):
            rows, refused, held = batch
            for reason, count in refused.items():
                workspace.tally.drop(reason, count)
            redacted += held
            prepared.append(rows)
            task.advance(rows.num_rows + sum(refused.values()))
    return Admitted(_sorted(pa.Table.from_batches(prepared)), redacted, posts)


def sift(admitted: Admitted, config: CorpusConfig, context: Context) -> Sieve:
    """Drop by quality, then duplicates: each step looks at what those before it have left."""
    sieve = Sieve(admitted.posts.num_rows)
    for reason in quality.RULES:
        says_no = pc.fill_null(pc.equal(admitted.column("quality"), reason), False)
        sieve.drop(reason, np.flatnonzero(says_no.to_numpy(zero_copy_only=False)))
    left = lambda name: admitted.column(name).filter(sieve.mask)  # noqa: E731
    sieve.drop(dedup.EXACT_DUPLICATE, sieve.rows[dedup.repeats(left("key"))])
    sieve.drop(dedup.TEMPLATE_FLOOD, sieve.rows[dedup.floods(left("author"), left("template"))])
    with context.progress.task("finding near duplicates", len(sieve.rows), "posts") as task:
        first = dedup.near_duplicates(left("key"), config.near_duplicate, task.advance)
    sieve.drop(dedup.NEAR_DUPLICATE, sieve.rows[first != np.arange(len(first))])
    return sieve


def _prepare(forgotten: Forgotten, policy: Policy, batch: pa.RecordBatch):
    """One batch: what passes the gate, with its new columns; refusals by reason; posts with personal data by kind."""
    reasons = gate(batch, "training", policy, forgotten)
    refused = {v["values"]: v["counts"] for v in reasons.drop_null().value_counts().to_pylist()}
    batch = batch.select(list(COLUMNS)).filter(pc.is_null(reasons))
    text, held = privacy.redact(normalize.clean(batch["text"]))
    key = normalize.key(text)
    batch = batch.set_column(batch.schema.get_field_index("text"), "text", text)
    batch = batch.append_column("key", key).append_column("template", normalize.template(text))
    return batch.append_column("quality", quality.judge(text, key).dictionary_encode()), refused, held


def _ahead(pool: ThreadPoolExecutor, work, items: Iterator) -> Iterator:
    """The results in order, with at most a few items in work, so that memory stays bounded."""
    waiting = []
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > 3:
            yield waiting.pop(0).result()
    yield from (future.result() for future in waiting)


def _sorted(posts: pa.Table) -> pa.Table:
    """By time, then id. Text columns of a large lake pass two gigabytes, so offsets are wide here."""
    wide = [pa.field(f.name, pa.large_string()) if f.type == pa.string() else f for f in posts.schema]
    posts = posts.unify_dictionaries().cast(pa.schema(wide)).combine_chunks()
    return posts.take(pc.sort_indices(posts, [("created", "ascending"), ("id", "ascending")])).combine_chunks()


def _languages(admitted: Admitted, rows: np.ndarray, context: Context) -> pa.Array:
    """The language of each admitted post, guessed for those among `rows` that have no tag."""
    tags, places = admitted.column("language"), pa.array(rows)
    unknown = tags.take(places).null_count
    with context.progress.task("guessing languages", unknown, "posts") as task:
        guessed = language.with_guesses(tags.take(places), admitted.column("key").take(places), task.advance)
    mask = np.zeros(len(tags), dtype=bool)
    mask[rows] = True
    return pc.replace_with_mask(tags, pa.array(mask), guessed)


def _documents(posts: pa.Table, languages: pa.Array, order: np.ndarray, starts: np.ndarray) -> pa.Table:
    """Documents of the posts in reading order; each has the id and language of its first post."""
    inside = pa.array(np.append(starts, len(order)), pa.int32())
    posts, firsts = posts.take(pa.array(order)).combine_chunks(), pa.array(starts)
    lists = {n: pa.ListArray.from_arrays(inside, posts[n].combine_chunks()) for n in ("text", "id", "author")}
    created = posts["created"].cast(pa.int64()).to_numpy()
    last = np.maximum.reduceat(created, starts) if len(starts) else created
    columns = {
        "id": posts["id"].take(firsts),
        "text": pc.binary_join(lists["text"], pa.scalar(THREAD_GAP, posts["text"].type)),
        "post_ids": lists["id"],
        "author_ids": lists["author"],
        "language": languages.take(pa.array(order[starts])),
        "created": pa.array(last).cast(DOCUMENT_SCHEMA.field("created").type),
    }
    return pa.table(columns)
