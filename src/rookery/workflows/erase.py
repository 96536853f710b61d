"""Erasing everywhere: the order in which the packages erase, and what is owed afterwards.

The lake is the last table to be rewritten: it alone records which posts a forgotten author wrote,
and an erasure that was killed needs that again. The index comes after it, built from what is left.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from rookery.core.artifact import find_artifacts
from rookery.core.context import Context
from rookery.core.home import Home
from rookery.core.locks import erasing_posts, exclusive
from rookery.core.stage import remove_unfinished
from rookery.corpus.erase import ASKED, erase_corpus, erase_shards
from rookery.posts import erase as posts
from rookery.search.erase import erase_from_index
from rookery.workflows.models import embedder_of

LEARNED = ("tokenizer", "checkpoint", "embedder", "export")
"""Kinds of artifacts that learned from texts: a post cannot be taken out, they must be remade."""
MAKE_ANEW = "making anew without it, and removing this one"


def erase(home: Home, context: Context = Context(), everything: bool = False) -> dict[str, Any]:
    """Erase all posts that must go from every file, and return what was erased and what is owed.

    `{"erased": [{"place", "count", "unit"}], "owed": [{"place", "owed", "by"}]}`. If the call is
    killed, the same call continues; where nothing has to go it changes nothing. What an earlier
    call has erased is not looked for again, except with `everything`. Raises `BusyError` while
    another process writes to the lake or reads posts into an artifact.
    """
    with exclusive(home.path / "lake.lock", "the lake"), erasing_posts(home):
        posts.record_due_forgetting(home, context)
        plan = posts.plan_erasure(home, everything)
        posts.note_erased(home, plan)
        erased = posts.erase_set_aside(home) + posts.erase_inbox(home, plan)
        erased += _erase_artifacts(home, plan, context) if plan else []
        erased += posts.erase_lake(home, plan)
    erased += erase_from_index(home, plan, lambda: embedder_of(home), context)
    posts.note_ended(home, plan)
    return {"erased": [vars(one) for one in erased], "owed": list(_owed(home))}


def _erase_artifacts(home: Home, plan: posts.ErasurePlan, context: Context) -> list[posts.Erased]:
    erased = []
    for kind, erase_one in (("corpus", erase_corpus), ("shards", erase_shards)):
        unfinished = remove_unfinished(home, kind)
        erased += [posts.Erased(kind, unfinished, "unfinished builds")] if unfinished else []
        artifacts = list(find_artifacts(home.artifacts, kind))
        with context.progress.task(f"looking through each {kind}", len(artifacts), kind) as task:
            for artifact in artifacts:
                erased += erase_one(artifact, plan, context)
                task.advance()
    return erased


def _owed(home: Home) -> Iterator[dict[str, str]]:
    """Yield each artifact that learned from posts that are erased now, and when it must go.

    The notes of corpora and shards hold no date for posts from which nothing learns.
    """
    asked: dict[
        str, datetime
    ] = {}  # by the digest of an artifact: the earliest request it is under
    for artifact in find_artifacts(home.artifacts):  # oldest first, so inputs come before results
        own = artifact.manifest.erased.get(ASKED)
        times = [asked[i] for i in artifact.manifest.inputs.values() if i in asked]
        times += [datetime.fromisoformat(own)] if own else []
        if times:
            asked[artifact.digest] = min(times)
        if times and artifact.kind in LEARNED:
            place = f"{artifact.kind} {artifact.key}"
            yield {"place": place, "owed": MAKE_ANEW, "by": erase_by(home, min(times)).isoformat()}


def erase_by(home: Home, asked: datetime) -> date:
    """Return the last day on which a post may remain that was asked to be forgotten then."""
    return (asked + timedelta(days=home.settings.rights.erase_within_days)).date()
