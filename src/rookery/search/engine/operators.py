"""Operators: the one table of what a query may say beside words, for X, Bluesky and Mastodon.

Each operator has all the names under which a network knows it, a function that reads its value, and
the line that explains it in the documentation and in the command line's help. A value that cannot
be read gives the reason instead of a part, and the operator is then left out: a known name never
becomes a word that must be there. Where operators stand in a text is found by `query.py`.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from rookery.search.engine.tree import And, AtLeast, Field, Link, Node, Not, Or, Since, Until
from rookery.search.engine.words import author_key, exact_tokens, fold, link_tokens


@dataclass(frozen=True)
class Asking:
    """Who asks and when: the moment, the zone of the reader's days, the reader's name."""

    now: datetime | None = None
    zone: tzinfo = UTC
    me: str | None = None


Read = Callable[[str, Asking], "Node | str"]
"""A function that reads a value: it returns the part, or a text that says why there is none."""


@dataclass(frozen=True)
class Operator:
    """An operator. names: the first is ours, the others are those of other networks.

    examples: how it is written; finds: what it finds, for a row of a table.
    """

    names: tuple[str, ...]
    examples: str
    finds: str
    read: Read


# Values
# -------------------------------------------------------------------------------------------------


def _name(field: str) -> Read:
    def read(value: str, asking: Asking) -> Node | str:
        name = author_key(value).rstrip(".,;:!?")
        if name == "me":
            if asking.me is None:
                return "needs to know who asks"
            name = author_key(asking.me)
        return Field(field, name) if name else "has no name"

    return read


def _tag(field: str) -> Read:
    def read(value: str, asking: Asking) -> Node | str:
        name = fold(value).lstrip("#＃$").rstrip(".,;:!?")
        return Field(field, name) if list(exact_tokens(name)) else "has no name"

    return read


def _language(value: str, asking: Asking) -> Node | str:
    code = value.lower().replace("_", "-")
    if not re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", code):
        return "has no code of a language, like en"
    return Field("language", code)


def _id(field: str) -> Read:
    """Return a reader of a post's id, or of a link that ends in one."""

    def read(value: str, asking: Asking) -> Node | str:
        is_web = re.match(r"https?://", value)
        found = re.search(r"(\d+)/?$", value) if is_web else None
        return Field(field, found[1] if found else value)

    return read


def _link(value: str, asking: Asking) -> Node | str:
    return Link(value) if link_tokens(value) else "has no link"


def _domain(value: str, asking: Asking) -> Node | str:
    found = re.match(r"(?:https?://)?(?:www\.)?([\w.-]*\w)", fold(value))
    return Field("domain", found[1]) if found else "has no name of a site"


def _number(field: str) -> Read:
    def read(value: str, asking: Asking) -> Node | str:
        return AtLeast(field, int(value)) if _is_number(value) else "has no number"

    return read


def _is_number(value: str) -> bool:
    return re.fullmatch(r"[0-9]{1,18}", value) is not None


# What is told of a post, by the values of `has:`, `is:` and `filter:`
_FLAG_OF = {
    "media": "media",
    "images": "image",
    "image": "image",
    "photos": "image",
    "twimg": "image",
    "videos": "video",
    "video": "video",
    "native_video": "video",
    "consumer_video": "video",
    "pro_video": "video",
    "audio": "audio",
    "gif": "gif",
    "gifs": "gif",
    "polls": "poll",
    "poll": "poll",
    "links": "link",
    "link": "link",
    "url": "link",
    "mentions": "mention",
    "hashtags": "tag",
    "hashtag": "tag",
    "tags": "tag",
    "cashtags": "cashtag",
    "alt": "alt",
    "quote": "quote",
    "quotes": "quote",
    "reply": "reply",
    "replies": "reply",
    "self_threads": "reply",
    "repost": "repost",
    "reposts": "repost",
    "retweet": "repost",
    "retweets": "repost",
    "nativeretweets": "repost",
    "sensitive": "sensitive",
    "nsfw": "sensitive",
}
_COUNTS = ("likes", "reposts", "replies")


def _flag(value: str, asking: Asking) -> Node | str:
    name = fold(value)
    if name == "safe":
        return Not(Field("flags", "sensitive"))
    if name in ("engagement", "has_engagement"):
        return Or(tuple(AtLeast(count, 1) for count in _COUNTS))
    if name not in _FLAG_OF:
        return "is not known of posts here"
    return Field("flags", _FLAG_OF[name])


def _no_flag(value: str, asking: Asking) -> Node | str:
    part = _flag(value, asking)
    return part if isinstance(part, str) else Not(part)


def _everywhere(value: str, asking: Asking) -> Node | str:
    if fold(value) in ("all", "public"):
        return "is where every search looks"
    return "is not known of posts here"


def _unknown(value: str, asking: Asking) -> Node | str:
    return "is not known of posts here"


# Times
# -------------------------------------------------------------------------------------------------

_DAY = re.compile(r"(\d{4})(?:[-/](\d{1,2})(?:[-/](\d{1,2}))?)?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"(\d{1,6})([smhdw])")
_NO_DATE = "has no date like 2026-01-31"
_INSTANT = timedelta(microseconds=1)  # the smallest difference between two moments
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_X_EPOCH_MS = 1_288_834_974_657  # of X's snowflakes, 2010-11-04


def _period(value: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the first moment of a year, month, day or moment, and the first one after it.

    Raises `ValueError` or `OverflowError` if it is none.
    """
    found = _DAY.fullmatch(value)
    if found is None:
        # X writes 2026-01-31_12:00:00_UTC.
        text = re.sub(r"(?<=\d)_(?=\d)", "T", value).replace("_UTC", "Z")
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
        return _checked(moment), _checked(moment + _INSTANT)
    year, month, day = (int(n) if n else None for n in found.groups())
    first = date(int(year or 0), month or 1, day or 1)
    if day:
        last = first + timedelta(days=1)
    elif month:
        last = date(first.year + month // 12, month % 12 + 1, 1)
    else:
        last = date(first.year + 1, 1, 1)
    begin, end = (datetime.combine(d, time(), zone) for d in (first, last))
    return _checked(begin), _checked(end)


def _checked(moment: datetime) -> datetime:
    moment.astimezone(UTC)  # raises if it is out of range there
    return moment


def _at(moment: Callable[[str, Asking], datetime], part: type[Since] | type[Until]) -> Read:
    """Return a reader that makes a part of the moment that a value means."""

    def read(value: str, asking: Asking) -> Node | str:
        try:
            return part(moment(value, asking))
        except (ValueError, OverflowError):
            return _NO_DATE

    return read


def _begin(value: str, asking: Asking) -> datetime:
    return _period(value, asking.zone)[0]


def _end(value: str, asking: Asking) -> datetime:
    return _period(value, asking.zone)[1]


def _unix(value: str, asking: Asking) -> datetime:
    if not _is_number(value):
        raise ValueError
    return datetime.fromtimestamp(int(value), asking.zone)


def _during(value: str, asking: Asking) -> Node | str:
    try:
        begin, end = _period(value, asking.zone)
    except (ValueError, OverflowError):
        return _NO_DATE
    return And((Since(begin), Until(end)))


def _within(value: str, asking: Asking) -> Node | str:
    found = _SPAN.fullmatch(value.lower())
    if found is None:
        return "has no time like 2d, 3h or 30m"
    if asking.now is None:
        return "needs to know the present time"
    try:
        span = timedelta(**{_UNITS[found[2]]: int(found[1])})
        return Since((asking.now.astimezone(UTC) - span).astimezone(asking.zone))
    except OverflowError:
        return "has no time like 2d, 3h or 30m"


def _snowflake(value: str, asking: Asking) -> datetime:
    """Return when X gave out an id."""
    if not re.fullmatch(r"[0-9]{13,19}", value):
        raise ValueError
    ms = (int(value) >> 22) + _X_EPOCH_MS
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(asking.zone)


def _after_id(value: str, asking: Asking) -> Node | str:
    try:
        return Since(_snowflake(value, asking) + timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        return "has no id that tells a time"


def _up_to_id(value: str, asking: Asking) -> Node | str:
    part = _after_id(value, asking)
    return Until(part.moment) if isinstance(part, Since) else part


# The table
# -------------------------------------------------------------------------------------------------

SIGNS = (
    ("night tram", "both words (or some, if no post has all)"),
    ('"night tram"', "the words in this order"),
    ("tram OR bus, tram | bus", "either word"),
    ("tram -late", "without a word, and so before all below"),
    ("(tram OR bus) late", "brackets"),
    ("tram*", "words that begin so, from three letters on"),
    ("#rooks  @ada  $TSLA", "a tag, a mention, a cashtag"),
    ("https://rooks.org/x", "with this link"),
)
"""What a query may say without an operator's name: how it is written, and what it finds."""

OPERATORS = (
    Operator(("from", "author"), "from:ada  from:me", "written by", _name("author")),
    Operator(("to",), "to:ada", "replying to", _name("to")),
    Operator(("mentions", "mention"), "mentions:ada", "mentioning", _name("mentions")),
    Operator(("tag", "hashtag"), "tag:rooks", "tagged", _tag("tags")),
    Operator(("lang", "language"), "lang:en", "in a language", _language),
    Operator(("since",), "since:2026-01-31", "from this day, month or moment on",
             _at(_begin, Since)),
    Operator(("until", "before"), "until:2026-02-28", "before this day, month or moment",
             _at(_begin, Until)),
    Operator(("after",), "after:2026-01-31", "after this day, month or moment", _at(_end, Since)),
    Operator(("during",), "during:2026-01", "in this year, month or day", _during),
    Operator(("within_time",), "within_time:2d", "in the last days (d), hours (h), minutes (m)",
             _within),
    Operator(("since_time",), "since_time:1767225600", "from this Unix time on",
             _at(_unix, Since)),
    Operator(("until_time",), "until_time:1767225600", "before this Unix time",
             _at(_unix, Until)),
    Operator(("since_id",), "since_id:1212092628029698048", "after the moment of this id of X",
             _after_id),
    Operator(("max_id",), "max_id:1212092628029698048", "up to the moment of this id of X",
             _up_to_id),
    Operator(("min_likes", "min_faves"), "min_likes:5", "at least so many likes",
             _number("likes")),
    Operator(("min_reposts", "min_retweets"), "min_reposts:5", "at least so many reposts",
             _number("reposts")),
    Operator(("min_replies",), "min_replies:5", "at least so many replies", _number("replies")),
    Operator(("has", "is", "filter"), "has:images  is:reply  filter:links",
             "with media, images, videos, audio, gif, poll, links, mentions, hashtags, cashtags, "
             "alt (a description) or engagement; that is a reply, quote or repost, sensitive or "
             "safe", _flag),
    Operator(("exclude",), "exclude:replies", "without them", _no_flag),
    Operator(("url",), "url:rooks.org/x", "with a link that has this in it", _link),
    Operator(("domain",), "domain:rooks.org", "with a link to this site or one below it", _domain),
    Operator(("conversation", "conversation_id"), "conversation:17", "in the conversation of a "
             "post", _id("conversation")),
    Operator(("quote", "quoted_tweet_id"), "quote:17", "quoting a post", _id("quote_of")),
    Operator(("reply_to", "in_reply_to_tweet_id"), "reply_to:17", "replying to a post",
             _id("reply_to")),
    Operator(("in",), "in:all", "said to be where every search looks; other places are left out",
             _everywhere),
    Operator(("include", "list", "near", "place", "geocode", "source", "bio", "retweets_of",
              "context", "entity", "card_name", "point_radius", "place_country", "bounding_box"),
             "near:berlin", "left out, since it is not known of posts here", _unknown),
)  # fmt: skip
"""All operators, in the order of the documentation."""

_BY_NAME = {name: operator for operator in OPERATORS for name in operator.names}
_WRITTEN = re.compile(r"([a-z_]+):(.*)", re.IGNORECASE | re.DOTALL)


def operator_in(text: str) -> tuple[str, str, Operator | None] | None:
    """Return the name and the value of `name:value`, and the operator if it is known.

    None if the text is written differently, or is a link.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None or found[2].startswith("//"):
        return None
    name = found[1].lower()
    return name, found[2].strip().strip('"').strip(), _BY_NAME.get(name)


def rows() -> Iterable[tuple[str, str, str]]:
    """Yield how each sign and operator is written, what posts it finds, and its other names."""
    yield from ((written, finds, "") for written, finds in SIGNS)
    for operator in OPERATORS:
        also = ", ".join(f"{name}:" for name in operator.names if name not in operator.examples)
        yield operator.examples, operator.finds, also
