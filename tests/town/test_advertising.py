"""The demo's day of ads: it passes through the real ledger, and is counted once."""

import multiprocessing
import os
import signal
import time
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from rookery.ads.ledger import store
from rookery.ads.ledger.token import TOKEN_KEYS
from rookery.ads.report import report
from rookery.ads.server import AdRequest, AdServer
from rookery.core.context import Context, FixedClock
from rookery.core.errors import UsageError
from rookery.core.home import create_home
from rookery.core.protocols import HashedEmbedder
from rookery.core.stage import Stage, run_stage
from rookery.corpus.document import DOCUMENT_SCHEMA, SPLITS, write_documents
from rookery.town.advertising import DATABASE, DayConfig, choose_question, simulate_day
from rookery.town.posts import TOPICS
from tests.support.selling import campaign, sell

SHORT = DayConfig(town=True, searches=150)
LONGER = DayConfig(town=True, searches=800)  # long enough to be killed in the middle
OWN_WORDS = [f"{a} {b}" for n in range(30) for a, b in [("heron", "marsh"), ("flour", "bakery")]]
OWN_WORDS += [f"filler{n} noise{n} rubble{n}" for n in range(2000)]


def _corpus(home, texts):
    def make(workspace):
        count = len(texts)
        ids, who = [[str(n)] for n in range(count)], [["ada"]] * count
        columns = [[str(n) for n in range(count)], texts, ids, who, [None] * count]
        columns += [[datetime(2026, 1, 1, tzinfo=UTC)] * count, [[]] * count]
        for split in SPLITS:
            write_documents(
                workspace.path / f"{split}.parquet", [pa.table(columns, schema=DOCUMENT_SCHEMA)]
            )
        return {}

    return run_stage(home, Stage("corpus", 1, None, {"texts": str(texts[:9])}), make, Context())


def _live(home, config=SHORT, texts=("some text",)):
    return simulate_day(home, _corpus(home, list(texts)), HashedEmbedder(), Context(), config)


def test_a_day_goes_through_the_real_ledger_and_becomes_the_home_s(home):
    result, found = _live(home), report(home)
    assert result["installed"]
    assert "simulated" in result["note"]
    assert result["ledger_agrees"]
    assert 0 < result["clicks"] < result["views"] <= result["offers"] <= result["searches"]
    assert {name: found["totals"][name] for name in ("views", "clicks", "spend")} == {
        name: result[name] for name in ("views", "clicks", "spend")
    }


def test_a_day_lived_twice_leaves_equal_bytes_and_counts_once(home, tmp_path):
    other = create_home(tmp_path / "other")
    assert _live(home) == _live(other) == _live(home)
    assert home.newest("ads_day").digest == other.newest("ads_day").digest


def test_after_the_day_the_home_serves_on_and_a_second_run_keeps_what_came_since(home):
    _live(home)
    before, clock = (
        report(home)["totals"]["clicks"],
        FixedClock(datetime(2026, 6, 1, 12, tzinfo=UTC)),
    )
    with AdServer.of_home(home, HashedEmbedder(), clock) as server:
        token = server.serve(AdRequest("sourdough bread", "en", "ada"))[0].token
        server.view(token), server.click(token)
    _live(home)
    assert report(home)["totals"]["clicks"] == before + 1


def test_another_day_takes_the_place_of_a_simulated_one_but_not_of_own_campaigns(home):
    _live(home)
    assert _live(home, DayConfig(town=True, searches=100))["searches"] == 100
    with store.opened_store(home) as opened:
        sell(opened, campaign("my-own"))
    assert not _live(home, SHORT)["installed"]
    assert "my-own" in {row["campaign"] for row in report(home)["campaigns"]}


def test_simulated_viewers_key_does_not_stay_with_the_home(home):
    _live(home)
    with store.opened_store(home) as engine, store.reading(engine) as connection:
        assert store.get_state(connection, store.VIEWER_KEY) != bytes(32)
        assert store.get_state(connection, TOKEN_KEYS) is None  # made anew by who serves


def test_on_a_platform_s_own_posts_the_campaigns_are_made_of_their_words(home):
    result = _live(home, DayConfig(town=False, searches=60), OWN_WORDS)
    assert result["views"] > 0
    assert any("heron" in row["campaign"] for row in report(home)["campaigns"])


def test_a_corpus_without_words_is_refused(home):
    with pytest.raises(UsageError, match="too few words"):
        _live(home, DayConfig(town=False))


def test_the_question_is_one_of_the_town_s_where_the_town_tells_its_answer(home):
    fact = TOPICS[1].facts[0]
    assert choose_question(_corpus(home, [*fact.tellings, *fact.tellings])) == fact.question


def test_the_question_is_made_of_words_that_stand_together_elsewhere(home):
    assert set(choose_question(_corpus(home, OWN_WORDS)).split()) in (
        {"heron", "marsh"},
        {"flour", "bakery"},
    )


@pytest.mark.slow
def test_the_predictor_learns_the_planted_preferences_nearly_as_well_as_can_be(home):
    result = _live(home, DayConfig(town=True))
    assert result["auc_truth"] > 0.7
    assert result["auc_model"] > 0.65
    assert result["auc_truth"] - result["auc_model"] < 0.05


def _live_at(path):
    _live(create_home(path), LONGER)


@pytest.mark.slow
def test_a_day_that_was_killed_is_lived_again_and_counts_once(tmp_path):
    killed, whole = create_home(tmp_path / "killed"), create_home(tmp_path / "whole")
    for _ in range(2):
        worker = multiprocessing.get_context("spawn").Process(target=_live_at, args=(killed.path,))
        worker.start()
        until = time.monotonic() + 60
        while (
            not list(killed.artifacts.glob(f"ads_day/*/scratch/{DATABASE}"))
            and time.monotonic() < until
        ):
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
    assert not killed.newest("ads_day")
    assert _live(killed, LONGER) == _live(whole, LONGER)
    assert killed.newest("ads_day").digest == whole.newest("ads_day").digest
