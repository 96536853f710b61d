"""What is noted by hand: an author's word on uses, and states of posts and authors that come and
go.

Each takes effect when the call returns (`live.py`), one at a time or many from a platform's own
table, of which all rows are noted in one transaction or none. What a network says in its own words:
`compliance.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home
from rookery.posts.event import CAUSES, Event
from rookery.posts.live import live_log
from rookery.posts.post import USES
from rookery.posts.sources import tabular
from rookery.posts.sources.bounds import CLOCKS_DIFFER, EARLIEST

WORDS = {"yes": "yes", "no": "no", "undefined": ""}
CONSENT_COLUMNS = ("author", "use", "word")
STATE_COLUMNS = ("cause", "value")
SUBJECTS = ("post", "author")
_FROM_A_FILE = "from a file"

Row = Mapping[str, str]


def consent(
    home: Home, authors: Sequence[str], words: Mapping[str, str | None], context: Context
) -> int:
    """Note an author's word on each use that is named (a word of `WORDS`, None for not named).
    Returns what is new.
    """
    said = {use: word for use, word in words.items() if word is not None}
    if not authors or not said:
        hint = f"Give --author NAME and, say, --training no; uses: {', '.join(USES)}"
        raise UsageError("nothing is said", hint=hint)
    for use, word in said.items():
        if word not in WORDS:
            raise UsageError(
                f"--{use}: {word!r} is not a word on consent", hint=f"Say {', '.join(WORDS)}"
            )
    now = context.clock.now()
    events = [
        Event("consent_author", a, use, WORDS[word], now, "by hand")
        for a in authors
        for use, word in said.items()
    ]
    return _record(home, events, context)


def state(
    home: Home,
    posts: Sequence[str],
    authors: Sequence[str],
    cause: str,
    value: str,
    context: Context,
) -> int:
    """Note that posts and authors are hidden for a cause (`on`), or no longer (`off`). Returns what
    is new.
    """
    if cause not in CAUSES:
        raise UsageError(f"there is no state {cause!r}", hint=f"States: {', '.join(CAUSES)}")
    if value not in ("on", "off"):
        raise UsageError(f"a state is on or off, not {value!r}")
    if not posts and not authors:
        raise UsageError("whose state?", hint="Give --post ID or --author NAME")
    now = context.clock.now()
    events = [Event("state_post", post, cause, value, now, "by hand") for post in posts]
    events += [Event("state_author", author, cause, value, now, "by hand") for author in authors]
    return _record(home, events, context)


def consent_file(home: Home, path: Path, context: Context) -> int:
    """Note the words in a table with the columns author, use, word, and happened if it tells.
    Returns what is new.

    Raises `DataError` for the first row that says nothing clear; then nothing is noted.
    """
    now = context.clock.now()
    return _record(home, _events(path, CONSENT_COLUMNS, (), lambda row: _word(row, now)), context)


def state_file(home: Home, path: Path, context: Context) -> int:
    """Note the states in a table with the columns post or author, cause, value, and happened if it
    tells.

    Returns what is new. Raises `DataError` for the first row that says nothing clear; then nothing
    is noted.
    """
    now = context.clock.now()
    return _record(
        home, _events(path, STATE_COLUMNS, SUBJECTS, lambda row: _state(row, now)), context
    )


def _events(
    path: Path, needed: Sequence[str], either: Sequence[str], read: Callable[[Row], Event | str]
) -> Iterator[Event]:
    """The event that each row of a table stands for; `read` gives an event or what is wrong with
    the row.
    """
    columns = tabular.columns_of(path)
    missing = [name for name in needed if name not in columns]
    if missing or (either and not set(either) & set(columns)):
        wanted = ", ".join([*needed, *filter(None, [" or ".join(either)])])
        raise DataError(
            "columns are missing",
            where=path,
            hint=f"It needs {wanted}; it has: {', '.join(columns)}",
        )
    for raw in tabular.read_raw(
        path, [name for name in (*needed, *either, "happened") if name in columns]
    ):
        if raw.unread:
            raise DataError(
                raw.unread[0].reason.replace("_", " "), where=f"{path}, {raw.unread[0].where}"
            )
        for place, row in zip(raw.places, raw.rows.to_pylist(), strict=True):
            found = read(
                {name: "" if value is None else str(value).strip() for name, value in row.items()}
            )
            if isinstance(found, str):
                raise DataError(
                    found, where=f"{path}, {raw.place_is} {place}", hint="Nothing was noted"
                )
            yield found


def _word(row: Row, now: datetime) -> Event | str:
    happened = _happened(row, now)
    if not row["author"]:
        return "no author is named"
    if row["use"] not in USES:
        return f"{row['use']!r} is not a use ({', '.join(USES)})"
    if row["word"].lower() not in WORDS:
        return f"{row['word']!r} is not a word on consent ({', '.join(WORDS)})"
    if isinstance(happened, str):
        return happened
    return Event(
        "consent_author",
        row["author"],
        row["use"],
        WORDS[row["word"].lower()],
        happened,
        _FROM_A_FILE,
    )


def _state(row: Row, now: datetime) -> Event | str:
    post, author, happened = row.get("post"), row.get("author"), _happened(row, now)
    if bool(post) == bool(author):
        return "a state is of a post or of an author: name one of them"
    if row["cause"] not in CAUSES:
        return f"there is no state {row['cause']!r} ({', '.join(CAUSES)})"
    if row["value"].lower() not in ("on", "off"):
        return f"a state is on or off, not {row['value']!r}"
    if isinstance(happened, str):
        return happened
    kind = "state_post" if post else "state_author"
    return Event(kind, post or author, row["cause"], row["value"].lower(), happened, _FROM_A_FILE)


def _happened(row: Row, now: datetime) -> datetime | str:
    """When it was said: now, unless the row tells. A word of the future would outdo every later
    one.
    """
    if not (text := row.get("happened")):
        return now
    time = tabular.parse_time(text)
    if time is None:
        return f"{text!r} is not a time"
    return time if EARLIEST <= time <= now + CLOCKS_DIFFER else f"the clock was wrong: {text}"


def _record(home: Home, events: Iterable[Event], context: Context) -> int:
    with live_log(home) as log:
        return log.record(events, context.clock)
