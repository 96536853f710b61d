"""Saved searches: queries under a name, each of which tells once what arrived and matches.

A saved search keeps a query and a number of the posts' feed, up to which it has told. What is new
are posts with higher numbers that are in the index, match, and may be shown at this moment; so a
post with an old date that arrives late is new, and a later version of a post is, too. They lie in
`saved.json` of the home, with no text of any post.

Not here: what a query means (`query.py`), and numbers of posts (`posts/feed.py`).
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from rookery.core.atomic import write_atomically
from rookery.core.config import from_plain
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home
from rookery.core.locks import exclusive
from rookery.posts import feed
from rookery.search.engine.scored import Candidate
from rookery.search.hits import Hit, marked, shown
from rookery.search.index import PostIndex
from rookery.search.query import Query, parse

SAVED = "saved.json"
LOCK = "saved.lock"
LONGEST_NAME = 64
_PAGE_POSTS = 4_096  # whose ids are looked up at once


@dataclass(frozen=True)
class SavedSearch:
    """A query, and the number of the feed up to which it has told what is new."""

    query: str
    told: int


@dataclass(frozen=True)
class News:
    """What a saved search has to tell: the newest posts of it, and how many there are.

    told: the number of the feed up to which that is all, for `mark_told`.
    """

    hits: tuple[Hit, ...]
    posts: int
    told: int


def saved_searches(home: Home) -> dict[str, SavedSearch]:
    """Return the saved searches by name; raise `DataError` if their file is damaged."""
    path = home.path / SAVED
    if not path.exists():
        return {}
    try:
        plain = json.loads(path.read_bytes())
        return {name: from_plain(SavedSearch, saved) for name, saved in plain.items()}
    except (ValueError, AttributeError, DataError):
        raise DataError(
            "the saved searches cannot be read", where=path, hint="Repair or remove the file"
        ) from None


def save_search(index: PostIndex, name: str, query: str) -> SavedSearch:
    """Save a query under a name; it tells of posts that are not in the index yet.

    Raises `UsageError` if there is one of this name, or the name or the query is empty.
    """
    name, home = name.strip(), index.home
    if not 0 < len(name) <= LONGEST_NAME:
        raise UsageError(f"a name has 1 to {LONGEST_NAME} characters, not {len(name)}")
    if not parse(query, index.clock.now()).root.parts:
        raise UsageError("a saved search needs a query", hint='For example "night tram"')
    new = SavedSearch(query, index.as_of_now().feed)
    with exclusive(home.path / LOCK, "the saved searches"):
        saved = saved_searches(home)
        if name in saved:
            raise UsageError(
                f"there is a saved search {name!r} already",
                where=home.path / SAVED,
                hint=f"Remove it with `rookery search saved remove {name}`, or take another name",
            )
        _write(home, saved | {name: new})
    return new


def remove_search(home: Home, name: str) -> None:
    """Remove a saved search; raise `UsageError` if there is none of this name."""
    with exclusive(home.path / LOCK, "the saved searches"):
        saved = saved_searches(home)
        _need(home, saved, name)
        _write(home, {other: search for other, search in saved.items() if other != name})


def news_of(index: PostIndex, name: str, limit: int = 20) -> News:
    """Return what a saved search has to tell; it tells the same again until `mark_told`.

    limit: of these posts the newest. Raises `UsageError` if there is no search of this name.
    """
    index = index.as_of_now()
    saved = _need(index.home, saved_searches(index.home), name)
    query, until = parse(saved.query, index.clock.now()), index.feed
    found = {
        candidate.ordinal: candidate
        for ids in _arrived(index.home, saved.told, until)
        for candidate in index.among_ids(query, ids)
    }
    newest = sorted(found.values(), key=_newest_first)
    return News(_shown(index, query, newest, limit), len(newest), max(until, saved.told))


def mark_told(home: Home, name: str, news: News) -> None:
    """Remember that news were told; raise `UsageError` if there is no search of this name."""
    with exclusive(home.path / LOCK, "the saved searches"):
        saved = saved_searches(home)
        told = replace(_need(home, saved, name), told=news.told)
        _write(home, saved | {name: told})


def _arrived(home: Home, after: int, until: int) -> Iterator[list[str]]:
    """Yield the ids of the posts with numbers over `after` and up to `until`."""
    if after >= until:
        return
    for page in feed.pages(home, after, _PAGE_POSTS):
        numbers, ids = page.rows["number"].to_pylist(), page.rows["id"].to_pylist()
        wanted = [one for number, one in zip(numbers, ids, strict=True) if number <= until]
        if wanted:
            yield wanted
        if page.last >= until:
            return


def _newest_first(candidate: Candidate) -> tuple[int, int]:
    return -candidate.moment, -candidate.ordinal


def _shown(
    index: PostIndex, query: Query, candidates: list[Candidate], limit: int
) -> tuple[Hit, ...]:
    return marked(shown(index, candidates, limit), query)


def _need(home: Home, saved: dict[str, SavedSearch], name: str) -> SavedSearch:
    if name not in saved:
        names = ", ".join(saved)
        raise UsageError(
            f"there is no saved search {name!r}",
            where=home.path / SAVED,
            hint=f"There are {names}" if names else "Save one with `rookery search saved add`",
        )
    return saved[name]


def _write(home: Home, saved: dict[str, SavedSearch]) -> None:
    plain = {name: asdict(search) for name, search in saved.items()}
    write_atomically(home.path / SAVED, json.dumps(plain, ensure_ascii=False, indent=1).encode())
