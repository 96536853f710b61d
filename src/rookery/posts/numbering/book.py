"""The book of numbers: the part of the live log that gives each post that arrives its number.

A streamed post gets one when it is stored. An ingest's posts get theirs when its write of the lake
is entered here, in one transaction of the log: whoever reads sees numbers in rising order, though
an ingest may take minutes beside a stream. A process that is killed between the lake's commit and
the entry leaves it to whoever looks next (`open_book`).

Not here: how the lake's files hold numbers (`files.py`), and reading by them (`../feed.py`).
"""

import json
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from rookery.core.home import Home
from rookery.posts.live import LiveLog
from rookery.posts.numbering.files import NUMBER, Before

PLACED = "placed"
"""The name under which a commit of the lake tells how many places its write counted."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS numbering (mark TEXT PRIMARY KEY, number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS numbered_write (version INTEGER PRIMARY KEY, before INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS numbered_file (name TEXT PRIMARY KEY, before INTEGER NOT NULL);
"""
_LAST, _VERSION = "last", "version"


class Book:
    """The numbers in an open live log."""

    def __init__(self, log: LiveLog):
        self._log = log
        for statement in filter(str.strip, _SCHEMA.split(";")):
            log.execute(statement)

    def last(self) -> int:
        """Return the highest number that a post got; 0 before the first."""
        found = self._mark(_LAST)
        return self._arrived_before() if found is None else found

    def take(self, count: int) -> int:
        """Give out so many numbers, and return the one before the first of them.

        The caller must have opened a transaction.
        """
        before = self.last()
        self._set(_LAST, before + count)
        return before

    def before(self) -> Before:
        """Return how many numbers were given before each write and each file of old."""
        tables = (("version", "numbered_write"), ("name", "numbered_file"))
        writes, files = (
            dict(self._log.execute(f"SELECT {key}, before FROM {table}")) for key, table in tables
        )
        return Before(writes, files)

    def version(self) -> int | None:
        """Return the newest version of the lake whose posts have numbers; None before any."""
        return self._mark(_VERSION)

    def enter(self, home: Home) -> None:
        """Give numbers to the posts of the lake's versions that have none yet.

        The caller must have opened a transaction.
        """
        if self.version() is None:
            self._begin(home)
        while (version := self.version()) is not None:
            placed = _placed_in(commit_file(home, version + 1))
            if placed is None:
                return
            if placed:
                entry = [version + 1, self.take(placed)]
                self._log.execute("INSERT INTO numbered_write VALUES (?, ?)", entry)
            self._set(_VERSION, version + 1)

    def _begin(self, home: Home) -> None:
        """Number the posts of a lake of a release before, in the order of its files.

        What waits for the lake comes after them.
        """
        try:
            table = DeltaTable(str(home.lake))
        except TableNotFoundError:
            return
        is_older = NUMBER.name not in (field.name for field in table.schema().fields)
        before, last = 0, self.last()
        for name, rows in _files(table) if is_older else ():
            self._log.execute("INSERT INTO numbered_file VALUES (?, ?)", [name, before])
            before += rows
        if before and self._is_followed():  # in two steps: a number may be another's until then
            self._log.execute("UPDATE arrived SET seq = -seq - ?", [before])
            self._log.execute("UPDATE arrived SET seq = -seq")
        self._set(_LAST, before + last)
        self._set(_VERSION, table.version() if is_older else -1)

    def _arrived_before(self) -> int:
        """Return the last number that a release before gave to a post that waits for the lake."""
        if not self._is_followed():
            return 0
        statement = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'arrived'"
        return self._log.execute(statement).fetchone()[0]

    def _is_followed(self) -> bool:
        statement = "SELECT 1 FROM sqlite_master WHERE name = 'arrived'"
        return self._log.execute(statement).fetchone() is not None

    def _mark(self, name: str) -> int | None:
        statement = "SELECT number FROM numbering WHERE mark = ?"
        found = self._log.execute(statement, [name]).fetchone()
        return found and found[0]

    def _set(self, name: str, number: int) -> None:
        self._log.execute("INSERT OR REPLACE INTO numbering VALUES (?, ?)", [name, number])


def open_book(home: Home, log: LiveLog) -> Book:
    """Return the book of an open log, after entering the lake's versions that it lacks.

    It costs a look at one file's name unless there is something to enter.
    """
    book = Book(log)
    version = book.version()
    next_commit = commit_file(home, 0 if version is None else version + 1)
    if next_commit.exists() or (version is None and next_commit.parent.exists()):
        with log.transaction():
            book.enter(home)
    return book


def commit_file(home: Home, version: int) -> Path:
    """Return the file of the commit that made a version of the lake."""
    return home.lake / "_delta_log" / f"{version:020d}.json"


def _placed_in(commit: Path) -> int | None:
    """Return how many places a commit counted; None if there is no such commit."""
    try:
        lines = commit.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    infos = (json.loads(line).get("commitInfo") for line in lines if '"commitInfo"' in line)
    return sum(int(info.get(PLACED, 0)) for info in infos if info)


def _files(table: DeltaTable) -> list[tuple[str, int]]:
    """Return the data files of a lake by name, each with its count of posts."""
    actions = pa.table(table.get_add_actions(flatten=True)).select(["path", "num_records"])
    return sorted((unquote(row["path"]), row["num_records"]) for row in actions.to_pylist())
