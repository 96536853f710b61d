"""Tracing a post: every place that holds it, held it or learned from it, and what is still owed.

The lake, the search index and each artifact answer for themselves; here their answers are put
together. Not here: carrying out what is owed (`erase.py`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from rookery.core import lineage
from rookery.core.artifact import find_artifacts
from rookery.core.home import Home
from rookery.corpus.document import LAKE_VERSION
from rookery.corpus.erase import learns_from
from rookery.corpus.fates import fate_of, find_ids
from rookery.posts import permalinks, set_aside
from rookery.posts.lake import find_lake
from rookery.posts.live import live_log
from rookery.posts.log.erasures import Erasures
from rookery.posts.streams.inbox import Inbox
from rookery.search.engine.shard import layouts_of
from rookery.search.held import held_by, is_foreign
from rookery.workflows.erase import LEARNED, MAKE_ANEW, erase_by

ERASE = "`rookery posts erase`"


@dataclass(frozen=True)
class _Status:
    """The state of a post according to the live log.

    is_erased: whether all of it has to be erased. forgotten_at: when that was noted. edited_in: the
    version of the lake that first holds its newest text, 0 for a post that was never edited.
    """

    is_erased: bool
    forgotten_at: datetime | None
    edited_in: int
    superseded_by: str | None


@dataclass(frozen=True)
class _Place:
    """A place that a post reached, and the version of the lake that the place was made from."""

    name: str
    how: str
    lake_version: int | None


def trace(home: Home, post_id: str) -> dict[str, Any]:
    """Return all places of a post, with what is owed there and by when, if it must be erased.

    post_id: an id or a permalink (`posts/permalinks.py`).
    `{"post", "author", "in_lake", "forgotten", "superseded_by", "fates": [{"corpus", "fate",
    "represented_by"}], "places": [{"place", "how", "owed", "by"}]}`; how: the place `holds` the
    post (or an earlier version), `held` it until an erasure, only `names` it, or `derives` from a
    place that holds or held it. What learned from other posts alone is not listed, whatever the
    corpus beside them dropped, held out or showed.
    """
    (post_id,) = permalinks.post_ids(home, [post_id])
    in_lake, waiting = _author_in_lake(home, post_id), _author_of_waiting(home, post_id)
    aside = set_aside.find(home, post_id)
    author = next((name for name in (in_lake, waiting, aside and aside.author) if name), None)
    status = _status(home, post_id, author, in_lake is not None)
    held = [("lake", in_lake), ("live log", waiting)]
    found = [_Place(place, "holds", None) for place, name in held if name is not None]
    found += [_Place("set aside", aside.how, None)] if aside else []
    return {
        "post": post_id,
        "author": author,
        "in_lake": in_lake is not None,
        "forgotten": status.forgotten_at is not None,
        "superseded_by": status.superseded_by,
        "fates": _fates(home, post_id),
        "places": [_owed(home, status, place) for place in [*found, *_places(home, post_id)]],
    }


def _fates(home: Home, post_id: str) -> list[dict[str, str]]:
    """Return what became of a post in each corpus, and for a copy the id of what represents it.

    That id is empty for a post that is no copy, or whose representative is no longer in the lake.
    """
    corpora = find_artifacts(home.artifacts, "corpus")
    fates = [(corpus.key, fate) for corpus in corpora if (fate := fate_of(corpus, post_id))]
    wanted = {fate.representative for _, fate in fates if fate.representative is not None}
    lake = find_lake(home)
    ids = find_ids(wanted, lake.batches(["id"])) if lake else {}
    return [
        {
            "corpus": key,
            "fate": fate.name,
            "represented_by": ids.get(fate.representative, "") if fate.representative else "",
        }
        for key, fate in fates
    ]


def _places(home: Home, post_id: str) -> list[_Place]:
    places = []
    indexes = layouts_of(home)
    if any(map(is_foreign, indexes)):
        places.append(_Place("search index", "holds", None))  # it may, and nobody can tell
    else:
        for held in map(held_by, indexes):
            if held is not None and held.has(post_id):
                places.append(_Place("search index", "holds", held.lake))
    for found in lineage.trace(home, post_id, learns_from):
        artifact = found.artifact
        if artifact.kind in LEARNED and not found.learned:
            continue
        lake_version = artifact.manifest.metrics.get(LAKE_VERSION)
        places.append(_Place(f"{artifact.kind} {artifact.key}", found.how, lake_version))
    return places


def _owed(home: Home, status: _Status, place: _Place) -> dict[str, str]:
    is_earlier = (
        place.how == "holds"
        and place.lake_version is not None
        and status.edited_in > place.lake_version
    )
    owed = ""
    if place.how == "holds" and (status.is_erased or is_earlier):
        owed = ERASE
    elif place.how == "names" and status.forgotten_at:
        owed = ERASE
    elif status.forgotten_at and place.name.split()[0] in LEARNED:
        owed = MAKE_ANEW
    by = erase_by(home, status.forgotten_at).isoformat() if owed and status.forgotten_at else ""
    how = "holds an earlier version" if is_earlier else place.how
    return {"place": place.name, "how": how, "owed": owed, "by": by}


def _status(home: Home, post_id: str, author: str | None, in_lake: bool) -> _Status:
    subjects = [post_id] + ([author] if author is not None else [])
    with live_log(home) as log:
        restrictions = log.restrictions_among([(post_id, author or "")])
        history = log.history(subjects)
        # once a post has left the lake, only its erasure tells for whose sake it went
        erased = None if in_lake else Erasures(log).event_of(post_id)
    forgetting = ("forget_post", post_id), ("forget_author", author)
    forgotten = [at for event, at in history if (event.kind, event.subject) in forgetting]
    forgotten += [erased[1]] if erased else []
    replacements = [
        event.value
        for event, _ in history
        if event.kind == "replace_post" and event.subject == post_id
    ]
    return _Status(
        is_erased=bool(forgotten) or post_id in restrictions.permanent.posts,
        forgotten_at=min(forgotten, default=None),
        edited_in=restrictions.edited.get(post_id, 0),
        superseded_by=replacements[-1] if replacements else None,
    )


def _author_in_lake(home: Home, post_id: str) -> str | None:
    lake = find_lake(home)
    for batch in lake.batches(["id", "author"]) if lake else ():
        row = pc.index(batch["id"], post_id).as_py()
        if row >= 0:
            return batch["author"][row].as_py()
    return None


def _author_of_waiting(home: Home, post_id: str) -> str | None:
    """Return the author of a post that a stream brought and the lake has not taken over."""
    with live_log(home) as log:
        return Inbox(log).authors().get(post_id)
