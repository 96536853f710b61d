"""The case of `rookery posts follow`, on a server process that drops, repeats and reorders.

How cases are killed is in `bench_kills.py`, what a case is in `kill_cases.py`. The posts and the
log's events are compared. Not compared: in which hand-over an edit came (`edit_post` names a
version of the lake), and how often an earlier version was sent again; kills move both.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from kill_cases import Case, digest_of

from rookery.core.digest import digest_value
from rookery.core.home import Home, create_home
from rookery.posts.event import KINDS
from rookery.posts.lake import find_lake
from rookery.posts.live import live_log
from rookery.posts.streams.inbox import Inbox

SERVER = Path(__file__).parents[1] / "tests" / "posts" / "stream_server.py"
POSTS = 300
SECONDS = 4.0
"""The whole stream takes a sixth of that on a quiet machine, one lost connection included."""
FIRST_MICROSECONDS = 1_760_000_000_000_000
APART_MICROSECONDS = 20_000
_BASE_32 = "234567abcdefghijklmnopqrstuvwxyz"


@contextlib.contextmanager
def follow_case(folder: Path) -> Iterator[Case]:
    """Yield the case for as long as its server runs."""
    script = folder / "stream.json"
    script.write_text(
        json.dumps(
            {"kind": "jetstream", "events": events(), "drop_after": 700, "repeat": 2, "shuffle": 7}
        )
    )
    command = [sys.executable, str(SERVER), str(script), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        url = f"ws://127.0.0.1:{server.stdout.readline().strip()}"
        words = [
            "posts",
            "follow",
            url,
            "--for",
            str(SECONDS),
            "--lake-posts",
            "50",
            "--lake-seconds",
            "0.1",
        ]
        try:
            yield Case(
                "posts follow",
                create_home,
                lambda home: words,
                "follow-*.lock",
                nothing_doubled,
                outcome,
            )
        finally:
            server.kill()


def events() -> list[dict]:
    """Return the events of the stream: posts of three accounts.

    Some posts are edited later, some deleted, and an account is suspended and comes back.
    """
    made = []
    for number in range(POSTS):
        made.append(
            _record(number, "create", {"text": f"the rooks of elm {number}", "langs": ["en"]})
        )
        if number % 10 == 9:
            made.append(
                _record(number - 5, "update", {"text": f"edited {number}", "langs": ["en"]}, number)
            )
        if number % 13 == 12:
            made.append(_record(number - 7, "delete", None, number))
        if number % 100 == 60:
            made.append(
                {
                    **_head(1, number),
                    "kind": "account",
                    "account": {"active": False, "status": "suspended"},
                }
            )
        if number % 100 == 80:
            made.append({**_head(1, number), "kind": "account", "account": {"active": True}})
    return made


def nothing_doubled(home: Path) -> None:
    lake = find_lake(Home(home))
    ids = [id_ for batch in lake.batches(["id"]) for id_ in batch["id"].to_pylist()] if lake else []
    assert len(ids) == len(set(ids)), "a post is in the lake twice"


def outcome(home: Path) -> dict[str, object]:
    """Return all that must be equal to an undisturbed run."""
    lake = find_lake(Home(home))
    with live_log(Home(home)) as log:
        kinds = [kind for kind in KINDS if kind != "edit_post"]
        noted = [
            [e.kind, e.subject, e.cause, e.value, str(e.happened)]
            for k in kinds
            for e, _ in log.of_kind(k)
        ]
        inbox = Inbox(log)
        gaps, waiting = len(inbox.gaps()), inbox.waiting()
    return {
        "posts": lake.count(),
        "lake": digest_of(pa.Table.from_batches(lake.batches())),
        "events": len(noted),
        "log": digest_value(sorted(noted)),
        "gaps": gaps,
        "waiting": waiting,
    }


def _record(number: int, operation: str, record: dict | None, at: int | None = None) -> dict:
    head = _head(number % 3, number if at is None else at)
    commit = {
        "rev": _tid(head["time_us"]),
        "operation": operation,
        "collection": "app.bsky.feed.post",
    }
    created = datetime(2025, 10, 1, tzinfo=UTC) + timedelta(seconds=number)
    record = record and {**record, "createdAt": created.isoformat()}
    return {**head, "kind": "commit", "commit": {**commit, "rkey": f"k{number}", "record": record}}


def _head(account: int, at: int) -> dict:
    return {
        "did": "did:plc:" + "abc"[account] * 24,
        "time_us": FIRST_MICROSECONDS + at * APART_MICROSECONDS,
    }


def _tid(microseconds: int) -> str:
    """Return the revision of a moment (atproto.com/specs/tid).

    It is 53 bits of microseconds and 10 of a clock's number.
    """
    bits = microseconds << 10
    return "".join(_BASE_32[bits >> 5 * (12 - place) & 31] for place in range(13))
