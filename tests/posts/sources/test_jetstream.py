"""Jetstream and tap: posts that are deleted later are not taken, clocks of the future ignored."""

import json
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.posts.event import Event
from rookery.posts.sources.files import SetAside
from rookery.posts.sources.jetstream import read, recognizes

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


def event(
    record=RECORD,
    operation="create",
    did=ADA,
    rkey="r1",
    rev="3m1",
    collection="app.bsky.feed.post",
):
    commit = {
        "rev": rev,
        "operation": operation,
        "collection": collection,
        "rkey": rkey,
        "cid": "x",
    }
    commit |= {} if record is None else {"record": record}
    return {"did": did, "time_us": NOON_MICROS, "kind": "commit", "commit": commit}


def deletion(rkey="r1", rev="3m2", **more):
    return event(None, "delete", rkey=rkey, rev=rev, **more)


def account(active, status=None, did=ADA):
    details = {"active": active, "did": did} | ({"status": status} if status else {})
    return {"did": did, "time_us": NOON_MICROS, "kind": "account", "account": details}


def profile(record, did=ADA):
    return event(record, "update", did, "self", collection="app.bsky.actor.profile")


def tap(record=RECORD, action="create", rev="3kb3fge5lm32x", rkey="r1"):
    inner = {
        "live": True,
        "did": ADA,
        "rev": rev,
        "collection": "app.bsky.feed.post",
        "rkey": rkey,
        "action": action,
    }
    return {
        "id": 1,
        "type": "record",
        "record": inner | ({} if record is None else {"record": record}),
    }


@pytest.fixture
def posts_of(tmp_path):
    def posts_of(*lines):
        path = tmp_path / "events.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)))
        batches = list(read(path))
        aside = [item for _, beside in batches for item in beside if isinstance(item, SetAside)]
        return [row for batch, _ in batches for row in batch.to_pylist()], aside

    return posts_of


@pytest.fixture
def standing_after(tmp_path, restrictions_of):
    """Return the restrictions of the live log after the events of some lines."""

    def standing_after(*lines):
        path = tmp_path / "events.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)))
        return restrictions_of(read(path))

    return standing_after


def refused(post):
    return {
        name.removeprefix("consent_")
        for name, consent in post.items()
        if name.startswith("consent_") and consent is False
    }


def test_a_creation_becomes_a_post(posts_of):
    (post,), aside = posts_of(event())
    assert aside == []
    assert post == post | {
        "id": "at://did:plc:ada/app.bsky.feed.post/r1",
        "author": ADA,
        "text": "a rook",
        "language": "en",
        "created": datetime(2025, 10, 9, 8, 53, 19, tzinfo=UTC),
        "reply_to": None,
        "conversation": uri(),
        "visibility": "public",
        "source": "jetstream",
    }
    assert refused(post) == set()


def test_a_tap_event_becomes_the_same_post(posts_of):
    (of_jetstream,), _ = posts_of(event())
    (of_tap,), _ = posts_of(tap(RECORD | {"createdAt": "2023-01-01T00:00:00Z"}))
    assert of_tap | {"created": None} == of_jetstream | {"created": None}


def test_replies_quotes_and_descriptions_are_named(posts_of):
    quote = {"record": {"uri": uri("q", BO), "cid": "x"}}
    media = {"images": [{"alt": "one"}, {"alt": ""}, {"alt": "two"}]}
    reply = {"root": {"uri": uri("root", BO)}, "parent": {"uri": uri("parent", BO)}}
    (post,), _ = posts_of(
        event(RECORD | {"reply": reply, "embed": {"record": quote, "media": media}})
    )
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
        (event(collection="app.bsky.feed.repost"), "repost"),
        (event(collection="app.bsky.feed.like"), "other_collection"),
        (
            {"did": ADA, "time_us": NOON_MICROS, "kind": "identity", "identity": {"did": ADA}},
            "identity_event",
        ),
        (account(False, "desynchronized"), "account_event"),
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
    (post,), _ = posts_of(
        event(rev="3m1"), deletion(rev="3m2"), event(RECORD | {"text": "again"}, rev="3m3")
    )
    assert post["text"] == "again"


def test_of_a_post_the_newest_version_is_taken(posts_of):
    (post,), (aside,) = posts_of(
        event(rev="3m1"), event(RECORD | {"text": "better"}, "update", rev="3m2")
    )
    assert (post["text"], aside.reason) == ("better", "edited_since")


@given(st.integers(0, 2**32))
def test_reordered_and_repeated_lines_give_the_same_posts(tmp_path_factory, seed):
    lines = [
        event(rev="3m1"),
        deletion(rev="3m2"),
        event(rkey="r2", rev="3m3"),
        event(did=BO),
        profile(NO_LOGIN, BO),
    ]
    lines += [event(RECORD | {"text": "new"}, "update", rkey="r2", rev="3m4")]
    shuffled = lines * 2
    random.Random(seed).shuffle(shuffled)
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    path.write_text("\n".join(map(json.dumps, shuffled)))
    posts = [row for batch, _ in read(path) for row in batch.to_pylist()]
    assert {(post["id"], post["text"]) for post in posts} == {
        (uri("r2"), "new"),
        (uri(did=BO), "a rook"),
    }


def test_posts_of_an_account_that_the_stream_leaves_deleted_are_not_taken(posts_of, standing_after):
    lines = event(), event(did=BO), account(False, "deleted")
    posts, (aside,) = posts_of(*lines)
    assert ([post["author"] for post in posts], aside.reason, aside.row) == (
        [BO],
        "account_deleted",
        {"id": uri()},
    )
    assert standing_after(*lines).authors == {ADA: "deleted"}
    assert len(posts_of(*lines, account(True))[0]) == 2


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ([(False, "deactivated")], "deactivated"),
        ([(False, "takendown")], "taken_down"),
        ([(False, "deactivated"), (False, "suspended")], "suspended"),
        ([(False, "deactivated"), (True, None)], None),
        ([(True, None), (False, None)], "deactivated"),
    ],
)
def test_an_inactive_accounts_posts_are_kept_and_hidden_while_it_is_so(
    posts_of, standing_after, states, reason
):
    changes = [account(*state) | {"time_us": NOON_MICROS + n} for n, state in enumerate(states)]
    posts, _ = posts_of(event(), *changes)
    assert [post["author"] for post in posts] == [ADA]
    assert standing_after(event(), *changes).authors == ({ADA: reason} if reason else {})
    assert standing_after(*reversed(changes)).authors == ({ADA: reason} if reason else {})


def test_a_deletion_forgets_its_post(standing_after):
    assert standing_after(event(), deletion()).posts == {uri(): "forgotten"}
    assert standing_after(deletion(rkey="r9")).posts == {uri("r9"): "forgotten", uri(): "forgotten"}


def test_a_post_made_again_is_not_forgotten(standing_after):
    assert standing_after(event(rev="3m3"), deletion(rev="3m2")).posts == {}


def test_an_update_says_when_it_was_made(posts_of):
    (post,), _ = posts_of(event(operation="update"))
    assert (post["edited"], post["created"] < post["edited"]) == (NOON, True)


@pytest.mark.parametrize("label", ["!no-unauthenticated", "!hide"])
def test_a_post_that_wants_no_strangers_refuses_every_use(posts_of, label):
    labels = {"labels": {"values": [{"val": label}, {"val": "porn"}]}}
    (labelled, other), _ = posts_of(event(RECORD | labels), event(rkey="r2"))
    assert (refused(labelled), refused(other)) == (ALL, set())


def test_a_profile_that_wants_no_strangers_is_a_state_until_it_drops_its_label(standing_after):
    assert standing_after(profile(NO_LOGIN)).authors == {ADA: "signed_in_only"}
    later = profile({"displayName": "Ada"}) | {"time_us": NOON_MICROS + 1}
    assert standing_after(later, profile(NO_LOGIN)).authors == {}


def declared(record, collection="org.user-intents.declaration"):
    return event(record, "create", ADA, "self", collection=collection)


@pytest.mark.parametrize(
    ("intents", "expected"),
    [
        (
            {"syntheticContentGeneration": {"allow": False}},
            {"answers": {ADA: False}, "training": {ADA: False}},
        ),
        (
            {"bulkDataset": {"allow": False}, "syntheticContentGeneration": {"allow": True}},
            {"answers": {ADA: True}, "training": {ADA: False}},
        ),
        ({"protocolBridging": {"allow": False}}, {}),
        ({"syntheticContentGeneration": {"updatedAt": "2025-01-01T00:00:00Z"}}, {}),
        ({"bulkDataset": {"allow": "no"}}, {}),
    ],
)
def test_a_declaration_of_intents_is_heeded(standing_after, intents, expected):
    consent = standing_after(declared(intents)).consent
    assert {use: authors for use, authors in consent.items() if authors} == expected


@pytest.mark.parametrize(
    ("scope", "is_heeded"),
    [
        ({}, True),
        ({"collection": "app.bsky.feed.post"}, True),
        ({"collection": "com.example.book"}, False),
        ({"entity": "did:web:theirs.example"}, False),
    ],
)
def test_preferences_on_ai_are_heeded_where_they_are_about_posts_and_everyone(
    standing_after, scope, is_heeded
):
    preferences = {
        "training": {"allow": False},
        "inference": {"allow": True},
        "syntheticContent": {"allow": False},
        "embedding": {"allow": True},
    }
    record = {"scope": scope, "preferences": preferences}
    consent = standing_after(declared(record, "community.lexicon.preference.ai")).consent
    expected = (
        {"training": {ADA: False}, "answers": {ADA: False}, "search": {ADA: True}}
        if is_heeded
        else {}
    )
    assert {use: authors for use, authors in consent.items() if authors} == expected


def test_a_declaration_taken_back_says_nothing_any_more(standing_after):
    deleted = event(None, "delete", ADA, "self", collection="org.user-intents.declaration")
    later = deleted | {"time_us": NOON_MICROS + 1}
    consent = standing_after(declared({"bulkDataset": {"allow": False}}), later).consent
    assert not any(consent.values())


@pytest.mark.parametrize(
    ("given", "created"),
    [
        ("2025-10-09T08:53:19Z", datetime(2025, 10, 9, 8, 53, 19, tzinfo=UTC)),
        ("2012-03-04T05:06:07Z", datetime(2012, 3, 4, 5, 6, 7, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", NOON),
        ("2031-01-01T00:00:00Z", NOON),
        ("soon", NOON),
        (None, NOON),
    ],
)
def test_a_wrong_clock_gives_way_to_the_networks(posts_of, given, created):
    (post,), _ = posts_of(event(RECORD | {"createdAt": given}))
    assert post["created"] == created


def test_where_the_network_gives_no_time_its_revision_does(posts_of):
    places = range(12, -1, -1)
    revision = "".join(
        "234567abcdefghijklmnopqrstuvwxyz"[NOON_MICROS << 10 >> 5 * place & 31] for place in places
    )
    (post,), _ = posts_of(tap(RECORD | {"createdAt": "2031-01-01T00:00:00Z"}, rev=revision))
    assert post["created"] == NOON


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
                        ["uri", "record", "images", "values", "parent"]), inner), max_leaves=5),
       st.sampled_from([*RECORD, "reply", "embed", "labels"]))  # fmt: skip
def test_odd_values_do_not_stop_the_reading(tmp_path_factory, odd, field):
    path = tmp_path_factory.mktemp("odd") / "events.jsonl"
    path.write_text(json.dumps(event(RECORD | {field: odd})))
    ((batch, beside),) = read(path)
    assert batch.num_rows + len(beside) == 1


@pytest.mark.parametrize("time_us", [-1, 10**30, "x", None, 1.5])
def test_an_odd_time_of_the_network_does_not_stop_the_reading(posts_of, time_us):
    posts, aside = posts_of(event() | {"time_us": time_us})
    assert len(posts) + len(aside) == 1


@pytest.mark.parametrize("first", [event(), deletion(), account(True), tap(), [event()]])
def test_its_files_are_known(first):
    assert recognizes(first)


@pytest.mark.parametrize(
    "first", [None, [], {}, {"did": ADA}, {"id": 1, "type": "post", "post": {}}, RECORD]
)
def test_other_files_are_not(first):
    assert not recognizes(first)


def test_the_hand_written_events_are_read(shared_data):
    ((batch, beside),) = read(shared_data / "formats" / "atproto" / "jetstream_events.jsonl")
    (post,) = batch.to_pylist()
    assert (post["author"][-1], post["language"], post["reply_to"] == post["conversation"]) == (
        "b",
        "ru",
        True,
    )
    assert sorted(item.reason for item in beside if isinstance(item, SetAside)) == [
        "deleted_later", "identity_event", "no_text", "other_collection",
    ]  # fmt: skip
    ((batch, beside),) = read(shared_data / "formats" / "atproto" / "tap_events.jsonl")
    assert [item.reason for item in beside if isinstance(item, SetAside)] == ["deleted_later"]
    assert [
        (item.kind, item.cause)
        for item in beside
        if isinstance(item, Event) and item.value != "off"
    ] == [
        ("state_author", "taken_down"),
        ("forget_post", ""),
    ]


def test_the_valid_identifiers_of_the_protocols_own_lists_make_ids(shared_data, posts_of):
    names = (
        shared_data / "formats" / "atproto" / "interop_syntax" / "recordkey_syntax_valid.txt"
    ).read_text()
    keys = [name for name in names.splitlines() if name and not name.startswith("#")]
    posts, _ = posts_of(*(event(rkey=key) for key in keys))
    assert [post["id"] for post in posts] == [uri(key) for key in keys]
