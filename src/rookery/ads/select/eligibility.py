"""Eligibility: whether a campaign may take part in an auction, by one small rule per reason.

The rules of `TEXT_RULES` look at the campaign and the page and need no database; those of
`STATE_RULES` look at what was spent and shown so far. A campaign gets the verdict of the first rule
that drops it, and every campaign's verdict is in the auction's outcome. To add a rule, write it and
name it in one of the two tuples. How well an ad fits a text is measured in `relevance.py`; who wins
is decided in `auction.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from rookery.ads.select.relevance import Relevance, matching_terms
from rookery.ads.terms.campaigns import Campaign
from rookery.core.verdict import KEEP, Drop, Verdict


@dataclass(frozen=True)
class Page:
    """The page beside which an ad may appear; a language of None is unknown."""

    words: tuple[str, ...]
    language: str | None
    now_seconds: int


@dataclass(frozen=True)
class CampaignState:
    """The state of a campaign: what it has spent, and how often this reader saw it on this day."""

    spent_micros: int
    spent_today_micros: int
    views_by_viewer: int


TextRule = Callable[[Campaign, Page, Relevance], Verdict]
StateRule = Callable[[Campaign, CampaignState], Verdict]


def paused(campaign: Campaign, page: Page, relevance: Relevance) -> Verdict:
    """Drop a campaign that its advertiser paused."""
    return Drop("paused") if campaign.paused else KEEP


def outside_schedule(campaign: Campaign, page: Page, relevance: Relevance) -> Verdict:
    """Drop a campaign before its start and from its end on."""
    too_early = campaign.start_seconds is not None and page.now_seconds < campaign.start_seconds
    too_late = campaign.end_seconds is not None and page.now_seconds >= campaign.end_seconds
    return Drop("outside_schedule") if too_early or too_late else KEEP


def wrong_language(campaign: Campaign, page: Page, relevance: Relevance) -> Verdict:
    """Drop a campaign for other languages; a reader of unknown language may see every ad."""
    unknown = page.language is None or not campaign.languages
    return KEEP if unknown or page.language in campaign.languages else Drop("wrong_language")


def excluded_word(campaign: Campaign, page: Page, relevance: Relevance) -> Verdict:
    """Drop a campaign that excludes a word or phrase of the page."""
    return Drop("excluded_word") if matching_terms(page.words, campaign.excluded_words) else KEEP


def not_relevant(campaign: Campaign, page: Page, relevance: Relevance) -> Verdict:
    """Drop a campaign that fits the page neither by keywords nor by meaning."""
    return KEEP if relevance.is_enough else Drop("not_relevant")


def budget_spent(campaign: Campaign, state: CampaignState) -> Verdict:
    """Drop a campaign whose budget could not pay a click at the full bid.

    The ledger checks again when it charges a click (`events.py`).
    """
    left = campaign.budget_micros - state.spent_micros
    return Drop("budget_spent") if left < campaign.bid_micros else KEEP


def daily_budget_spent(campaign: Campaign, state: CampaignState) -> Verdict:
    """Drop a campaign whose budget of this day could not pay a click at the full bid."""
    if campaign.daily_budget_micros is None:
        return KEEP
    left = campaign.daily_budget_micros - state.spent_today_micros
    return Drop("daily_budget_spent") if left < campaign.bid_micros else KEEP


def frequency_capped(campaign: Campaign, state: CampaignState) -> Verdict:
    """Drop a campaign that this viewer has seen as often today as the advertiser allows."""
    cap = campaign.views_per_viewer_per_day
    return Drop("frequency_capped") if cap is not None and state.views_by_viewer >= cap else KEEP


TEXT_RULES: tuple[TextRule, ...] = (
    paused,
    outside_schedule,
    wrong_language,
    excluded_word,
    not_relevant,
)
STATE_RULES: tuple[StateRule, ...] = (budget_spent, daily_budget_spent, frequency_capped)


def fits_page(campaign: Campaign, page: Page, relevance: Relevance) -> Verdict:
    """Return the verdict of the text rules."""
    verdicts = (rule(campaign, page, relevance) for rule in TEXT_RULES)
    return next((verdict for verdict in verdicts if verdict != KEEP), KEEP)


def may_spend(campaign: Campaign, state: CampaignState) -> Verdict:
    """Return the verdict of the state rules."""
    verdicts = (rule(campaign, state) for rule in STATE_RULES)
    return next((verdict for verdict in verdicts if verdict != KEEP), KEEP)
