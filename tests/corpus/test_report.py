"""The report states the facts of a corpus, for a terminal and as a page of one file."""

import html
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from rookery.core.context import Context
from rookery.core.lineage import holds
from rookery.corpus.build import build_corpus
from rookery.corpus.document import LAKE_VERSION
from rookery.corpus.report import compression, page, read, shown, summary, visible, without
from rookery.corpus.shards import write_shards
from rookery.posts.forget import forget

CHROMIUM = Path("/usr/bin/chromium")


class Halves:
    """An encoder that makes one token of every two bytes."""

    digest, vocabulary, end_of_document, special = "halves", 300, 299, {}

    def encode(self, texts):
        return [[0] * (len(text.encode()) // 2) for text in texts]


@pytest.fixture
def corpus(home, put, a_post):
    places = [
        "river",
        "hill",
        "church",
        "tower",
        "meadow",
        "road",
        "market",
        "harbour",
        "school",
        "bridge",
    ]
    pairs = [(a, b) for a in places for b in places if a < b]
    posts = [
        a_post(f"from the {a} one sees the {b} and the rooks above it", language="en")
        for a, b in pairs
    ]
    put(*posts, a_post("short"), a_post("<s>1</s>", created=posts[0].created))
    return build_corpus(home, Context())


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
        assert re.search(rf'<summary>{reason} <span class="soft">{count:,}</span>', page)


def test_length_counts_cover_every_document(corpus):
    facts = json.loads(corpus.file("report.json").read_text())
    assert sum(facts["lengths_bytes"].values()) == sum(
        s["documents"] for s in facts["splits"].values()
    )
    assert sum(facts["months"].values()) == facts["posts_kept"]


def test_samples_say_whose_posts_they_show_and_these_are_held(corpus):
    facts = read(corpus)
    assert set(facts["samples"]) == {"kept", *facts["dropped"]}
    assert all(holds(corpus.path, post) for post in shown(facts))
    assert all(sample["ids"] for samples in facts["samples"].values() for sample in samples)


def test_without_a_post_its_text_is_gone_and_the_counts_stay(corpus):
    facts = read(corpus)
    gone = [sample for samples in facts["samples"].values() for sample in samples][::2]
    left = without(facts, {sample["ids"][0] for sample in gone})
    assert not any(html.escape(sample["text"]) in page(left) for sample in gone)
    assert shown(left)
    assert left["dropped"] == facts["dropped"]


def test_a_page_written_after_forgetting_shows_nothing_of_it(home, corpus):
    before, version = read(corpus), corpus.manifest.metrics[LAKE_VERSION]
    assert visible(home, before, version) == before
    kept, dropped = (before["samples"][name][0] for name in ("kept", "too_short"))
    forget(home, kept["ids"] + dropped["ids"], [], Context())
    left = visible(home, before, version)
    shown_now = page(left)
    assert shown(left)
    assert not any(html.escape(sample["text"]) in shown_now for sample in (kept, dropped))
    forget(home, [], ["ada"], Context())
    assert shown(visible(home, before, version)) == []


def test_groups_of_copies_are_shown_with_their_size(home, put, a_post):
    texts = [
        f"the {colour} rook sat on the roof of the old church"
        for colour in ("black", "grey", "white", "tame")
    ]
    put(*(a_post(text) for text in [*texts, *["copied by many people word for word"] * 4]))
    clusters = read(build_corpus(home, Context()))["clusters"]
    assert (clusters["count"], clusters["posts"]) == (1, 4)
    assert clusters["largest"][0]["text"] == "copied by many people word for word"
    assert clusters["largest"][0]["posts"] == 4


def test_rights_are_told_for_every_use(home, put, a_post):
    put(
        *(
            a_post(f"a plain post about {word} and rooks")
            for word in ("trees", "roofs", "winter", "eggs", "nests")
        )
    )
    put(
        a_post("a post that is not for ads but for all else", consent_ads=False),
        a_post("for friends", visibility="followers"),
    )
    assert read(build_corpus(home, Context()))["refused_by_use"] == {
        "search": {"not_public": 1},
        "answers": {"not_public": 1},
        "ads": {"not_public": 1, "author_opted_out": 1},
        "training": {"not_public": 1},
    }


def test_compression_is_bytes_a_token_by_language(home, corpus):
    said = compression(corpus, write_shards(home, corpus, Halves(), Context()))
    assert list(said) == ["en"]
    assert said["en"] == pytest.approx(2.0, abs=0.1)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (340, "dark")])
def test_the_page_opens_one_kind_of_samples_at_a_time_and_never_scrolls_sideways(
    corpus, width, scheme
):
    if not CHROMIUM.exists():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        shown = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
        ).new_page()
        shown.goto(corpus.file("report.html").as_uri())
        shown.locator("summary", has_text="too_short").click()
        opened = shown.locator("details[open] summary").all_inner_texts()
        wide = shown.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert [text.split()[0] for text in opened] == ["too_short"]
    assert wide <= width
