"""Erasing everywhere: each package takes its own things apart, here is the order, and what is owed
afterwards.

The lake goes last of all that is rewritten: it alone says which posts a forgotten author wrote, and
an erasure that is killed needs that again. The index comes after it, built from what is left.
"""

from datetime import date, datetime, timedelta
from typing import Any

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.context import Context
from rookery.core.home import Home
from rookery.core.locks import erasing_posts, exclusive
from rookery.core.stage import remove_unfinished
from rookery.corpus.erase import ASKED, erase_corpus, erase_shards
from rookery.posts import erase as posts
from rookery.search.erase import erase_index
from rookery.workflows.models import embedder_of

LEARNED = ("tokenizer", "checkpoint", "export")
"""Kinds of artifacts that learned from texts: nothing can be taken out of them, they have to be
made anew.
"""
MAKE_ANEW = "making anew without it, and removing this one"


def erase(home: Home, context: Context) -> dict[str, Any]:
    """Erase all that is due: `{"erased": [{"place", "count", "unit"}], "owed": [{"place", "owed",
    "by"}]}`.

    Raises `BusyError` while another process writes to the lake or makes something of posts. Killed and
    started again it goes on; where nothing is due it changes nothing.
    """
    with exclusive(home.path / "lake.lock", "the lake"), erasing_posts(home):
        posts.note_what_came_due(home, context)
        plan = posts.plan_erasure(home)
        erased = posts.erase_set_aside(home, plan) + posts.erase_arrivals(home, plan)
        erased += _erase_artifacts(home, plan, context)
        erased += posts.erase_lake(home, plan)
    erased += erase_index(home, plan, lambda: embedder_of(home), context)
    return {"erased": [vars(one) for one in erased], "owed": list(_owed(home))}


def _erase_artifacts(home: Home, plan: posts.ErasurePlan, context: Context) -> list[posts.Erased]:
    erased = []
    for kind, erase_one in (("corpus", erase_corpus), ("shards", erase_shards)):
        unfinished = remove_unfinished(home, kind) if plan else 0
        erased += [posts.Erased(kind, unfinished, "unfinished builds")] if unfinished else []
        artifacts = list(find_artifacts(home.artifacts, kind))
        with context.progress.task(f"looking through each {kind}", len(artifacts), kind) as task:
            for artifact in artifacts:
                erased += erase_one(artifact, plan, context)
                task.advance()
    return erased


def _owed(home: Home):
    """What learned from posts that are erased now, with the day by which it has to go."""
    asked: dict[str, datetime] = {}
    for artifact in _in_order_of_making(home):
        said = artifact.manifest.erased.get(ASKED)
        times = [asked[i] for i in artifact.manifest.inputs.values() if i in asked]
        times += [datetime.fromisoformat(said)] if said else []
        if times:
            asked[artifact.digest] = min(times)
        if times and artifact.kind in LEARNED:
            place = f"{artifact.kind} {artifact.key}"
            yield {"place": place, "owed": MAKE_ANEW, "by": by_when(home, min(times)).isoformat()}


def _in_order_of_making(home: Home) -> list[Artifact]:
    return list(find_artifacts(home.artifacts))


def by_when(home: Home, asked: datetime) -> date:
    """The last day on which what was asked to be forgotten may still be there."""
    return (asked + timedelta(days=home.settings.rights.erase_within_days)).date()
