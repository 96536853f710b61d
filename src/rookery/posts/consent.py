"""What a person records by hand: an author's consent, and states of posts and authors.

Each takes effect when the call returns (`live.py`). They come one at a time, or many from a
platform's own table, of which all rows are recorded in one transaction or none.

Not here: what a network reports in its own format (`compliance.py`), and forgetting (`forget.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home
from rookery.posts.event import CAUSES, Event, Kind
from rookery.posts.live import live_log
from rookery.posts.log.countries import countries_of
from rookery.posts.post import USES
from rookery.posts.sources import tabular
from rookery.posts.sources.bounds import CLOCKS_DIFFER, EARLIEST
from rookery.posts.sources.tables.ids import IdReading, IdsJudge
from rookery.posts.sources.tables.missing import NULL_WORDS
from rookery.posts.sources.tables.times import TimeReading, TimesJudge

WORDS = {"yes": "yes", "no": "no", "undefined": ""}
"""The answers that a person may type, and the values that the log records for them."""
CONSENT_COLUMNS = ("author", "use", "word")
STATE_COLUMNS = ("cause", "value")
SUBJECTS = ("post", "author")
_FROM_A_FILE = "from a file"

Row = Mapping[str, str]


def consent(
    home: Home, authors: Sequence[str], words: Mapping[str, str | None], context: Context
) -> int:
    """Record the authors' consent to each use that is named, and return how many events are new.

    words: for a use, one of `WORDS`, or None to leave it as it is.
    """
    answers = {use: word for use, word in words.items() if word is not None}
    if not authors or not answers:
        hint = f"Give --author NAME and, for example, --training no; uses: {', '.join(USES)}"
        raise UsageError("no consent is given or refused", hint=hint)
    for use, word in answers.items():
        if word not in WORDS:
            raise UsageError(
                f"--{use}: {word!r} is not an answer on consent", hint=f"Give {', '.join(WORDS)}"
            )
    now = context.clock.now()
    events = [
        Event("consent_author", a, use, WORDS[word], now, "by hand")
        for a in authors
        for use, word in answers.items()
    ]
    return _record(home, events, context)


def state(
    home: Home,
    posts: Sequence[str],
    authors: Sequence[str],
    cause: str,
    value: str,
    context: Context,
    countries: Sequence[str] = (),
) -> int:
    """Record that posts and authors are hidden for a cause (`on`), or no longer (`off`).

    countries: in which alone they are withheld, by two letters; none for everywhere. Returns how
    many events are new.
    """
    if cause not in CAUSES:
        raise UsageError(f"there is no state {cause!r}", hint=f"States: {', '.join(CAUSES)}")
    if value not in ("on", "off"):
        raise UsageError(f"a state is on or off, not {value!r}")
    if not posts and not authors:
        raise UsageError("no post and no author is named", hint="Give --post ID or --author NAME")
    note = _note_of(countries, cause, value) if countries else "by hand"
    now = context.clock.now()
    events = [Event("state_post", post, cause, value, now, note) for post in posts]
    events += [Event("state_author", author, cause, value, now, note) for author in authors]
    return _record(home, events, context)


def _note_of(countries: Sequence[str], cause: str, value: str) -> str:
    note = " ".join(country.strip().upper() for country in countries)
    if (cause, value) != ("withheld", "on"):
        raise UsageError("only what is withheld has countries", hint="Leave out --country")
    if not countries_of(cause, note):
        raise UsageError(f"{note!r}: a country has two letters", hint="For example --country DE")
    return note


def consent_file(home: Home, path: Path, context: Context) -> int:
    """Record the consents in a table, and return how many events are new.

    Its columns are author, use, word, and happened if it has the times. Raises `DataError` for the
    first row that is not valid; then nothing is recorded.
    """
    now = context.clock.now()
    events = _events(path, CONSENT_COLUMNS, (), lambda row, at: _consent_of(row, at, now))
    return _record(home, events, context)


def state_file(home: Home, path: Path, context: Context) -> int:
    """Record the states in a table, and return how many events are new.

    Its columns are post or author, cause, value, and happened if it has the times; countries, with
    blanks between them, for what is withheld in some alone. Raises
    `DataError` for the first row that is not valid; then nothing is recorded.
    """
    now = context.clock.now()
    events = _events(path, STATE_COLUMNS, SUBJECTS, lambda row, at: _state_of(row, at, now))
    return _record(home, events, context)


def _events(
    path: Path,
    needed: Sequence[str],
    either: Sequence[str],
    read: Callable[[Row, datetime | None], Event | str],
) -> Iterator[Event]:
    """Yield the event of each row of a table.

    needed, either: the columns that it must have, all and at least one of them. read: returns the
    event of a row and of its time, or what is wrong with it.
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
    used = [name for name in (*needed, *either, "countries", "happened") if name in columns]
    readings = _readings(path, used)
    for raw in tabular.read_raw(path, used):
        if raw.unread:
            raise DataError(
                raw.unread[0].reason.replace("_", " "), where=f"{path}, {raw.unread[0].where}"
            )
        times = readings["happened"].read(raw.rows["happened"]) if "happened" in used else None
        ids = {name: readings[name].read(raw.rows[name]) for name in SUBJECTS if name in used}
        given = raw.rows.select(used)
        for name, values in ids.items():
            given = given.set_column(used.index(name), name, values)
        for place, row in enumerate(given.to_pylist()):
            found = read(
                {name: "" if value is None else str(value).strip() for name, value in row.items()},
                None if times is None else times[place].as_py(),
            )
            if isinstance(found, str):
                where = f"{path}, {raw.where(place)}"
                raise DataError(found, where=where, hint="Nothing was recorded")
            yield found


def _readings(path: Path, columns: Sequence[str]) -> dict[str, IdReading | TimeReading]:
    """Return how the ids and the times of a table are read, decided by all of them."""
    judges = {
        name: TimesJudge() if name == "happened" else IdsJudge()
        for name in columns
        if name in ("happened", *SUBJECTS)
    }
    for raw in tabular.read_raw(path, list(judges)):
        for name, judge in judges.items():
            judge.look(raw.rows[name])
    readings = {name: judge.reading() for name, judge in judges.items()}
    for name, reading in readings.items():
        if reading.refusal:
            hint = "Write times in ISO 8601, such as 2026-01-31, and ids as text"
            raise DataError(f"the column {name!r} {reading.refusal}", where=path, hint=hint)
    return readings


def _consent_of(row: Row, at: datetime | None, now: datetime) -> Event | str:
    happened, answer = _happened(row, at, now), row["word"].lower()
    if not row["author"]:
        return "no author is named"
    if row["use"] not in USES:
        return f"{row['use']!r} is not a use ({', '.join(USES)})"
    if answer not in WORDS:
        return f"{row['word']!r} is not an answer on consent ({', '.join(WORDS)})"
    if isinstance(happened, str):
        return happened
    return Event("consent_author", row["author"], row["use"], WORDS[answer], happened, _FROM_A_FILE)


def _state_of(row: Row, at: datetime | None, now: datetime) -> Event | str:
    post, author, happened = row.get("post", ""), row.get("author", ""), _happened(row, at, now)
    if bool(post) == bool(author):
        return "a state is of a post or of an author: name one of them"
    if row["cause"] not in CAUSES:
        return f"there is no state {row['cause']!r} ({', '.join(CAUSES)})"
    if row["value"].lower() not in ("on", "off"):
        return f"a state is on or off, not {row['value']!r}"
    if isinstance(happened, str):
        return happened
    kind: Kind = "state_post" if post else "state_author"
    note, value = row.get("countries", "") or _FROM_A_FILE, row["value"].lower()
    if note != _FROM_A_FILE and not (value == "on" and countries_of(row["cause"], note)):
        return f"{note!r}: countries have two letters, and only what is withheld has them"
    return Event(kind, post or author, row["cause"], value, happened, note)


def _happened(row: Row, time: datetime | None, now: datetime) -> datetime | str:
    """Return the time of a row, or what is wrong with it; now if the row has none.

    time: what its text was read as. A time in the future is wrong, because it would outweigh every
    later event.
    """
    text = row.get("happened", "")
    if not text or text in NULL_WORDS:
        return now
    if time is None:
        return f"{text!r} is not a time"
    return time if EARLIEST <= time <= now + CLOCKS_DIFFER else f"the clock was wrong: {text}"


def _record(home: Home, events: Iterable[Event], context: Context) -> int:
    with live_log(home) as log:
        return log.record(events, context.clock)
