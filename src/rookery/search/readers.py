"""Readers: what each person blocks, mutes and wants to see, as the platform tells it.

They are stored in a file of their own beside the live log, since they are no posts and a long list
of them must not hold up what is forgotten. Each search reads its own reader, so that a change holds
from the next query on, in every process. Whom a reader is blocked by follows from the others.

Not here: what follows from it for a search (`scope.py`).
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rookery.core.config import from_plain, to_plain
from rookery.core.errors import DataError, StorageError, UsageError
from rookery.core.home import Home
from rookery.posts.log.countries import country_code
from rookery.search.engine.words import author_key, exact_tokens
from rookery.search.scope import KnownReader

_SCHEMA = """
CREATE TABLE IF NOT EXISTS reader (name TEXT PRIMARY KEY, told TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS block (
    blocked TEXT NOT NULL, reader TEXT NOT NULL, PRIMARY KEY (blocked, reader)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS block_by_reader ON block (reader);
"""
_LINE = (
    'Each line is {"name": "ada", "blocks": […], "mutes": […], "muted_words": […], '
    '"country": "DE", "sensitive": false}, all but the name as needed'
)


def reader_named(home: Home, name: str) -> KnownReader:
    """Return a reader as of now, with the authors who blocked them.

    Raises `UsageError` if there is no such reader.
    """
    key, row, blocked_by = author_key(_text(name)), None, []
    if home.readers.exists():
        with _opened(home) as readers:
            row = readers.execute("SELECT told FROM reader WHERE name = ?", [key]).fetchone()
            blocked_by = readers.execute(
                "SELECT reader FROM block WHERE blocked = ? ORDER BY reader", [key]
            ).fetchall()
    if row is None:
        raise UsageError(
            f"no reader is known by the name {name!r}", hint="`rookery search readers FILE` adds it"
        )
    return replace(
        from_plain(KnownReader, json.loads(row[0])), blocked_by=tuple(b for (b,) in blocked_by)
    )


def store_readers(home: Home, readers: Iterable[KnownReader]) -> int:
    """Store readers, each in place of what was known of them, all or none; return how many."""
    count = 0
    with _opened(home) as stored, _transaction(stored):
        for reader in readers:
            key = author_key(reader.name)
            _remove(stored, key)
            told = {k: v for k, v in to_plain(reader).items() if k != "blocked_by"}
            stored.execute("INSERT INTO reader VALUES (?, ?)", [key, json.dumps(told)])
            blocks = ((author_key(author), key) for author in reader.blocks)
            stored.executemany("INSERT OR IGNORE INTO block VALUES (?, ?)", blocks)
            count += 1
    return count


def remove_readers(home: Home, names: Iterable[str]) -> int:
    """Remove what is known of readers, and return how many of them were known."""
    with _opened(home) as stored, _transaction(stored):
        return sum(_remove(stored, author_key(_text(name))) for name in names)


def read_readers(path: Path) -> Iterator[KnownReader]:
    """Yield the readers of a file of JSON lines.

    Raises `UsageError` if it cannot be read, and `DataError`, with the number of the line, for one
    that is no reader.
    """
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _reader(line, f"{path}, line {number}")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8: {error.reason}", where=path) from None
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", where=path) from None


def _reader(line: str, where: str) -> KnownReader:
    try:
        given: Any = json.loads(line)
        if isinstance(given, dict) and "blocked_by" in given:
            raise DataError("blocked_by follows from the blocks of the others")
        return _checked(from_plain(KnownReader, given))
    except DataError as error:
        raise DataError(f"not a reader: {error.what}", where=where, hint=_LINE) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error}", where=where, hint=_LINE) from None


def _checked(reader: KnownReader) -> KnownReader:
    """Return a reader whose names name somebody and whose muted words are words."""
    for name in (reader.name, *reader.blocks, *reader.mutes):
        if not author_key(name.strip()) or not _is_text(name):
            raise DataError(f"{name!r} is no name of an author")
    for text in reader.muted_words:
        if next(exact_tokens(text), None) is None:
            raise DataError(f"there is no word in the muted {text!r}")
    country = reader.country
    if country is None:
        return reader
    code = country_code(country)
    if code is None:
        raise DataError(f"country must be two letters of ISO 3166, not {country!r}")
    return replace(reader, country=code)


def _is_text(name: str) -> bool:
    """Return whether a name is text; JSON can tell half a character."""
    return name == _text(name)


def _text(name: str) -> str:
    return name.encode("utf-8", "replace").decode()


@contextmanager
def _opened(home: Home) -> Iterator[sqlite3.Connection]:
    """Open the file of readers for a while; raise `StorageError` if it cannot be used."""
    try:
        with closing(sqlite3.connect(home.readers, timeout=30, isolation_level=None)) as readers:
            readers.execute("PRAGMA journal_mode = WAL")
            readers.executescript(_SCHEMA)
            yield readers
    except sqlite3.Error as error:
        raise StorageError(
            f"the readers cannot be used: {error}",
            where=home.readers,
            hint="Free some space, or wait until the process that holds the file is done",
        ) from None


@contextmanager
def _transaction(readers: sqlite3.Connection) -> Iterator[None]:
    """Make all that is written inside durable together at the end, or none of it."""
    readers.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        readers.execute("ROLLBACK")
        raise
    readers.execute("COMMIT")


def _remove(readers: sqlite3.Connection, key: str) -> int:
    readers.execute("DELETE FROM block WHERE reader = ?", [key])
    return readers.execute("DELETE FROM reader WHERE name = ?", [key]).rowcount
