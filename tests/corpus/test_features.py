"""The settings of a corpus, from posts to documents: mixture, controls, placeholders, authors."""

from collections import Counter

import pytest

from rookery.core.config import with_settings
from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.corpus.build import CorpusConfig, build_corpus
from rookery.corpus.document import read_documents

WORDS = "river hill church tower meadow road market harbour school bridge mill pond".split()


@pytest.fixture
def posts(put, a_post):
    pairs = [(a, b) for a in WORDS for b in WORDS if a != b]
    put(
        *(
            a_post(
                f"@{a} from the {a} one sees the {b} https://a.b/c",
                author=f"{b} {n % 3}",
                language=("en", "de")[n % 2],
                likes=n,
            )
            for n, (a, b) in enumerate(pairs)
        )
    )


def documents(corpus, split="train"):
    return [row for batch in read_documents(corpus, split) for row in batch.to_pylist()]


def built(home, *settings):
    return build_corpus(home, Context(), with_settings(CorpusConfig(), settings))


def adds_up(corpus) -> bool:
    tally, posts = (
        corpus.manifest.tally,
        {p for s in ("train", "validation") for d in documents(corpus, s) for p in d["post_ids"]},
    )
    return tally["kept"] == len(posts) and tally["kept"] + sum(tally["dropped"].values()) == len(
        WORDS
    ) * (len(WORDS) - 1)


def test_a_weight_below_one_takes_a_part_and_counts_the_rest(home, posts):
    corpus = built(home, "mixture.language:de=0.5")
    count = Counter(d["language"] for d in documents(corpus))
    assert count["de"] < 0.8 * count["en"]
    assert corpus.manifest.tally["dropped"]["mixture"] > 0
    assert adds_up(corpus)


def test_a_weight_above_one_repeats_in_train_only(home, posts):
    corpus = built(home, "mixture.language:de=3")
    times = Counter(d["id"] for d in documents(corpus))
    assert {times[d["id"]] for d in documents(corpus) if d["language"] == "de"} == {3}
    assert {times[d["id"]] for d in documents(corpus) if d["language"] == "en"} == {1}
    assert max(Counter(d["id"] for d in documents(corpus, "validation")).values()) == 1
    assert adds_up(corpus)


def test_a_mixture_of_nothing_is_refused_with_the_reason(home, posts):
    with pytest.raises(DataError, match="no document is left for train; dropped: mixture"):
        built(home, "mixture.language:de=0", "mixture.language:en=0")


def test_an_unknown_key_of_the_mixture_is_refused():
    with pytest.raises(UsageError, match="tongue"):
        with_settings(CorpusConfig(), ["mixture.tongue:de=0.5"])


def test_documents_carry_control_tokens_only_when_asked(home, posts):
    assert all(d["controls"] == [] for d in documents(built(home)))
    said = documents(built(home, "controls=true"))
    assert all(d["controls"][0] == f"<|language:{d['language']}|>" for d in said)
    assert all([c[2:6] for c in d["controls"]] == ["lang", "time", "enga"] for d in said)


def test_placeholders_change_the_text_and_nothing_else(home, posts):
    plain, hidden = (documents(built(home, f"placeholders={value}")) for value in ("false", "true"))
    assert [d["id"] for d in plain] == [d["id"] for d in hidden]
    assert all(
        d["text"].startswith("@USER from") and d["text"].endswith(" HTTPURL") for d in hidden
    )
    assert not any("@USER" in d["text"] for d in plain)


def test_a_split_by_author_has_no_author_on_both_sides_and_is_still_by_time(home, posts):
    corpus = built(home, "split=author", "validation_share=0.5")
    train, validation = documents(corpus), documents(corpus, "validation")
    assert validation
    assert {a for d in train for a in d["author_ids"]}.isdisjoint(
        a for d in validation for a in d["author_ids"]
    )
    assert max(d["created"] for d in train) <= min(d["created"] for d in validation)
    assert {"held_out_author", "after_the_cut"} <= set(corpus.manifest.tally["dropped"])
    assert adds_up(corpus)


def test_a_day_of_a_machine_is_dropped_and_a_person_stays(home, posts, put, a_post):
    put(
        *(
            a_post(f"{WORDS[n % 12]} {WORDS[n % 11]} {WORDS[n % 7]} number {n}", author="machine")
            for n in range(600)
        )
    )
    corpus = built(home)
    assert corpus.manifest.tally["dropped"]["faster_than_human"] == 600
