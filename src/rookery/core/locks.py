"""Locks: files that one process holds, or many share, and that the system releases after a kill.

A process that must be alone takes `exclusive`. Whoever reads texts of posts takes `reading_posts`,
and an erasure takes `erasing_posts`.
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rookery.core.errors import BusyError
from rookery.core.home import Home

ERASE_LOCK = "erase.lock"
_LOOK_SECONDS = 0.02  # longer than `is_held` holds a lock, which must keep nobody out


def exclusive(lock: Path, what: str) -> contextlib.AbstractContextManager[None]:
    """Hold a lock file; raise `BusyError` at once if another process holds it."""
    return _held(lock, fcntl.LOCK_EX, what)


def reading_posts(home: Home) -> contextlib.AbstractContextManager[None]:
    """Hold the erasure lock shared, while texts of posts are read into a corpus, shards or an
    index.
    """
    return _held(home.path / ERASE_LOCK, fcntl.LOCK_SH, "the erasure of posts")


def erasing_posts(home: Home) -> contextlib.AbstractContextManager[None]:
    """Hold the erasure lock alone; raise `BusyError` while another process reads posts."""
    return _held(
        home.path / ERASE_LOCK,
        fcntl.LOCK_EX,
        "what is made of posts (a corpus, shards, an index), or erases",
    )


@contextlib.contextmanager
def _held(lock: Path, mode: int, what: str) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as file:
        if not (_is_taken(file, mode) or _is_taken(file, mode, _LOOK_SECONDS)):
            raise BusyError(
                f"another process is working on {what}",
                where=lock,
                hint="Wait until it is done, then try again",
            )
        yield


def _is_taken(file: IO[str], mode: int, after_seconds: float = 0.0) -> bool:
    """Take a lock if it is free after a while, and return whether it was."""
    time.sleep(after_seconds)
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(lock: Path) -> bool:
    """Return whether some process holds a lock file at this moment."""
    if not lock.exists():
        return False
    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
