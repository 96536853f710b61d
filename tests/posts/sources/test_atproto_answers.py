"""AT-proto answers: views and records become posts, and the labels on them close what they name."""

from datetime import UTC, datetime

import pytest

from rookery.posts.event import Event
from rookery.posts.sources import atproto_answers

DID = "did:plc:ada"
URI = f"at://{DID}/app.bsky.feed.post/3jui7kd54zh2y"
RECORD = {
    "$type": "app.bsky.feed.post",
    "text": "a rook",
    "langs": ["en"],
    "createdAt": "2023-05-01T12:00:00.000Z",
}
AUTHOR = {"did": DID, "handle": "ada.example", "labels": []}
VIEW = {
    "uri": URI,
    "cid": "bafy",
    "author": AUTHOR,
    "record": RECORD,
    "likeCount": 3,
    "repostCount": 2,
    "replyCount": 1,
    "indexedAt": "2023-05-01T12:00:05.000Z",
    "labels": [],
}
REPOST = {"$type": "app.bsky.feed.defs#reasonRepost", "by": {"did": "did:plc:bo"}}
LISTED = {"uri": URI, "cid": "bafy", "value": RECORD}


def label(value, **change):
    return {"src": "did:plc:mod", "uri": URI, "val": value, "cts": "2023-05-01T00:00:00Z"} | change


@pytest.fixture
def found(found_by):
    """Return what this source yields for a file of these lines."""

    def found(*lines, name="x.json"):
        return found_by(atproto_answers, name, *lines)

    return found


ANSWERS = [
    {"feed": [{"post": VIEW}], "cursor": "x"},
    {"feed": [{"post": VIEW, "reason": REPOST}]},
    {"posts": [VIEW], "hitsTotal": 1},
    {"thread": {"$type": "app.bsky.feed.defs#threadViewPost", "post": VIEW, "replies": []}},
    {"post": VIEW},
    VIEW,
    [VIEW],
]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_a_view_becomes_a_post_in_every_answer(found, answer):
    (post,), aside, events = found(answer)
    assert (aside, events) == ([], [])
    assert post == post | {
        "id": URI,
        "author": DID,
        "text": "a rook",
        "language": "en",
        "created": datetime(2023, 5, 1, 12, tzinfo=UTC),
        "likes": 3,
        "reposts": 2,
        "replies": 1,
        "visibility": "public",
        "consent_search": None,
        "consent_training": None,
        "source": "atproto_answers",
    }


@pytest.mark.parametrize("answer", [{"records": [LISTED], "cursor": "x"}, LISTED])
def test_a_listed_record_becomes_the_same_post_without_counts(found, answer):
    (post,), _, _ = found(answer)
    assert (post["id"], post["text"], post["likes"]) == (URI, "a rook", None)


@pytest.mark.parametrize(
    ("labels", "refused"),
    [
        ([label("!no-unauthenticated")], True),
        ([label("!hide")], True),
        ([label("!takedown")], True),
        ([label("porn")], False),
        ([label("!hide", exp="2023-05-01T12:00:01Z")], False),
        ([label("!hide", exp="2999-01-01T00:00:00Z")], True),
        ([label("!hide"), label("!hide", neg=True)], False),
        ([label("!hide"), label("!hide", neg=True, src="did:plc:other")], True),
        ("odd", False),
    ],
)
def test_a_label_on_a_post_refuses_every_use_of_it(found, labels, refused):
    (post,), _, _ = found(VIEW | {"labels": labels})
    uses = {post[f"consent_{use}"] for use in ("search", "answers", "ads", "training")}
    assert uses == ({False} if refused else {None})


def test_a_label_of_the_author_on_the_record_refuses_every_use_of_it(found):
    own = {"labels": {"values": [{"val": "!no-unauthenticated"}]}}
    for line in (VIEW | {"record": RECORD | own}, LISTED | {"value": RECORD | own}):
        assert [post["consent_training"] for post in found(line)[0]] == [False]


def test_a_label_on_the_author_closes_the_account_as_of_the_latest_view(found):
    closed = AUTHOR | {"labels": [label("!no-unauthenticated", src=DID)]}
    later = VIEW | {"uri": f"{URI}x", "author": closed, "indexedAt": "2024-05-01T00:00:00Z"}
    *_, events = found({"posts": [later, VIEW | {"author": closed}, VIEW]})
    when = datetime(2024, 5, 1, tzinfo=UTC)
    assert events == [Event("state_author", DID, "signed_in_only", "on", when)]


def test_an_account_without_labels_ends_no_state(found):
    assert found({"posts": [VIEW]})[2] == []


def test_a_thread_is_read_from_its_parents_to_its_replies(found):
    views = {name: VIEW | {"uri": f"{URI}{name}"} for name in "abcd"}
    gone = {"uri": f"{URI}gone", "notFound": True}
    blocked = {"uri": f"{URI}blocked", "blocked": True, "author": {"did": "did:plc:bo"}}
    thread = {
        "post": views["b"],
        "parent": {"post": views["a"], "parent": gone},
        "replies": [{"post": views["c"], "replies": [{"post": views["d"]}]}, blocked],
    }
    posts, aside, _ = found({"thread": thread})
    assert {post["id"][-1] for post in posts} == set("abcd")
    assert {(item.reason, item.row["id"]) for item in aside} == {
        ("not_found", f"{URI}gone"),
        ("blocked", f"{URI}blocked"),
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"author": AUTHOR | {"did": "did:plc:bo"}}, "not_the_owners"),
        ({"uri": f"at://{DID}/app.bsky.feed.generator/x"}, "other_collection"),
        ({"record": RECORD | {"text": ""}}, "no_text"),
    ],
)
def test_what_is_no_post_is_set_aside_by_its_address(found, change, reason):
    posts, (aside,), _ = found({"posts": [VIEW | {"uri": f"{URI}x"}, VIEW | change]})
    assert (len(posts), aside.reason) == (1, reason)
    assert aside.row == {"id": (VIEW | change)["uri"]}


def records(collection, **values):
    listed = [{"uri": f"at://{DID}/{collection}/self", "cid": "x", "value": values}]
    return {"records": [LISTED, *listed]}


def test_listed_preferences_refuse_from_now_on_and_allow_only_since_they_were_declared(found):
    declared = "2024-01-01T00:00:00Z"
    stance = {
        "training": {"allow": False, "updatedAt": declared},
        "embedding": {"allow": True, "updatedAt": declared},
    }
    *_, events = found(records("community.lexicon.preference.ai", preferences=stance))
    assert {(e.cause, e.value, e.happened) for e in events} == {
        ("training", "no", None),
        ("search", "yes", datetime(2024, 1, 1, tzinfo=UTC)),
    }


@pytest.mark.parametrize("closed", [True, False])
def test_a_listed_profile_closes_the_account_now_and_opens_it_only_long_ago(found, closed):
    own = {"labels": {"values": [{"val": "!no-unauthenticated"}]}} if closed else {}
    *_, (event,) = found(records("app.bsky.actor.profile", displayName="Ada", **own))
    assert (event.cause, event.value) == ("signed_in_only", "on" if closed else "off")
    assert (event.happened is None) == closed


def test_other_records_are_set_aside_by_address(found):
    _, (aside,), _ = found(records("app.bsky.feed.repost", subject={"uri": "x"}))
    assert (aside.reason, set(aside.row)) == ("repost", {"id"})


def test_a_future_time_gives_way_to_the_time_in_the_key(found):
    (post,), _, _ = found(LISTED | {"value": RECORD | {"createdAt": "2999-01-01T00:00:00Z"}})
    assert post["created"].year == 2023
