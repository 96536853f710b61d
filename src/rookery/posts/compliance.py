"""Compliance files: what a network asks its readers to honour, as events of the live log.

A file holds one JSON object a line (or a list, or an ActivityPub collection), of any of these kinds
and in any order:

- X's compliance streams (docs.x.com, compliance streams): a post's deletion is permanent, an edit
  replaces, a scrub of places erases them; withheld, dropped, protected, suspended, and the deletion
  of an account are states, which end when X reports their end.
- X's batch compliance (an id, an action and a reason): `deleted` of a post is permanent, the other
  reasons are states. A line does not state whether its id is a post's or an author's: `ids_of`
  does.
- Notices of X's streams of API v1.1 (a deletion, a scrub of places, a withholding).
- Events of Jetstream and tap (`jetstream.py`), and ActivityPub's Delete, Tombstone and Undo
  (`mastodon.py`).

What is not understood is set aside with its line and reason. A state without a time takes the
moment of reading. In an X archive the author is a name: X's events about users, by number, do not
reach it.

Not here: consent and states that a person records by hand (`consent.py`), and live streams
(`follow.py`).
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rookery.core.context import Context
from rookery.core.digest import digest_file, digest_value
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home
from rookery.posts import set_aside
from rookery.posts.event import Event, timed
from rookery.posts.live import live_log
from rookery.posts.post import Post
from rookery.posts.sources import jetstream, mastodon, x_api_v1
from rookery.posts.sources.files import SetAside, clear_errors
from rookery.posts.sources.json_values import mapping, read_values, words
from rookery.posts.sources.x_compliance import BATCH_KEYS, of_batch, of_stream

IdsOf = Literal["posts", "authors"]

_LINES_AT_ONCE = 10_000
_IDS_OF = "Give --ids-of posts or --ids-of authors"
A_POST = "a_post"
_INGEST = "Run `rookery posts ingest` to take posts in"


@dataclass(frozen=True)
class ComplianceReport:
    """A count of what files asked for: understood requests by kind, others by reason.

    new: how many events are new to the log.
    """

    understood: dict[str, int]
    new: int
    set_aside: dict[str, int]
    set_aside_path: str | None


@dataclass(frozen=True)
class ComplianceRequest:
    """A request of one line of a file: the name of its kind, and the events that follow."""

    kind: str
    events: Sequence[Event]


def apply(
    home: Home, paths: Sequence[Path], ids_of: IdsOf | None, context: Context
) -> ComplianceReport:
    """Record in the live log what files ask for, in one transaction that is durable on return.

    Raises `DataError` if a file cannot be read or nothing in it is understood; then nothing is
    recorded.
    """
    understood: Counter[str] = Counter()
    aside: Counter[str] = Counter()
    new = 0
    aside_path = (
        home.set_aside / f"compliance-{digest_value([_digest(path) for path in paths])[:16]}.jsonl"
    )
    home.set_aside.mkdir(exist_ok=True)
    try:
        with (
            live_log(home) as log,
            log.transaction(),
            open(aside_path, "w", encoding="utf-8") as aside_file,
            context.progress.task("reading events", None, "lines") as task,
        ):
            now = context.clock.now()
            lines = itertools.chain.from_iterable(_of_file(path, ids_of) for path in paths)
            while part := list(itertools.islice(lines, _LINES_AT_ONCE)):
                requests = [line for line in part if isinstance(line, ComplianceRequest)]
                unread = [line for line in part if isinstance(line, SetAside)]
                new += log.add(
                    (timed(event, now) for line in requests for event in line.events), context.clock
                )
                aside_file.writelines(map(set_aside.line_of, unread))
                understood.update(line.kind for line in requests)
                aside.update(line.reason for line in unread)
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
    """Yield what a file asks for, line by line.

    Raises `DataError` at its end if nothing was understood.
    """
    is_understood = False
    reasons: Counter[str] = Counter()
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
    """Yield each line of a file, understood or set aside.

    Raises `UsageError` if the file needs `ids_of` and it is None.
    """
    for value in read_values(path):
        if isinstance(value, SetAside):
            yield value
            continue
        for place, item in _items(value.value):
            where = value.at(place) if place else value.where or "the document"
            found = _request(item, ids_of, f"{path}, {where}")
            yield SetAside(where, found, item) if isinstance(found, str) else found


def _items(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the events in an object, each with its place in it, "" for the only one.

    X wraps events in `data`; ActivityPub has collections of activities.
    """
    items = (
        value.get("data") if value.keys() <= {"data", "errors", "meta"} else mastodon.items(value)
    )
    if not isinstance(items, list):
        yield "", mapping(items) or value
        return
    for number, item in enumerate(items, 1):
        yield f"item {number}", item


def _request(item: Any, ids_of: IdsOf | None, where: str) -> ComplianceRequest | str:
    """Return what an item asks for, or the reason why it is not understood."""
    if not isinstance(item, dict):
        return "not_a_json_object"
    kind, found = _kind_and_outcome(item, ids_of, where)
    if isinstance(found, str):
        return found
    events = [thing for thing in found if isinstance(thing, Event)]
    if len(events) < len(found):
        return A_POST
    return ComplianceRequest(kind, events)


def _kind_and_outcome(
    item: dict[str, Any], ids_of: IdsOf | None, where: str
) -> tuple[str, Sequence[Post | Event] | str]:
    """Return the name of an item's kind, and what follows from it or why it is not understood."""
    if BATCH_KEYS <= item.keys():
        if ids_of is None:
            raise UsageError(
                "are these ids of posts or of authors? The file does not state it",
                where=where,
                hint=_IDS_OF,
            )
        return f"batch_{words(item['reason'])}", of_batch(item, ids_of == "posts")
    if event := jetstream.event_of(item):
        kind = f"record_{event.action}" if event.collection else event.action
        return kind, jetstream.outcome(event)
    if "type" in item:
        return words(item["type"]), mastodon.deletion_events(item)
    found = of_stream(item)
    # the notices of API v1.1 have some of the same kinds, with other fields
    notices = x_api_v1.of_notice(item) if isinstance(found, str) and len(item) == 1 else []
    return next(iter(item), ""), notices or found
