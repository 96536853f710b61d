"""The page of an evaluation: all groups, one point for each month, nothing from elsewhere."""

import numpy as np
import pytest

from rookery.model.evaluation.estimate import ScoredTexts, by, summarize
from rookery.model.pages.evaluation import curve, groups, page


@pytest.fixture(scope="module")
def result():
    random, count = np.random.default_rng(0), 300
    sizes = random.integers(20, 200, count)
    bits = {name: sizes * random.uniform(1.5, 2.5, count) for name in ("model", "zstd", "ngram")}
    judged = ScoredTexts(sizes, random.integers(40, size=count), bits)
    whole = summarize(judged)
    return whole | {
        "bits_per_byte": whole["bits_per_byte"] | {"xz": 2.8},
        "remarks": ["What is <here> to be said."],
        "left_out": {"forgotten": 1, "text_in_training": 2},
        "training": {
            "until": "2026-03-01T00:00:00+00:00",
            "bytes": 10_000,
            "bytes_seen_by_model": None,
            "bytes_seen_by_baselines": 9_000,
        },
        "languages": by(judged, np.where(np.arange(count) % 3, "en", "<script>")),
        "months": by(judged, np.repeat([1, 2, 3], 100)),
        "authors_seen": by(judged, np.where(np.arange(count) % 2, "seen", "unseen")),
        "novelty": by(judged, np.where(np.arange(count) % 5, "new", "repeated")),
    }


def test_every_group_is_a_line_of_the_table(result):
    text = page(result)
    names = [name for name, _ in groups(result)]
    assert len(names) == 1 + 2 + 2 + 2 + 3
    assert text.count('<th scope="row">') == len(names)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "What is &lt;here&gt; to be said." in text
    assert "http" not in text


def test_worse_months_stand_higher_and_inside_the_picture(result):
    drawn = curve(result["months"])
    bits = [found["bits_per_byte"]["model"] for found in result["months"].values()]
    heights = [y for _, y in drawn["lines"]["model"]]
    assert np.argsort(bits).tolist() == np.argsort(heights)[::-1].tolist()
    assert all(0 <= y <= drawn["height"] and 0 <= x <= drawn["width"] for x, y in drawn["band"])
    assert len(drawn["band"]) == 2 * len(bits)


def test_months_with_few_authors_have_a_point_and_no_band(result):
    few = {name: found | {"interval_95": {}} for name, found in result["months"].items()}
    assert curve(few)["band"] == []
    assert len(curve(few)["lines"]["model"]) == 3


def test_what_is_older_than_training_is_called_so(result):
    older = result | {"months": {"0": result["months"]["3"], **result["months"]}}
    assert groups(older)[-4][0] == "older than the last post in training"
    assert "(0: older posts)" in page(older)
    assert "(0: older posts)" not in page(result)
