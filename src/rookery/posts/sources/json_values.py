"""The objects of a JSON file, whether it is one document, a list, pages of lists, or JSON lines.

Sources whose files come in all these shapes read them here; this module knows no format. Lines are
read one at a time; a document is held in memory as a whole, and so its size is limited. A line that
is not a JSON object is set aside and reading continues; a document that is not JSON from beginning
to end is a `DataError`. How a file is opened and decompressed is in `files.py`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rookery.core.errors import DataError
from rookery.posts.sources import files
from rookery.posts.sources.files import (
    File,
    SetAside,
    clear_errors,
    json_lines,
    opened,
    parse_json,
    well_formed,
)
from rookery.posts.sources.tables.kinds import kind_of

_DAMAGED = "It is damaged or cut short: export or download it again"


@dataclass(frozen=True)
class Value:
    """An object of a file, and its position there; `where` is empty for the whole document."""

    where: str
    value: dict[str, Any]

    def at(self, place: str) -> str:
        """Return the position of a part of the object."""
        return f"{self.where}, {place}" if self.where else place


def read_values(path: File) -> Iterator[Value | SetAside]:
    """Yield the objects of a file, those of lists one by one, and set everything else aside.

    Raises `DataError` if the file is damaged.
    """
    with clear_errors(path):
        if not _has_lines(path):
            with opened(path) as file:
                document = parse_document(file.read(files.LARGEST_DOCUMENT_BYTES + 1), path)
                yield from _objects_of(document, "")
            return
        for where, line in json_lines(path):
            value = parse_json(line.row.encode()) if isinstance(line, SetAside) else line
            yield from _objects_of(value, where) if isinstance(value, dict | list) else (line,)


def _has_lines(path: File) -> bool:
    """Return whether a file is JSON lines.

    It is if its name says so, or if its first line is a complete value and more lines follow.
    """
    if kind_of(path) == "jsonl":
        return True
    with opened(path) as file:
        all_lines = iter(lambda: file.readline(files.LARGEST_DOCUMENT_BYTES), b"")
        lines = (line for line in all_lines if line.strip())
        first_is_value = isinstance(parse_json(next(lines, b"")), dict | list)
        return first_is_value and next(lines, None) is not None


def _objects_of(value: Any, where: str) -> Iterator[Value | SetAside]:
    """Yield an object as it is, or the objects of a list one by one."""
    if isinstance(value, dict):
        yield Value(where, value)
        return
    for number, item in enumerate(value if isinstance(value, list) else [value], 1):
        place = f"{where}, item {number}" if where else f"item {number}"
        yield (
            Value(place, item)
            if isinstance(item, dict)
            else SetAside(place, "not_a_json_object", item)
        )


def parse_document(data: bytes, where: object) -> Any:
    """Return the JSON value of a whole file; raises `DataError` if it is too long or not JSON."""
    if len(data) > files.LARGEST_DOCUMENT_BYTES:
        most_mib = files.LARGEST_DOCUMENT_BYTES >> 20
        hint = f"At most {most_mib} MiB are read as one value; give JSON lines"
        raise DataError("the JSON is too long", where=where, hint=hint)
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8: {error.reason}", where=where, hint="Convert it to UTF-8"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error}", where=where, hint=_DAMAGED) from None


def words(value: Any) -> str:
    """Return a string or a whole number as well-formed text, and the empty text for the rest.

    `files.as_text` would spell out the other types (true, a list) as well.
    """
    if isinstance(value, str):
        return well_formed(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def boolean(value: Any) -> bool | None:
    """Return the value if it is true or false, else None."""
    return value if isinstance(value, bool) else None


def mapping(value: Any) -> dict[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; an empty list if the value is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
