"""X API v1.1: whole texts, authors whose protection is stated, and notices that are honoured."""

import json
from datetime import UTC, datetime

import pytest

from rookery.posts.sources import x_api, x_api_v1
from rookery.posts.sources.x_api_v1 import LONGEST_NOTICE_BYTES, read, recognizes

USER = {"id": 7, "id_str": "7", "screen_name": "ada", "protected": False}
CUT = {
    "id": 10,
    "id_str": "10",
    "text": "Bread &amp; bu… https://t.co/x",
    "truncated": True,
    "created_at": "Sat Feb 18 12:33:11 +0000 2017",
    "timestamp_ms": "1487421191000",
    "user": USER,
    "lang": "en",
    "in_reply_to_status_id_str": "9",
    "quoted_status_id_str": "5",
    "favorite_count": 3,
    "retweet_count": 2,
    "reply_count": 1,
    "place": {"full_name": "Ghent, Belgium"},
    "extended_tweet": {
        "full_text": "Bread &amp; butter",
        "extended_entities": {"media": [{"ext_alt_text": "a loaf"}]},
    },
}
DELETE = {"delete": {"status": {"id": 10, "id_str": "10", "user_id": 7, "user_id_str": "7"}}}


@pytest.fixture
def found(found_by):
    """Return what this source yields for a file of these lines."""

    def found(*lines, name="x.jsonl", text=None):
        return found_by(x_api_v1, name, *lines, text=text)

    return found


def test_a_tweet_becomes_a_post_with_its_whole_text(found):
    (post,), aside, events = found(CUT)
    assert (aside, events) == ([], [])
    assert post == post | {
        "id": "10",
        "author": "7",
        "text": "Bread & butter",
        "language": "en",
        "created": datetime(2017, 2, 18, 12, 33, 11, tzinfo=UTC),
        "reply_to": "9",
        "quote_of": "5",
        "likes": 3,
        "reposts": 2,
        "replies": 1,
        "alt_text": "a loaf",
        "visibility": "public",
        "source": "x_api_v1",
        "place": "Ghent, Belgium",
    }


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([CUT]),
        json.dumps({"statuses": [CUT], "search_metadata": {"count": 1}}),
        json.dumps(CUT, indent=1),
    ],
)
def test_lists_and_search_answers_are_read_too(found, text):
    assert [post["text"] for post in found(name="x.json", text=text)[0]] == ["Bread & butter"]


@pytest.mark.parametrize(
    ("change", "visibility"),
    [
        ({}, "public"),
        ({"user": USER | {"protected": True}}, "followers"),
        ({"user": {"id": 7, "id_str": "7"}}, "unknown"),
        ({"user": USER | {"protected": "false"}}, "unknown"),
        ({"scopes": {"followers": True}}, "followers"),
    ],
)
def test_a_tweet_is_public_only_where_its_author_is_said_to_be_unprotected(
    found, change, visibility
):
    assert [post["visibility"] for post in found(CUT | change)[0]] == [visibility]


def test_protected_and_withheld_are_states(found):
    *_, events = found(
        CUT | {"user": USER | {"protected": True, "withheld_in_countries": "DE, FR"}},
        CUT | {"id_str": "11", "withheld_in_countries": ["TR"]},
        CUT | {"id_str": "12", "withheld_copyright": True},
    )
    assert {(e.kind, e.subject, e.cause, e.value) for e in events} == {
        ("state_author", "7", "protected", "on"),
        ("state_author", "7", "withheld", "on"),
        ("state_post", "11", "withheld", "on"),
        ("state_post", "12", "withheld", "on"),
    }


def test_of_a_retweet_the_tweet_that_it_repeats_is_taken_and_a_quoted_one_too(found):
    inner = CUT | {"id_str": "4", "user": {"id_str": "8", "screen_name": "bo", "protected": True}}
    quoting = {"id_str": "12", "quoted_status": CUT | {"id_str": "3"}}
    repeat = {"id_str": "11", "text": "RT @bo: Bread", "retweeted_status": inner}
    posts, (aside,), _ = found(CUT | repeat, CUT | quoting)
    assert [(p["id"], p["author"], p["visibility"]) for p in posts] == [
        ("4", "8", "followers"),
        ("12", "7", "public"),
        ("3", "7", "public"),
    ]
    assert (aside.reason, aside.id, aside.author) == ("repost", "11", "7")


@pytest.mark.parametrize("order", [1, -1])
def test_a_deleted_tweet_is_forgotten_wherever_the_notice_stands(
    found, order, restrictions_of, tmp_path
):
    posts, (aside,), _ = found(*[CUT, CUT | {"id": 11, "id_str": "11"}, DELETE][::order])
    assert ([p["id"] for p in posts], aside.reason, aside.id) == (["11"], "deleted_later", "10")
    assert "Bread" not in str(aside)
    assert restrictions_of(read(tmp_path / "x.jsonl")).posts == {"10": "forgotten"}


def test_a_notice_is_found_across_the_pieces_in_which_a_file_is_searched(found):
    notice = json.dumps(DELETE)
    filler = json.dumps(CUT | {"id_str": "11", "text": "x" * ((1 << 20) - 900)})
    for shift in (0, 40, 90):
        text = "\n".join((filler, " " * shift, json.dumps(CUT), notice))
        assert [p["id"] for p in found(text=text)[0]] == ["11"]
    assert len(notice) < LONGEST_NOTICE_BYTES


def test_other_notices_go_to_the_live_log_or_aside(found):
    posts, aside, events = found(
        {"scrub_geo": {"user_id_str": "7", "up_to_status_id_str": "10"}},
        {"status_withheld": {"id": 10, "user_id": 7, "withheld_in_countries": ["DE"]}},
        {"user_withheld": {"id": 8, "withheld_in_countries": ["AR"]}},
        {"limit": {"track": 1234}},
        {"disconnect": {"code": 4}},
        {"delete": {}},
    )
    assert posts == []
    assert [(e.kind, e.subject, e.value) for e in events] == [
        ("scrub_place", "7", "10"),
        ("state_post", "10", "on"),
        ("state_author", "8", "on"),
    ]
    assert {item.reason for item in aside} == {"notice_of_the_stream"}
    assert [item.row for item in aside] == [None] * 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"extended_tweet": None, "text": " "}, "no_text"),
        ({"id": None, "id_str": None}, "no_id"),
        ({"user": {}}, "no_author"),
        ({"created_at": "soon"}, "bad_time"),
        ({"edit_history": {"edit_tweet_ids": ["10", "12"]}}, "edited_since"),
    ],
)
def test_what_is_no_post_is_set_aside_by_its_id(found, change, reason):
    posts, (aside,), _ = found(CUT | {"id_str": "11", "id": 11}, CUT | change)
    assert ([p["id"] for p in posts], aside.reason) == (["11"], reason)
    assert "Bread" not in str(aside)


def test_the_two_versions_of_the_api_are_told_apart():
    assert recognizes(DELETE)
    assert not x_api.recognizes(CUT)
    of_v2 = {"delete": {"tweet": {"id": "10", "author_id": "7"}, "event_at": "2023-01-01"}}
    assert x_api.recognizes(of_v2)
    assert not recognizes(of_v2)
    assert not recognizes({"id": "1", "text": "x", "user": "ada"})
