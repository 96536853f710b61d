"""The data card states the facts of every kind of corpus, and shows no post."""

import re

import pytest

from rookery.core.context import Context
from rookery.corpus.build import CorpusConfig, build_corpus
from rookery.corpus.report import read, shown

WORDS = "river hill church tower meadow road market harbour school bridge".split()


@pytest.fixture
def posts(put, a_post):
    put(
        *(
            a_post(
                id=f"{a}-{b}",
                text=f"from the {a} one sees the {b} and the rooks",
                author=f"{a} {b}",
                language="en",
                source="x",
            )
            for a in WORDS
            for b in WORDS
            if a != b
        ),
        a_post("not for training at all", consent_training=False),
    )


def card_of(home, **settings) -> tuple[str, dict]:
    corpus = build_corpus(home, Context(), CorpusConfig(**settings))
    return corpus.file("card.md").read_text(), read(corpus)


def test_the_card_has_a_yaml_head_and_counts_every_reason(home, posts):
    card, facts = card_of(home)
    assert card.startswith('---\nlanguage:\n- "en"\nsize_categories:\n- n<1K\n')
    for reason, count in facts["dropped"].items():
        assert re.search(rf"\| {reason} \|.* {count:,} \|", card)
    assert "| training | author_opted_out | 1 |" in card
    assert "`rookery posts erase`" in card


def test_the_card_says_what_was_set(home, posts):
    card, _ = card_of(
        home,
        placeholders=True,
        controls=True,
        split="author",
        validation_share=0.5,
        mixture={"language:en": 2.0},
    )
    for said in (
        "@USER",
        "control tokens",
        "`language:en` 2.0",
        "of authors of whom nothing is learned",
    ):
        assert said in card


def test_the_card_shows_no_post(home, posts):
    card, facts = card_of(home)
    assert not any(post in card for post in shown(facts))
    assert not any(
        sample["text"] in card for samples in facts["samples"].values() for sample in samples
    )


def test_no_line_is_left_half_filled(home, posts):
    card, _ = card_of(home)
    assert "{" not in card
    assert "None" not in card
    assert "\n\n\n\n" not in card
