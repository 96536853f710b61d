"""Suggestions: what completes the beginning of a word, another spelling of a query, and trends.

All of it is counted over the posts that may be found at this moment (`engine/counting.py`), and
tells only what at least five authors wrote: neither a hidden post nor what one person alone wrote
shows. The one exception are the names of authors, each of which has one author by nature: a name
is suggested to whoever has typed three letters of it, while a post of this author may be found.

A query is never changed: another spelling is an offer. What a query means is in `query.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rapidfuzz.distance import OSA

from rookery.search.engine.analysis import variants
from rookery.search.engine.counting import LEAST_AUTHORS, FieldValue, beginning
from rookery.search.engine.fields import moment_after
from rookery.search.engine.tree import And, Word, wanted
from rookery.search.engine.words import (
    STOP_WORDS,
    author_key,
    fold,
    is_run,
    without_accents,
)
from rookery.search.index import PostIndex
from rookery.search.query import parse, words_query

LEAST_LETTERS = 3
"""Of an author's name, or of a word without a sign; of a tag one suffices."""
WEEK = timedelta(days=7)
LEAST_RISE = 2.0
"""A trend has risen by so many standard deviations of what chance does to such counts."""
_AUTHOR = "from:"


# Typeahead
# -------------------------------------------------------------------------------------------------


def completions(index: PostIndex, prefix: str, limit: int = 8) -> tuple[str, ...]:
    """Return what a word that begins with `prefix` may become, as it is written in a query.

    `#ni` becomes tags, `from:ada` and `@ada` authors, `ada` both: of each the most frequent first.
    """
    index = index.as_of_now()
    word = prefix.strip()
    if word[:1] in ("#", "＃"):
        return tuple(_tags(index, word[1:], limit))
    if word[:1] in ("@", "＠") or word.lower().startswith(_AUTHOR):
        return tuple(_authors(index, word.lower().removeprefix(_AUTHOR), limit))
    if len(word) < LEAST_LETTERS:
        return ()
    tags, authors = _tags(index, word, limit), _authors(index, word, limit)
    room = max(limit - len(authors), (limit + 1) // 2)
    return tuple((tags[:room] + authors)[:limit])


def _tags(index: PostIndex, typed: str, limit: int) -> list[str]:
    name = fold(typed)
    if not name:
        return []
    return [f"#{value.text}" for value in index.values("tags", beginning(name))[:limit]]


def _authors(index: PostIndex, typed: str, limit: int) -> list[str]:
    name = author_key(typed.strip('"'))
    if len(name) < LEAST_LETTERS:
        return []
    found = index.values("author", beginning(name), least_authors=1, most=limit)
    return [_AUTHOR + _quoted(value.text) for value in found if '"' not in value.text]


def _quoted(name: str) -> str:
    return f'"{name}"' if re.search(r"[\s()]", name) else name


# Another spelling
# -------------------------------------------------------------------------------------------------

_LEAST_WORD = 4  # letters; shorter words are like too many others
_LONG_WORD = 8  # letters, from which two of them may be wrong
_MOST_WORDS = 8  # of a query that are looked at
_FEW = 1 / 2_000  # of the posts: a word that no more have may be a slip
_MORE_OFTEN = 30  # times as many posts as the typed word has another spelling
_READ_POSTS = 300  # in which other spellings are looked for
_MOST_SPELLINGS = 12  # that are counted


def correction(index: PostIndex, text: str) -> str | None:
    """Return a query with another spelling of its rare words, or None if there is no better one.

    Only a plain word that hardly any post has is looked at, and only a word that at least five
    authors use, in thirty times as many posts, may stand for it. It differs by one letter (left
    out, added, changed, or exchanged with the next), or by two in words of eight letters and more.
    """
    index = index.as_of_now()
    changed = text
    for word in _plain_words(parse(text, index.clock.now()).root):
        other = _other_spelling(index, word)
        if other is not None:
            changed = re.sub(rf"(?<![\w#＃@＠$:/-]){re.escape(word)}(?![\w:])", other, changed)
    return changed if changed != text else None


def _plain_words(root: And) -> Iterator[str]:
    """Yield the words of a query, as typed, that may be looked at."""
    typed = [part.text for part in wanted(root) if isinstance(part, Word)][:_MOST_WORDS]
    for text in dict.fromkeys(typed):
        found = re.findall(r"\w+", text)
        if len(found) == 1 and _is_usual(fold(found[0])):
            yield found[0]


def _is_usual(word: str) -> bool:
    """Return whether a word is long enough, of letters, and not of a script without spaces."""
    return (
        len(word) >= _LEAST_WORD
        and word.isalpha()
        and word not in STOP_WORDS
        and not any(map(is_run, word))
    )


def _other_spelling(index: PostIndex, typed: str) -> str | None:
    """Return a much more frequent word that is written nearly like a rare one, or None."""
    word = fold(typed)
    posts = index.count_word(typed).posts
    if posts > max(LEAST_AUTHORS - 1, index.posts * _FEW):
        return None
    for spelling in _near(index, word):
        others = index.count_spelling(spelling)
        if others.authors >= LEAST_AUTHORS and others.posts >= _MORE_OFTEN * posts:
            return spelling
    return None


def _near(index: PostIndex, word: str) -> list[str]:
    """Return words of posts that are written nearly like a word, the likeliest first."""
    wrong = 2 if len(word) >= _LONG_WORD else 1
    own = set(variants(word, index.analyses))
    ranked: dict[str, tuple[int, bool, int]] = {}
    for other, posts in index.spelled_nearly(word, wrong, _READ_POSTS).items():
        bare = without_accents(other)
        distance = OSA.distance(word, bare, score_cutoff=wrong)
        if (
            0 < distance <= wrong
            and _is_usual(bare)
            and own.isdisjoint(variants(bare, index.analyses))
        ):
            ranked[other] = distance, bare[0] != word[0], -posts
    return sorted(ranked, key=lambda other: (*ranked[other], other))[:_MOST_SPELLINGS]


# Trends
# -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trend:
    """A tag that more people write than the week before: how many posts had it, then and now."""

    text: str
    posts: int
    posts_before: int


def trends(index: PostIndex, limit: int = 10) -> tuple[Trend, ...]:
    """Return the tags that more authors wrote in the last seven days than in the seven before.

    The days end with the newest post that is not dated in the future. They are ordered by how far
    the number of authors rose beyond chance: (now - before) / √(now + before), which is in
    standard deviations if both are Poisson counts of one rate. So small numbers weigh little, and
    many posts of one author no more than one.
    """
    index = index.as_of_now()
    end = _newest(index)
    if end is None:
        return ()
    now = index.values("tags", between=_between(end - WEEK, end))
    if not now:
        return ()
    earlier = _between(end - 2 * WEEK, end - WEEK)
    names = [value.text for value in now]
    found = index.values("tags", names, earlier, least_authors=1, most=len(names))
    before = {value.text: value for value in found}
    risen = [(value, before.get(value.text, FieldValue(value.text, 0, 0))) for value in now]
    risen = [pair for pair in risen if _rise(*pair) >= LEAST_RISE]
    risen.sort(key=lambda pair: (-_rise(*pair), pair[0].text))
    return tuple(Trend(f"#{new.text}", new.posts, old.posts) for new, old in risen[:limit])


def _rise(now: FieldValue, before: FieldValue) -> float:
    """Return by how many standard deviations the number of authors rose."""
    return float((now.authors - before.authors) / (now.authors + before.authors) ** 0.5)


def _newest(index: PostIndex) -> datetime | None:
    """Return when the newest post was written that is not dated in the future."""
    now = index.clock.now()
    for row in index.rows(index.newest(words_query(""), moment_after(now), 1)):
        if row is not None and row["created"] <= now:
            return row["created"].replace(microsecond=0) + timedelta(seconds=1)
    return None


def _between(start: datetime, end: datetime) -> tuple[int, int]:
    """Return the first and last moment of posts written after `start` and up to `end`."""
    return moment_after(start), moment_after(end) - 1
