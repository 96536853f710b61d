"""Masking: whatever is written to the log, and when, the mask agrees with the whole log."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_run import make_shards, make_tokenizer

from rookery.core.context import FixedClock
from rookery.core.home import create_home
from rookery.corpus.shards import open_shards
from rookery.model.data.masking import DocumentMask
from rookery.posts.live import Event, live_log, timed

POSTS, AUTHORS = [f"train{n}" for n in range(6)], [f"author{n}" for n in range(3)]
on_or_off, yes_or_no = st.sampled_from(["on", "off"]), st.sampled_from(["yes", "no", ""])
a_post, an_author = st.sampled_from(POSTS), st.sampled_from(AUTHORS)
events = st.one_of(
    st.builds(Event, st.sampled_from(["forget_post", "replace_post"]), a_post),
    st.builds(Event, st.just("forget_author"), an_author),
    st.builds(Event, st.just("edit_post"), a_post, value=st.sampled_from("01")),
    st.builds(Event, st.just("state_post"), a_post, st.just("withheld"), on_or_off),
    st.builds(Event, st.just("state_author"), an_author, st.just("suspended"), on_or_off),
    st.builds(
        Event, st.just("consent_author"), an_author, st.sampled_from(["training", "ads"]), yes_or_no
    ),
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    home = create_home(tmp_path_factory.mktemp("shards") / "home")
    return open_shards(make_shards(home, make_tokenizer(home), documents=20), "train")


@given(st.lists(st.lists(events, max_size=4), max_size=5), st.lists(events, max_size=4))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
def test_after_any_events_the_same_is_left_out_as_the_whole_log_says(
    tmp_path_factory, shards, bursts, before
):
    home, clock = create_home(tmp_path_factory.mktemp("log") / "home"), FixedClock()
    with live_log(home) as log:
        log.record([timed(event, clock.now()) for event in before], clock)
        masked = DocumentMask(shards, log)
        for burst in bursts:
            clock.elapsed_seconds += 1
            log.record([timed(event, clock.now()) for event in burst], clock)
            whole = shards.masked(log.restrictions())
            assert masked.all().tolist() == whole.tolist()
            assert masked(np.array([0, 3, 17])).tolist() == whole[[0, 3, 17]].tolist()
