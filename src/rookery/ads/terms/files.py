"""Files of what is sold: TOML, JSON, and CSV as spreadsheets write it.

TOML and JSON hold a list for each kind of object. CSV has a row for each ad, or for a group or
campaign without one, with the fields of everything above it; a cell that is blank says nothing.
Spreadsheets put a mark before the first column, semicolons or tabs between them, and decimal commas
where semicolons are used: all of that is read.

    currency = "EUR"

    [[campaign]]                           # the short form: a campaign with one ad
    id = "harbour-tea"
    advertiser = "Harbour Tea House"       # the name; in the long form an advertiser's id
    title = "Tea above the old harbour"
    body = "Forty teas, one view."
    url = "https://example.com/tea"
    bid = 0.25
    budget = 50.00

Every fault of a file is found, each with its row and field. What the rows mean beside what is
stored is in `merging.py`; what a field may hold, in `fields.py`.
"""

import csv
import difflib
import io
import json
import re
import tomllib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from rookery.ads.terms.fields import KINDS, currency, money
from rookery.core.errors import DataError, UsageError

_MOST_TOLD = 20
_MOST_CHARACTERS = 80  # of a value, in the telling of a fault


@dataclass(frozen=True)
class Row:
    """What a file says of one object: where, of which kind, and its fields as they were read."""

    where: str
    kind: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Sheet:
    """The contents of a file. currency: "" where it names none."""

    currency: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Fault:
    """A fault: where it is, and what it is."""

    where: str
    what: str

    def line(self) -> str:
        """Return it as a line."""
        return f"{self.where}: {self.what}"


class Faults(DataError):
    """The faults of a file, of which nothing was taken."""

    def __init__(self, faults: Sequence[Fault], where: Path | str | None = None):
        told = [one.line() for one in faults[:_MOST_TOLD]]
        if len(faults) > _MOST_TOLD:
            told.append(f"and {len(faults) - _MOST_TOLD:,} more")
        super().__init__("; ".join(told), where=where, hint="Nothing was imported")
        self.faults = tuple(faults)


@dataclass
class _Reading:
    """Rows and faults so far."""

    currency: str = ""
    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def take(self, where: str, kind: str, raw: Mapping[str, Any]) -> None:
        """Read the fields of an object."""
        known, values, before = KINDS[kind], {}, len(self.faults)
        for name, value in raw.items():
            if name not in known:
                close = difflib.get_close_matches(str(name), list(known), n=1)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
                self.faults.append(Fault(f"{where}, {name}", f"unknown field; {hint}"))
                continue
            try:
                values[name] = known[name].read(value)
            except ValueError as error:
                self.faults.append(Fault(f"{where}, {name}", f"{error}, not {_shown(value)}"))
        if len(self.faults) == before:
            self.rows.append(Row(where, kind, values))

    def take_currency(self, value: Any, where: str) -> None:
        """Read the currency of a file, which is the same everywhere in it."""
        try:
            found = currency(value)
        except ValueError as error:
            self.faults.append(Fault(where, f"{error}, not {_shown(value)}"))
            return
        if self.currency not in ("", found):
            self.faults.append(Fault(where, f"is {found}, and {self.currency} above it"))
        self.currency = found


def read_sheet(path: Path) -> Sheet:
    """Read a file by its name: `.toml`, `.json`, and anything else as CSV.

    Raises `UsageError` if it cannot be read, and `Faults` if anything in it is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", where=path) from None
    ending = path.suffix.lower().removeprefix(".")
    return sheet_of(data, ending if ending in ("toml", "json") else "csv", path)


def sheet_of(data: bytes, form: str, where: Path | str | None = None) -> Sheet:
    """Read what a file holds; form: toml, json or csv. Raises `Faults` if anything is wrong."""
    reading = _Reading()
    if form == "csv":
        _read_csv(_text(data, where), reading, where)
    else:
        _read_tables(_plain(data, form, where), reading)
    if not reading.rows and not reading.faults:
        raise DataError("there is nothing to import in it", where=where)
    if reading.faults:
        raise Faults(reading.faults, where)
    return Sheet(reading.currency, tuple(reading.rows))


def _shown(value: Any) -> str:
    return (str(value) if isinstance(value, Decimal) else repr(value))[:_MOST_CHARACTERS]


def _text(data: bytes, where: Path | str | None) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        hint = "Save it as CSV UTF-8"
        raise DataError(f"not UTF-8: {error.reason}", where=where, hint=hint) from None


def _plain(data: bytes, form: str, where: Path | str | None) -> Any:
    try:
        if form == "toml":
            return tomllib.loads(_text(data, where), parse_float=Decimal)
        return json.loads(_text(data, where), parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not valid {form.upper()}: {error}", where=where) from None


# TOML and JSON
# -------------------------------------------------------------------------------------------------


def _read_tables(plain: Any, reading: _Reading) -> None:
    if not isinstance(plain, Mapping):
        reading.faults.append(Fault("the file", "must be a table with a list for each kind"))
        return
    for name, value in plain.items():
        if name == "currency":
            reading.take_currency(value, "currency")
        elif name not in KINDS:
            close = difflib.get_close_matches(str(name), [*KINDS, "currency"], n=1)
            hint = f"did you mean {close[0]}?" if close else f"known: currency, {', '.join(KINDS)}"
            reading.faults.append(Fault(str(name), f"unknown; {hint}"))
        elif not isinstance(value, list):
            reading.faults.append(Fault(name, f"must be a list; each begins with [[{name}]]"))
        else:
            for place, one in enumerate(value, 1):
                _read_table(name, place, one, reading)


def _read_table(kind: str, place: int, raw: Any, reading: _Reading) -> None:
    if not isinstance(raw, Mapping):
        reading.faults.append(Fault(f"{kind} {place}", "must be a table"))
        return
    named = f" ({raw['id']})" if isinstance(raw.get("id"), str) else ""
    where = f"{kind} {place}{named}"
    if kind == "campaign" and "title" in raw:
        for of_kind, part in _of_short_form(raw):
            reading.take(where, of_kind, part)
    else:
        reading.take(where, kind, raw)


_OF_GROUP = [name for name in KINDS["group"] if name not in ("id", "campaign", "paused")]
_OLD_NAMES = {"excluded_words": "excluded"}
_SHORT = dict.fromkeys(("title", "body", "url"), "ad") | dict.fromkeys(_OF_GROUP, "group")


def _of_short_form(raw: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a campaign that has one ad: advertiser, campaign, group and ad."""
    name, one_id = raw.get("advertiser"), raw.get("id")
    advertiser = slug_of(name) if isinstance(name, str) else name
    yield "advertiser", {"id": advertiser, "name": name}
    parts: dict[str, dict[str, Any]] = {
        "campaign": {"id": one_id, "advertiser": advertiser},
        "group": {"id": one_id, "campaign": one_id},
        "ad": {"id": one_id, "group": one_id},
    }
    for field_name, value in raw.items():
        if field_name in ("id", "advertiser"):
            continue
        if field_name == "views_per_viewer_per_day":
            parts["campaign"]["caps"] = [f"{value} views of campaign in 24 hours"]
            continue
        name_now = _OLD_NAMES.get(field_name, field_name)
        parts[_SHORT.get(name_now, "campaign")][name_now] = value
    yield from parts.items()


def slug_of(name: str) -> str:
    """Return an id made of a name, other for each name.

    >>> slug_of("Harbour Tea House"), slug_of("Чай")
    ('harbour-tea-house', 'name-b17477b4')
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if name.isascii() and 0 < len(slug) <= _LONGEST_SLUG:
        return slug
    return f"{slug[:_LONGEST_SLUG] or 'name'}-{zlib.crc32(name.encode()):08x}"


_LONGEST_SLUG = 54


# CSV
# -------------------------------------------------------------------------------------------------

_OF_CAMPAIGN = ["budget", "daily_budget", "zone", "start", "end", "pays_for", "caps"]
COLUMNS: dict[str, tuple[str, str]] = {
    "advertiser": ("advertiser", "id"),
    "advertiser_name": ("advertiser", "name"),
    "funding": ("funding", "id"),
    "funding_budget": ("funding", "budget"),
    "campaign": ("campaign", "id"),
    **{name: ("campaign", name) for name in _OF_CAMPAIGN},
    "campaign_paused": ("campaign", "paused"),
    "group": ("group", "id"),
    **{name: ("group", name) for name in _OF_GROUP},
    "group_paused": ("group", "paused"),
    "ad": ("ad", "id"),
    **{name: ("ad", name) for name in ("title", "body", "url")},
    "ad_paused": ("ad", "paused"),
}
"""The columns of CSV: of which kind of object each is a field, and which."""
_ABOVE = {"funding": ("advertiser",), "campaign": ("advertiser", "funding"),
          "group": ("campaign",), "ad": ("group",)}  # fmt: skip


def _read_csv(text: str, reading: _Reading, where: Path | str | None) -> None:
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = [_column_of(name) for name in next(rows, [])]
        _check_columns(names, reading)
        if reading.faults:
            return
        seen: dict[tuple[str, str], dict[str, Any]] = {}
        for cells in rows:
            if any(cell.strip() for cell in cells):
                _read_row(f"row {rows.line_num}", names, cells, delimiter == ";", seen, reading)
    except csv.Error as error:
        place = f"{where or 'the file'}, row {rows.line_num}"
        raise DataError(f"not CSV: {error}", where=place) from None


def _column_of(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _check_columns(names: Sequence[str], reading: _Reading) -> None:
    for name in names:
        if name not in COLUMNS and name != "currency":
            close = difflib.get_close_matches(name, [*COLUMNS, "currency"], n=1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(COLUMNS)}"
            reading.faults.append(Fault(f"column {name}", f"unknown; {hint}"))
    for name in {name for name in names if names.count(name) > 1}:
        reading.faults.append(Fault(f"column {name}", "stands twice"))


def _read_row(
    where: str,
    names: Sequence[str],
    cells: Sequence[str],
    has_decimal_commas: bool,
    seen: dict[tuple[str, str], dict[str, Any]],
    reading: _Reading,
) -> None:
    if len(cells) > len(names):
        reading.faults.append(Fault(where, f"has {len(cells)} cells under {len(names)} columns"))
        return
    parts: dict[str, dict[str, Any]] = {}
    for name, cell in zip(names, cells, strict=False):
        value = cell.strip()
        if not value:
            continue
        if name == "currency":
            reading.take_currency(value, f"{where}, currency")
            continue
        kind, field_name = COLUMNS[name]
        if has_decimal_commas and KINDS[kind][field_name].read is money:
            value = value.replace(",", ".")
        parts.setdefault(kind, {})[field_name] = value
    for kind, part in parts.items():
        if "id" not in part:
            reading.faults.append(Fault(f"{where}, {kind}", f"no {kind} is named"))
            continue
        above = {
            name: parts[name]["id"] for name in _ABOVE.get(kind, ()) if "id" in parts.get(name, {})
        }
        _take_once(where, kind, part | above, seen, reading)


def _take_once(
    where: str,
    kind: str,
    part: dict[str, Any],
    seen: dict[tuple[str, str], dict[str, Any]],
    reading: _Reading,
) -> None:
    """Take an object that several rows may describe, as long as they agree."""
    known = seen.setdefault((kind, part["id"]), {})
    new = {name: value for name, value in part.items() if name not in known}
    for name, value in part.items():
        if name in known and known[name] != value:
            what = f"is {_shown(value)}, and {_shown(known[name])} in a row above"
            reading.faults.append(Fault(f"{where}, {kind} {name}", what))
    if new or not known:
        known.update(new)
        reading.take(where, kind, {"id": part["id"]} | new)
