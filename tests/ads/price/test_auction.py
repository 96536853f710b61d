"""The auction: who wins, at what price, and that honest bids are best."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rookery.ads.price.auction import WEIGHT_ONE, Bid, Sale, hold_auction, quality_weight

RESERVE = 10_000
MICROS = st.integers(1, 2_000_000)


@st.composite
def bids(draw, least: int = 1):
    terms = draw(
        st.lists(
            st.tuples(MICROS, st.integers(1, WEIGHT_ONE), st.integers(0, 3)),
            min_size=least,
            max_size=6,
        )
    )
    return [Bid(f"c{place}", *one) for place, one in enumerate(terms)]


@given(bids(least=0))
def test_the_price_is_at_least_the_reserve_and_at_most_the_bid(bids):
    sale = hold_auction(bids, RESERVE)
    if sale is None:
        assert all(bid.bid_micros < RESERVE for bid in bids)
    else:
        assert RESERVE <= sale.price_micros <= sale.winner.bid_micros


@given(bids(), st.randoms())
def test_the_order_of_the_bids_does_not_matter(bids, random):
    shuffled = random.sample(bids, len(bids))
    assert hold_auction(shuffled, RESERVE) == hold_auction(bids, RESERVE)


@given(bids(), MICROS)
def test_a_higher_bid_never_loses_a_won_place_nor_changes_its_price(bids, more):
    sale = hold_auction(bids, RESERVE)
    if sale:
        raised = replace(sale.winner, bid_micros=sale.winner.bid_micros + more)
        again = hold_auction([raised if bid == sale.winner else bid for bid in bids], RESERVE)
        assert (again.winner, again.price_micros) == (raised, sale.price_micros)


@given(bids())
def test_the_price_is_the_least_bid_that_would_have_won(bids):
    sale = hold_auction(bids, RESERVE)
    if sale:

        def wins_with(micros: int) -> bool:
            lowered = replace(sale.winner, bid_micros=micros)
            again = hold_auction([lowered if bid == sale.winner else bid for bid in bids], RESERVE)
            return again is not None and again.winner == lowered

        assert wins_with(sale.price_micros)
        assert not wins_with(sale.price_micros - 1)


@given(bids(), MICROS)
def test_bidding_the_true_value_is_best(bids, other):
    """Vickrey's law: whatever is bid instead of the value, the gain is no larger."""
    truthful = bids[0]

    def gain(bid_micros: int) -> int:
        sale = hold_auction([replace(truthful, bid_micros=bid_micros), *bids[1:]], RESERVE)
        won = sale is not None and sale.winner.campaign == truthful.campaign
        return truthful.bid_micros - sale.price_micros if won else 0

    assert gain(truthful.bid_micros) >= gain(other)


def test_a_lower_bid_with_a_likelier_click_wins_and_pays_by_its_weight():
    often = Bid("often", 200_000, quality_weight(0.10, 1.0, 1.0), tie=2)
    rarely = Bid("rarely", 500_000, quality_weight(0.02, 1.0, 1.0), tie=1)
    sale = hold_auction([rarely, often], RESERVE)
    assert sale.winner == often
    assert (
        sale.price_micros == 100_001
    )  # 500,000 × 0.02 ÷ 0.10, and one more: the tie would go to the other


def test_equal_scores_go_to_the_smaller_tie():
    one, two = Bid("a", 100_000, 5, tie=2), Bid("b", 100_000, 5, tie=1)
    assert hold_auction([one, two], RESERVE).winner == two


@given(st.floats(0, 1), st.floats(0.5, 1), st.floats(0, 1))
def test_a_weight_is_a_positive_number_of_billionths(pctr, relevance, squash):
    assert 1 <= quality_weight(pctr, relevance, squash) <= WEIGHT_ONE


def test_a_weight_is_the_product_of_click_rate_and_relevance_in_billionths():
    assert quality_weight(0.25, 0.5, 0.5) == 250_000_000
    assert quality_weight(0.25, 0.5, 1.0) == 125_000_000
    assert quality_weight(0.0, 1.0, 1.0) == 1


def test_a_bid_of_the_reserve_is_sold_at_it_and_a_lower_one_is_not_sold():
    only = Bid("only", RESERVE, 7)
    assert hold_auction([only], RESERVE) == Sale(only, RESERVE, 0)
    assert hold_auction([only], RESERVE + 1) is None
    assert only.tie == 0


def test_a_sale_names_the_score_that_was_beaten_and_costs_one_more_where_a_tie_would_lose():
    for tie, price in ((0, 50_000), (2, 50_001)):
        winner, second = Bid("w", 100_000, 4, tie), Bid("s", 100_000, 2, tie=1)
        assert hold_auction([second, winner], RESERVE) == Sale(winner, price, 200_000)
    third = Bid("t", 30_000, 4)
    assert hold_auction([Bid("w", 100_000, 7), third], RESERVE).price_micros == 17_143
