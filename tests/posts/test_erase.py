"""Erasing from the files that hold posts; tests/workflows/test_erase.py searches a whole home."""

from datetime import timedelta

from rookery.core.context import Context, FixedClock
from rookery.posts.erase import (
    ErasurePlan,
    erase_inbox,
    erase_lake,
    note_ended,
    note_erased,
    plan_erasure,
    record_due_forgetting,
)
from rookery.posts.event import THE_POST, Event
from rookery.posts.forget import forget
from rookery.posts.ingest import ingest_batches
from rookery.posts.lake import open_lake
from rookery.posts.live import LiveLog, live_log
from rookery.posts.log.erasures import Erasures
from rookery.posts.sources.files import in_batches
from rookery.posts.streams.inbox import Inbox, StreamMessage


def all_ids(home):
    return sorted(
        name for batch in open_lake(home).batches(["id"]) for name in batch["id"].to_pylist()
    )


def note(home, *events):
    with live_log(home) as log:
        log.record(events, FixedClock())


def test_versions_of_a_forgotten_post_are_forgotten_whichever_of_them_was_named(home, a_post, put):
    put(
        a_post(id="1"),
        a_post(id="2", version_of="1"),
        a_post(id="3", version_of="1"),
        a_post(id="9"),
    )
    for named in ("1", "2"):
        forget(home, [named], [], Context())
        record_due_forgetting(home, Context())
        erase_lake(home, plan_erasure(home))
        assert all_ids(home) == ["9"]


def test_an_account_that_came_back_in_between_waits_anew(home, a_post, put):
    put(a_post(id="1", author="ada"), a_post(id="2", author="ben"))
    start = FixedClock().now()
    deleted = [
        ("ada", "on", 0),
        ("ada", "off", 10),
        ("ada", "on", 20),
        ("ben", "on", 0),
        ("ben", "on", 20),
    ]
    note(
        home,
        *(
            Event("state_author", a, "deleted", v, start + timedelta(days=d))
            for a, v, d in reversed(deleted)
        ),
    )
    assert record_due_forgetting(home, Context(FixedClock(start + timedelta(days=29)))) == 0
    record_due_forgetting(home, Context(FixedClock(start + timedelta(days=31))))
    assert plan_erasure(home).restrictions.forgotten_authors == {"ben"}
    record_due_forgetting(home, Context(FixedClock(start + timedelta(days=51))))
    assert plan_erasure(home).restrictions.forgotten_authors == {"ada", "ben"}


def test_a_month_and_a_lake_of_which_nothing_is_left_are_empty(home, a_post, put):
    put(a_post(id="1"), a_post(id="2"))
    forget(home, [], ["ada"], Context())
    assert [(one.count, one.unit) for one in erase_lake(home, plan_erasure(home))] == [
        (2, "posts"),
        (1, "earlier files"),
    ]
    assert all_ids(home) == []
    assert list(home.lake.rglob("*.parquet")) == []
    put(a_post(id="3", author="ben"), key="later")
    assert all_ids(home) == ["3"]


def test_a_place_goes_and_its_post_stays(home, a_post, put):
    put(a_post(id="5", place="Elm Street"), a_post(id="60", place="Elm Street"))
    note(home, Event("scrub_place", "ada", value="5"))
    assert (1, "places") in [(one.count, one.unit) for one in erase_lake(home, plan_erasure(home))]
    rows = {
        row["id"]: row["place"] for batch in open_lake(home).batches() for row in batch.to_pylist()
    }
    assert rows == {"5": None, "60": "Elm Street"}
    assert erase_lake(home, plan_erasure(home)) == []


def test_a_single_place_that_somebody_wants_gone_goes(home, a_post, put):
    put(a_post(id="5", place="Elm Street"), a_post(id="6", place="Elm Street"))
    note(home, Event("scrub_place", "6", THE_POST))
    erase_lake(home, plan_erasure(home))
    rows = {
        row["id"]: row["place"] for batch in open_lake(home).batches() for row in batch.to_pylist()
    }
    assert rows == {"5": "Elm Street", "6": None}


def test_a_home_that_never_followed_a_stream_has_no_arrivals_to_erase(home):
    forget(home, ["1"], [], Context())
    assert erase_inbox(home, plan_erasure(home)) == []


def test_an_erasure_that_ended_is_not_planned_again_unless_everything_is_asked_for(
    home, a_post, put
):
    put(a_post(id="1"), a_post(id="2"))
    forget(home, ["1"], [], Context())
    plan = plan_erasure(home)
    assert plan.whole == {"1"}
    note_ended(home, plan)
    assert not plan_erasure(home)
    assert plan_erasure(home, everything=True).whole == {"1"}
    forget(home, ["2"], [], Context())
    assert plan_erasure(home).whole == {"2"}


def test_the_log_knows_for_whose_sake_a_post_went(home, a_post, put):
    put(a_post(id="1"), a_post(id="2", author="bo"), a_post(id="3"))
    forget(home, ["3"], ["bo"], Context())
    note_erased(home, plan_erasure(home))
    with live_log(home) as log:
        erasures = Erasures(log)
        found = [erasures.event_of(post) for post in ("1", "2", "3")]
        assert erasures.among(["1", "2", "3"]) == {"2", "3"}
    assert [one and (one[0].kind, one[0].subject) for one in found] == [
        None,
        ("forget_author", "bo"),
        ("forget_post", "3"),
    ]


def test_the_file_of_the_log_is_written_anew_only_after_posts_waited_in_it(
    home, a_post, monkeypatch
):
    written = []
    monkeypatch.setattr(LiveLog, "compact", lambda log: written.append(log))
    erase_inbox(home, ErasurePlan())
    assert not written
    with live_log(home) as log:
        inbox = Inbox(log)
        inbox.store("stream", [StreamMessage((a_post(),))], FixedClock())
        inbox.taken(1)
    erase_inbox(home, ErasurePlan())
    erase_inbox(home, ErasurePlan())
    assert len(written) == 1


def test_a_version_that_an_erasure_took_out_does_not_come_back(home, a_post):
    first = a_post(id="1", text="as it was")
    second = a_post(id="2", text="as it is", version_of="1")

    def take(key, *posts):
        return ingest_batches(home, "test", key, lambda: in_batches(posts), Context())

    take("a", first)
    take("b", second)
    assert take("c", first, second).already_there == 2
    erase_lake(home, plan_erasure(home))
    assert all_ids(home) == ["2"]
    assert take("d", first, a_post(id="3")).set_aside == {"superseded": 1}
    assert all_ids(home) == ["2", "3"]
