"""The corpus stage: from the posts in the lake to documents to learn from, and later ones to be judged by.

    gate -> clean -> redact -> quality -> machines -> exact duplicates -> floods -> near duplicates
         -> link farms -> split -> threads -> mixture -> documents

The steps up to quality are in `admit.py`, the others in the modules of their names. Here is their
order, and the law that holds over all of them: every post of the lake is either in a document or
counted under exactly one reason. Posts are sorted by time and id before any step that looks at more
than one, since a lake has no order of its own.

The artifact: `train.parquet` and `validation.parquet` (document.py), `report.json` and `report.html`
(report.py),
`card.md` (card.py), `held.ids` (core/lineage.py).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.artifact import Artifact
from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home, Policy
from rookery.core.lineage import write_held
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.core.verdict import Tally
from rookery.corpus import card, control, dedup, language, mixture, quality, report, spam, split, threads
from rookery.corpus.admit import Admitted, admit
from rookery.corpus.document import DOCUMENT_SCHEMA, LAKE_VERSION, SPLITS, write_documents
from rookery.corpus.sieve import Sieve
from rookery.posts.lake import Lake, open_lake
from rookery.posts.live import Standing, live_log

VERSION = 3
THREAD_GAP = "\n\n"  # a clean post holds no empty line, so this parts the posts of a thread


@dataclass(frozen=True)
class CorpusConfig:
    """validation_share: the part of the posts, the latest, that is held out; validation_limit: at most how many.

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
            raise UsageError(f"validation_share must lie between 0 and 1, not be {self.validation_share}")
        if self.validation_limit < 1:
            raise UsageError(f"validation_limit must be at least 1, not {self.validation_limit}")
        mixture.check(self.mixture)


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
    admitted = admit(lake, standing, policy, config.placeholders, workspace.tally, workspace.context)
    sieve, representative = sift(admitted, workspace.context)
    _need_some(admitted, sieve, workspace.tally)
    documents = assemble(admitted, sieve, config, workspace.context)
    _need_both(documents, sieve)
    for name, table in documents.items():
        write_documents(workspace.path / f"{name}.parquet", table)
    for reason, rows in sieve.dropped.items():
        workspace.tally.drop(reason, len(rows))
    workspace.tally.kept = len(sieve.rows)
    facts = report.describe(admitted, sieve, representative, documents, workspace.tally)
    facts |= {"settings": to_plain(config), "policy": policy, "lake": lake.name}
    report.write(workspace.path, facts)
    card.write(workspace.path, facts)
    kept = admitted.column("id").take(pa.array(sieve.rows)).to_pylist()
    write_held(workspace.path, [*kept, *report.shown(facts)])
    return {LAKE_VERSION: lake.version} | {f"documents_{name}": table.num_rows for name, table in documents.items()}


def sift(admitted: Admitted, context: Context) -> tuple[Sieve, np.ndarray]:
    """Drop by quality, then machines, duplicates and farms: each step looks at what those before it have left.

    Also, for each post, the place of the one that stands for it: its own, unless it was dropped as a copy.
    """
    sieve = Sieve(admitted.posts.num_rows)
    for reason in quality.RULES:
        says_no = pc.fill_null(pc.equal(admitted.column("quality"), reason), False)
        sieve.drop(reason, np.flatnonzero(says_no.to_numpy(zero_copy_only=False)))
    author = admitted.column("author").dictionary_encode().indices.to_numpy().astype(np.int64)
    created = admitted.column("created").cast(pa.int64()).to_numpy()
    for reason, rule in ((spam.FASTER_THAN_HUMAN, spam.faster_than_human), (spam.CLOCKWORK, spam.clockwork)):
        sieve.drop(reason, np.flatnonzero(rule(author, created)))
    representative = np.arange(len(author))
    left = lambda name: admitted.column(name).filter(sieve.mask)  # noqa: E731
    rows, first = sieve.rows, dedup.first_equal(left("key"))
    representative[rows] = rows[first]
    sieve.drop(dedup.EXACT_DUPLICATE, rows[first != np.arange(len(first))])
    sieve.drop(dedup.TEMPLATE_FLOOD, sieve.rows[dedup.floods(left("author"), left("template"))])
    with context.progress.task("finding near duplicates", len(sieve.rows), "posts") as task:
        first = dedup.near_duplicates(left("key"), task.advance)
    rows = sieve.rows
    representative[rows] = rows[first]
    representative = representative[representative]  # a copy of a post that is itself alike to an earlier one
    sieve.drop(dedup.NEAR_DUPLICATE, rows[first != np.arange(len(first))])
    repeated = np.zeros(len(author), dtype=bool)
    repeated[np.concatenate([sieve.dropped[r] for r in dedup.REASONS])] = True
    sieve.drop(spam.LINK_FARM, np.flatnonzero(spam.link_farms(author, admitted.column("domain").to_numpy(), repeated)))
    return sieve, representative


def assemble(admitted: Admitted, sieve: Sieve, config: CorpusConfig, context: Context) -> dict[str, pa.Table]:
    """Documents of what is left, for each split in shuffled order; posts that would put a thread on both sides drop."""
    links = ("id", "reply_to", "quote_of", "conversation")
    parent = threads.parents(*(admitted.column(name) for name in links))
    root = threads.roots(parent)
    rows = sieve.rows
    created = admitted.column("created").cast(pa.int64()).to_numpy()[rows]
    train_rows = split.cut(created, config.validation_share, config.validation_limit)
    if config.split == "author":
        _hold_out_authors(admitted, sieve, train_rows, config.seed)
    earlier = rows[:train_rows][sieve.alive[rows[:train_rows]]]
    sieve.drop(split.THREAD_IN_TRAIN, split.straddlers(root, np.append(earlier, rows[train_rows:]), len(earlier)))
    posts = _with_languages(admitted.posts, sieve.rows, context)
    documents = {}
    for number, (name, part) in enumerate(zip(SPLITS, np.split(rows, [train_rows]), strict=True)):
        order, starts = threads.reading_order(part[sieve.alive[part]], parent, root)
        made = _documents(posts.take(pa.array(order)).combine_chunks(), starts, config.controls)
        copies = _mix(made, posts["source"].take(pa.array(order[starts])), config)
        sieve.drop(mixture.MIXTURE, order[np.repeat(copies == 0, np.diff(starts, append=len(order)))])
        taken = np.repeat(np.arange(len(starts)), copies if name == "train" else np.minimum(copies, 1))
        shuffled = np.random.default_rng([config.seed, number]).permutation(taken)
        documents[name] = made.take(pa.array(shuffled))
    return documents


def _hold_out_authors(admitted: Admitted, sieve: Sieve, train_rows: int, seed: int) -> None:
    """Before the cut the held-out authors' posts drop, after it all others'."""
    authors = admitted.column("author").dictionary_encode()
    held = split.held_out(hash_ids(authors.dictionary.to_pylist()), seed)[authors.indices.to_numpy()]
    earlier, later = np.split(sieve.rows, [train_rows])
    sieve.drop(split.HELD_OUT_AUTHOR, earlier[held[earlier]])
    sieve.drop(split.AFTER_THE_CUT, later[~held[later]])


def _mix(documents: pa.Table, source: pa.ChunkedArray, config: CorpusConfig) -> np.ndarray:
    """How often each document is taken, by the mixture."""
    language, created = documents["language"], documents["created"]
    weight = mixture.weigh(config.mixture, language.combine_chunks(), created.combine_chunks(), source.combine_chunks())
    return mixture.copies(weight, hash_ids(documents["id"].to_pylist()), config.seed)


def _need_some(admitted: Admitted, sieve: Sieve, gate_tally: Tally) -> None:
    """Two posts at least: one to learn from, one to be judged by."""
    if len(sieve.rows) >= 2:
        return
    reasons = gate_tally.dropped + Counter({reason: len(rows) for reason, rows in sieve.dropped.items()})
    said = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common(3))
    what = f"{len(sieve.rows)} of {admitted.in_lake:,} posts are left to make a corpus of"
    raise DataError(what, mend=f"Dropped: {said}" if said else "Ingest more posts")


def _need_both(documents: dict[str, pa.Table], sieve: Sieve) -> None:
    """A document on each side, which a mixture or a split by author may leave without."""
    for name, table in documents.items():
        if not table.num_rows:
            chosen = (mixture.MIXTURE, split.HELD_OUT_AUTHOR, split.AFTER_THE_CUT)
            if said := ", ".join(f"{r} {len(sieve.dropped[r]):,}" for r in chosen if len(sieve.dropped.get(r, ()))):
                raise DataError(f"no document is left for {name}", mend=f"Dropped: {said}")


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


def _documents(posts: pa.Table, starts: np.ndarray, with_controls: bool) -> pa.Table:
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
    if with_controls:
        reactions = control.reactions(*(column[name].take(first) for name in ("likes", "reposts", "replies")))
        columns["controls"] = control.controls(columns["language"], columns["created"], reactions)
    else:
        columns["controls"] = pa.array([[]] * len(starts), pa.list_(pa.string()))
    return pa.table(columns)
