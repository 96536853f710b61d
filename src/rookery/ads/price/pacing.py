"""Pacing: bidding less than the whole bid, so that a budget lasts through its period.

Multiplicative dual descent (Balseiro, Lu and Mirrokni 2020): a campaign's budget has a shadow price
μ, and it bids bid / (1 + μ). After each auction μ ← μ · exp(step · (spent now − due now)). The
updates add up in the exponent, so μ follows from what was spent and what was due so far,

    μ = FIRST_PRESSURE · exp(GAIN · (spent − due) / budget)

and needs no state but the ledger: it survives kills and is the same in every process. Not here:
whether a campaign may bid at all; that is in `eligibility.py`.
"""

import math

from rookery.ads.select.eligibility import CampaignState
from rookery.ads.terms.campaigns import Campaign

FIRST_PRESSURE = 1.0
# Step 1/√T for an expected T = 10,000 auctions in a period is a gain of T · 1/√T = 100. On a real
# bid log it reaches 99.7 to 96.2 % of the best that was possible in hindsight, for budgets from
# half to a sixteenth of all that could be bought, and spends all of them
# (tests/ads/price/test_pacing.py).
GAIN = 100.0
DAY = 86_400  # seconds, UTC
_FARTHEST = 30.0  # at exp(±30) a campaign bids nothing or all, so farther makes no difference


def shadow_price(spent_micros: int, due_micros: int, budget_micros: int) -> float:
    """Return the shadow price μ ≥ 0 of a budget, from what is spent and what is due by now."""
    ahead = GAIN * (spent_micros - due_micros) / budget_micros
    return FIRST_PRESSURE * math.exp(max(-_FARTHEST, min(_FARTHEST, ahead)))


def paced_bid(bid_micros: int, shadow_price: float) -> int:
    """Return how much of a bid to use under a shadow price, in micros; at most the whole bid."""
    return int(bid_micros / (1.0 + shadow_price))


def due(budget_micros: int, start_seconds: float, end_seconds: float, now_seconds: float) -> int:
    """Return how much of a budget is due by now if it is spent evenly over a period."""
    passed = (now_seconds - start_seconds) / (end_seconds - start_seconds)
    return int(budget_micros * max(0.0, min(1.0, passed)))


def current_bid(campaign: Campaign, state: CampaignState, now_seconds: float) -> int:
    """Return what a campaign bids now, in micros.

    Its daily budget is paced over the day, or else its whole budget over its schedule. A campaign
    without a daily budget and without start and end has nothing to pace: it bids its whole bid.
    """
    if campaign.daily_budget_micros is not None:
        start = now_seconds - now_seconds % DAY
        end = start + DAY
        spent, budget = state.spent_today_micros, campaign.daily_budget_micros
    elif campaign.start_seconds is not None and campaign.end_seconds is not None:
        start, end = campaign.start_seconds, campaign.end_seconds
        spent, budget = state.spent_micros, campaign.budget_micros
    else:
        return campaign.bid_micros
    price = shadow_price(spent, due(budget, start, end, now_seconds), budget)
    return paced_bid(campaign.bid_micros, price)
