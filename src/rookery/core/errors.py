"""The error tree: what can go wrong, and which exit code says so.

    RookeryError          1   anything else that we can put into words
    ├── UsageError        2   the person asked for something that cannot be
    │   ├── BusyError     2   another process is at it
    │   └── PausedError   2   an operator stopped all runs of the home
    ├── DataError         2   a file, row or setting is not what it has to be
    └── StorageError      2   the disk is full or cannot be written

Every error says what happened, where, and how to mend it, in one line. An expected "no" is not an
error: it is a `Drop` (see `verdict.py`). `assert` is only for what cannot happen.
"""

import errno


class RookeryError(Exception):
    """Something went wrong; `what`, `where` and `hint` make up the one line a person reads."""

    exit_code = 1

    def __init__(self, what: str, *, where: object = None, hint: str | None = None):
        self.what = what
        self.where = None if where is None else str(where)
        self.hint = hint
        super().__init__(self.line())

    def line(self) -> str:
        """The whole message on one line: what (where). How to mend it."""
        text = self.what if self.where is None else f"{self.what} ({self.where})"
        text = text if self.hint is None else f"{text}. {self.hint}"
        return " ".join(text.split())


class UsageError(RookeryError):
    """The person asked for something that cannot be."""

    exit_code = 2


class BusyError(UsageError):
    """Another process is at it; the same command works when that one is done."""


class PausedError(UsageError):
    """An operator stopped all runs of the home; the same command goes on when it is resumed."""


class DataError(RookeryError):
    """A file, row or setting is not what it has to be."""

    exit_code = 2


class StorageError(RookeryError):
    """The disk is full or cannot be written."""

    exit_code = 2

    @classmethod
    def of(cls, error: OSError) -> "StorageError | None":
        """What a person is told of a disk that is full or cannot be written; None if the error is
        another.
        """
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            return None
        return cls(
            "the disk cannot be written",
            where=error.filename or error.strerror,
            hint="Free some space",
        )
