"""Which media a post has, and whether it is for everybody, as each network's files tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.posts.sources import atproto, mastodon, reddit, x_api, x_api_v1
from rookery.posts.sources.media import KINDS, kind_of_type, media_of

WHEN = "2023-02-18T12:33:11Z"


@given(st.lists(st.sampled_from([*KINDS, None])))
def test_kinds_stand_once_and_in_one_order(kinds):
    found = media_of(kinds)
    assert found == media_of(reversed(kinds))
    assert (found is None) == ({*kinds} == {None})
    assert [kind for kind in KINDS if kind in kinds] == [k for k in (found or "").split(",") if k]


def test_types_of_files_are_kinds():
    types = ("image/png", "image/gif", "video/mp4", "audio/ogg", "text/html", "")
    assert list(map(kind_of_type, types)) == ["image", "gif", "video", "audio", None, None]


@pytest.mark.parametrize(
    ("attachments", "media"),
    [
        ({"media_keys": ["a", "b"]}, "image,gif"),
        ({"media_keys": ["a"], "poll_ids": ["1"]}, "image,poll"),
        ({"poll_ids": ["1"]}, "poll"),
        ({"media_keys": ["not described"]}, None),
        (None, ""),
    ],
)
def test_x_api(found_by, attachments, media):
    tweet = {"id": "1", "text": "a rook", "author_id": "7", "created_at": WHEN}
    tweet |= {"possibly_sensitive": True} | ({"attachments": attachments} if attachments else {})
    described = [{"media_key": "a", "type": "photo"}, {"media_key": "b", "type": "animated_gif"}]
    (post,), *_ = found_by(x_api, "x.jsonl", {"data": [tweet], "includes": {"media": described}})
    assert (post["media"], post["sensitive"]) == (media, True)


def test_x_api_that_was_not_asked_for_media_does_not_say_that_there_are_none(found_by):
    tweet = {"id": "1", "text": "a rook", "author_id": "7", "created_at": WHEN}
    (post,), *_ = found_by(x_api, "x.jsonl", {"data": [tweet]})
    assert (post["media"], post["sensitive"]) == (None, None)


@pytest.mark.parametrize(
    ("change", "media"),
    [
        ({"extended_entities": {"media": [{"type": "video"}, {"type": "photo"}]}}, "image,video"),
        ({"entities": {"urls": []}}, ""),
        ({}, None),
    ],
)
def test_x_api_v1(found_by, change, media):
    tweet = {"id_str": "1", "text": "a rook", "user": {"id_str": "7"}, "possibly_sensitive": False}
    tweet |= {"created_at": "Sat Feb 18 12:33:11 +0000 2017"} | change
    (post,), *_ = found_by(x_api_v1, "x.jsonl", tweet)
    assert (post["media"], post["sensitive"]) == (media, False)


@pytest.mark.parametrize(
    ("change", "media"),
    [
        ({"attachment": [{"type": "Document", "mediaType": "video/mp4"}]}, "video"),
        ({"attachment": [{"type": "Link", "href": "https://home.example"}]}, ""),
        ({"attachment": []}, ""),
        ({}, None),
        ({"type": "Question"}, "poll"),
    ],
)
def test_activitypub(found_by, change, media):
    actor = "https://home.example/users/ada"
    note = {"type": "Note", "id": f"{actor}/1", "attributedTo": actor, "published": WHEN}
    note |= {"content": "a rook", "to": ["as:Public"], "sensitive": True} | change
    (post,), *_ = found_by(
        mastodon, "outbox.json", {"type": "Create", "actor": actor, "object": note}
    )
    assert (post["media"], post["sensitive"]) == (media, True)


@pytest.mark.parametrize(
    ("change", "media"),
    [
        ({"media_attachments": [{"type": "gifv"}, {"type": "image"}]}, "image,gif"),
        ({"media_attachments": [{"type": "unknown"}]}, None),
        ({"media_attachments": [], "poll": {"id": "1"}}, "poll"),
        ({"media_attachments": [], "poll": None}, ""),
    ],
)
def test_statuses_of_mastodon(change, media):
    account = {"id": "1", "uri": "https://home.example/users/ada"}
    status = {"uri": "https://home.example/1", "content": "a rook", "created_at": WHEN}
    status |= {"account": account, "visibility": "public", "sensitive": False} | change
    post, *_ = mastodon.outcome(status)
    assert (post.media, post.sensitive) == (media, False)


@pytest.mark.parametrize(
    ("embed", "media"),
    [
        ({"$type": "app.bsky.embed.images", "images": [{"alt": ""}]}, "image"),
        ({"$type": "app.bsky.embed.video", "video": {"ref": "x"}}, "video"),
        ({"media": {"images": [{}]}, "record": {"uri": "at://x"}}, "image"),
        ({"$type": "app.bsky.embed.external", "external": {"uri": "https://home.example"}}, ""),
        (None, ""),
    ],
)
def test_atproto(embed, media):
    record = {"text": "a rook", "createdAt": WHEN, "embed": embed}
    post = atproto.post_of("did:plc:ada", "3k", record, None, "atproto_repo")
    assert (post.media, post.sensitive) == (media, None)
    labels = {"labels": {"values": [{"val": "graphic-media"}]}}
    assert atproto.post_of("did:plc:ada", "3k", record | labels, None, "atproto_repo").sensitive


@pytest.mark.parametrize(
    ("change", "media"),
    [
        ({"is_video": True}, "video"),
        ({"is_video": False, "is_gallery": True}, "image"),
        ({"post_hint": "image", "poll_data": {}}, "image"),
        ({"is_video": False}, ""),
        ({}, None),
    ],
)
def test_reddit(found_by, change, media):
    record = {"id": "2qyrla", "title": "a rook", "selftext": "", "author": "ada"}
    record |= {
        "created_utc": 1420070400,
        "subreddit": "birds",
        "over_18": True,
        "score": 1,
    } | change
    (post,), *_ = found_by(reddit, "RS.jsonl", record)
    assert (post["media"], post["sensitive"]) == (media, True)
