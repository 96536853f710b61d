"""The objects of a JSON file, whether it is one document, a list, pages of lists, or JSON lines.

This is for the sources whose files come in all these shapes; it knows no format. Lines are read one
at a time; a document is held whole, and so has a bound. A line that is no JSON object is set aside
and the next one read; a document that is not JSON from beginning to end is a `DataError`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rookery.core.errors import DataError
from rookery.posts.sources import files
from rookery.posts.sources.files import (
    SetAside,
    clear_errors,
    json_lines,
    opened,
    parse_json,
    well_formed,
)
from rookery.posts.sources.tabular import kind_of

_DAMAGED = "It is damaged or cut short: export or download it again"


@dataclass(frozen=True)
class Value:
    """An object of a file, and where it stands: empty if it is the whole document."""

    where: str
    value: dict[str, Any]

    def at(self, place: str) -> str:
        """Where a part of the object stands."""
        return f"{self.where}, {place}" if self.where else place


def read_values(path: Path) -> Iterator[Value | SetAside]:
    """The objects of a file, lists taken apart, and whatever stands there that is none; raises
    `DataError`.
    """
    with clear_errors(path):
        if not _has_lines(path):
            with opened(path) as file:
                yield from _apart(
                    parse_document(file.read(files.LARGEST_DOCUMENT_BYTES + 1), path), ""
                )
            return
        for where, line in json_lines(path):
            value = parse_json(line.row.encode()) if isinstance(line, SetAside) else line
            yield from _apart(value, where) if isinstance(value, dict | list) else (line,)


def _has_lines(path: Path) -> bool:
    """Whether a file is JSON lines: by its name, or since its first line is a value and not the
    last one.
    """
    if kind_of(path) == "jsonl":
        return True
    with opened(path) as file:
        lines = (
            line
            for line in iter(lambda: file.readline(files.LARGEST_DOCUMENT_BYTES), b"")
            if line.strip()
        )
        return (
            isinstance(parse_json(next(lines, b"")), dict | list) and next(lines, None) is not None
        )


def _apart(value: Any, where: str) -> Iterator[Value | SetAside]:
    """An object as it is, the objects of a list one by one."""
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
    """The JSON of a whole file; raises `DataError`."""
    if len(data) > files.LARGEST_DOCUMENT_BYTES:
        most = (
            f"At most {files.LARGEST_DOCUMENT_BYTES >> 20} MiB are read as one value; give "
            f"JSON lines"
        )
        raise DataError("the JSON is too long", where=where, hint=most)
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8: {error.reason}", where=where, hint="Convert it to UTF-8"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error}", where=where, hint=_DAMAGED) from None


def words(value: Any) -> str:
    """A text or a number as well-formed text; empty for anything else, which `as_text` would spell
    out.
    """
    if isinstance(value, str):
        return well_formed(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is an object; an empty one if not."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; none if it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
