"""Where a post is: the lake, the live log, the search index, and every artifact that holds it or derives from it."""

from typing import Any

import pyarrow.compute as pc

from rookery.core.home import Home
from rookery.core.lineage import trace
from rookery.posts.lake import find_lake
from rookery.posts.live import live_log
from rookery.search import index


def trace_post(home: Home, post_id: str) -> dict[str, Any]:
    """All places of a post: `{"post", "author", "in_lake", "forgotten", "places": [{"place", "how", "owed"}]}`."""
    author = _author_in_lake(home, post_id)
    with live_log(home) as log:
        standing = log.standing_among([(post_id, author or "")])
    forgotten = post_id in standing.forgotten_posts or author in standing.forgotten_authors
    owe = (lambda text: text) if forgotten else (lambda text: "")
    places = []
    if author is not None:
        places.append({"place": "lake", "how": "holds", "owed": owe("physical erasure")})
    if index.holds(home, post_id):
        places.append(
            {"place": "search index", "how": "holds", "owed": owe("hidden now; removal when it is built anew")}
        )
    for found in trace(home, post_id):
        held = found.how == "holds"
        owed = owe("masked in every later batch; erasure when built anew" if held else "training anew without it")
        places.append({"place": f"{found.artifact.kind} {found.artifact.key}", "how": found.how, "owed": owed})
    return {"post": post_id, "author": author, "in_lake": author is not None, "forgotten": forgotten, "places": places}


def _author_in_lake(home: Home, post_id: str) -> str | None:
    lake = find_lake(home)
    for batch in lake.batches(["id", "author"]) if lake else ():
        place = pc.index(batch["id"], post_id).as_py()
        if place >= 0:
            return batch["author"][place].as_py()
    return None
