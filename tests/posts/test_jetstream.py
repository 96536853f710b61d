"""Jetstream and tap: what a stream takes back further on is not taken, and no clock of the future is believed."""

import itertools
import json
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.posts.jetstream import is_mine, read

ADA, BO = "did:plc:ada", "did:plc:bo"
NOON_MICROS = 1_760_000_000_000_000
NOON = datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC)
RECORD = {
    "$type": "app.bsky.feed.post",
    "text": "a rook",
    "langs": ["en-GB", "de"],
    "createdAt": "2025-10-09T08:53:19Z",
}
NO_LOGIN = {"labels": {"values": [{"val": "!no-unauthenticated"}]}}
ALL = {"search", "answers", "ads", "training"}


def uri(rkey="r1", did=ADA, collection="app.bsky.feed.post"):
    return f"at://{did}/{collection}/{rkey}"


def event(record=RECORD, operation="create", did=ADA, rkey="r1", rev="3m1", collection="app.bsky.feed.post"):
    commit = {"rev": rev, "operation": operation, "collection": collection, "rkey": rkey, "cid": "x"}
    commit |= {} if record is None else {"record": record}
    return {"did": did, "time_us": NOON_MICROS, "kind": "commit", "commit": commit}


def deletion(rkey="r1", rev="3m2", **more):
    return event(None, "delete", rkey=rkey, rev=rev, **more)


def account(active, status=None, did=ADA):
    said = {"active": active, "did": did} | ({"status": status} if status else {})
    return {"did": did, "time_us": NOON_MICROS, "kind": "account", "account": said}


def profile(record, did=ADA):
    return event(record, "update", did, "self", collection="app.bsky.actor.profile")


def tap(record=RECORD, action="create", rev="3kb3fge5lm32x", rkey="r1"):
    inner = {"live": True, "did": ADA, "rev": rev, "collection": "app.bsky.feed.post", "rkey": rkey, "action": action}
    return {"id": 1, "type": "record", "record": inner | ({} if record is None else {"record": record})}


@pytest.fixture
def posts_of(tmp_path):
    def posts_of(*lines):
        path = tmp_path / "events.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)))
        batches = list(read(path))
        return [row for batch, _ in batches for row in batch.to_pylist()], [a for _, aside in batches for a in aside]

    return posts_of


def refused(post):
    return {
        name.removeprefix("consent_") for name, said in post.items() if name.startswith("consent_") and said is False
    }


def test_a_creation_becomes_a_post(posts_of):
    (post,), aside = posts_of(event())
    assert aside == []
    assert post == post | {
        "id": "at://did:plc:ada/app.bsky.feed.post/r1", "author": ADA, "text": "a rook", "language": "en",
        "created": datetime(2025, 10, 9, 8, 53, 19, tzinfo=UTC), "reply_to": None, "conversation": uri(),
        "visibility": "public", "source": "jetstream",
    }  # fmt: skip
    assert refused(post) == set()


def test_a_tap_event_becomes_the_same_post(posts_of):
    (of_jetstream,), _ = posts_of(event())
    (of_tap,), _ = posts_of(tap(RECORD | {"createdAt": "2023-01-01T00:00:00Z"}))
    assert of_tap | {"created": None} == of_jetstream | {"created": None}


def test_replies_quotes_and_descriptions_are_named(posts_of):
    quote = {"record": {"uri": uri("q", BO), "cid": "x"}}
    media = {"images": [{"alt": "one"}, {"alt": ""}, {"alt": "two"}]}
    reply = {"root": {"uri": uri("root", BO)}, "parent": {"uri": uri("parent", BO)}}
    (post,), _ = posts_of(event(RECORD | {"reply": reply, "embed": {"record": quote, "media": media}}))
    assert (post["reply_to"], post["conversation"]) == (uri("parent", BO), uri("root", BO))
    assert (post["quote_of"], post["alt_text"]) == (uri("q", BO), "one\ntwo")


@pytest.mark.parametrize(
    ("embed", "quote", "alt"),
    [
        ({"record": {"uri": uri("q")}}, uri("q"), None),
        ({"record": {"uri": "at://did:plc:bo/app.bsky.feed.generator/g"}}, None, None),
        ({"alt": "a film", "video": {}}, None, "a film"),
        ({"items": [{"alt": "one"}, {"alt": "two"}]}, None, "one\ntwo"),
        ({"external": {"uri": "https://a.example", "title": "theirs"}}, None, None),
        ("odd", None, None),
    ],
)
def test_what_is_embedded_is_told_by_its_kind(posts_of, embed, quote, alt):
    (post,), _ = posts_of(event(RECORD | {"embed": embed}))
    assert (post["quote_of"], post["alt_text"], post["text"]) == (quote, alt, "a rook")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (deletion(), "deletion_event"),
        (event(collection="app.bsky.feed.repost"), "repost"),
        (event(collection="app.bsky.feed.like"), "other_collection"),
        ({"did": ADA, "time_us": NOON_MICROS, "kind": "identity", "identity": {"did": ADA}}, "identity_event"),
        (account(False, "deactivated"), "account_event"),
        (account(False, "deleted"), "deletion_event"),
        ({"id": 3, "type": "user", "user": {"did": ADA, "isActive": False, "status": "takendown"}}, "account_event"),
        (event(operation="resync"), "unknown_event"),
        (event(RECORD | {"text": " "}), "no_text"),
        (event(None), "no_text"),
        (event(rkey=""), "no_id"),
        (tap(RECORD | {"createdAt": "soon"}, rev=""), "bad_time"),
        ({"hello": 1}, "not_an_event"),
    ],
)
def test_what_is_no_post_is_set_aside_by_what_it_is(posts_of, line, reason):
    posts, (aside,) = posts_of(line)
    assert (posts, aside.reason, aside.where) == ([], reason, "line 1")


def test_a_post_that_is_deleted_further_on_is_not_taken_nor_its_words_kept(posts_of):
    posts, aside = posts_of(event(), event(rkey="r2"), deletion())
    assert [post["id"] for post in posts] == [uri("r2")]
    assert (aside[0].reason, aside[0].row) == ("deleted_later", {"id": uri()})


def test_a_post_made_again_after_its_deletion_is_taken(posts_of):
    (post,), _ = posts_of(event(rev="3m1"), deletion(rev="3m2"), event(RECORD | {"text": "again"}, rev="3m3"))
    assert post["text"] == "again"


def test_of_a_post_the_newest_version_is_taken(posts_of):
    (post,), (aside,) = posts_of(event(rev="3m1"), event(RECORD | {"text": "better"}, "update", rev="3m2"))
    assert (post["text"], aside.reason) == ("better", "edited_since")


@given(st.integers(0, 2**32))
def test_reordered_and_repeated_lines_give_the_same_posts(tmp_path_factory, seed):
    lines = [event(rev="3m1"), deletion(rev="3m2"), event(rkey="r2", rev="3m3"), event(did=BO), profile(NO_LOGIN, BO)]
    lines += [event(RECORD | {"text": "new"}, "update", rkey="r2", rev="3m4")]
    shuffled = lines * 2
    random.Random(seed).shuffle(shuffled)
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    path.write_text("\n".join(map(json.dumps, shuffled)))
    posts = [row for batch, _ in read(path) for row in batch.to_pylist()]
    assert {(post["id"], post["text"], frozenset(refused(post))) for post in posts} == {
        (uri("r2"), "new", frozenset()),
        (uri(did=BO), "a rook", frozenset(ALL)),
    }


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ([(False, "deleted")], "account_deleted"),
        ([(False, "deactivated")], "account_inactive"),
        ([(False, "takendown")], "account_inactive"),
        ([(False, "deactivated"), (True, None)], None),
        ([(True, None), (False, None)], "account_inactive"),
    ],
)
def test_posts_of_an_account_that_the_stream_leaves_inactive_are_not_taken(posts_of, states, reason):
    posts, aside = posts_of(event(), event(did=BO), *itertools.starmap(account, states))
    assert [post["author"] for post in posts] == ([BO] if reason else [ADA, BO])
    assert [item.reason for item in aside if item.where == "line 1"] == ([reason] if reason else [])


@pytest.mark.parametrize("label", ["!no-unauthenticated", "!hide"])
def test_an_author_who_wants_no_strangers_refuses_every_use(posts_of, label):
    labels = {"labels": {"values": [{"val": label}, {"val": "porn"}]}}
    (labelled, other), _ = posts_of(event(RECORD | labels), event(rkey="r2"))
    assert (refused(labelled), refused(other)) == (ALL, set())
    (first, second, of_bo), _ = posts_of(event(), event(rkey="r2"), event(did=BO), profile(labels))
    assert (refused(first), refused(second), refused(of_bo)) == (ALL, ALL, set())


def test_a_profile_that_drops_its_label_refuses_no_more(posts_of):
    (post,), _ = posts_of(profile(NO_LOGIN), event(), profile({"displayName": "Ada"}))
    assert refused(post) == set()


@pytest.mark.parametrize(
    ("intents", "uses"),
    [
        ({"syntheticContentGeneration": {"allow": False}}, {"answers", "training"}),
        ({"bulkDataset": {"allow": False}}, {"training"}),
        ({"syntheticContentGeneration": {"allow": True}, "protocolBridging": {"allow": False}}, set()),
        ({"syntheticContentGeneration": {"updatedAt": "2025-01-01T00:00:00Z"}}, set()),
    ],
)
def test_a_declaration_of_intents_is_heeded(posts_of, intents, uses):
    declared = event(intents, "create", ADA, "self", collection="org.user-intents.declaration")
    (post,), _ = posts_of(event(), declared)
    assert refused(post) == uses


@pytest.mark.parametrize(
    ("said", "created"),
    [
        ("2025-10-09T08:53:19Z", datetime(2025, 10, 9, 8, 53, 19, tzinfo=UTC)),
        ("2012-03-04T05:06:07Z", datetime(2012, 3, 4, 5, 6, 7, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", NOON),
        ("2031-01-01T00:00:00Z", NOON),
        ("soon", NOON),
        (None, NOON),
    ],
)
def test_a_wrong_clock_gives_way_to_the_networks(posts_of, said, created):
    (post,), _ = posts_of(event(RECORD | {"createdAt": said}))
    assert post["created"] == created


def test_where_the_network_gives_no_time_its_revision_does(posts_of):
    places = range(12, -1, -1)
    revision = "".join("234567abcdefghijklmnopqrstuvwxyz"[NOON_MICROS << 10 >> 5 * place & 31] for place in places)
    (post,), _ = posts_of(tap(RECORD | {"createdAt": "2031-01-01T00:00:00Z"}, rev=revision))
    assert post["created"] == NOON


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
                        ["uri", "record", "images", "values", "parent"]), inner), max_leaves=5),
       st.sampled_from([*RECORD, "reply", "embed", "labels"]))  # fmt: skip
def test_odd_values_do_not_stop_the_reading(tmp_path_factory, odd, field):
    path = tmp_path_factory.mktemp("odd") / "events.jsonl"
    path.write_text(json.dumps(event(RECORD | {field: odd})))
    ((batch, aside),) = read(path)
    assert batch.num_rows + len(aside) == 1


@pytest.mark.parametrize("time_us", [-1, 10**30, "x", None, 1.5])
def test_an_odd_time_of_the_network_does_not_stop_the_reading(posts_of, time_us):
    posts, aside = posts_of(event() | {"time_us": time_us})
    assert len(posts) + len(aside) == 1


@pytest.mark.parametrize("first", [event(), deletion(), account(True), tap(), [event()]])
def test_its_files_are_known(first):
    assert is_mine(first)


@pytest.mark.parametrize("first", [None, [], {}, {"did": ADA}, {"id": 1, "type": "post", "post": {}}, RECORD])
def test_other_files_are_not(first):
    assert not is_mine(first)


def test_the_hand_written_events_are_read(shared_data):
    ((batch, aside),) = read(shared_data / "formats" / "atproto" / "jetstream_events.jsonl")
    (post,) = batch.to_pylist()
    assert (post["author"][-1], post["language"], post["reply_to"] == post["conversation"]) == ("b", "ru", True)
    assert sorted(item.reason for item in aside) == [
        "account_event", "account_event", "deleted_later", "deletion_event", "deletion_event", "identity_event",
        "no_text", "other_collection", "other_collection",
    ]  # fmt: skip
    ((batch, aside),) = read(shared_data / "formats" / "atproto" / "tap_events.jsonl")
    assert [item.reason for item in aside] == ["deleted_later", "deletion_event", "account_event"]


def test_the_valid_identifiers_of_the_protocols_own_lists_make_ids(shared_data, posts_of):
    names = (shared_data / "formats" / "atproto" / "interop_syntax" / "recordkey_syntax_valid.txt").read_text()
    keys = [name for name in names.splitlines() if name and not name.startswith("#")]
    posts, _ = posts_of(*(event(rkey=key) for key in keys))
    assert [post["id"] for post in posts] == [uri(key) for key in keys]
