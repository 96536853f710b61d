"""The report says what the corpus is, for a terminal and as a page of one file."""

import html
import json
import re

import pytest

from rookery.core.context import Context
from rookery.corpus.build import build
from rookery.corpus.report import summary


@pytest.fixture
def corpus(home, put, a_post):
    places = ["river", "hill", "church", "tower", "meadow", "road", "market", "harbour", "school", "bridge"]
    pairs = [(a, b) for a in places for b in places if a < b]
    posts = [a_post(f"from the {a} one sees the {b} and the rooks above it", language="en") for a, b in pairs]
    put(*posts, a_post("short"), a_post("<s>1</s>", created=posts[0].created))
    return build(home, Context())


def test_the_summary_adds_up(corpus):
    facts = summary(corpus)
    assert facts["posts"] == 47
    assert facts["posts"] == facts["posts_kept"] + sum(facts["dropped"].values())
    assert list(facts["funnel"].values())[-1] == facts["posts_kept"]
    assert facts["documents_train"] + facts["documents_validation"] == facts["posts_kept"]
    assert facts["leakage"]["same_text"] == 0
    assert facts["train_until"] < facts["validation_from"]
    json.dumps(facts)


def test_the_page_needs_nothing_from_outside_and_escapes_what_people_wrote(corpus):
    page = corpus.file("report.html").read_text()
    assert not re.search(r"<(script|link|img|iframe|s)\b", page)
    assert not re.search(r"(src|href)=", page)
    assert html.escape("<s>1</s>") in page


def test_the_page_shows_every_reason_with_its_count_and_a_sample(corpus):
    page = corpus.file("report.html").read_text()
    for reason, count in summary(corpus)["dropped"].items():
        assert re.search(rf'{reason}</th><td class="n">{count:,}</td>', page)
        assert f"<h3>{reason}</h3>" in page


def test_length_counts_cover_every_document(corpus):
    facts = json.loads(corpus.file("report.json").read_text())
    assert sum(facts["lengths_bytes"].values()) == sum(s["documents"] for s in facts["splits"].values())
    assert sum(facts["months"].values()) == facts["posts_kept"]
