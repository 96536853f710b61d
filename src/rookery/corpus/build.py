"""The corpus stage: from the posts in the lake to documents for training and for validation.

This module is the map of how a corpus is made. Each step has a module of its own:

    prepare    each post alone: rights, clean text, personal data,
               quality, language, hashes                         prepare.py, prepared.py
    sift       posts compared: machines, exact duplicates,
               floods, near duplicates                           sieve.py, spam.py, dedup.py
    assemble   where each post goes: split, threads, mixture     assemble.py, split.py, threads.py
    write      documents in their final order                    gather.py, document.py
    describe   each post's fate, the report, the data card       fates.py, report.py, card.py

Two laws hold over all steps. Every post of the lake is in a document or is counted under exactly
one reason. And the result does not depend on how the work was divided: a lake has no order, so the
posts are sorted by time before any step that looks at more than one.

The artifact holds `train.parquet` and `validation.parquet`, `report.json` and `report.html`,
`card.md`, the fates (what became of each post of the lake, as hashes), and `held.ids`, by which a
post is traced to this corpus (core/lineage.py).
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from rookery.core.artifact import Artifact
from rookery.core.config import to_plain
from rookery.core.context import Context, Task
from rookery.core.digest import hash_ids
from rookery.core.home import Home
from rookery.core.lineage import write_held_hashes
from rookery.core.locks import reading_posts
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus import card, fates, report
from rookery.corpus.assemble import assemble, require_documents, shared_authors
from rookery.corpus.config import CorpusConfig
from rookery.corpus.document import LAKE_VERSION, SPLITS, write_documents
from rookery.corpus.gather import SplitLayout, ahead, beside, gather
from rookery.corpus.prepare import Preparation, prepare
from rookery.corpus.prepared import Posts
from rookery.corpus.sieve import count_dropped, require_posts, sift
from rookery.posts.lake import Lake, open_lake
from rookery.posts.live import live_log
from rookery.posts.restrictions import Restrictions

# Raised by hand when the same posts and settings give other documents: old corpora are built anew.
VERSION = 8


def build_corpus(
    home: Home, context: Context = Context(), config: CorpusConfig = CorpusConfig()
) -> Artifact:
    """Make the corpus of the newest version of the lake, without the posts that are forgotten now.

    Raises `UsageError` if there is no lake, `DataError` if fewer than two posts are left or one
    split has no document.
    """
    # The lock keeps `rookery posts erase` from rewriting the lake until this corpus is finished.
    with reading_posts(home):
        lake = open_lake(home)
        with live_log(home) as log:
            restrictions = log.restrictions()
        policy = home.settings.rights.policy
        # Forgetting a post, or another policy, changes the key, so a new corpus is made.
        inputs = {"lake": lake.name, "standing": restrictions.digest, "policy": policy}
        held = _of_lake(lake, restrictions)
        preparation = Preparation(held, policy, config.placeholders)
        return run_stage(
            home,
            Stage("corpus", VERSION, config, inputs),
            lambda workspace: _make(workspace, home, lake, preparation, config),
            context,
        )


def _of_lake(lake: Lake, restrictions: Restrictions) -> Restrictions:
    """Return the restrictions without hidden posts that the lake does not hold.

    A long log names many more posts than the lake has, and every process is given all of them.
    """
    if len(restrictions.posts) <= lake.count():
        return restrictions
    ids = itertools.chain.from_iterable(batch["id"].to_pylist() for batch in lake.batches(["id"]))
    return replace(restrictions, posts=restrictions.posts_among(ids))


def _make(
    workspace: Workspace, home: Home, lake: Lake, preparation: Preparation, config: CorpusConfig
) -> dict[str, int]:
    """Make the files of the corpus in its folder, and return its metrics."""
    context = workspace.context
    posts = prepare(lake, preparation, workspace.scratch / "parts", home.settings.corpus, context)
    # Copies go before the split, so that no text is both in training and in validation.
    sieve, copies = sift(posts, context)
    require_posts(posts, sieve)
    # The sieve passes through assembly as well, where thread, author and mixture drop posts.
    layouts = assemble(posts, sieve, config)
    require_documents(layouts, sieve, home.lake)

    workspace.tally.kept = len(sieve.rows)
    workspace.tally.dropped.update(count_dropped(posts, sieve))
    fates.write(workspace.path, posts, sieve, layouts, copies)
    documents = _write(workspace, posts, layouts, config.controls)

    facts = report.describe(posts, sieve, copies, documents, workspace.tally)
    facts["leakage"]["an_author"] = shared_authors(posts, layouts)
    facts |= {"settings": to_plain(config), "policy": preparation.policy, "lake": lake.name}
    # a post may have been forgotten since the build began
    report.write(workspace.path, report.visible(home, facts, lake.version))
    card.write(workspace.path, facts)

    # The report shows samples of dropped posts too, so a trace must find those here as well.
    held = np.concatenate([posts.numbers("id_hash", sieve.rows), hash_ids(report.shown(facts))])
    write_held_hashes(workspace.path, held)
    metrics = {f"documents_{name}": layout.documents for name, layout in layouts.items()}
    return {LAKE_VERSION: lake.version} | metrics


def _write(
    workspace: Workspace, posts: Posts, layouts: dict[str, SplitLayout], controls: bool
) -> report.Documents:
    """Write both splits, and return what was counted of their documents on the way."""
    seen = report.Documents()
    total = sum(layout.documents for layout in layouts.values())
    with workspace.context.progress.task("writing documents", total, "documents") as task:
        # Validation comes first: each training document is compared with all of it as it passes.
        for name in reversed(SPLITS):
            # Reading, counting and writing overlap, each at most one table apart from the next.
            tables = ahead(gather(posts, layouts[name], workspace.scratch / name, controls))
            counted = beside(tables, functools.partial(seen.add, name))
            write_documents(workspace.path / f"{name}.parquet", _without_keys(counted, task))
    return seen


def _without_keys(tables: Iterator[pa.Table], task: Task) -> Iterator[pa.Table]:
    """Yield the tables as they are stored: the normalised text served the counting alone."""
    for table in tables:
        task.advance(table.num_rows)
        yield table.drop_columns("key")
