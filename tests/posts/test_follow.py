"""Following a stream of a real server process, which drops, repeats, reorders and refuses."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.core.locks import exclusive
from rookery.posts.follow import Limits, follow
from rookery.posts.lake import find_lake, open_lake
from rookery.posts.live import live_log
from rookery.posts.streams.connection import MOST_BYTES, Disconnected
from rookery.posts.streams.inbox import Inbox, flush_to_lake
from rookery.posts.streams.open import open_stream

T0 = 1_760_000_000_000_000
DID = "did:plc:" + "a" * 24


def event(number: int, operation="create", text=None, did=DID, at=None):
    """Return a Jetstream event about post `number`, one millisecond after the one before."""
    time_us = T0 + 1000 * (number if at is None else at)
    commit = {
        "rev": tid(time_us),
        "operation": operation,
        "collection": "app.bsky.feed.post",
        "rkey": f"k{number}",
    }
    if operation != "delete":
        created = "2025-10-09T08:53:20.000Z"
        commit["record"] = {
            "text": text or f"the rooks of elm number {number}",
            "createdAt": created,
            "langs": ["en"],
        }
    return {"did": did, "time_us": time_us, "kind": "commit", "commit": commit}


def tid(time_us: int) -> str:
    """Return the revision of a time (atproto.com/specs/tid).

    It has 53 bits of microseconds and 10 of a clock's number.
    """
    bits = time_us << 10
    return "".join(
        "234567abcdefghijklmnopqrstuvwxyz"[bits >> 5 * (12 - place) & 31] for place in range(13)
    )


def uri(number: int) -> str:
    return f"at://{DID}/app.bsky.feed.post/k{number}"


@contextmanager
def serving(folder: Path, port: int = 0, **script):
    """Run a server process with this script, and yield its address."""
    path = folder / f"script-{len(list(folder.glob('script-*')))}.json"
    path.write_text(json.dumps(script))
    command = [
        sys.executable,
        str(Path(__file__).with_name("stream_server.py")),
        str(path),
        str(port),
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        scheme = "ws" if script["kind"] == "jetstream" else "http"
        yield f"{scheme}://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def followed(home, url, seconds=8.0, posts=None, token=None, **limits):
    context = Context()
    limits = Limits(seconds=seconds, posts=posts, **limits)
    return follow(
        home,
        open_stream(url, context.clock, token),
        context,
        limits,
        Random(0),
        lambda s: time.sleep(s / 20),
    )


def texts(home) -> dict[str, str]:
    lake = find_lake(home)
    rows = (
        [row for batch in lake.batches(["id", "text"]) for row in batch.to_pylist()] if lake else []
    )
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: row["text"] for row in rows}


def test_what_a_stream_tells_is_in_the_lake_once(home, tmp_path):
    events = [event(n) for n in range(300)]
    with serving(tmp_path, kind="jetstream", events=events, repeat=2) as url:
        report = followed(home, url, posts=600)
    assert texts(home) == {uri(n): f"the rooks of elm number {n}" for n in range(300)}
    assert (report.messages, report.added, report.waiting, report.gaps) == (600, 300, 0, [])


def test_a_server_that_drops_every_connection_is_read_to_the_end(home, tmp_path):
    """Each connection brings at most three new events.

    The follower asks for two seconds that it has already.
    """
    events = [event(n, at=n * 1000) for n in range(20)]
    with serving(tmp_path, kind="jetstream", events=events, drop_after=5) as url:
        report = followed(home, url, seconds=5)
    assert set(texts(home)) == {uri(n) for n in range(20)}
    assert report.reconnects >= 4
    assert report.gaps == []


def test_a_follower_goes_on_where_it_ended(home, tmp_path):
    with serving(
        tmp_path, kind="jetstream", events=[event(n, at=n * 4000) for n in range(10)]
    ) as url:
        followed(home, url, posts=10)
    port = int(url.rpartition(":")[2])
    with serving(
        tmp_path, port, kind="jetstream", events=[event(n, at=n * 4000) for n in range(30)]
    ) as url:
        report = followed(home, url, posts=21)
    assert set(texts(home)) == {uri(n) for n in range(30)}
    assert (report.posts, report.gaps) == (21, [])


@pytest.mark.parametrize("too_old", ["move", "refuse"])
def test_events_that_the_server_no_longer_has_are_a_gap_that_is_told(
    home, tmp_path, too_old, rookery
):
    with serving(tmp_path, kind="jetstream", events=[event(n) for n in range(3)]) as url:
        followed(home, url, posts=3)
    port = int(url.rpartition(":")[2])
    later = [event(n, at=n * 10_000) for n in range(10, 14)]
    with serving(
        tmp_path, port, kind="jetstream", events=later, oldest=later[0]["time_us"], too_old=too_old
    ) as url:
        report = followed(home, url, posts=4)
    assert set(texts(home)) == {uri(n) for n in [0, 1, 2, 10, 11, 12, 13]}
    assert len(report.gaps) == 1
    with live_log(home) as log:
        assert Inbox(log).gaps() == report.gaps


def test_a_deletion_holds_at_once_and_in_any_order(home, tmp_path):
    events = [
        event(1),
        event(2),
        event(1, "delete", at=5),
        event(3, "delete", at=6),
        event(3, at=7),
    ]
    with serving(tmp_path, kind="jetstream", events=events, shuffle=5) as url:
        followed(home, url, posts=3)
    with live_log(home) as log:
        assert set(log.restrictions().forgotten_posts) == {uri(1), uri(3)}


def test_an_account_that_is_suspended_and_comes_back_is_shown_again(home, tmp_path):
    away = {
        "did": DID,
        "time_us": T0 + 5000,
        "kind": "account",
        "account": {"active": False, "status": "suspended"},
    }
    back = {"did": DID, "time_us": T0 + 9000, "kind": "account", "account": {"active": True}}
    for events, hidden in (([event(1), away], {DID: "suspended"}), ([event(1), away, back], {})):
        with serving(tmp_path, kind="jetstream", events=events) as url:
            followed(home, url, seconds=1.5)
        with live_log(home) as log:
            assert dict(log.restrictions().authors) == hidden


def test_noise_is_counted_and_nothing_is_lost_for_it(home, tmp_path):
    noise = [
        "no json",
        "[1]",
        '{"a": 1}',
        "x" * (MOST_BYTES + 1),
        "\u0000",
        json.dumps({"did": DID, "time_us": "no"}),
    ]
    future = event(7, at=10**12)
    with serving(
        tmp_path, kind="jetstream", events=[event(1), event(2), future, event(3)], noise=noise
    ) as url:
        report = followed(home, url, posts=4)
    assert {uri(1), uri(2), uri(3)} <= set(texts(home))
    assert report.set_aside["too_large"] == 1
    assert report.set_aside["not_a_json_object"] == 3
    with live_log(home) as log:
        assert int(Inbox(log).position(report.stream)) == event(3)["time_us"]


def test_a_busy_server_is_asked_again_and_a_wrong_address_is_not(home, tmp_path):
    with serving(tmp_path, kind="jetstream", events=[event(1)], busy=2) as url:
        assert followed(home, url, posts=1).reconnects == 2
    with serving(tmp_path, kind="mastodon", events=[[]], token="secret") as url:
        with pytest.raises(UsageError, match="401"):
            followed(home, url)
        followed(home, url, seconds=0.5, token="secret")
    for wrong in ("ftp://x", "rooks", "wss://"):
        with pytest.raises(UsageError, match="no stream"):
            open_stream(wrong, Context().clock)


class Dead:
    """A stream whose server never answers."""

    name = "ws://nowhere"

    def messages(self, position):
        raise Disconnected("nobody answers")
        yield


def test_pauses_between_tries_double_up_to_a_minute(home):
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 10:
            raise KeyboardInterrupt

    report = follow(home, Dead(), Context(), random=Random(0), pause=pause)
    assert report.reconnects == 10
    assert all(
        most / 2 <= seconds <= most
        for seconds, most in zip(pauses, [0.5 * 2**n for n in range(7)], strict=False)
    )
    assert all(30 <= seconds <= 60 for seconds in pauses[7:])


def test_a_pause_is_never_less_than_nothing(home):
    pauses: list[float] = []
    follow(
        home,
        Dead(),
        Context(),
        Limits(seconds=0.7),
        Random(0),
        lambda seconds: pauses.append(seconds) or time.sleep(0.3),
    )
    assert pauses
    assert min(pauses) >= 0


def test_an_edit_that_a_stream_tells_is_counted_as_one(home, tmp_path):
    for events, edited in (
        ([event(1)], 0),
        ([event(1), event(1, "update", "other words", at=9)], 1),
    ):
        with serving(tmp_path, kind="jetstream", events=events) as url:
            assert followed(home, url, seconds=1.5).edited == edited
    assert texts(home) == {uri(1): "other words"}


def test_a_lake_of_another_release_is_one_clear_line_and_keeps_what_came(home, tmp_path, rookery):
    write_deltalake(str(home.lake), pa.table({"id": ["1"]}))
    with serving(tmp_path, kind="jetstream", events=[event(1)]) as url:
        ran = rookery("posts", "follow", url, "--for", "1.5")
    assert ran.code == 2
    assert "another release" in ran.said[-1]
    with live_log(home) as log:
        assert Inbox(log).waiting() == 1


@pytest.mark.parametrize("status", [400, 404])
def test_a_request_that_the_server_does_not_understand_is_not_sent_for_ever(home, tmp_path, status):
    with (
        serving(tmp_path, kind="jetstream", events=[], refuses=status) as url,
        pytest.raises(UsageError, match=str(status)),
    ):
        followed(home, url, seconds=5)


def test_two_followers_of_one_stream_are_refused(home, tmp_path, rookery, start_rookery):
    with serving(tmp_path, kind="jetstream", events=[event(1)]) as url:
        first = start_rookery("posts", "follow", url, "--lake-seconds", "0.1")
        while not texts(home):
            time.sleep(0.05)
        second = rookery("posts", "follow", url, "--for", "1")
        assert (second.code, len(second.said)) == (2, 1)
        first.send_signal(signal.SIGINT)
        assert first.wait(60) == 0


def test_while_another_process_writes_to_the_lake_posts_wait_in_the_log(home, tmp_path):
    with serving(tmp_path, kind="jetstream", events=[event(n) for n in range(50)]) as url:
        with exclusive(home.path / "lake.lock", "the lake"):
            report = followed(home, url, posts=50, lake_posts=10)
        assert (report.waiting, texts(home)) == (50, {})
    assert flush_to_lake(home, Context()).added == 50
    assert flush_to_lake(home, Context()) is None
    assert len(texts(home)) == 50


@pytest.mark.slow
def test_killed_again_and_again_nothing_is_lost_and_nothing_doubled(home, tmp_path, start_rookery):
    events = [event(n, at=n * 10) for n in range(4000)]
    random = Random(1)
    with serving(tmp_path, kind="jetstream", events=events, drop_after=700) as url:
        for _ in range(10):
            process = start_rookery(
                "posts", "follow", url, "--lake-posts", "300", "--lake-seconds", "0.2"
            )
            time.sleep(random.uniform(0.3, 2.5))
            process.kill()
            process.wait()
        last = start_rookery("posts", "follow", url, "--for", "15", "--lake-posts", "300")
        assert last.wait(60) == 0
    assert set(texts(home)) == {uri(n) for n in range(4000)}
    assert open_lake(home).count() == 4000


def status(number: int, text="hello", edited=None):
    made = f"2026-01-01T00:00:{number % 60:02}.000Z"
    account = {
        "id": "1",
        "acct": "ada",
        "uri": "https://m.example/users/ada",
        "url": "u",
        "indexable": True,
    }
    return {
        "id": str(number),
        "uri": f"https://m.example/users/ada/statuses/{number}",
        "url": f"https://m.example/@ada/{number}",
        "created_at": made,
        "edited_at": edited,
        "content": f"<p>{text} {number}</p>",
        "visibility": "public",
        "account": account,
        "language": "en",
        "reblog": None,
    }


def test_a_mastodon_server_tells_new_edited_and_deleted_statuses(home, tmp_path, rookery):
    first = [["update", json.dumps(status(n))] for n in (1, 2, 3)]
    first += [["delete", "2"], ["delete", "77"], ["notification", "{}"]]
    edited = status(3, "edited", "2026-01-02T00:00:00.000Z")
    second = [["status.update", json.dumps(edited)], ["update", json.dumps(status(6))]]
    missed = [status(n) for n in range(1, 6)]
    with serving(tmp_path, kind="mastodon", events=[first, second], statuses=missed) as url:
        report = followed(home, url, seconds=4)
    assert rookery("posts", "stats", "--json").json()["gaps"] == [vars(gap) for gap in report.gaps]
    found = texts(home)
    assert {f"https://m.example/users/ada/statuses/{n}" for n in (1, 3, 4, 5, 6)} <= set(found)
    assert found["https://m.example/users/ada/statuses/3"] == "edited 3"
    with live_log(home) as log:
        assert set(log.restrictions().forgotten_posts) == {"https://m.example/users/ada/statuses/2"}
    assert report.to_dict()["set_aside"] == {
        "deletion_of_an_unknown_post": 1,
        "notification_event": 1,
    }
    assert [gap.why for gap in report.gaps] == [
        "edits and deletions of this time were not told; new posts were fetched"
    ]
