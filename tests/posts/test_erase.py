"""Erasing from the files that hold posts; tests/workflows/test_erase.py searches a whole home."""

import json
from datetime import timedelta

import pytest

from rookery.core.context import Context, FixedClock
from rookery.posts.erase import (
    erase_inbox,
    erase_lake,
    erase_set_aside,
    plan_erasure,
    record_due_forgetting,
)
from rookery.posts.event import THE_POST, Event
from rookery.posts.forget import forget
from rookery.posts.lake import open_lake
from rookery.posts.live import live_log


def all_ids(home):
    return sorted(
        name for batch in open_lake(home).batches(["id"]) for name in batch["id"].to_pylist()
    )


def note(home, *events):
    with live_log(home) as log:
        log.record(events, FixedClock())


ROWS = [
    {"user": {"id_str": "77", "screen_name": "gone"}, "text": "hello"},
    {"in": ["list", {"id": 4711}]},
    '{"id": "4711", "text": "cut of',
    "4711,gone,hello",
    "posted by @gone.",
    "https://example.org/gone/4711",
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_row_set_aside_is_emptied_wherever_it_names_what_is_forgotten(home, row):
    home.set_aside.mkdir()
    other = {"where": "line 2", "reason": "no_text", "row": {"id": "47110", "user": "goner"}}
    lines = [
        json.dumps({"where": "line 1, posts.csv", "reason": "no_time", "row": row}),
        json.dumps(other),
    ]
    path = home.set_aside / "a.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    forget(home, ["4711"], ["gone"], Context())
    assert [one.count for one in erase_set_aside(home, plan_erasure(home))] == [1]
    assert path.read_text().splitlines() == [
        '{"where": "erased", "reason": "no_time", "row": null}',
        lines[1],
    ]
    assert erase_set_aside(home, plan_erasure(home)) == []


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
