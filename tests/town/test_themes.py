"""Themes and markets: found in texts, complete, and the same each time."""

import numpy as np

from rookery.town.themes import found_themes, make_market, town_themes

TEXTS = [
    *(f"{a} {b}" for n in range(40) for a, b in [("heron", "marsh"), ("flour", "bakery")]),
    *(f"filler{n} noise{n} rubble{n}" for n in range(3000)),
    *("another sentence without company" for _ in range(900)),
]


def test_themes_are_words_that_stand_together_and_not_those_that_are_everywhere():
    themes = found_themes(TEXTS)
    assert {frozenset(theme.words) for theme in themes} >= {
        frozenset({"heron", "marsh"}),
        frozenset({"flour", "bakery"}),
    }
    assert not {"sentence", "another"} & {word for theme in themes for word in theme.words}


def test_equal_texts_have_equal_themes_and_texts_without_words_have_none():
    assert found_themes(TEXTS) == found_themes(TEXTS)
    assert found_themes([]) == found_themes(["a b", "1 2"]) == ()


def test_a_market_has_campaigns_and_probabilities_for_every_theme_and_is_the_same_each_time():
    themes = town_themes()
    market, again = make_market(themes, 1), make_market(themes, 1)
    assert market.book.campaigns == again.book.campaigns
    assert (
        len({campaign.id for campaign in market.book.campaigns})
        == len(market.book.campaigns)
        == 2 * len(themes)
    )
    assert market.truth.shape == (len(themes), len(market.book.campaigns))
    assert ((market.truth > 0) & (market.truth < 1)).all()
    own = [market.truth[n // 2, n] for n in range(len(market.book.campaigns))]
    assert np.mean(own) > market.truth.mean()
