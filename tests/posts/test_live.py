"""The live log: what it records holds at once in every process, in any order of recording."""

import contextlib
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.context import FixedClock
from rookery.core.errors import StorageError
from rookery.core.home import create_home
from rookery.posts.event import CAUSES, Event
from rookery.posts.live import live_log
from rookery.posts.restrictions import Restrictions

names = st.lists(st.sampled_from("abcdef"), max_size=6)
moments = st.integers(0, 5).map(lambda day: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day))
events = st.lists(
    st.one_of(
        st.builds(Event, st.sampled_from(["forget_post", "forget_author"]), st.sampled_from("abc")),
        st.builds(
            Event,
            st.sampled_from(["state_post", "state_author"]),
            st.sampled_from("abc"),
            st.sampled_from(CAUSES[:2]),
            st.sampled_from(["on", "off"]),
            moments,
        ),
        st.builds(
            Event,
            st.just("consent_author"),
            st.sampled_from("abc"),
            st.sampled_from(["training", "search"]),
            st.sampled_from(["yes", "no", ""]),
            moments,
        ),
    ),
    max_size=12,
)


def content(restrictions: Restrictions):
    return (restrictions.posts, restrictions.authors, restrictions.consent, restrictions.edited)


@settings(max_examples=30, deadline=None)
@given(events, names)
def test_restrictions_among_some_posts_are_those_of_the_whole_log(
    tmp_path_factory, recorded, asked
):
    with live_log(create_home(tmp_path_factory.mktemp("home"))) as log:
        log.record(recorded, FixedClock())
        whole, some = log.restrictions(), log.restrictions_among([(name, name) for name in asked])
        assert whole.watermark == log.watermark() >= some.watermark
        for name in asked:
            assert some.posts.get(name) == whole.posts.get(name)
            assert some.authors.get(name) == whole.authors.get(name)
            assert some.consent["training"].get(name) == whole.consent["training"].get(name)


@settings(max_examples=30, deadline=None)
@given(st.data(), events)
def test_events_reported_again_and_in_another_order_leave_the_same_restrictions(
    tmp_path_factory, data, reported
):
    """No two events here are of one state and one time: those keep the order of recording."""
    first = list({(e.kind, e.subject, e.cause, e.happened): e for e in reported}.values())
    again = data.draw(st.permutations(first + first[:3]))
    found = []
    for order in (first, again):
        with live_log(create_home(tmp_path_factory.mktemp("home"))) as log:
            log.record(order, FixedClock())
            found.append(log.restrictions())
    assert content(found[0]) == content(found[1])
    assert found[0].digest == found[1].digest


def test_forgetting_twice_is_noted_once(home):
    with live_log(home) as log:
        assert log.append("forget_post", ["1", "2", "1"], FixedClock(), "asked") == 2
        assert log.append("forget_post", ["2", "3"], FixedClock(), "asked") == 1
        assert len(log.restrictions().forgotten_posts) == 3


def test_a_state_comes_and_goes_and_a_forgotten_author_does_not_come_back(home):
    day = datetime(2026, 1, 1, tzinfo=UTC)
    with live_log(home) as log:
        log.record([Event("state_author", "ada", "suspended", "on", day)], FixedClock())
        assert log.restrictions().authors == {"ada": "suspended"}
        log.record(
            [Event("state_author", "ada", "suspended", "off", day + timedelta(hours=1))],
            FixedClock(),
        )
        assert log.restrictions().authors == {}
        log.append("forget_author", ["ada"], FixedClock(), "asked")
        log.record(
            [Event("state_author", "ada", "suspended", "off", day + timedelta(hours=2))],
            FixedClock(),
        )
        assert log.restrictions().authors == {"ada": "forgotten"}


def test_one_state_going_leaves_another_that_holds(home):
    with live_log(home) as log:
        states = [("suspended", "on"), ("protected", "on"), ("suspended", "off")]
        log.record(
            [Event("state_author", "ada", cause, value) for cause, value in states], FixedClock()
        )
        assert log.restrictions().authors == {"ada": "protected"}


def test_an_author_who_takes_a_word_back_has_said_nothing(home):
    day = datetime(2026, 1, 1, tzinfo=UTC)
    with live_log(home) as log:
        log.record([Event("consent_author", "ada", "ads", "no", day)], FixedClock())
        assert log.restrictions().consent["ads"] == {"ada": False}
        log.record(
            [Event("consent_author", "ada", "ads", "", day + timedelta(days=1))], FixedClock()
        )
        assert log.restrictions().consent["ads"] == {}


def test_a_transaction_that_fails_leaves_nothing(home):
    with live_log(home) as log:
        with contextlib.suppress(ZeroDivisionError), log.transaction():
            log.add([Event("forget_post", "1")], FixedClock())
            raise ZeroDivisionError
        assert log.watermark() == 0


def test_the_digest_depends_on_what_holds_and_not_on_when(home, tmp_path):
    with live_log(home) as one, live_log(create_home(tmp_path / "other")) as two:
        one.append("forget_post", ["1", "2"], FixedClock(), "asked")
        two.append("forget_post", ["2"], FixedClock(), "asked")
        assert one.restrictions().digest != two.restrictions().digest
        two.append("forget_post", ["1"], FixedClock(), "law")
        assert one.restrictions().digest == two.restrictions().digest


def test_more_posts_than_one_statement_takes_can_be_asked_for(home):
    with live_log(home) as log:
        log.append("forget_post", ["40000"], FixedClock(), "asked")
        assert log.restrictions_among([(str(n), "bo") for n in range(70_000)]).posts == {
            "40000": "forgotten"
        }


def test_the_history_of_a_post_tells_each_event_and_when_it_was_noted(home):
    clock = FixedClock()
    with live_log(home) as log:
        log.record(
            [Event("edit_post", "1", value="3"), Event("forget_post", "1", note="asked")], clock
        )
        log.record([Event("forget_post", "2")], clock)
        assert [(event.kind, event.note) for event, _ in log.history(["1"])] == [
            ("edit_post", ""),
            ("forget_post", "asked"),
        ]
        assert {at for _, at in log.history(["1", "2"])} == {clock.now()}


FORGET_AND_DIE = """
import os, signal, sys
from pathlib import Path
from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.posts.forget import forget
forget(open_home(Path(sys.argv[1])), ["1"], ["bo"], Context())
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_forgotten_survives_a_kill_and_is_seen_by_a_log_that_was_open(home):
    with live_log(home) as log:
        assert log.restrictions_among([("1", "ada")]).posts == {}
        died = subprocess.run([sys.executable, "-c", FORGET_AND_DIE, str(home.path)], check=False)
        assert died.returncode == -signal.SIGKILL
        restrictions = log.restrictions_among([("1", "ada"), ("2", "bo"), ("3", "ada")])
        assert (restrictions.posts, restrictions.authors) == (
            {"1": "forgotten"},
            {"bo": "forgotten"},
        )


def test_a_broken_log_is_one_clear_line(home):
    home.live.write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match=r"live\.sqlite"), live_log(home):
        pass
    assert os.path.getsize(home.live) == 1100
