"""Which embedder a home has, and the weight that was measured for it."""

import json

import pytest

from rookery.core.context import Context, SystemClock
from rookery.core.protocols import UNMEASURED_WEIGHT, HashedEmbedder
from rookery.posts.live import live_log
from rookery.workflows import worth
from rookery.workflows.models import embedder_of
from rookery.workflows.trace import trace
from tests.support.paired_home import make_corpus, tune


def test_the_twin_stands_in_and_has_the_weight_of_what_was_never_measured(home):
    assert embedder_of(home) == HashedEmbedder()
    assert embedder_of(home).weight == UNMEASURED_WEIGHT


def test_a_tuned_embedder_serves_with_the_weight_that_was_measured(home):
    corpus = make_corpus(home, pairs=1000)
    made = tune(home)
    assert embedder_of(home).digest == made.digest
    assert embedder_of(home).weight == UNMEASURED_WEIGHT
    measured = worth.measure(home, made, corpus, Context())
    facts = json.loads(measured.file(worth.FILE).read_text())
    assert facts["queries"] >= worth.FEWEST_QUERIES
    assert embedder_of(home).weight == facts["weight"]


def test_too_few_held_back_pairs_measure_nothing(home):
    corpus = make_corpus(home, pairs=100)
    measured = worth.measure(home, tune(home), corpus, Context())
    facts = json.loads(measured.file(worth.FILE).read_text())
    assert facts["weight"] == UNMEASURED_WEIGHT
    assert facts["queries"] < worth.FEWEST_QUERIES


def test_the_worth_is_not_measured_by_posts_that_are_forgotten(home):
    corpus = make_corpus(home, pairs=1000)
    made = tune(home)
    texts, wanted = worth._judged(home, corpus)
    gone = wanted[0][1]
    with live_log(home) as log:
        log.append("forget_post", [gone], SystemClock(), "asked")
    fewer, left = worth._judged(home, corpus)
    assert gone in texts
    assert gone not in fewer
    assert len(left) < len(wanted)
    assert made


def test_a_forgotten_post_is_traced_to_the_embedder_which_has_to_be_made_anew(home):
    make_corpus(home)
    made = tune(home)
    with live_log(home) as log:
        log.append("forget_post", ["0-0"], SystemClock(), "asked")
    places = {place["place"]: place for place in trace(home, "0-0")["places"]}
    place = places[f"embedder {made.key}"]
    assert place["how"] == "derives"
    assert "making anew" in place["owed"]


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
