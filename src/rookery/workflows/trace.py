"""Where a post is or was: the lake, the search index, and every artifact that holds, held or
learned from it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from rookery.core.home import Home
from rookery.core.lineage import trace
from rookery.corpus.document import LAKE_VERSION
from rookery.posts.lake import find_lake, version_in
from rookery.posts.live import live_log
from rookery.search import index
from rookery.workflows.erase import LEARNED, MAKE_ANEW, by_when

ERASE = "`rookery posts erase`"


@dataclass(frozen=True)
class _Fate:
    """What the live log says of a post.

    goes: whether all of it has to be erased. asked: when it was noted as forgotten. edited_in: the
    version of the lake that first holds its newest text, 0 for one that was never edited.
    """

    goes: bool
    asked: datetime | None
    edited_in: int
    superseded_by: str | None


def trace_post(home: Home, post_id: str) -> dict[str, Any]:
    """All places of a post, with what is owed there and by when, if it has to go.

    `{"post", "author", "in_lake", "forgotten", "superseded_by", "places": [{"place", "how", "owed",
    "by"}]}`; how: it `holds` the post (or an earlier version), `held` it until an erasure, or
    `derives` from such a one.
    """
    author = _author_in_lake(home, post_id)
    fate = _fate(home, post_id, author)
    places = [("lake", "holds", None)] if author is not None else []
    if index.holds(home, post_id):
        places.append(("search index", "holds", version_in(index.current_index(home)[0].lake)))
    for found in trace(home, post_id):
        artifact = found.artifact
        places.append(
            (
                f"{artifact.kind} {artifact.key}",
                found.how,
                artifact.manifest.metrics.get(LAKE_VERSION),
            )
        )
    facts = {
        "post": post_id,
        "author": author,
        "in_lake": author is not None,
        "forgotten": fate.asked is not None,
    }
    told = [_told(home, fate, *place) for place in places]
    return facts | {"superseded_by": fate.superseded_by, "places": told}


def _told(
    home: Home, fate: _Fate, place: str, how: str, lake_version: int | None
) -> dict[str, str]:
    is_earlier = how == "holds" and lake_version is not None and fate.edited_in > lake_version
    owed = ""
    if how == "holds" and (fate.goes or is_earlier):
        owed = ERASE
    elif fate.asked and place.split()[0] in LEARNED:
        owed = MAKE_ANEW
    by = by_when(home, fate.asked).isoformat() if owed and fate.asked else ""
    return {
        "place": place,
        "how": "holds an earlier version" if is_earlier else how,
        "owed": owed,
        "by": by,
    }


def _fate(home: Home, post_id: str, author: str | None) -> _Fate:
    names = [post_id] + ([author] if author is not None else [])
    with live_log(home) as log:
        restrictions = log.restrictions_among([(post_id, author or "")])
        history = log.history(names)
    asking = ("forget_post", post_id), ("forget_author", author)
    asked = [at for event, at in history if (event.kind, event.subject) in asking]
    later = [
        event.value
        for event, _ in history
        if event.kind == "replace_post" and event.subject == post_id
    ]
    goes = bool(asked) or post_id in restrictions.permanent.posts
    return _Fate(
        goes,
        min(asked, default=None),
        restrictions.edited.get(post_id, 0),
        later[-1] if later else None,
    )


def _author_in_lake(home: Home, post_id: str) -> str | None:
    lake = find_lake(home)
    for batch in lake.batches(["id", "author"]) if lake else ():
        place = pc.index(batch["id"], post_id).as_py()
        if place >= 0:
            return batch["author"][place].as_py()
    return None
