"""Writing: the one process that writes the index, and the generation that it writes.

Whoever builds the index (`index.py`) or follows what arrives (`follow.py`) holds one lock, opens
the generation that is wanted, and tells a full disk and damaged files from other errors here. What
is written, and how, is in `engine/`.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from rookery.core.errors import DataError, StorageError
from rookery.core.home import Home
from rookery.core.locks import exclusive
from rookery.core.protocols import Embedder
from rookery.search.engine.generation import Generation, in_force, want_anew, wanted
from rookery.search.engine.writer import GenerationWriter
from rookery.search.lag import DAMAGED, WRITER_LOCK, tell_trouble

UNUSABLE = (DataError, OSError, ValueError, RuntimeError)
"""What files raise that are damaged, and what any file raises on a full disk."""


def in_force_or_none(home: Home) -> Generation | None:
    """Return the generation in force, or None where there is none that can be used."""
    try:
        return in_force(home)
    except DataError:  # of another release, or damaged: it is replaced
        return None


@contextlib.contextmanager
def writer_of_wanted(
    home: Home, embedder: Embedder
) -> Iterator[tuple[Generation, GenerationWriter]]:
    """Open the generation that is wanted; one whose files are damaged is begun anew.

    If it is the one in force, another is begun beside it, since whoever has it open reads on.
    """
    goal = wanted(home, embedder)
    try:
        writer = GenerationWriter(goal.folder(home), embedder)
    except UNUSABLE as error:
        if is_disk_full(error):
            raise
        if in_force_or_none(home) == goal:
            tell_trouble(home, DAMAGED)
            want_anew(home)
            goal = wanted(home, embedder)
        shutil.rmtree(goal.folder(home), ignore_errors=True)
        writer = GenerationWriter(goal.folder(home), embedder)
    try:
        yield goal, writer
    finally:
        writer.close()


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error says that the disk is full, or cannot be written."""
    if isinstance(error, OSError):
        return StorageError.of(error) is not None
    return "No space left" in str(error)  # tantivy reports it only in the message


def is_of_files_in(folder: Path, error: BaseException) -> bool:
    """Return whether an error says that files in a folder are damaged."""
    where = error.where if isinstance(error, DataError) else None
    return where is not None and Path(where).is_relative_to(folder)


@contextlib.contextmanager
def writing(home: Home) -> Iterator[None]:
    """Be the one process that writes the index.

    Raises `BusyError` if another one does, `StorageError` if the disk is full.
    """
    with exclusive(home.search / WRITER_LOCK, "the search index"):
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            if not is_disk_full(error):
                raise
            raise StorageError(
                "the disk is full", where=home.search, hint="Free some space"
            ) from None
