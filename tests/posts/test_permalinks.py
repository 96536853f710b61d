"""Permalinks name the post that the live log names."""

import pytest

from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.posts.live import live_log
from rookery.posts.permalinks import permalink, post_ids
from rookery.posts.post import Post
from rookery.posts.streams.inbox import Inbox, StreamMessage

DID = "did:plc:ada"
ADDRESSES = {
    "https://x.com/ada/status/123": "123",
    "https://twitter.com/ada/status/123?s=20": "123",
    "http://mobile.twitter.com/i/web/status/123#x": "123",
    "https://www.x.com/i/status/123/photo/1": "123",
    f"https://bsky.app/profile/{DID}/post/3kabc": f"at://{DID}/app.bsky.feed.post/3kabc",
    f"at://{DID}/app.bsky.feed.post/3kabc": f"at://{DID}/app.bsky.feed.post/3kabc",
    "https://home.example/@ada/10": "https://home.example/users/ada/statuses/10",
    "https://home.example/web/@ada/10?x=1": "https://home.example/users/ada/statuses/10",
    "https://home.example/@ada@home.example/10": "https://home.example/users/ada/statuses/10",
    "https://home.example/users/ada/statuses/10/activity": (
        "https://home.example/users/ada/statuses/10"
    ),
    "https://old.reddit.com/r/birds/comments/2qyrla/rooks/": "t3_2qyrla",
    "https://www.reddit.com/r/birds/comments/2qyrla/rooks/cnas8zv/?context=3": "t1_cnas8zv",
    "https://example.org/a/page": "https://example.org/a/page",
    " 123\n": "123",
}


@pytest.mark.parametrize("given", ADDRESSES)
def test_an_address_names_its_post(home, given):
    assert post_ids(home, [given]) == [ADDRESSES[given]]


def test_a_handle_is_found_by_the_key_of_a_post_that_is_here(home, a_post, put):
    put(a_post(id=f"at://{DID}/app.bsky.feed.post/3kabc"), a_post(id="at://x/y/3kabc"))
    link = "https://bsky.app/profile/ada.example/post/3kabc"
    assert post_ids(home, [link]) == [f"at://{DID}/app.bsky.feed.post/3kabc"]
    with pytest.raises(UsageError, match=r"no posts here have the key '3kxyz'.*DID"):
        post_ids(home, [link.replace("3kabc", "3kxyz")])
    put(a_post(id="at://did:plc:bo/app.bsky.feed.post/3kabc"), key="later")
    with pytest.raises(UsageError, match="2 posts here"):
        post_ids(home, [link])


def test_a_page_of_mastodon_is_what_the_lake_or_a_stream_knows_under_its_number(home, a_post, put):
    put(
        a_post(id="https://home.example/ap/users/1/statuses/10"),
        a_post(id="https://home.example/@bo/11"),
    )
    with live_log(home) as log:
        post = Post("https://away.example/notes/7", "ada", "x", a_post().created)
        message = StreamMessage((post,), aliases=(("12", post.id),))
        Inbox(log).store("https://home.example", [message], Context().clock)
    assert post_ids(
        home,
        [
            "https://home.example/@ada/10",
            "https://home.example/@bo/11",
            "https://home.example/@ada@away.example/12",
        ],
    ) == [
        "https://home.example/ap/users/1/statuses/10",
        "https://home.example/@bo/11",
        "https://away.example/notes/7",
    ]
    with pytest.raises(UsageError, match="does not hold the post's address"):
        post_ids(home, ["https://home.example/@ada@away.example/13"])


def test_a_blank_id_is_refused(home):
    with pytest.raises(UsageError, match="an id is blank"):
        post_ids(home, ["1", "  "])


@pytest.mark.parametrize(
    ("source", "id", "address"),
    [
        ("x_archive", "123", "https://x.com/i/web/status/123"),
        ("x_api", "123", "https://x.com/i/web/status/123"),
        (
            "jetstream",
            f"at://{DID}/app.bsky.feed.post/3k",
            f"https://bsky.app/profile/{DID}/post/3k",
        ),
        ("mastodon", "https://home.example/users/a/statuses/1", None),
        ("reddit", "t3_2qyrla", "https://www.reddit.com/comments/2qyrla/"),
        ("reddit", "t1_cnas8zv", "https://www.reddit.com/comments/2qyrla/_/cnas8zv/"),
    ],
)
def test_the_address_of_a_post_leads_back_to_it(home, a_post, source, id, address):
    post = a_post(id=id, source=source, conversation="t3_2qyrla")
    assert permalink(post) == (address or id)
    assert post_ids(home, [permalink(post)]) == [id]


@pytest.mark.parametrize(
    ("source", "id"),
    [
        ("x_api", "a/123"),
        ("mastodon", "javascript:alert(1)"),
        ("mastodon", "ftp://home.example/1"),
        ("mastodon", "https://home.example@evil.example/1"),
        ("mastodon", 'https://home.example/"onclick="x'),
        ("reddit", "t1_../x"),
        ("discourse", "forum.example.org/11"),
        ("a table", "123"),
        ("atproto", "at://did:plc:ada/app.bsky.feed.post/../x"),
    ],
)
def test_where_a_post_was_written_is_not_guessed(a_post, source, id):
    assert permalink(a_post(id=id, source=source)) is None
