"""The X archive: the zip that X gives a person of their own account, read as that person's posts.

Only published content is read: the tweets, the long texts that belong to them, of the account file
the name alone, and of deleted tweets the headers, whose ids are forgotten. Direct messages,
addresses, telephone numbers, the text of deleted tweets and everything else are never opened, and
nothing is unpacked to disk. The files are not JSON: each is `window.YTD.NAME.partN = [ … ]`.

A version that was edited later is set aside, and the live log records which one replaced it.

Visibility: an account is public or protected, and the archive holds only the changes of the last
six months (`protected-history.js`). If the last change was to protect, or a tweet is marked for
followers, it is `followers`. Where no file shows protection the tweets are public: the archive
reaches only its owner, who hands it in and so vouches for it, as for a mapped table.
"""

import html
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from rookery.core.errors import DataError
from rookery.posts.event import Event
from rookery.posts.post import Post
from rookery.posts.sources.files import Read, SetAside, as_count, as_text, in_batches
from rookery.posts.sources.json_values import mapping, mappings, words
from rookery.posts.sources.values import language_code, parse_time
from rookery.posts.sources.x_compliance import replaced

LARGEST_FILE_BYTES = 1 << 29
"""The largest file inside: one that claims to be larger is refused unread. X itself cuts long lists
of tweets into parts.
"""

_TWEETS = re.compile(r"tweets?(-part\d+)?\.js")
_NOTES = re.compile(r"note-tweet(-part\d+)?\.js")
_PREFIX = re.compile(r"\s*window\.YTD\.[A-Za-z0-9_]+\.part\d+\s*=\s*\[")
_ENCRYPTED = 1  # bit 0 of a file's flags in a zip
_BETWEEN = re.compile(r"[\s,]*")
_MEND = "Ask X for the archive again, or download it again"


def read(path: Path) -> Read:
    """Yield the posts of an archive in batches of `POST_SCHEMA`, with rows set aside and events.

    Reposts are set aside (somebody else wrote them), and so are tweets that lack an id, a text or a
    time. Raises `DataError` if the archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield from in_batches(_read(archive, path))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"the zip is damaged or cut short: {error}", where=path, hint=_MEND
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"a file of the archive is not UTF-8: {error.reason}", where=path, hint=_MEND
        ) from None


def _read(archive: zipfile.ZipFile, path: Path) -> Iterator[Post | SetAside | Event]:
    members = _members(archive, path)
    tweets = sorted((name for name in members if _TWEETS.fullmatch(name)), key=_part)
    if not tweets or "account.js" not in members:
        raise DataError(
            "not an X archive: data/tweets.js and data/account.js are not both there",
            where=path,
            hint="Give the zip file as X sent it",
        )

    def items(name: str) -> Iterator[dict[str, Any]]:
        return _items(archive, members[name], path) if name in members else iter(())

    account = next(items("account.js"), {})
    author = as_text(account.get("username") or account.get("accountId"))
    if not author:
        raise DataError("account.js names no account", where=path, hint=_MEND)
    is_protected = _is_protected(items("protected-history.js"))
    notes = _Notes(
        item
        for name in sorted(filter(_NOTES.fullmatch, members), key=_part)
        for item in items(name)
    )
    for name in tweets:
        for number, item in enumerate(items(name), 1):
            history = _history(item)
            yield from replaced(history)
            found = _post(item, author, is_protected, notes, history)
            where = f"{name}, tweet {number}"
            if isinstance(found, Post):
                yield found
                continue
            tweet_id = as_text(item.get("id_str") or item.get("id"))
            wrong = as_text(item.get("created_at")) if found == "bad_time" else ""
            yield SetAside(where, found, item, tweet_id, author, wrong)
    for header in items("deleted-tweet-headers.js"):
        if tweet_id := words(header.get("tweet_id")):
            yield Event("forget_post", tweet_id, note="deleted by its author")
    for note in notes.unused():
        tweet_id = as_text(note.get("tweetId"))
        yield SetAside("note-tweet.js", "long_text_without_its_tweet", note, tweet_id, author)


def _is_protected(history: Iterator[dict[str, Any]]) -> bool:
    """Return whether the last change of an account was to protect it."""
    changes = [(as_text(item.get("protectedAt")), as_text(item.get("action"))) for item in history]
    return bool(changes) and max(changes)[1] == "Protect"


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's files in `data/` by name.

    Raises `DataError` if any name or size is not what X would write.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        place = PurePosixPath(info.filename)
        if place.is_absolute() or ".." in place.parts or "\\" in info.filename:
            what = f"a file in the zip would lie outside it: {info.filename!r}"
            raise DataError(what, where=path)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise DataError(f"not a plain file: {info.filename!r}", where=path, hint=_MEND)
        if place.parent.name != "data" or place.suffix != ".js":
            continue
        if place.name in found:
            raise DataError(
                f"the zip holds {place.name} twice", where=path, hint="Give one archive at a time"
            )
        if info.flag_bits & _ENCRYPTED:
            hint = "Unpack it with its password, and zip it again without one"
            raise DataError(f"{place.name} is encrypted", where=path, hint=hint)
        found[place.name] = info
    return found


def _items(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path
) -> Iterator[dict[str, Any]]:
    """Yield the objects of one file's list.

    They are decoded one after the other, so that only the file's text is held in memory.
    """
    where = f"{path}: {member.filename}"
    if member.file_size > LARGEST_FILE_BYTES:
        hint = f"At most {LARGEST_FILE_BYTES >> 20} MiB are read"
        raise DataError(
            f"the file claims to be {member.file_size:,} bytes long", where=where, hint=hint
        )
    text = archive.read(member).decode("utf-8-sig")
    start = _PREFIX.match(text)
    if start is None:
        what = "the file does not begin as X writes it: window.YTD.NAME.partN = ["
        raise DataError(what, where=where, hint=_MEND)
    decode = json.JSONDecoder().raw_decode
    place = _next_item(text, start.end())
    while not text.startswith("]", place):
        try:
            item, place = decode(text, place)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"the file is not JSON after its prefix: {error}", where=where, hint=_MEND
            ) from None
        if not isinstance(item, dict):
            what = "the file's list holds something other than objects"
            raise DataError(what, where=where, hint=_MEND)
        yield _inner(item)
        place = _next_item(text, place)


def _next_item(text: str, place: int) -> int:
    """Return the position of the next character that is neither white space nor a comma."""
    between = _BETWEEN.match(text, place)
    return between.end() if between else place


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
        """Return the long text of a tweet, None if it has none; each text is returned once."""
        for key in (tweet_id, created):
            for note in self._left.get(key, ()):
                long = _long_text(note)
                if long and (key is tweet_id or long[:40] in text):
                    self._left[key].remove(note)
                    return long
        return None

    def unused(self) -> list[dict[str, Any]]:
        """Return the long texts that no tweet has taken."""
        return [note for notes in self._left.values() for note in notes]


def _long_text(note: Mapping[str, Any]) -> str:
    body = note.get("core") or note.get("noteTweetResults")
    return html.unescape(as_text(body.get("text"))) if isinstance(body, dict) else ""


def _history(tweet: Mapping[str, Any]) -> list[str]:
    """Return the ids of all known versions of a tweet, sorted; an empty list if never edited."""
    info = mapping(tweet.get("edit_info"))
    control = mapping(mapping(info.get("edit")).get("editControlInitial"))
    ids = (mapping(info.get("initial")) or control).get("editTweetIds")
    if not isinstance(ids, list) or len(ids) < 2:
        return []
    return sorted({words(item) for item in ids} - {""}, key=_number)


def _number(tweet_id: str) -> tuple[int, str]:
    """Return the sort key of an id: ids of X rise with time."""
    return len(tweet_id), tweet_id


def _post(
    tweet: Mapping[str, Any], author: str, is_protected: bool, notes: _Notes, history: list[str]
) -> Post | str:
    """Return a tweet as a post, or the reason why it is not taken."""
    tweet_id = as_text(tweet.get("id_str") or tweet.get("id"))
    text = html.unescape(as_text(tweet.get("full_text") or tweet.get("text")))
    created = parse_time(as_text(tweet.get("created_at")))
    required = (("no_id", tweet_id), ("no_text", text.strip()))
    if reason := next((reason for reason, value in required if not value), None):
        return reason
    if created is None:
        return "bad_time"
    if text.startswith("RT @"):
        return "repost"
    if history and tweet_id != history[-1]:
        return "edited_since"
    is_for_followers = is_protected or mapping(tweet.get("scopes")).get("followers") is True
    return Post(
        id=tweet_id,
        author=author,
        text=notes.take(tweet_id, created, text) or text,
        created=created,
        language=language_code(as_text(tweet.get("lang"))),
        reply_to=as_text(tweet.get("in_reply_to_status_id_str")) or None,
        likes=as_count(tweet.get("favorite_count")),
        reposts=as_count(tweet.get("retweet_count")),
        alt_text=_alt_text(tweet),
        visibility="followers" if is_for_followers else "public",
        source="x_archive",
        version_of=history[0] if history else None,
        place=words(mapping(tweet.get("place")).get("full_name")) or _coordinates(tweet),
    )


def _coordinates(tweet: Mapping[str, Any]) -> str | None:
    point = mapping(tweet.get("coordinates")).get("coordinates")
    return ", ".join(map(as_text, point)) or None if isinstance(point, list) else None


def _alt_text(tweet: Mapping[str, Any]) -> str | None:
    media = mapping(tweet.get("extended_entities") or tweet.get("entities")).get("media")
    texts = [as_text(item.get("ext_alt_text")) for item in mappings(media)]
    return "\n".join(filter(None, texts)) or None


def _inner(item: dict[str, Any]) -> dict[str, Any]:
    """Return the one object inside `{"tweet": {…}}`; an item that is not wrapped as it is."""
    values = list(item.values())
    return values[0] if len(values) == 1 and isinstance(values[0], dict) else item


def _part(name: str) -> tuple[int, str]:
    """Return the sort key of a file's name: parts in the order of their numbers."""
    number = re.search(r"-part(\d+)", name)
    return int(number[1]) if number else 0, name
