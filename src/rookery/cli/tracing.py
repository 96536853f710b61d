"""Where a post is or was: the lake, the search index, and every artifact that holds, held or learned from it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from rookery.cli.erasing import LEARNED, MAKE_ANEW, by_when
from rookery.core.home import Home
from rookery.core.lineage import trace
from rookery.posts.lake import find_lake, version_in
from rookery.posts.live import Standing, live_log
from rookery.search import index

ERASE = "`rookery posts erase`"


@dataclass(frozen=True)
class _Fate:
    """What the live log says of a post. asked: when it was noted as forgotten."""

    standing: Standing
    asked: datetime | None
    superseded_by: str | None


def trace_post(home: Home, post_id: str) -> dict[str, Any]:
    """All places of a post, with what is owed there and by when, if it has to go.

    `{"post", "author", "in_lake", "forgotten", "superseded_by", "places": [{"place", "how", "owed", "by"}]}`;
    how: it `holds` the post (or an earlier version), `held` it until an erasure, or `derives` from such a one.
    """
    author = _author_in_lake(home, post_id)
    fate = _fate(home, post_id, author)
    goes = post_id in fate.standing.for_good.posts or author in fate.standing.forgotten_authors
    by = by_when(home, fate.asked).isoformat() if fate.asked else ""
    edited_in = fate.standing.edited.get(post_id, 0)
    places = []

    def place(name: str, how: str, lake_version: int | None = None) -> None:
        is_earlier = how == "holds" and lake_version is not None and edited_in > lake_version
        is_learned = name.split()[0] in LEARNED
        owed = ERASE if how == "holds" and (goes or is_earlier) else MAKE_ANEW if is_learned and fate.asked else ""
        how = "holds an earlier version" if is_earlier else how
        places.append({"place": name, "how": how, "owed": owed, "by": by if owed else ""})

    if author is not None:
        place("lake", "holds")
    if index.holds(home, post_id):
        place("search index", "holds", version_in(index.in_force(home)[0].lake))
    for found in trace(home, post_id):
        artifact = found.artifact
        place(f"{artifact.kind} {artifact.key}", found.how, artifact.manifest.metrics.get("lake_version"))
    facts = {"post": post_id, "author": author, "in_lake": author is not None, "forgotten": fate.asked is not None}
    return facts | {"superseded_by": fate.superseded_by, "places": places}


def _fate(home: Home, post_id: str, author: str | None) -> _Fate:
    names = [post_id] + ([author] if author is not None else [])
    with live_log(home) as log:
        standing = log.standing_among([(post_id, author or "")])
        history = log.history(names)
    asked = [at for event, at in history if (event.kind, event.subject) in _asking(post_id, author)]
    later = [event.value for event, _ in history if event.kind == "replace_post" and event.subject == post_id]
    return _Fate(standing, min(asked, default=None), later[-1] if later else None)


def _asking(post_id: str, author: str | None) -> tuple[tuple[str, str | None], ...]:
    """The events, by kind and subject, that forget a post."""
    return ("forget_post", post_id), ("forget_author", author)


def _author_in_lake(home: Home, post_id: str) -> str | None:
    lake = find_lake(home)
    for batch in lake.batches(["id", "author"]) if lake else ():
        place = pc.index(batch["id"], post_id).as_py()
        if place >= 0:
            return batch["author"][place].as_py()
    return None
