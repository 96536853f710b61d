"""Compliance files: what a network asks its readers to honour, as events of the live log.

Read here, one JSON object a line (or a list, or an ActivityPub collection), of any kind and in any
order:

- X's compliance streams (docs.x.com, compliance streams): a post's deletion is for good, an edit replaces,
  a scrub of places erases them; withheld, dropped, protected, suspended, and the deletion of an account
  are states, which end when X says so.
- X's batch compliance (an id, an action and a reason): `deleted` of a post is for good, the other reasons
  are states. A line does not tell whether its id is a post's or an author's: `ids_of` does.
- Events of Jetstream and tap (`jetstream.py`), and ActivityPub's Delete, Tombstone and Undo (`mastodon.py`).

What is not understood is set aside with its line and reason. Of states without a time the moment of
reading is taken. In an X archive the author is a name: X's events about users, by number, do not
reach it.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.digest import canonical_json, digest_file, digest_value
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home
from rookery.posts.event import Event, timed
from rookery.posts.live import live_log
from rookery.posts.post import Post
from rookery.posts.sources import jetstream, mastodon
from rookery.posts.sources.files import SetAside, clear_errors
from rookery.posts.sources.json_values import mapping, read_values, words
from rookery.posts.sources.x_compliance import BATCH_KEYS, of_batch, of_stream

IdsOf = Literal["posts", "authors"]

_LINES_AT_ONCE = 10_000
_IDS_OF = "Say --ids-of posts or --ids-of authors"
A_POST = "a_post"
_INGEST = "Posts are taken in with `rookery posts ingest`"


@dataclass(frozen=True)
class ComplianceReport:
    """What files asked for: what is understood, by kind, and what is not, by reason. `new`: events
    new to the log.
    """

    understood: dict[str, int]
    new: int
    set_aside: dict[str, int]
    set_aside_path: str | None


@dataclass(frozen=True)
class ComplianceRequest:
    """What one line of a file asks for: the name of its kind, and the events that follow."""

    kind: str
    events: Sequence[Event]


def apply(
    home: Home, paths: Sequence[Path], ids_of: IdsOf | None, context: Context
) -> ComplianceReport:
    """Bring what files ask for into the live log, all of it in one transaction; durable on return.

    Raises `DataError` if a file cannot be read or nothing in it is understood; then nothing is
    noted.
    """
    understood, aside, new = Counter(), Counter(), 0
    aside_path = (
        home.set_aside / f"compliance-{digest_value([_digest(path) for path in paths])[:16]}.jsonl"
    )
    home.set_aside.mkdir(exist_ok=True)
    try:
        with (
            live_log(home) as log,
            log.transaction(),
            open(aside_path, "w", encoding="utf-8") as kept,
            context.progress.task("reading events", None, "lines") as task,
        ):
            now = context.clock.now()
            lines = itertools.chain.from_iterable(_of_file(path, ids_of) for path in paths)
            while part := list(itertools.islice(lines, _LINES_AT_ONCE)):
                asked = [line for line in part if isinstance(line, ComplianceRequest)]
                left = [line for line in part if isinstance(line, SetAside)]
                new += log.add(
                    (timed(event, now) for line in asked for event in line.events), context.clock
                )
                kept.writelines(canonical_json(to_plain(line)) + "\n" for line in left)
                understood.update(line.kind for line in asked)
                aside.update(line.reason for line in left)
                task.advance(len(part))
    except BaseException:
        aside_path.unlink(missing_ok=True)
        raise
    if not aside:
        aside_path.unlink()
    return ComplianceReport(dict(understood), new, dict(aside), str(aside_path) if aside else None)


def _digest(path: Path) -> str:
    with clear_errors(path):
        return digest_file(path)


def _of_file(path: Path, ids_of: IdsOf | None) -> Iterator[ComplianceRequest | SetAside]:
    """What a file asks for, line by line; raises `DataError` at its end if nothing was
    understood.
    """
    is_understood, reasons = False, Counter()
    for line in read(path, ids_of):
        if isinstance(line, SetAside):
            reasons[line.reason] += 1
            line = replace(line, where=f"{path.name}, {line.where}")
        else:
            is_understood = True
        yield line
    if not is_understood:
        why = ", ".join(f"{reason}: {n}" for reason, n in reasons.most_common(3)) or "it is blank"
        hint = _INGEST if A_POST in reasons else None
        raise DataError(
            f"nothing in the file is a deletion or another event to honour ({why})",
            where=path,
            hint=hint,
        )


def read(path: Path, ids_of: IdsOf | None = None) -> Iterator[ComplianceRequest | SetAside]:
    """Each line of a file, understood or set aside; raises `UsageError` where `ids_of` has to be
    said.
    """
    for value in read_values(path):
        if isinstance(value, SetAside):
            yield value
            continue
        for place, item in _items(value.value):
            where = value.at(place) if place else value.where or "the document"
            found = _asked(item, ids_of, f"{path}, {where}")
            yield SetAside(where, found, item) if isinstance(found, str) else found


def _items(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What an object is about: X wraps events in `data`, ActivityPub has collections of
    activities.
    """
    items = (
        value.get("data") if value.keys() <= {"data", "errors", "meta"} else mastodon.items(value)
    )
    if not isinstance(items, list):
        yield "", mapping(items) or value
        return
    for number, item in enumerate(items, 1):
        yield f"item {number}", item


def _asked(item: Any, ids_of: IdsOf | None, where: str) -> ComplianceRequest | str:
    """What an item asks for, or the reason why it is not understood."""
    if not isinstance(item, dict):
        return "not_a_json_object"
    if BATCH_KEYS <= item.keys():
        if ids_of is None:
            raise UsageError(
                "are these ids of posts or of authors? The file does not say",
                where=where,
                hint=_IDS_OF,
            )
        kind, found = f"batch_{words(item['reason'])}", of_batch(item, ids_of == "posts")
    elif event := jetstream.event_of(item):
        kind, found = (
            event.action if not event.collection else f"record_{event.action}",
            jetstream.outcome(event),
        )
    elif "type" in item:
        kind, found = words(item["type"]), mastodon.taken_back(item)
    else:
        kind, found = next(iter(item), ""), of_stream(item)
    if isinstance(found, str):
        return found
    if any(isinstance(thing, Post) for thing in found):
        return A_POST
    return ComplianceRequest(kind, found)
