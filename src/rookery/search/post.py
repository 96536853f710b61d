"""The page of one post: its conversation, its copies, and the parts of its score for a query.

A post that may not be shown has no page, and nothing tells it from one that never was. The
conversation is what the index holds of it: posts that name the same conversation, those that the
post answers, and those that answer it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rookery.posts.permalinks import permalink
from rookery.posts.post import Post
from rookery.search.hits import Hit, marked, shown
from rookery.search.index import PostIndex
from rookery.search.query import parse
from rookery.search.scope import KnownReader

MOST_IN_THREAD = 200
MOST_COPIES = 50
_MOST_PARENTS = 30  # that are looked up one after the other
_DEPTH = 200  # candidates of the query among which the post's score is looked for


@dataclass(frozen=True)
class PostPage:
    """A post with its surroundings.

    thread: the posts of its conversation in the order of time, itself among them. copies: other
    posts with the same words, newest first. link: where it was written, or None if that is unknown.
    """

    hit: Hit
    thread: tuple[Hit, ...]
    copies: tuple[Hit, ...]
    link: str | None


def post_page(
    index: PostIndex,
    post_id: str,
    query: str | None = None,
    reader: KnownReader | None = None,
) -> PostPage | None:
    """Return the page of a post, or None if there is no such post or it may not be shown.

    query: the search that led to it, of which the page then has the parts of the post's score.
    reader: whoever asks, who sees no post out of their scope; None for a stranger.
    """
    index = index.as_of_now(reader)
    found = index.with_value("id", [post_id], 1)
    hits = shown(index, found, 1)
    if not hits:
        return None
    ordinal = found[0].ordinal
    hit = _scored(index, hits[0], ordinal, query) if query else hits[0]
    alike = [c for c in index.with_words_of(hit.same, 2 * MOST_COPIES + 1) if c.ordinal != ordinal]
    copies = shown(index, alike, MOST_COPIES)
    return PostPage(hit, tuple(_thread(index, hit)), tuple(copies), _link(hit))


def _scored(index: PostIndex, hit: Hit, ordinal: int, query: str) -> Hit:
    """Return a hit with its score for a query, if it is among the best posts for that."""
    parsed = parse(query, index.clock.now())
    (hit,) = marked([hit], parsed)
    if not parsed.terms:
        return hit
    for find in (index.with_all, index.with_some):
        for candidate in find(parsed, _DEPTH):
            if candidate.ordinal == ordinal:
                return replace(hit, score=round(candidate.score, 6), parts=candidate.parts)
    return hit


def _thread(index: PostIndex, hit: Hit) -> list[Hit]:
    """Return the conversation of a post, in the order of time."""
    above = [hit, *_parents(index, hit)]
    known = {post.id: post for post in above}
    root = hit.conversation or above[-1].conversation or above[-1].id
    named = index.with_value("conversation", [root], MOST_IN_THREAD)
    answers = index.with_value("reply_to", sorted(known), MOST_IN_THREAD)
    for other in shown(
        index, [*index.with_value("id", [root], 1), *named, *answers], MOST_IN_THREAD
    ):
        known.setdefault(other.id, other)
    return sorted(known.values(), key=lambda h: (h.created, h.id))


def _parents(index: PostIndex, hit: Hit) -> Iterable[Hit]:
    """Yield the post that a post answers, the one that this answers, and so on."""
    seen = {hit.id}
    for _ in range(_MOST_PARENTS):
        if hit.reply_to is None or hit.reply_to in seen:
            return
        found = shown(index, index.with_value("id", [hit.reply_to], 1), 1)
        if not found:
            return
        hit = found[0]
        seen.add(hit.id)
        yield hit


def _link(hit: Hit) -> str | None:
    """Return the address where a post was written, if that is known."""
    post = Post(
        hit.id, hit.author, hit.text, hit.created, conversation=hit.conversation, source=hit.source
    )
    return permalink(post)
