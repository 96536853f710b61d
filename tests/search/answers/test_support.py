"""Support: what posts bear out, by their words."""

import pytest

from rookery.search.answers.evidence import sentences
from rookery.search.answers.support import is_supported

POST = "Snow on the line made the night tram of Bergen 40 minutes late, the driver told us"


@pytest.mark.parametrize(
    ("sentence", "is_held"),
    [
        (POST, True),
        ("The night tram was 40 minutes late.", True),
        ("In Bergen the snow made the trams late.", True),
        ("The night tram was 50 minutes late.", False),
        ("In Bergen the snow of Oslo made the trams late.", False),
        ("The night tram was not late.", False),
        ("Aliens attacked the harbour.", False),
        ("What was that?", False),
        ("", False),
    ],
)
def test_a_sentence_needs_its_words_numbers_and_names_in_a_post(sentence, is_held):
    assert is_supported(sentence, [POST], lambda term: 1.0) is is_held


def test_several_posts_support_together_and_none_supports_nothing():
    sentence = "Snow stopped the tram, and ice the ferry."
    halves = ["snow stopped the tram", "ice stopped the ferry"]
    assert is_supported(sentence, halves, lambda term: 1.0)
    assert not is_supported(sentence, [], lambda term: 1.0)


def test_reposted_words_do_not_support():
    assert not is_supported("The tram is late.", ["lol RT @kim the tram is late"], lambda term: 1.0)


POSTS = (
    "The spring regatta starts at nine at Miller's Weir. For once there was no rain!",
    "St. John's harbour is closed today, says U.S. coast guard. Nobody was hurt.",
    "We never got AT&T to answer. Ben & Jerry's opens at 9:30 a.m. on Main Street.",
    "O'Hara's L'École cooks for 3,000 guests. It isn't far from d'Anna's.",
)


@pytest.mark.parametrize("post", POSTS)
def test_a_post_supports_each_of_its_own_sentences_whatever_the_others_deny(post):
    assert len(sentences(post)) >= 1
    assert all(is_supported(sentence, [post], lambda term: 1.0) for sentence in sentences(post))


def test_what_a_post_affirms_in_one_sentence_is_not_denied_because_another_denies():
    post = "The regatta starts at nine. There was no rain."
    assert not is_supported("The regatta never starts at nine.", [post], lambda term: 1.0)
