"""The error tree: what can go wrong, and which exit code reports it.

    RookeryError          1   any other error that has a clear message
    ├── UsageError        2   the request cannot be carried out
    │   ├── BusyError     2   another process is doing it
    │   └── PausedError   2   an operator paused all runs of the home
    ├── DataError         2   a file, row or setting is not what it has to be
    └── StorageError      2   the disk is full or cannot be written

Every error states what happened, where, and how to fix it, in one line. An expected "no" is not an
error: it is a `Drop` (see `verdict.py`). `assert` is only for what cannot happen.
"""

import errno


class RookeryError(Exception):
    """An error with a message for people: `what` happened, `where`, and a `hint` how to fix it."""

    exit_code = 1

    def __init__(self, what: str, *, where: object = None, hint: str | None = None):
        self.what = what
        self.where = None if where is None else str(where)
        self.hint = hint
        super().__init__(self.line())

    def line(self) -> str:
        """Return the whole message on one line: what (where). hint."""
        text = self.what if self.where is None else f"{self.what} ({self.where})"
        text = text if self.hint is None else f"{text}. {self.hint}"
        return " ".join(text.split())


class UsageError(RookeryError):
    """A request that cannot be carried out."""

    exit_code = 2


class BusyError(UsageError):
    """A refusal because another process is at work; the same command succeeds once that one is
    done.
    """


class PausedError(UsageError):
    """A refusal because an operator paused the home; the same command continues after `resume`."""


class DataError(RookeryError):
    """A file, row or setting that is not what it has to be."""

    exit_code = 2


class StorageError(RookeryError):
    """A disk that is full or cannot be written."""

    exit_code = 2

    @classmethod
    def of(cls, error: OSError) -> "StorageError | None":
        """Return the `StorageError` for a full or unwritable disk; None for any other `OSError`."""
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            return None
        return cls(
            "the disk cannot be written",
            where=error.filename or error.strerror,
            hint="Free some space",
        )
