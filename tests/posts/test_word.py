"""What is noted by hand holds at once, and can be taken back."""

import pytest

from rookery.posts.live import live_log


def standing(home):
    with live_log(home) as log:
        return log.standing()


def test_an_authors_word_on_a_use_is_noted_and_taken_back(rookery, home):
    assert rookery("posts", "consent", "--author", "ada", "--training", "no", "--search", "yes", "--json").json() == {
        "new": 2
    }
    consent = standing(home).consent
    assert (consent["training"], consent["search"], consent["ads"]) == ({"ada": False}, {"ada": True}, {})
    rookery("posts", "consent", "--author", "ada", "--training", "undefined")
    assert standing(home).consent["training"] == {}
    rookery("posts", "consent", "--author", "ada", "--training", "no")
    assert standing(home).consent["training"] == {"ada": False}


def test_a_state_hides_until_it_ends(rookery, home):
    assert rookery("posts", "state", "suspended", "on", "--author", "ada", "--post", "7").code == 0
    assert (standing(home).authors, standing(home).posts) == ({"ada": "suspended"}, {"7": "suspended"})
    rookery("posts", "state", "suspended", "off", "--author", "ada")
    assert (standing(home).authors, standing(home).posts) == ({}, {"7": "suspended"})


@pytest.mark.parametrize(
    "words",
    [
        ["consent", "--author", "ada"],
        ["consent", "--author", "ada", "--training", "maybe"],
        ["state", "angry", "on", "--author", "ada"],
        ["state", "suspended", "perhaps", "--author", "ada"],
        ["state", "suspended", "on"],
        ["forget"],
        ["forget", "7", "--file", "x.jsonl"],
        ["forget", "--file", "x.jsonl", "--ids-of", "cats"],
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(rookery, words):
    ran = rookery("posts", *words)
    assert (ran.code, len(ran.said)) == (2, 1)
