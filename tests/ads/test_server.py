"""The ad server: an auction from request to bill, its decisions, and learning beside requests."""

import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from rookery.ads.ledger import store
from rookery.ads.ledger.store import offer, reading
from rookery.ads.predict.ftrl import PRIOR_CTR, FtrlPredictor
from rookery.ads.report import report
from rookery.ads.server import (
    LEARN_EVERY_SECONDS,
    OFFER_LIFETIME_SECONDS,
    RESERVE_MICROS,
    AdRequest,
    AdServer,
)
from rookery.core.config import to_plain
from rookery.core.context import FixedClock
from rookery.core.protocols import ConstantPredictor, HashedEmbedder
from rookery.core.verdict import KEEP, Drop


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
def server(engine, clock):
    return AdServer(engine, HashedEmbedder(), clock)


def _ask(text="a cup of tea", language=None, viewer="ada") -> AdRequest:
    return AdRequest(text, language, viewer)


def _verdicts(outcome) -> dict:
    return {c.campaign: getattr(c.verdict, "reason", "eligible") for c in outcome.candidates}


def test_one_ad_is_offered_and_every_other_campaign_has_its_reason(server, take, a_campaign):
    take(
        a_campaign("best", bid_micros=400_000),
        a_campaign("second", bid_micros=300_000),
        a_campaign("german", languages=("de",)),
        a_campaign("boats", keywords=("boat",)),
        a_campaign("cheap", bid_micros=RESERVE_MICROS - 1),
        a_campaign(
            "early", daily_budget_micros=1_000_000, bid_micros=15_000
        ),  # midnight: half its bid is put forward
    )
    outcome = server.serve(_ask(language="en-GB"))
    assert outcome.offer.campaign == "best"
    assert outcome.offer.price_micros in (
        300_000,
        300_001,
    )  # alike but for their bids; a tie may go either way
    assert _verdicts(outcome) == {
        "best": "eligible",
        "second": "outbid",
        "german": "wrong_language",
        "boats": "not_relevant",
        "cheap": "below_reserve",
        "early": "paced_out",
    }


def test_a_preview_decides_as_a_request_does_and_books_nothing(engine, server, take, a_campaign):
    take(a_campaign("best", bid_micros=400_000, views_per_viewer_per_day=1), a_campaign("second"))

    def rows() -> dict:
        with reading(engine) as connection:
            return {
                t.name: connection.execute(t.select()).all() for t in store.metadata.sorted_tables
            }

    before = rows()
    previews = [server.preview(_ask()) for _ in range(3)]
    assert rows() == before
    shown = server.serve(_ask())
    for preview in previews:
        assert preview.candidates[0].verdict == shown.candidates[0].verdict == KEEP
        assert _verdicts(preview) == _verdicts(shown)
        assert (preview.offer.token, preview.offer.campaign) == ("", "best")
        assert preview.offer.price_micros == pytest.approx(shown.offer.price_micros, abs=1)
    assert server.click(previews[0].offer.token) == (Drop("unknown_offer"), None)


def test_no_campaign_is_no_ad_and_no_error(server):
    outcome = server.serve(_ask())
    assert (outcome.offer, outcome.candidates, outcome.why) == (None, (), "No campaign fits.")


def test_the_reader_is_told_who_paid_and_which_words_it_was(server, take, a_campaign):
    take(a_campaign(keywords=("tea", "cup of tea"), languages=("en",)))
    why = server.serve(_ask(language="EN")).why
    assert why == (
        "Paid for by Tea House. You see it because your search has “tea”, “cup of tea”, which "
        "Tea House chose, "
        "and it is for readers of your language (en). No personal profile was used."
    )


def test_an_outcome_can_be_shown_as_json(server, take, a_campaign):
    take(a_campaign())
    assert (
        json.loads(json.dumps(to_plain(server.serve(_ask()))))["offer"]["title"]
        == "Tea above the harbour"
    )


def test_a_view_and_a_click_reach_the_bill_and_lead_to_the_page(home, clock, a_campaign):
    store.save_campaigns(home, store.Campaigns("EUR", (a_campaign(),)))
    server = AdServer(home, HashedEmbedder(), clock)
    token = server.serve(_ask()).offer.token
    assert server.view(token) == KEEP
    assert server.click(token) == (KEEP, "https://example.com/tea")
    assert report(home)["totals"]["spend_micros"] == RESERVE_MICROS
    server.close()


def test_a_campaign_changed_or_paused_is_so_from_the_next_request_on(server, take, a_campaign):
    take(a_campaign())
    assert server.serve(_ask()).offer
    take(a_campaign(paused=True))
    assert _verdicts(server.serve(_ask())) == {"tea": "paused"}


def test_offers_that_are_out_count_towards_the_cap_until_they_expire(
    server, clock, take, a_campaign
):
    take(a_campaign(views_per_viewer_per_day=2))
    first, second = (server.serve(_ask()).offer for _ in range(2))
    assert first
    assert _verdicts(server.serve(_ask())) == {"tea": "frequency_capped"}
    assert server.serve(_ask(viewer="another")).offer
    server.view(second.token)
    clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS)  # the first was never seen
    assert server.serve(_ask()).offer
    assert _verdicts(server.serve(_ask())) == {"tea": "frequency_capped"}


def test_no_cap_is_passed_by_requests_at_the_same_moment(server, take, a_campaign):
    take(a_campaign(views_per_viewer_per_day=5))
    offers = []

    def ask_often():
        offers.extend(server.serve(_ask()).offer for _ in range(5))

    threads = [threading.Thread(target=ask_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(offers) == 20
    assert sum(found is not None for found in offers) == 5


def test_a_request_leaves_neither_its_words_nor_its_viewer_behind(engine, server, take, a_campaign):
    take(a_campaign())
    server.serve(_ask("tea for my secret illness", viewer="ada@example.com"))
    with reading(engine) as connection:
        left = repr(connection.execute(select(offer)).all())
    assert "secret" not in left
    assert "ada@" not in left


def test_the_server_learns_from_its_ledger_as_time_passes(server, clock, take, a_campaign):
    take(a_campaign())
    before = server.serve(_ask()).candidates[0].pctr
    for _ in range(20):
        token = server.serve(_ask()).offer.token
        server.view(token), server.click(token)
    assert server.learn()
    clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS)
    assert server.learn()
    assert server.serve(_ask()).candidates[0].pctr > 2 * before


def test_learning_is_due_at_first_and_then_every_five_minutes(server, clock):
    assert [server.learn(), server.learn()] == [True, False]
    clock.time += timedelta(seconds=LEARN_EVERY_SECONDS - 1)
    assert not server.learn()
    clock.time += timedelta(seconds=1)
    assert server.learn()


class _Unteachable(FtrlPredictor):
    """A predictor that notices when it is trained."""

    def learn(self, buckets, clicked):
        raise AssertionError("trained")


def test_a_request_never_trains_the_predictor(engine, clock, take, a_campaign):
    server = AdServer(engine, HashedEmbedder(), clock, _Unteachable())
    take(a_campaign())
    for _ in range(4):
        offer = server.serve(_ask()).offer
        server.view(offer.token), server.click(offer.token)
        clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS + LEARN_EVERY_SECONDS)
    with reading(engine) as connection:
        assert store.get_state(connection, "learned_until") is None
    with pytest.raises(AssertionError, match="trained"):
        server.learn()


def test_requests_go_on_with_the_predictor_as_it_was_while_the_server_learns(
    engine, clock, take, a_campaign
):
    trained_beside = []

    class Slow(FtrlPredictor):
        """A predictor that serves a request each time it is trained."""

        def learn(self, buckets, clicked):
            super().learn(buckets, clicked)
            trained_beside.append(server.serve(_ask()).candidates[0].pctr)

    server = AdServer(engine, HashedEmbedder(), clock, Slow())
    take(a_campaign())
    token = server.serve(_ask()).offer.token
    server.view(token), server.click(token)
    clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS)
    server.learn()
    assert trained_beside == pytest.approx([PRIOR_CTR])
    assert server.serve(_ask()).candidates[0].pctr > PRIOR_CTR


def test_a_server_begins_with_what_another_has_learned_before(
    engine, server, clock, take, a_campaign
):
    take(a_campaign())
    token = server.serve(_ask()).offer.token
    server.view(token), server.click(token)
    clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS)
    server.learn()
    another = AdServer(engine, HashedEmbedder(), clock)
    assert another.serve(_ask()).candidates[0].pctr > PRIOR_CTR


def test_any_click_predictor_may_take_the_place_of_the_default(engine, clock, take, a_campaign):
    server = AdServer(engine, HashedEmbedder(), clock, ConstantPredictor(0.25))
    take(a_campaign())
    outcome = server.serve(_ask())
    server.view(outcome.offer.token)
    clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS)
    server.learn()
    assert outcome.candidates[0].pctr == server.serve(_ask()).candidates[0].pctr == 0.25
    with reading(engine) as connection:
        assert store.get_state(connection, "predictor") is None  # that name is FTRL's


def test_a_spent_budget_ends_a_campaign_with_its_reason(server, take, a_campaign):
    take(
        a_campaign(bid_micros=20_000, budget_micros=45_000), a_campaign("rival", bid_micros=20_000)
    )
    for _ in range(20):
        found = server.serve(_ask()).offer
        server.view(found.token), server.click(found.token)
    assert _verdicts(server.serve(_ask()))["tea"] == "budget_spent"


def test_a_token_that_was_never_offered_leads_nowhere(server):
    assert server.view("invented") == Drop("unknown_offer")
    assert server.click("invented") == (Drop("unknown_offer"), None)
