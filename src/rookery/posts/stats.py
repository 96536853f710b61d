"""Counting the lake: posts, authors, languages, and what the gate would drop for each use.

It reads all posts of the newest version and changes nothing. How the gate decides: `rights.py`.
"""

from collections import Counter
from dataclasses import asdict
from typing import Any

import pyarrow.compute as pc

from rookery.core.home import Home
from rookery.posts.lake import open_lake
from rookery.posts.live import live_log
from rookery.posts.post import USES, Use
from rookery.posts.rights import GATE_COLUMNS, gates
from rookery.posts.streams.inbox import Inbox


def stats(home: Home) -> dict[str, Any]:
    """Return counts of the newest version of the lake.

    dropped: posts that the gate drops for training, by reason; dropped_by_use: the same for every
    use. gaps: periods of which a followed stream may have left something out.
    """
    lake = open_lake(home)
    with live_log(home) as log:
        restrictions = log.restrictions()
        gaps = [asdict(gap) for gap in Inbox(log).gaps()]
    policy = home.settings.rights.policy
    authors: set[str] = set()
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("language", "visibility", "source")
    }
    dropped: dict[Use, Counter[str]] = {use: Counter() for use in USES}
    posts, first, last = 0, None, None
    for batch in lake.batches([*GATE_COLUMNS, "language", "source", "created"]):
        posts += batch.num_rows
        authors.update(batch["author"].unique().to_pylist())
        for name, counter in counts.items():
            counter.update(
                {v["values"]: v["counts"] for v in batch[name].value_counts().to_pylist()}
            )
        for use, reasons in gates(batch, USES, policy, restrictions).items():
            found = reasons.drop_null().value_counts().to_pylist()
            dropped[use].update({v["values"]: v["counts"] for v in found})
        span = pc.min_max(batch["created"]).as_py()
        first = span["min"] if first is None else min(first, span["min"])
        last = span["max"] if last is None else max(last, span["max"])
    return {
        "posts": posts,
        "authors": len(authors),
        "first": first.isoformat() if first else None,
        "last": last.isoformat() if last else None,
        "languages": {name or "unknown": n for name, n in counts["language"].most_common()},
        "visibility": dict(counts["visibility"].most_common()),
        "sources": dict(counts["source"].most_common()),
        "policy": policy,
        "dropped": dict(dropped["training"].most_common()),
        "dropped_by_use": {use: dict(counter.most_common()) for use, counter in dropped.items()},
        "lake_version": lake.version,
        "gaps": gaps,
    }
