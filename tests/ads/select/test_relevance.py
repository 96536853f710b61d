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
