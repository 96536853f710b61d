"""Exporting: what is sold as a file that imports as no change.

Pure. TOML and JSON have a list for each kind, CSV a row for each ad (`files.py`).
"""

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from rookery.ads.terms.fields import (
    KINDS,
    written_cap,
    written_hours,
    written_keyword,
    written_moment,
    written_money,
)
from rookery.ads.terms.files import COLUMNS
from rookery.ads.terms.objects import Ad, AdBook, AdVersion, Campaign, Group

Plain = dict[str, Any]


def plain_of(book: AdBook) -> Plain:
    """Return all objects as tables of their fields; what is empty is left out."""
    latest = {one.ad: one for one in book.versions}  # sorted by number, so that the last one stays
    lists: dict[str, list[Plain]] = {
        "advertiser": [{"id": one.id, "name": one.name} for one in book.advertisers],
        "funding": [
            {"id": f.id, "advertiser": f.advertiser, "budget": written_money(f.budget_micros)}
            for f in book.fundings
        ],
        "campaign": [_campaign(one) for one in book.campaigns],
        "group": [_group(one) for one in book.groups],
        "ad": [_ad(one, latest[one.id]) for one in book.ads],
    }
    return {"currency": book.currency} | {kind: some for kind, some in lists.items() if some}


def _campaign(one: Campaign) -> Plain:
    daily, start, end = one.daily_budget_micros, one.start_seconds, one.end_seconds
    return _said(
        id=one.id,
        advertiser=one.advertiser,
        budget=written_money(one.budget_micros),
        daily_budget=None if daily is None else written_money(daily),
        funding=one.funding,
        zone=one.zone,
        start=None if start is None else written_moment(start),
        end=None if end is None else written_moment(end),
        pays_for=one.pays_for,
        caps=[written_cap(cap) for cap in one.caps],
        paused=one.paused,
    )


def _group(one: Group) -> Plain:
    target = one.targeting
    return _said(
        id=one.id,
        campaign=one.campaign,
        bid=written_money(one.bid.micros),
        strategy=one.bid.strategy,
        keywords=[written_keyword(word) for word in target.keywords],
        excluded=[written_keyword(word) for word in target.excluded],
        meaning=list(target.meaning),
        languages=list(target.languages),
        hours=written_hours(target.hours),
        countries=list(target.countries),
        devices=list(target.devices),
        paused=one.paused,
    )


def _ad(one: Ad, words: AdVersion) -> Plain:
    return _said(
        id=one.id, group=one.group, title=words.title, body=words.body, url=words.url,
        paused=one.paused,
    )  # fmt: skip


def _said(**fields: Any) -> Plain:
    return {name: value for name, value in fields.items() if value not in (None, "", [])}


def as_json(book: AdBook) -> str:
    """Return a file of JSON; amounts are numbers with all their digits."""
    marked = json.dumps(plain_of(book), ensure_ascii=False, indent=1, default=_marked)
    return marked.replace(f'"{_MARK}', "").replace(f'{_MARK}"', "") + "\n"


_MARK = "\ue000"  # stands around an amount until it is written without quotes


def _marked(value: Any) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(type(value))
    return f"{_MARK}{value}{_MARK}"


def as_toml(book: AdBook) -> str:
    """Return a file of TOML."""
    plain = plain_of(book)
    lines = [f"currency = {_toml(plain['currency'])}"]
    for kind in KINDS:
        for table in plain.get(kind, []):
            lines += ["", f"[[{kind}]]"]
            lines += [f"{name} = {_toml(value)}" for name, value in table.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, Decimal):
        return str(value)
    return json.dumps(value, ensure_ascii=False)  # its strings and truths are TOML's as well


def as_csv(book: AdBook) -> str:
    """Return a file of CSV: a row for each ad, and for what has none."""
    out = io.StringIO()
    rows = csv.DictWriter(out, ["currency", *COLUMNS])
    rows.writeheader()
    for row in _rows(plain_of(book)):
        rows.writerow({"currency": book.currency} | row)
    return out.getvalue()


def _rows(plain: Plain) -> Iterator[dict[str, str]]:
    """Yield the rows of CSV: each ad with all above it, then what no ad is below."""
    by_id = {kind: {one["id"]: one for one in plain.get(kind, [])} for kind in KINDS}
    told: set[tuple[str, str]] = set()
    for kind in reversed(KINDS):
        for one in plain.get(kind, []):
            if (kind, one["id"]) not in told:
                chain = dict(_above(kind, one, by_id))
                told.update((name, part["id"]) for name, part in chain.items())
                yield {
                    column: _cell(chain[of][name])
                    for column, (of, name) in COLUMNS.items()
                    if of in chain and name in chain[of]
                }


def _above(
    kind: str, one: Plain, by_id: dict[str, dict[str, Plain]]
) -> Iterator[tuple[str, Plain]]:
    """Yield an object, and those that it names."""
    yield kind, one
    for name in ("group", "campaign", "funding", "advertiser"):
        if name in one and name != kind:
            yield from _above(name, by_id[name][one[name]], by_id)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        is_plain = not any(";" in part or part.startswith("[") for part in value)
        return "; ".join(value) if is_plain else json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)
