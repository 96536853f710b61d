"""The archive that X gives a person of their own account, read as that person's posts.

A zip or several, a folder into which they were unpacked, or a loose `tweets.js` with the files of
the archive beside it; of 2012 to 2018 a folder `data/js/tweets` with a file for each month
(`Grailbird`). All that is given of one account in one command is one archive, so that what one zip
says of a tweet (deleted, for a circle, protected) holds for the tweets in the others.

Only published content is read: the tweets, the long texts that belong to them, of the account file
the name alone, the ids of circle tweets, and of deleted tweets the headers, whose ids are
forgotten. Direct messages, addresses, telephone numbers, the text of deleted tweets and everything
else are never opened. The files are not JSON: each is `window.YTD.NAME.partN = [ … ]`, or
`Grailbird.data.NAME = [ … ]`. A file of those read here that the archive's own list (`manifest.js`)
names with content has to be there, for without it nobody knows what it forbids.

A version that was edited later is set aside, and the live log records which one replaced it.

Visibility: an account is public or protected, and the archive holds only the changes of the last
six months (`protected-history.js`). If the last change was to protect, or a tweet is marked for
followers or listed as a circle tweet, it is `followers`. An archive that knows circles but lists no
such tweet may hold circle tweets unmarked: tweets of the time of circles that answer nobody else
are `unknown`, unless the owner vouches that none of them was for a circle. Otherwise the tweets are
public: the archive reaches only its owner, who hands it in and so vouches for it, as for a mapped
table. A tweet of 2012 to 2018 holds its account, and is public only where that says so.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from rookery.core.errors import DataError
from rookery.posts.event import Event
from rookery.posts.post import Post, Visibility
from rookery.posts.sources import archives
from rookery.posts.sources.files import Member, Read, SetAside, as_count, as_text, in_batches
from rookery.posts.sources.json_values import boolean, mapping, mappings, words
from rookery.posts.sources.values import language_code, parse_time
from rookery.posts.sources.x_api_v1 import (
    alt_text_of,
    history_of,
    media_of,
    place_of,
    visibility_of,
)
from rookery.posts.sources.x_compliance import replaced
from rookery.posts.sources.x_links import expanded

READING = 2
CIRCLES = datetime(2022, 8, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC)
"""The time of circles: X opened them to everybody in August 2022 and closed them in October 2023;
a month more, as the days differed between accounts.
"""

_TWEETS = re.compile(r"tweets?(-part\d+)?\.js")
_MONTH = re.compile(r"\d{4}_\d{2}\.js")
_NOTES = re.compile(r"note-tweet(-part\d+)?\.js")
_CIRCLE_TWEETS = re.compile(r"twitter-circle-tweets?(-part\d+)?\.js")
_DELETED = re.compile(r"deleted-tweet-headers(-part\d+)?\.js")
_PROTECTION = re.compile(r"protected-history\.js")
_ACCOUNT = re.compile(r"account\.js")
_OTHERS = re.compile(r"(manifest|twitter-circle|twitter-circle-member|user_details)\.js")
_NEEDED = (_TWEETS, _NOTES, _CIRCLE_TWEETS, _DELETED, _PROTECTION)
"""The files without which an archive is not whole, if its list names them."""
_READ = (*_NEEDED, _MONTH, _ACCOUNT, _OTHERS)
_PREFIX = re.compile(r"\s*(?:window\.YTD\.\w+\.part\d+|Grailbird\.data\.\w+)\s*=\s*\[")
_MEDIA = re.compile(r"(?:.*/)?data/\w+_media/.*")
_BETWEEN = re.compile(r"[\s,]*")
_MEND = "Ask X for the archive again, or download it again"


def wanted(path: PurePosixPath) -> bool:
    """Return whether a file of an archive is read.

    It lies in `data`; in archives before 2019 at the top, or in `data/js` and below.
    """
    is_in_place = len(path.parts) <= 2 or path.parent.name in ("data", "js", "tweets")
    return is_in_place and any(name.fullmatch(path.name) for name in _READ)


def is_part(names: Iterable[PurePosixPath]) -> bool:
    """Return whether files with these names are an archive, or the part of one with its media."""
    return any(wanted(path) or _MEDIA.fullmatch(str(path)) for path in names)


def is_unpacked(folder: Path) -> bool:
    """Return whether an archive, or what is left of one, lies in a folder itself."""
    below = ("", "data/", "data/js/tweets/", "js/tweets/", "tweets/")
    return any(is_loose(file) for place in below for file in folder.glob(f"{place}*.js"))


def is_loose(path: Path) -> bool:
    """Return whether a file is one of those that an archive is read from, by name and content."""
    if not wanted(PurePosixPath(path.name)) or not path.is_file():
        return False
    with open(path, "rb") as file:
        return bool(_PREFIX.match(file.read(200).decode("utf-8-sig", "replace")))


def account_id(place: Path) -> str:
    """Return the number of the account whose archive a place holds a part of; else nothing.

    Raises `DataError` if the archive is damaged.
    """
    with _clear_errors(place), ExitStack() as stack:
        return _archive(stack, place).account_id


def read(*places: Path, no_circles: bool = False) -> Read:
    """Yield the posts of an account's archives in batches of `POST_SCHEMA`, rows set aside, events.

    places: zips, tars or folders. no_circles: whether the owner vouches that no tweet of an archive
    without a list of circle tweets was for a circle. Reposts are set aside (somebody else wrote
    them), and so are tweets that lack an id, a text or a time. Raises `DataError` if an archive is
    damaged.
    """
    with _clear_errors(places[0]), ExitStack() as stack:
        parts = [_archive(stack, place) for place in places]
        yield from in_batches(_read(parts, no_circles))


def unvouched(*places: Path) -> str | None:
    """Return what to say if tweets may have been for a circle unmarked; None if none may."""
    with _clear_errors(places[0]), ExitStack() as stack:
        if not _audience([_archive(stack, place) for place in places], False).may_hide_circles:
            return None
    return (
        f"{places[0].name}: the archive knows circles but lists no tweet that was for one, so "
        "tweets of August 2022 to November 2023 that answer nobody else are 'unknown' and no use "
        "accepts them. If none was for a circle, give the same archive with --visibility public"
    )


@dataclass(frozen=True)
class _Archive:
    """The files of one zip, tar or folder that are read, by name."""

    place: Path
    files: Mapping[str, Member]

    def names(self, pattern: re.Pattern[str]) -> list[str]:
        """Return the names of files of a kind, parts in the order of their numbers."""
        return sorted(filter(pattern.fullmatch, self.files), key=_part)

    def items(self, pattern: re.Pattern[str]) -> Iterator[dict[str, Any]]:
        """Yield the objects in the lists of all files of a kind."""
        for name in self.names(pattern):
            yield from _items(self.files[name])

    def object(self, name: str) -> dict[str, Any]:
        """Return the object in a file of one, such as `manifest.js`; empty without the file."""
        return _object(self.files[name]) if name in self.files else {}

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Return what the archive says of itself."""
        return self.object("manifest.js")

    @cached_property
    def _account(self) -> dict[str, Any]:
        """Return the first account that a file describes."""
        accounts = (
            next(self.items(_ACCOUNT), {}),
            mapping(self.manifest.get("userInfo")),
            self.object("user_details.js"),
            mapping(next(self.items(_MONTH), {}).get("user")),
        )
        return next(filter(None, accounts), {})

    def _first(self, *names: str) -> str:
        return next(filter(None, (words(self._account.get(name)) for name in names)), "")

    @property
    def account_id(self) -> str:
        """Return the number of the account, nothing if it is not given."""
        return self._first("accountId", "id_str", "id")

    @property
    def author(self) -> str:
        """Return the account's handle, else its number, else nothing."""
        return self._first("username", "userName", "screen_name") or self.account_id

    @property
    def made(self) -> str:
        """Return when it was made, as text that sorts; nothing if it does not say."""
        return words(mapping(self.manifest.get("archiveInfo")).get("generationDate"))

    @property
    def knows_circles(self) -> bool:
        """Return whether it has files about circles."""
        return any("circle" in name for name in [*self.files, *self.listed()])

    def listed(self) -> dict[str, int]:
        """Return the names of the files that it says it has, each with the number of its items."""
        kinds = map(mapping, mapping(self.manifest.get("dataTypes")).values())
        files = [file for kind in kinds for file in mappings(kind.get("files"))]
        return {
            PurePosixPath(words(file.get("fileName"))).name: as_count(file.get("count")) or 0
            for file in files
        }


def _archive(stack: ExitStack, place: Path) -> _Archive:
    """Open an archive or a part of one until the stack is closed."""
    files: dict[str, Member] = {}
    for file in stack.enter_context(archives.members(place, wanted)):
        if file.name in files:
            hint = "Give one archive at a time"
            raise DataError(f"the archive holds {file.name} twice", where=place, hint=hint)
        files[file.name] = file
    return _Archive(place, files)


def _read(parts: Sequence[_Archive], no_circles: bool) -> Iterator[Post | SetAside | Event]:
    author = _author(parts)
    _check_whole(parts)
    audience = _audience(parts, no_circles)
    notes = _Notes(_of_all(parts, _NOTES))
    for part in parts:
        for pattern in (_TWEETS, _MONTH):
            for name in part.names(pattern):
                yield from _tweets(part, name, author, audience, notes)
    for header in _of_all(parts, _DELETED):
        if tweet_id := words(header.get("tweet_id")):
            yield Event("forget_post", tweet_id, note="deleted by its author")
    for note in notes.unused():
        tweet_id = as_text(note.get("tweetId"))
        yield SetAside("note-tweet.js", "long_text_without_its_tweet", note, tweet_id, author)


def _author(parts: Sequence[_Archive]) -> str:
    """Return the name of the account, as the newest archive has it."""
    has_tweets = any(part.names(_TWEETS) or part.names(_MONTH) for part in parts)
    author = max(parts, key=lambda part: (bool(part.author), part.made)).author
    if has_tweets and author:
        return author
    place = parts[0].place
    if has_tweets and any("account.js" in part.files for part in parts):
        raise DataError("account.js names no account", where=place, hint=_MEND)
    what = "not an X archive: data/tweets.js and data/account.js are not both there"
    raise DataError(what, where=place, hint="Give all of the archive as X sent it")


def _check_whole(parts: Sequence[_Archive]) -> None:
    """Raise `DataError` if a file that an archive says it has, and that is needed, is not there."""
    there = {name for part in parts for name in part.files}
    for part in parts:
        for name, count in part.listed().items():
            is_needed = count and any(pattern.fullmatch(name) for pattern in _NEEDED)
            if is_needed and name not in there:
                hint = "Give all zips of the account in one command, or the whole folder"
                raise DataError(
                    f"the archive should hold {name}, which is not there",
                    where=part.place,
                    hint=hint,
                )


@dataclass(frozen=True)
class _Audience:
    """What archives show of who may read the account's tweets.

    circle: the ids of tweets for a circle. may_hide_circles: whether others may be for one too.
    """

    is_protected: bool
    circle: frozenset[str]
    may_hide_circles: bool
    account_id: str

    def of(self, tweet: Mapping[str, Any], tweet_id: str, created: datetime) -> Visibility:
        """Return who may read a tweet."""
        user = tweet.get("user")
        shown = visibility_of(tweet, user if isinstance(user, dict) else {"protected": False})
        if self.is_protected or tweet_id in self.circle or shown == "followers":
            return "followers"
        answered = tweet.get("in_reply_to_user_id_str") or tweet.get("in_reply_to_status_id_str")
        answers_other = words(answered) not in ("", self.account_id)
        is_of_that_time = CIRCLES[0] <= created < CIRCLES[1]
        if self.may_hide_circles and is_of_that_time and not answers_other:
            return "unknown"
        return shown


def _audience(parts: Sequence[_Archive], no_circles: bool) -> _Audience:
    changes = [
        (as_text(item.get("protectedAt")), as_text(item.get("action")))
        for item in _of_all(parts, _PROTECTION)
    ]
    circle: set[str] = set()
    may_hide = False
    for archive in _by_date(parts):
        listed = _of_all(archive, _CIRCLE_TWEETS)
        ids = [words(item.get("id_str") or item.get("tweetId")) for item in listed]
        may_hide |= not ids and any(part.knows_circles for part in archive)
        circle.update(ids)
    is_protected = bool(changes) and max(changes)[1] == "Protect"
    owner = next(filter(None, (part.account_id for part in parts)), "")
    return _Audience(is_protected, frozenset(circle), may_hide and not no_circles, owner)


def _by_date(parts: Sequence[_Archive]) -> Iterable[list[_Archive]]:
    """Return the parts of each archive: those of one archive were made at the same moment."""
    archives_: dict[str, list[_Archive]] = {}
    for part in parts:
        archives_.setdefault(part.made, []).append(part)
    return archives_.values()


def _of_all(parts: Iterable[_Archive], pattern: re.Pattern[str]) -> Iterator[dict[str, Any]]:
    return (item for part in parts for item in part.items(pattern))


def _tweets(
    part: _Archive, name: str, author: str, audience: _Audience, notes: "_Notes"
) -> Iterator[Post | SetAside | Event]:
    for number, item in enumerate(_items(part.files[name]), 1):
        history = history_of(item)
        yield from replaced(history)
        found = _post(item, author, audience, notes, history)
        if isinstance(found, Post):
            yield found
        else:
            tweet_id = words(item.get("id_str") or item.get("id"))
            wrong = as_text(item.get("created_at")) if found == "bad_time" else ""
            yield SetAside(f"{name}, tweet {number}", found, item, tweet_id, author, wrong)


def _items(file: Member) -> Iterator[dict[str, Any]]:
    """Yield the objects of one file's list.

    They are decoded one after the other, so that only the file's text is held in memory.
    """
    text = archives.content(file).decode("utf-8-sig")
    start = _PREFIX.match(text)
    if start is None:
        what = "the file does not begin as X writes it: window.YTD.NAME.partN = ["
        raise DataError(what, where=file, hint=_MEND)
    decode = json.JSONDecoder().raw_decode
    place = _next_item(text, start.end())
    while not text.startswith("]", place):
        try:
            item, place = decode(text, place)
        except (ValueError, RecursionError) as error:
            what = f"the file is not JSON after its prefix: {error}"
            raise DataError(what, where=file, hint=_MEND) from None
        if not isinstance(item, dict):
            what = "the file's list holds something other than objects"
            raise DataError(what, where=file, hint=_MEND)
        yield _inner(item)
        place = _next_item(text, place)


def _next_item(text: str, place: int) -> int:
    """Return the position of the next character that is neither white space nor a comma."""
    between = _BETWEEN.match(text, place)
    return between.end() if between else place


def _object(file: Member) -> dict[str, Any]:
    """Return the object that a file sets a name to; raises `DataError` if it is not JSON."""
    _, _, text = archives.content(file).decode("utf-8-sig").partition("=")
    try:
        return mapping(json.loads(text.strip().removesuffix(";")))
    except (ValueError, RecursionError) as error:
        raise DataError(f"the file is not JSON: {error}", where=file, hint=_MEND) from None


class _Notes:
    """The long texts, found by their tweet's id.

    Where the archive gives no id, they are found by their second and their beginning.
    """

    def __init__(self, items: Iterator[dict[str, Any]]):
        self._left: dict[Any, list[dict[str, Any]]] = {}
        for note in items:
            created = parse_time(as_text(note.get("createdAt")))
            key = as_text(note.get("tweetId")) or (created and created.replace(microsecond=0))
            self._left.setdefault(key, []).append(note)

    def take(self, tweet_id: str, created: datetime, text: str) -> str | None:
        """Return the long text of a tweet, None if it has none; each text is returned once.

        text: the tweet's own, in which links are shortened as they are in the long text.
        """
        for key in (tweet_id, created):
            for note in self._left.get(key, ()):
                body = mapping(note.get("core") or note.get("noteTweetResults"))
                long = html.unescape(as_text(body.get("text")))
                if long and (key is tweet_id or long[:40] in text):
                    self._left[key].remove(note)
                    return expanded(long, body, body.get("entitySet"))
        return None

    def unused(self) -> list[dict[str, Any]]:
        """Return the long texts that no tweet has taken."""
        return [note for notes in self._left.values() for note in notes]


def _post(
    tweet: Mapping[str, Any], author: str, audience: _Audience, notes: _Notes, history: list[str]
) -> Post | str:
    """Return a tweet as a post, or the reason why it is not taken."""
    tweet_id = as_text(tweet.get("id_str") or tweet.get("id"))
    text = html.unescape(as_text(tweet.get("full_text") or tweet.get("text")))
    # until 2018 X wrote `2014-07-31 22:18:55 +0000`
    created = parse_time(as_text(tweet.get("created_at")).removesuffix(" +0000"))
    required = (("no_id", tweet_id), ("no_text", text.strip()))
    if reason := next((reason for reason, value in required if not value), None):
        return reason
    if created is None:
        return "bad_time"
    if text.startswith("RT @") or "retweeted_status" in tweet:
        return "repost"
    if history and tweet_id != history[-1]:
        return "edited_since"
    return Post(
        id=tweet_id,
        author=author,
        text=notes.take(tweet_id, created, text)
        or expanded(text, tweet.get("entities"), tweet.get("extended_entities")),
        created=created,
        language=language_code(as_text(tweet.get("lang"))),
        reply_to=as_text(tweet.get("in_reply_to_status_id_str")) or None,
        likes=as_count(tweet.get("favorite_count")),
        reposts=as_count(tweet.get("retweet_count")),
        alt_text=alt_text_of(tweet),
        visibility=audience.of(tweet, tweet_id, created),
        source="x_archive",
        version_of=history[0] if history else None,
        place=place_of(tweet),
        sensitive=boolean(tweet.get("possibly_sensitive")),
        media=media_of(tweet),
    )


def _inner(item: dict[str, Any]) -> dict[str, Any]:
    """Return the one object inside `{"tweet": {…}}`; an item that is not wrapped as it is."""
    values = list(item.values())
    return values[0] if len(values) == 1 and isinstance(values[0], dict) else item


def _part(name: str) -> tuple[int, str]:
    """Return the sort key of a file's name: parts in the order of their numbers."""
    number = re.search(r"-part(\d+)", name)
    return int(number[1]) if number else 0, name


@contextmanager
def _clear_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        what = f"a file of the archive is not UTF-8: {error.reason}"
        raise DataError(what, where=place, hint=_MEND) from None
