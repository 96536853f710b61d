"""Languages are guessed from long enough texts where the guess is sure, else from the author."""

import functools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from rookery.corpus import normalize
from rookery.corpus.language import UNKNOWN, by_script, classify, guess, of_authors


def test_longer_texts_get_their_language_and_short_ones_stay_unknown():
    texts = [
        "the rooks came back to the elm behind the church this morning",
        "сегодня утром грачи вернулись на старый вяз за церковью",
        "heute morgen sind die krähen auf die alte ulme hinter der kirche zurückgekehrt",
        "rooks again",
    ]
    assert guess(pa.array(texts)).to_pylist() == ["en", "ru", "de", None]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("今朝カラスが帰った", "ja"),
        ("コンビニの前です", "ja"),
        ("今天早上乌鸦回来了", "zh"),
        ("今天早上の烏鴉回來了啊朋友", "zh"),
        ("까마귀가 돌아왔어요", "ko"),
        ("ㅋㅋㅋㅋㅋㅋㅋ", "ko"),
        ("อีกากลับมา", "th"),
        ("העורבים חזרו", "he"),
        ("γύρισαν τα κοράκια", "el"),
        ("კრუხები დაბრუნდნენ", "ka"),
        ("காக்கைகள் வந்தன", "ta"),
        ("iphone 까마귀가 돌아왔어", "ko"),
        ("2024 12 31 까마귀가돌아", "ko"),
        ("pc の設定です", "ja"),
        ("αβγ abcd", None),
        ("さようなら", None),
        ("까마귀가 돌 rooks rooks", None),
        ("грачи вернулись", None),
        ("عادت الغربان", None),
        ("rooks again", None),
    ],
)
def test_a_script_of_one_language_decides_from_six_letters_on(text, language):
    assert guess(normalize.key(pa.array([text, "rooks"]))).to_pylist() == [language, None]


@given(st.lists(st.text(st.sampled_from("aя 漢かカ한กαא1"), max_size=40), max_size=10))
def test_a_text_is_in_a_script_whatever_stands_beside_it(texts):
    together = by_script(pa.array(texts, pa.string()))
    assert together.to_pylist() == [by_script(pa.array([text]))[0].as_py() for text in texts]


def test_nothing_to_guess_is_no_work():
    assert guess(pa.array([], pa.string())).to_pylist() == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([0, 0, UNKNOWN], 0),
        ([0, 1, 1, 0, 1, UNKNOWN], 1),
        ([0, UNKNOWN], UNKNOWN),
        ([0, 0, 1, 1, UNKNOWN], UNKNOWN),
        ([0, 0, 1, 1, 2, UNKNOWN], UNKNOWN),
        ([UNKNOWN, UNKNOWN], UNKNOWN),
        ([], None),
    ],
)
def test_a_post_of_unknown_language_takes_that_of_most_of_its_authors_posts(said, expected):
    others = [3, 3, 3]  # of another author, before and after in the order of authors
    codes = np.array([*others, *said, *others])
    authors = np.array([1] * 3 + [2] * len(said) + [3] * 3, np.uint64)
    filled = of_authors(codes, authors)
    assert filled.tolist() == [
        *others,
        *said[:-1],
        *([] if expected is None else [expected]),
        *others,
    ]


@given(st.lists(st.tuples(st.integers(UNKNOWN, 3), st.integers(0, 3))))
def test_what_is_known_of_languages_stays(posts):
    codes, authors = (
        np.array([p[0] for p in posts], int),
        np.array([p[1] for p in posts], np.uint64),
    )
    known = codes != UNKNOWN
    assert of_authors(codes, authors)[known].tolist() == codes[known].tolist()


@given(st.lists(st.text(max_size=80), max_size=20))
def test_many_texts_at_once_get_what_py3langid_gives_each(texts):
    keys = normalize.key(pa.array(texts, pa.string())).to_pylist()
    languages, probability = classify(keys)
    one_by_one = [reference().classify(key) for key in keys]
    assert languages == [language for language, _ in one_by_one]
    np.testing.assert_allclose(probability, [p for _, p in one_by_one], atol=1e-4)


def test_real_posts_get_what_py3langid_gives_each(shared_data):
    posts = pq.read_table(shared_data / "tweets_ira/tweets.parquet", columns=["content"]).slice(
        500_000, 2000
    )
    keys = normalize.key(posts["content"].combine_chunks()).to_pylist()
    assert classify(keys)[0] == [reference().classify(key)[0] for key in keys]


def test_a_very_long_text_is_judged_by_its_beginning():
    assert guess(pa.array(["the rooks came back to the elm " * 100_000])).to_pylist() == ["en"]


@functools.cache
def reference() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
