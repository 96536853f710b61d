"""Permalinks: the addresses of posts as people copy them, turned into ids as the live log has them.

Known are the pages of posts on x.com and twitter.com, bsky.app, Mastodon servers and Reddit. Some
do not hold the whole id: bsky.app may name the author by a handle, and a Mastodon page names the
post by a number of the server that shows it. Then the home's own posts tell. Any other text is an
id as it is. `permalink` goes the other way. Not here: what is done with the posts (`forget.py`).
"""

import re
from collections.abc import Sequence

import pyarrow.compute as pc

from rookery.core.arrays import is_among
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.posts.lake import find_lake
from rookery.posts.live import live_log
from rookery.posts.post import Post
from rookery.posts.streams.inbox import Inbox

_END = r"/?(?:[?#].*)?"
_X = re.compile(
    r"https?://(?:(?:www|mobile|m)\.)?(?:x|twitter)\.com/(?:i/web|[^/?#]+)/status(?:es)?/(\d+)(?:/.*|"
    rf"{_END})",
    re.IGNORECASE,
)
_BLUESKY = re.compile(
    rf"(?:https?://(?:\w+\.)?bsky\.app/profile/|at://)(?P<who>[^/?#]+)/(?:post|app\.bsky\.feed\.post)"
    rf"/(?P<rkey>[^/?#]+){_END}",
    re.IGNORECASE,
)
_MASTODON = re.compile(
    rf"(?P<server>https?://[^/?#]+)/(?:web/|deck/)?@(?P<name>[^/@?#]+)(?:@(?P<host>[^/?#]+))?"
    rf"/(?P<number>\d+){_END}",
    re.IGNORECASE,
)
_ACTIVITY = re.compile(r"(https?://[^?#]+/statuses/\d+)/activity/?", re.IGNORECASE)
_REDDIT = re.compile(
    r"https?://(?:\w+\.)?reddit\.com/(?:(?:r|u|user)/[^/?#]+/)?comments/(?P<link>\w+)"
    rf"(?:/[^/?#]*(?:/(?P<comment>\w+))?)?{_END}",
    re.IGNORECASE,
)
_X_SOURCES = ("x_api", "x_api_v1", "x_archive")
_RECORD = re.compile(
    r"at://(?P<did>did:[a-z]+:[\w.:%-]+)/app\.bsky\.feed\.post/(?P<rkey>[\w.:~-]+)"
)
_ADDRESS = re.compile(r"https?://[^/?#\s@\\\"'<>]+/[^\s\"'<>]*", re.IGNORECASE)


def permalink(post: Post) -> str | None:
    """Return the address where a post can be read on its own network; None if it is not known.

    It begins with http:// or https://, and `post_ids` turns it into the post's id again. An id with
    a source's name before it (`source_names.py`) has none.
    """
    if post.source in _X_SOURCES:
        return f"https://x.com/i/web/status/{post.id}" if post.id.isdecimal() else None
    if found := _RECORD.fullmatch(post.id):
        return f"https://bsky.app/profile/{found['did']}/post/{found['rkey']}"
    if post.source == "mastodon":
        return post.id if _ADDRESS.fullmatch(post.id) else None
    if post.source == "reddit":
        return _on_reddit(post)
    return None


def _on_reddit(post: Post) -> str | None:
    kind, _, name = post.id.partition("_")
    if not re.fullmatch(r"t[13]_\w+", post.id):
        return None
    if kind == "t3":
        return f"https://www.reddit.com/comments/{name}/"
    thread = re.fullmatch(r"t3_(\w+)", post.conversation or "")
    return f"https://www.reddit.com/comments/{thread[1]}/_/{name}/" if thread else None


def post_ids(home: Home, given: Sequence[str]) -> list[str]:
    """Return the ids of posts that are given as ids or as permalinks, with blanks around them.

    Raises `UsageError` for a blank one, and for a permalink from which the home cannot tell the id.
    """
    names = [text.strip() for text in given]
    if "" in names:
        raise UsageError("an id is blank", hint="Give ids or permalinks of posts")
    links = frozenset(name for name in names if "://" in name)
    known = _known(home, links) if links else frozenset()
    return [name if name in known or name not in links else _named(home, name) for name in names]


def _named(home: Home, link: str) -> str:
    """Return the id of the post that a permalink names; the text itself if it is no permalink."""
    if found := _X.fullmatch(link):
        return found[1]
    if found := _ACTIVITY.fullmatch(link):
        return found[1]
    if found := _REDDIT.fullmatch(link):
        return f"t1_{found['comment']}" if found["comment"] else f"t3_{found['link']}"
    if found := _BLUESKY.fullmatch(link):
        return _of_bluesky(home, link, found["who"], found["rkey"])
    if found := _MASTODON.fullmatch(link):
        return _of_mastodon(home, link, found)
    return link


def _of_bluesky(home: Home, link: str, who: str, rkey: str) -> str:
    """Return the address of a post; an author named by a handle is found by the post's own key.

    The key is a time in microseconds, so that two authors hardly ever have the same.
    """
    if who.lower().startswith("did:"):
        return f"at://{who}/app.bsky.feed.post/{rkey}"
    found = _matching(home, rf"^at://[^/]+/app\.bsky\.feed\.post/{re.escape(rkey)}$")
    if len(found) != 1:
        raise UsageError(
            f"{len(found) or 'no'} posts here have the key {rkey!r}, and a handle is no id",
            where=link,
            hint="Give the address with the author's DID: at://did:…/app.bsky.feed.post/…",
        )
    return found[0]


def _of_mastodon(home: Home, link: str, found: re.Match[str]) -> str:
    """Return the address of a post whose page is on its own server, or on one that was followed."""
    server, number = found["server"], found["number"]
    with live_log(home) as log:
        by_stream = Inbox(log).ids_of(server, number)
    if by_stream:
        return by_stream[0]
    if found["host"] and not server.lower().endswith(f"//{found['host'].lower()}"):
        raise UsageError(
            "the page of another server does not hold the post's address",
            where=link,
            hint="Open the post's original page and give its address",
        )
    held = _matching(home, rf"^{re.escape(server)}/.*/statuses/{number}$")
    return held[0] if len(held) == 1 else f"{server}/users/{found['name']}/statuses/{number}"


def _known(home: Home, names: frozenset[str]) -> frozenset[str]:
    """Return those of some texts that are the id of a post in the lake."""
    lake = find_lake(home)
    batches = lake.batches(["id"]) if lake else ()
    found = (batch["id"].filter(is_among(batch["id"], names)).to_pylist() for batch in batches)
    return frozenset(name for part in found for name in part)


def _matching(home: Home, pattern: str) -> list[str]:
    """Return the ids in the lake that match a regular expression."""
    lake = find_lake(home)
    ids = (batch["id"] for batch in lake.batches(["id"])) if lake else ()
    return [i for of in ids for i in of.filter(pc.match_substring_regex(of, pattern)).to_pylist()]
