"""The ad server: an auction from request to bill, its decisions, and learning beside requests."""

import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from rookery.ads.ledger import schema
from rookery.ads.ledger.store import get_state, reading, writing
from rookery.ads.ledger.token import replace_key
from rookery.ads.ledger.traffic import Visitor
from rookery.ads.market import RESERVE_MICROS
from rookery.ads.predict.ftrl import PRIOR_CTR, FtrlPredictor
from rookery.ads.report import report, report_of
from rookery.ads.server import (
    FLUSH_SECONDS,
    LEARN_EVERY_SECONDS,
    OFFER_LIFETIME_SECONDS,
    AdRequest,
    AdServer,
)
from rookery.ads.sold import set_paused
from rookery.ads.terms.objects import Cap
from rookery.core.config import to_plain
from rookery.core.errors import StorageError
from rookery.core.protocols import ConstantPredictor, HashedEmbedder
from rookery.core.verdict import KEEP, Drop
from tests.support.selling import URL, campaign, funded, sell

DAY = 86_400


@pytest.fixture
def server(store, clock):
    with AdServer(store, HashedEmbedder(), clock) as opened:
        yield opened


def ask(text="a cup of tea", language=None, viewer="ada", **more) -> AdRequest:
    return AdRequest(text, language, viewer, **more)


def reasons(server, request=None) -> dict:
    """Return the reason of each group that the text concerns."""
    return {d.group: d.reason or "shown" for d in server.preview(request or ask()).decisions}


def only(offers):
    (offer,) = offers
    return offer


def pctr(server) -> float:
    return server.preview(ask()).decisions[0].pctr


def test_one_ad_is_offered_and_every_other_group_has_its_reason(server, take):
    take(
        campaign("best", bid_micros=400_000),
        campaign("second", bid_micros=300_000, advertiser="B"),
        campaign("german", languages=("de",), advertiser="C"),
        campaign("boats", keywords=("boat",), advertiser="D"),
        campaign("cheap", bid_micros=RESERVE_MICROS - 1, advertiser="E"),
        # midnight: half its bid is put forward
        campaign("early", daily_budget_micros=1_000_000, bid_micros=15_000, advertiser="F"),
    )
    offer = only(server.serve(ask(language="en-GB")))
    assert offer.campaign == "best"
    assert offer.price_micros in (300_000, 300_001)  # a tie may go either way
    preview = server.preview(ask(language="en-GB"))
    assert {d.group: d.reason for d in preview.decisions} == {
        "best": "",
        "second": "outbid",
        "german": "wrong_language",
        "cheap": "below_reserve",
        "early": "paced_out",
    }
    assert preview.others == {"not_relevant": 1}


def test_up_to_four_places_are_sold_one_for_each_advertiser(server, take):
    take(*(campaign(f"c{n}", bid_micros=100_000 * n, advertiser=f"A{n // 2}") for n in range(1, 8)))
    offers = server.serve(ask(places=4))
    assert [offer.campaign for offer in offers] == ["c7", "c5", "c3", "c1"]
    assert len({offer.token for offer in offers}) == 4
    assert all(server.view(offer.token) == KEEP for offer in offers)


def test_a_preview_decides_as_a_request_does_and_leaves_nothing(store, server, take):
    take(
        campaign("best", bid_micros=400_000, caps=(Cap("campaign", 1, DAY),)),
        campaign("second", advertiser="B"),
    )

    def rows() -> dict:
        with reading(store) as connection:
            tables = schema.metadata.sorted_tables
            return {table.name: connection.execute(table.select()).all() for table in tables}

    before = rows()
    previews = [server.preview(ask()) for _ in range(3)]
    assert rows() == before
    shown = only(server.serve(ask()))
    for preview in previews:
        offer = only(preview.offers)
        assert (offer.token, offer.campaign) == ("", shown.campaign)
        assert offer.price_micros == pytest.approx(shown.price_micros, abs=1)
        assert {d.group: d.reason for d in preview.decisions} == {"best": "", "second": "outbid"}
    assert server.click(previews[0].offers[0].token) == (Drop("unknown_offer"), None)


def test_no_campaign_is_no_ad_and_no_error(server):
    assert server.serve(ask()) == ()
    assert server.preview(ask()) == type(server.preview(ask()))((), (), {})


def test_the_reader_is_told_who_paid_and_which_words_it_was(server, take):
    take(campaign(keywords=("tea", "cup of tea"), languages=("en",)))
    assert only(server.serve(ask(language="EN"))).why == (
        "Paid for by Tea House. You see it because your search has “tea”, “cup of tea”, which "
        "Tea House chose, "
        "and it is for readers of your language (en). No personal profile was used."
    )


def test_a_preview_can_be_shown_as_json(server, take):
    take(campaign())
    told = json.loads(json.dumps(to_plain(server.preview(ask()))))
    assert told["offers"][0]["title"] == "Tea above the harbour"


def test_a_view_and_a_click_reach_the_bill_and_lead_to_the_page(home, clock):
    with AdServer.of_home(home, HashedEmbedder(), clock) as server:
        sell(server.store, campaign())
        token = only(server.serve(ask())).token
        assert server.view(token) == KEEP
        assert server.click(token) == (KEEP, URL)
    totals = report(home)["totals"]
    assert (totals["spend_micros"], totals["offers"]) == (RESERVE_MICROS, 1)


@pytest.mark.parametrize("kind", ["campaign", "group", "ad"])
def test_what_is_paused_stops_at_the_next_request(store, server, take, kind):
    take(campaign())
    assert server.serve(ask())
    set_paused(store, kind, "tea", True)
    assert server.serve(ask()) == ()
    assert reasons(server) == {"tea": "paused"}
    set_paused(store, kind, "tea", False)
    assert server.serve(ask())


def test_new_words_run_when_they_are_approved_and_the_old_ones_until_then(store, server, take):
    from rookery.ads.sold import approve, import_sheet
    from rookery.ads.terms.files import sheet_of

    take(campaign())
    sheet = b'{"ad": [{"id": "tea", "group": "tea", "title": "Better tea"}]}'
    import_sheet(store, sheet_of(sheet, "json"))
    assert only(server.serve(ask())).title == "Tea above the harbour"
    approve(store, ["tea"])
    assert only(server.serve(ask())).title == "Better tea"


def test_offers_that_are_out_count_towards_the_cap_until_they_expire(server, clock, take):
    take(campaign(caps=(Cap("campaign", 2, DAY),)))
    _, second = (only(server.serve(ask())) for _ in range(2))
    assert reasons(server) == {"tea": "frequency_capped"}
    assert server.serve(ask(viewer="another"))
    server.view(second.token)
    clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS)  # the first was never seen
    assert server.serve(ask())
    assert reasons(server) == {"tea": "frequency_capped"}


@pytest.mark.parametrize(
    ("level", "capped"),
    [("ad", {"a"}), ("group", {"a"}), ("campaign", {"a"}), ("advertiser", {"a", "b"})],
)
def test_a_cap_counts_what_its_level_says(server, take, level, capped):
    cap = (Cap(level, 1, DAY),)
    take(campaign("a", bid_micros=500_000, caps=cap), campaign("b", caps=cap))
    take(campaign("c", advertiser="Other", bid_micros=100_000, caps=cap))
    assert only(server.serve(ask())).campaign == "a"
    found = reasons(server)
    assert {name for name, why in found.items() if why == "frequency_capped"} == capped


def test_a_cap_over_several_days_holds_under_a_name_for_each_day(server, clock, take):
    take(campaign(caps=(Cap("campaign", 1, 3 * DAY),)))
    server.view(only(server.serve(ask())).token)
    for days in (1, 2):
        clock.time += timedelta(days=1)
        assert server.serve(ask()) == (), days
    clock.time += timedelta(days=1, seconds=1)
    assert server.serve(ask())


def test_caps_hold_after_a_restart(store, clock, take):
    take(campaign(caps=(Cap("campaign", 1, DAY),)))
    server = AdServer(store, HashedEmbedder(), clock)
    server.view(only(server.serve(ask())).token)
    again = AdServer(store, HashedEmbedder(), clock)
    assert again.serve(ask()) == ()
    assert again.serve(ask(viewer="another"))


def test_no_cap_is_passed_by_requests_at_the_same_moment(server, take):
    take(campaign(caps=(Cap("campaign", 5, DAY),)))
    offers = []

    def ask_often():
        for _ in range(5):
            offers.extend(server.serve(ask()))

    threads = [threading.Thread(target=ask_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(offers) == 5


def test_a_request_leaves_neither_its_words_nor_its_viewer_behind(store, clock, take, tmp_path):
    take(campaign())
    with AdServer(store, HashedEmbedder(), clock, records=tmp_path / "auctions") as server:
        token = only(server.serve(ask("tea for my secret illness", viewer="ada@example.com"))).token
        server.view(token)
        with reading(store) as connection:
            left = repr(connection.execute(select(schema.view)).all())
    records = b"".join(path.read_bytes() for path in (tmp_path / "auctions").iterdir())
    for text in (left.encode(), records):
        assert text
        assert b"secret" not in text
        assert b"ada@" not in text


def test_the_server_learns_from_its_ledger_as_time_passes(server, clock, take):
    take(campaign())
    server.serve(ask())
    before = pctr(server)
    for _ in range(20):
        token = only(server.serve(ask())).token
        server.view(token), server.click(token)
    assert server.learn()
    clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS)
    assert server.learn()
    assert pctr(server) > 2 * before


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


def test_a_request_never_trains_the_predictor(store, clock, take):
    server = AdServer(store, HashedEmbedder(), clock, _Unteachable())
    take(campaign())
    for _ in range(4):
        offer = only(server.serve(ask()))
        server.view(offer.token), server.click(offer.token)
        clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS + LEARN_EVERY_SECONDS)
    with reading(store) as connection:
        assert get_state(connection, "learned_until") is None
    with pytest.raises(AssertionError, match="trained"):
        server.learn()


def test_requests_go_on_with_the_predictor_as_it_was_while_the_server_learns(store, clock, take):
    trained_beside = []

    class Slow(FtrlPredictor):
        """A predictor that answers a request each time it is trained."""

        def learn(self, buckets, clicked):
            super().learn(buckets, clicked)
            trained_beside.append(pctr(server))

    server = AdServer(store, HashedEmbedder(), clock, Slow())
    take(campaign())
    token = only(server.serve(ask())).token
    server.view(token), server.click(token)
    clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS)
    server.learn()
    assert trained_beside == pytest.approx([PRIOR_CTR])
    assert pctr(server) > PRIOR_CTR


def test_a_server_begins_with_what_another_has_learned_before(store, server, clock, take):
    take(campaign())
    token = only(server.serve(ask())).token
    server.view(token), server.click(token)
    clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS)
    server.learn()
    assert pctr(AdServer(store, HashedEmbedder(), clock)) > PRIOR_CTR


def test_any_click_predictor_may_take_the_place_of_the_default(store, clock, take):
    server = AdServer(store, HashedEmbedder(), clock, ConstantPredictor(0.25))
    take(campaign())
    server.view(only(server.serve(ask())).token)
    clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS)
    server.learn()
    assert pctr(server) == 0.25
    with reading(store) as connection:
        assert get_state(connection, "predictor") is None  # that name is FTRL's


def test_a_spent_budget_ends_a_campaign_with_its_reason(server, clock, take):
    take(
        campaign(bid_micros=20_000, budget_micros=45_000),
        campaign("rival", bid_micros=19_000, advertiser="B"),
    )
    for _ in range(6):
        found = only(server.serve(ask()))
        server.view(found.token), server.click(found.token)
        clock.time += timedelta(seconds=1)
    assert reasons(server)["tea"] == "budget_spent"
    with reading(server.store) as connection:
        assert report_of(connection)["totals"]["clicks_given_away"] == 0


def test_what_offers_have_promised_is_not_offered_again(server, clock, take):
    take(campaign(bid_micros=RESERVE_MICROS, budget_micros=RESERVE_MICROS))
    shown = 0
    while server.serve(ask(viewer=str(shown))):
        shown += 1
        clock.time += timedelta(seconds=1)
    assert shown == pytest.approx(1 / PRIOR_CTR, abs=1)  # one click is expected of so many
    assert reasons(server) == {"tea": "all_promised"}
    clock.time += timedelta(seconds=OFFER_LIFETIME_SECONDS)
    assert server.serve(ask())


def test_money_that_campaigns_share_ends_for_both(server, clock, take):
    money = {"bid_micros": 20_000, "keywords": ("tea",)}
    take(*(funded(campaign(name, **money), "pot", 30_000) for name in ("one", "two")))
    offer = only(server.serve(ask()))
    server.view(offer.token), server.click(offer.token)
    offer = only(server.serve(ask()))
    server.view(offer.token), server.click(offer.token)
    clock.time += timedelta(seconds=1)
    assert set(reasons(server).values()) == {"budget_spent"}


@pytest.mark.parametrize(("pays_for", "events"), [("views", "v"), ("click", "vc"),
                                                  ("conversion", "vco")])  # fmt: skip
def test_each_kind_of_payment_is_charged_by_its_event_alone(server, take, pays_for, events):
    take(campaign(pays_for=pays_for, bid_micros=5_000_000))
    offer = only(server.serve(ask()))
    paid = []
    for send in (server.view, server.click, server.convert):
        send(offer.token)
        with reading(server.store) as connection:
            paid.append(report_of(connection)["totals"]["spend_micros"])
    price = offer.price_micros // (1000 if pays_for == "views" else 1)
    before = len(events) - 1
    assert paid == [0] * before + [price] * (3 - before)


def test_ads_of_a_group_take_turns_until_one_is_known_to_be_better(server, clock, take):
    take(campaign(ads=("Other tea", "Third tea")))
    titles = [only(server.serve(ask(viewer=str(n)))).title for n in range(60)]
    assert len(set(titles)) == 3


def test_a_token_that_was_never_offered_leads_nowhere(server):
    assert server.view("invented") == Drop("unknown_offer")
    assert server.click("invented") == (Drop("unknown_offer"), None)


def test_an_offer_of_another_store_counts_for_nothing_here(server, clock, take, tmp_path):
    from rookery.ads.ledger.store import open_store, sqlite_url

    take(campaign())
    other = open_store(sqlite_url(tmp_path / "other.sqlite"), "OFF")
    sell(other, campaign())
    with AdServer(other, HashedEmbedder(), clock) as elsewhere:
        token = only(elsewhere.serve(ask())).token
    assert server.click(token) == (Drop("unknown_offer"), None)


BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def test_only_the_viewer_of_an_offer_sees_and_clicks_it(server, clock, take):
    take(campaign())
    clock.time += timedelta(hours=23, minutes=50)
    token = only(server.serve(ask())).token
    ada, eve, nobody = (Visitor(viewer, BROWSER) for viewer in ("ada", "eve", ""))
    assert server.view(token, eve) == Drop("other_viewer")
    assert server.click(token, ada)[0] == Drop("click_without_view")
    assert server.view(token, ada) == KEEP
    clock.time += timedelta(minutes=15)  # ada has another name by then, but not to this offer
    for visitor in (eve, nobody):
        assert server.click(token, visitor)[0] == Drop("other_viewer")
    assert server.click(token, Visitor("ada", BROWSER, "HEAD"))[0] == Drop("head_request")
    assert server.click(token, ada) == (KEEP, URL)
    with reading(server.store) as connection:
        totals = report_of(connection)["totals"]
    assert totals["clicks"] == 1
    assert totals["refused"] == {
        "click click_without_view": 1,
        "click head_request": 1,
        "click other_viewer": 2,
        "view other_viewer": 1,
    }


def test_a_clock_that_jumps_leaves_offers_and_days_in_order(server, clock, take):
    take(campaign(daily_budget_micros=20_000, bid_micros=20_000))
    clock.time += timedelta(hours=12)
    first = only(server.serve(ask()))
    clock.time -= timedelta(days=3)
    second = only(server.serve(ask(viewer="eve")))
    assert second.number > first.number
    clock.time += timedelta(days=9)
    third = only(server.serve(ask(viewer="eve")))
    assert third.number > second.number
    assert server.view(first.token) == Drop("expired")
    assert (server.view(third.token), server.click(third.token)[0]) == (KEEP, KEEP)


def test_a_ledger_that_cannot_be_written_costs_ads_nothing_but_their_counts(server, take):
    take(campaign())
    token = only(server.serve(ask())).token
    server.view(token)
    server._booking.close()  # as when the disk is full for long
    with pytest.raises(StorageError, match="nothing was counted"):
        server.view(token)
    assert server.click(token) == (Drop("not_booked"), URL)
    assert server.serve(ask(viewer="eve"))


def test_a_key_that_was_renewed_signs_from_then_on_and_offers_that_are_out_count(
    store, server, clock, take
):
    take(campaign())
    before = only(server.serve(ask())).token
    with writing(store) as connection:
        replace_key(connection, int(clock.now().timestamp()))
    clock.time += timedelta(seconds=FLUSH_SECONDS)
    server.tick()
    after = only(server.serve(ask(viewer="eve"))).token
    assert (before[:4], after[:4]) == ("AQAA", "AQEA")  # format 1, keys 0 and 1
    assert (server.view(before), server.view(after)) == (KEEP, KEEP)


def test_a_change_that_could_not_be_read_is_read_when_the_store_answers_again(
    store, server, take, monkeypatch
):
    from rookery.ads import market

    take(campaign())
    assert server.serve(ask())
    set_paused(store, "campaign", "tea", True)

    def away(*_):
        raise StorageError("the ads database cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(market, "book_version", away)
        with pytest.raises(StorageError):
            server.serve(ask())
    assert server.serve(ask()) == ()


def test_a_group_with_a_target_bids_more_after_it_paid_less(server, clock, take):
    take(campaign(strategy="target", bid_micros=200_000))
    bids = [server.preview(ask()).decisions[0].bid_micros]
    for n in range(12):  # alone, it pays the reserve
        offer = only(server.serve(ask(viewer=str(n))))
        server.view(offer.token), server.click(offer.token)
        clock.time += timedelta(seconds=1)
        bids.append(server.preview(ask()).decisions[0].bid_micros)
    assert bids[0] == 200_000
    assert bids == sorted(bids)
    assert bids[-1] == 400_000  # up to twice the target


def test_an_automatic_bid_learns_what_places_cost(server, clock, take):
    take(
        campaign(strategy="automatic", bid_micros=900_000, daily_budget_micros=10_000_000),
        campaign("rival", bid_micros=100_000, advertiser="B"),
    )
    clock.time += timedelta(hours=12)  # half of its day is due, and nothing spent
    server.tick()
    first = server.preview(ask()).decisions[0]
    for n in range(40):
        server.serve(ask(viewer=str(n)))
        clock.time += timedelta(seconds=1)
    assert first.bid_micros == pytest.approx(900_000, abs=1)
    usual = server._market.usual.prices[server._market.inventory.columns.row_of(2)]
    assert usual == pytest.approx(100_000, rel=0.1)


def test_an_import_of_many_groups_is_taken_over_beside_the_requests(server, take):
    server.tick()  # somebody keeps it up to date
    take(*(campaign(f"c{n:03}", advertiser=f"A{n}", keywords=("tea",)) for n in range(600)))
    waited_for = server.serve(ask())
    server.tick()
    assert (waited_for, len(server._market.inventory.columns)) == ((), 600)
    assert only(server.serve(ask()))
    take(campaign("c007", paused=True, keywords=("tea",), advertiser="A7"))  # a small one, at once
    assert reasons(server)["c007"] == "paused"
