"""Relevance: keywords, and nearness in meaning on a scale of other campaigns' keywords."""

import numpy as np
import pytest

from rookery.ads.select.relevance import Relevance, matching_terms, prepare, words_of
from rookery.core.protocols import HashedEmbedder

WORDS = "oar boat river sail bread oven flour crust tram rail stop bell star moon comet sky".split()


@pytest.mark.parametrize(
    ("text", "terms", "found"),
    [
        (
            "Tea above the OLD harbour!",
            ("tea", "old harbour", "harbour old"),
            ("tea", "old harbour"),
        ),
        ("steam and teapots", ("tea",), ()),
        ("ｔｅａ in fullwidth", ("tea",), ("tea",)),
        ("Кофе и ЧАЙ", ("чай",), ("чай",)),
        ("东京的咖啡馆", ("咖啡",), ("咖啡",)),
        ("คาเฟ่ในกรุงเทพ", ("กรุงเทพ",), ("กรุงเทพ",)),
        ("ကျောင်းကဆရာ", ("ဆရာ",), ("ဆရာ",)),
        ("", ("tea",), ()),
    ],
)
def test_a_term_is_found_at_whole_words_in_its_order_in_any_script(text, terms, found):
    assert matching_terms(words_of(text), terms) == found


def test_a_text_without_keywords_may_fit_by_meaning(a_campaign):
    ads = [
        a_campaign(f"ad{n}", title=f"{WORDS[n]} {WORDS[n + 1]}", body="", keywords=(WORDS[n],))
        for n in range(15)
    ]
    prepared, embedder = prepare(ads, HashedEmbedder()), HashedEmbedder()
    # the plural is not the keyword of ad 3; the other word is that of ad 4
    text = f"{WORDS[3]}s {WORDS[4]}"
    by_campaign = dict(
        zip(ads, prepared.compare(words_of(text), embedder.embed([text])[0]), strict=True)
    )
    fitting = [campaign.id for campaign, relevance in by_campaign.items() if relevance.is_enough]
    assert by_campaign[ads[3]].keywords == ()
    assert fitting == ["ad3", "ad4"]


def test_with_few_campaigns_only_keywords_count(a_campaign):
    prepared = prepare(
        [a_campaign(keywords=("tea",)), a_campaign("boat", keywords=("boat",))], HashedEmbedder()
    )
    tea, boat = prepared.compare(["tea"], HashedEmbedder().embed(["tea"])[0])
    assert (tea.is_enough, boat.is_enough, tea.similarity) == (True, False, 0.0)


def test_campaigns_without_any_keyword_are_compared_without_complaint(a_campaign):
    (found,) = prepare([a_campaign(keywords=())], HashedEmbedder()).compare(
        [], np.zeros(128, dtype=np.float32)
    )
    assert not found.is_enough


def test_quality_is_whole_with_a_keyword_and_grows_with_similarity():
    assert [Relevance((), s).quality for s in (3.0, 4.5, 9.0)] == [0.5, 0.75, 1.0]
    assert Relevance(("tea",), -2.0).quality == 1.0


@pytest.mark.parametrize(("campaigns", "has_scale"), [(13, True), (12, False)])
def test_meaning_counts_from_twelve_foreign_keywords_on(a_campaign, campaigns, has_scale):
    ads = [a_campaign(f"ad{n}", keywords=(WORDS[n],)) for n in range(campaigns)]
    prepared = prepare(ads, HashedEmbedder())
    assert np.isfinite(prepared.spread).tolist() == [has_scale] * campaigns
    assert (prepared.usual != 0).any() == has_scale


def test_similarity_is_counted_in_deviations_of_foreign_keywords(a_campaign):
    ads = [a_campaign(f"ad{n}", keywords=(WORDS[n],)) for n in range(14)]
    prepared, embedder = prepare(ads, HashedEmbedder()), HashedEmbedder()
    foreign = embedder.embed(sorted(WORDS[1:14])) @ prepared.vectors[0]
    assert prepared.usual[0] == pytest.approx(foreign.mean(), abs=1e-6)
    assert prepared.spread[0] == pytest.approx(foreign.std(), abs=1e-6)
    (first, *_) = prepared.compare([], embedder.embed(["river"])[0])
    similarity = float(prepared.vectors[0] @ embedder.embed(["river"])[0])
    assert first.similarity == pytest.approx(
        (similarity - foreign.mean()) / foreign.std(), abs=1e-3
    )


def test_an_ad_is_enough_from_three_deviations_on_and_its_quality_lies_between_half_and_one():
    assert [Relevance((), s).is_enough for s in (2.99, 3.0)] == [False, True]
    assert Relevance(("tea",), 0.0).is_enough
    assert [Relevance((), s).quality for s in (0.0, 3.3, 6.0, 60.0)] == pytest.approx(
        [0.5, 0.55, 1.0, 1.0]
    )
