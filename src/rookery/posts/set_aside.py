"""Rows set aside: what their files keep of them, which is no word of a post.

An ingest writes what it could not take to a file of `set_aside/`, one JSON object a line: the place
of the row, the reason, the id and the author of the post as the live log spells them, and the value
that was wrong. Text is never kept: its author may have deleted it, or could not ask for that. That
is decided here alone, whatever a source put into a `SetAside`.

An earlier release kept whole rows. `reduced` turns them into such lines, and `erase.py` does so
with every file. Not here: what makes a row unusable (`sources/`), and which posts have to go.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rookery.core.atomic import write_atomically
from rookery.core.home import Home
from rookery.posts.lake import ADDED_COLUMNS
from rookery.posts.post import POST_SCHEMA
from rookery.posts.sources.files import SetAside
from rookery.posts.versions import ID_TAKEN

LONGEST_WRONG_CHARACTERS = 40
TIME_WORDS = (
    "am pm utc gmt est nan nat inf null none na e t z "
    "mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday "
    "jan feb mar apr may jun jul aug sep sept oct nov dec "
    "january february march april june july august september october november december"
).split()
"""The only words that a value may have which is kept because it was wrong: those of times."""
_LETTERS = re.compile(r"[^\W\d_]+")
_SIGNS = re.compile(r"[\w\s.,:;/+\\-]*")
_WORDS = (re.compile(r"[^\s\"'<>,;(){}\[\]]+"), re.compile(r"\w+"))
"""The words of a text: between blanks, quotes and brackets; and between any other signs."""
_WHOLE = frozenset(POST_SCHEMA.names) - ADDED_COLUMNS
"""The fields of a row as an earlier release kept it: all that it knew."""


def line_of(item: SetAside) -> str:
    """Return the line that a file keeps of a row, with its line end."""
    return _line(
        {
            "where": item.where,
            "reason": item.reason,
            "id": item.id,
            "author": item.author,
            "wrong": _shown(item.wrong),
        }
    )


def reasons_in(path: Path) -> Counter[str]:
    """Return how many rows a file holds, by reason; nothing for a file that does not exist."""
    return Counter(row["reason"] for row in _rows(path)) if path.exists() else Counter()


def files(home: Home) -> list[Path]:
    """Return the home's files of rows set aside, sorted."""
    return sorted(home.set_aside.glob("*.jsonl"))


def names_in(paths: Iterable[Path]) -> set[str]:
    """Return the ids and authors that the rows of some files name, also in their places."""
    return {name for path in paths for row in _rows(path) for name in _names(reduced(row))}


def posts_by(paths: Iterable[Path], authors: Collection[str]) -> dict[str, str]:
    """Return the ids that the rows of some files have of posts by some authors, with the author.

    A row that claims the id of somebody else's post is no word about that post.
    """
    rows = (reduced(row) for path in paths for row in _rows(path) if row["reason"] != ID_TAKEN)
    return {row["id"]: row["author"] for row in rows if row["id"] and row["author"] in authors}


def erase(path: Path, gone: Collection[str]) -> int:
    """Reduce the rows of a file that an earlier release wrote, and remove the names of some posts.

    Of a row that names one of `gone` the reason is left. Returns how many rows changed.
    """
    with open(path, encoding="utf-8") as lines:
        before = list(lines)
    after = [_line(_without(json.loads(line), gone)) for line in before]
    changed = sum(a != b for a, b in zip(before, after, strict=True))
    if changed:
        write_atomically(path, "".join(after).encode())
    return changed


@dataclass(frozen=True)
class Mention:
    """The rows set aside that name a post: `holds` if one may hold its text, else `names`.

    author: the author that they give, "" if they give none.
    """

    how: str
    author: str


def find(home: Home, post_id: str) -> Mention | None:
    """Return how the files mention a post, or None. Only an earlier release kept any text."""
    escaped = json.dumps(post_id, ensure_ascii=False)[1:-1].encode()
    named = [path for path in files(home) if escaped in path.read_bytes()]
    rows = [row for path in named for row in _rows(path)]
    left = [row for row in map(reduced, rows) if post_id in (row["id"], _placed(row["where"]))]
    author = next((row["author"] for row in left if row["author"]), "")
    if any(_is_named(row.get("row"), {post_id}) for row in rows):
        return Mention("holds", author)
    return Mention("names", author) if left else None


def reduced(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a file without what an earlier release kept of its content.

    The id and the author stay where that release had written them as the log spells them.
    """
    old = row.get("row")
    if not isinstance(old, Mapping) or not (old.keys() == {"id"} or _WHOLE <= old.keys()):
        old = {}
    kept = {name: str(old.get(name) or "") for name in ("id", "author")}
    return kept | {name: value for name, value in row.items() if name != "row"}


def _without(row: dict[str, Any], gone: Collection[str]) -> dict[str, Any]:
    left = reduced(row)
    is_gone = any(name in gone for name in _names(left))
    return {"where": "erased", "reason": row["reason"]} if is_gone else left


def _line(row: Mapping[str, Any]) -> str:
    kept = {name: row[name] for name in ("id", "author", "wrong") if row.get(name)}
    line = {"where": row["where"], "reason": row["reason"]} | kept
    return json.dumps(line, ensure_ascii=False) + "\n"


def _shown(wrong: str) -> str:
    """Return a value if it can only be a time or a number; the empty text for anything else."""
    letters = _LETTERS.findall(wrong.lower())
    is_plain = len(wrong) <= LONGEST_WRONG_CHARACTERS and _SIGNS.fullmatch(wrong)
    return wrong if is_plain and all(word in TIME_WORDS for word in letters) else ""


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _names(row: Mapping[str, Any]) -> set[str]:
    """Return the names in a row: its id, its author, and the words of the file's name."""
    file, comma, _ = row["where"].partition(", ")
    words = {word for pattern in _WORDS for word in pattern.findall(file)} if comma else set()
    return (words | {row.get("id", ""), row.get("author", ""), _placed(row["where"])}) - {""}


def _placed(where: str) -> str:
    """Return the id in a place that is none of a file; "" if the place names no id."""
    return where.removeprefix("id ") if where.startswith("id ") else ""


def _is_named(value: Any, names: Collection[str]) -> bool:
    """Return whether one of some names occurs anywhere in the content of a row."""
    if isinstance(value, Mapping):
        return any(_is_named(item, names) for item in value.values())
    if isinstance(value, list):
        return any(_is_named(item, names) for item in value)
    if isinstance(value, str):
        found = {word for words in _WORDS for word in words.findall(value)} | {value}
        return any(word in names for word in found)
    return str(value) in names
