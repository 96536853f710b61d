"""Merging: what a file says, put into what is stored, all of it or nothing.

An object that is new needs all that its kind needs, and begins paused; an ad begins unreviewed,
whatever the file says. One that is known keeps what the file does not name. New words or another
address make a new version of an ad, which is reviewed again while the old one runs. What the file
does not name at all stays as it is.

Pure. Not here: how files are read (`files.py`), and whether a budget holds what is spent already,
which the ledger decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rookery.ads.terms.fields import KINDS, Moment
from rookery.ads.terms.files import Fault, Faults, Row, Sheet
from rookery.ads.terms.money import as_currency
from rookery.ads.terms.objects import (
    Ad,
    AdBook,
    AdVersion,
    Advertiser,
    Campaign,
    Funding,
    Group,
    GroupBid,
    Targeting,
)


@dataclass
class Changes:
    """What an import changes, as "kind id" each."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    to_review: list[str] = field(default_factory=list)

    def count(self) -> dict[str, int]:
        """Return how many there are of each."""
        return {
            "new": len(self.new),
            "changed": len(self.changed),
            "unchanged": len(self.unchanged),
            "to_review": len(self.to_review),
        }


def merge(stored: AdBook, sheet: Sheet) -> tuple[AdBook, Changes]:
    """Return what is sold after an import, and what changes by it; raise `Faults` for any fault."""
    merging = _Merging(stored, sheet)
    for kind in KINDS:  # what is named is merged before what names it
        for row in sheet.rows:
            if row.kind == kind:
                merging.take(row)
    book = merging.book()
    merging.faults += faults_of(book, merging.where)
    if merging.faults:
        raise Faults(merging.faults)
    return book, merging.changes


class _Merging:
    """The objects by kind and id, as they are after the rows that were merged so far."""

    def __init__(self, stored: AdBook, sheet: Sheet) -> None:
        self.faults: list[Fault] = []
        self.changes = Changes()
        self.where: dict[tuple[str, str], str] = {}
        self._currency = stored.currency or sheet.currency
        if sheet.currency not in ("", self._currency):
            what = f"is {sheet.currency}, and this home keeps its books in {self._currency}"
            self.faults.append(Fault("currency", what))
        if not self._currency:
            self.faults.append(Fault("currency", 'is missing, such as currency = "EUR"'))
        self._found: dict[str, dict[str, Any]] = {
            "advertiser": {one.id: one for one in stored.advertisers},
            "funding": {one.id: one for one in stored.fundings},
            "campaign": {one.id: one for one in stored.campaigns},
            "group": {one.id: one for one in stored.groups},
            "ad": {one.id: one for one in stored.ads},
        }
        self._versions = list(stored.versions)
        self._latest = {one.ad: one for one in stored.versions}  # sorted, so that the last stays

    def take(self, row: Row) -> None:
        """Merge one row."""
        one_id = row.values.get("id")
        if one_id is None:
            self.faults.append(Fault(row.where, "id is missing"))
            return
        known = self._found[row.kind].get(one_id)
        key = row.kind, one_id
        is_again = key in self.where and row.kind != "advertiser"
        if is_again and "row" not in row.where:
            self.faults.append(Fault(row.where, f"two of one id; {self.where[key]} has it, too"))
            return
        self.where[key] = row.where
        missing = [
            name
            for name, one in KINDS[row.kind].items()
            if known is None and one.is_needed and name not in row.values
        ]
        for name in missing:
            self.faults.append(Fault(f"{row.where}, {name}", "is missing"))
        if missing:
            return
        made = _MAKE[row.kind](known, row.values, self._found)
        self._found[row.kind][one_id] = made
        has_new_words = row.kind == "ad" and self._take_version(one_id, row.values)
        self._note(f"{row.kind} {one_id}", known, made, has_new_words)

    def _note(self, name: str, known: Any, made: Any, has_new_words: bool) -> None:
        if has_new_words:
            self.changes.to_review.append(name)
        if known is None:
            self.changes.new.append(name)
        elif made != known or has_new_words:
            self.changes.changed.append(name)
        else:
            self.changes.unchanged.append(name)

    def _take_version(self, ad: str, values: Mapping[str, Any]) -> bool:
        """Add a version of an ad if its words or its address are new; return whether they are."""
        latest = self._latest.get(ad)
        words = {name: values[name] for name in ("title", "body", "url") if name in values}
        if latest is None:
            new = AdVersion(ad, 1, **words)
        elif replace(latest, **words) == latest:
            return False
        else:
            number = latest.number + 1
            new = replace(latest, **words, number=number, review="unreviewed", reason="")
        self._latest[ad] = new
        self._versions.append(new)
        return True

    def book(self) -> AdBook:
        """Return all objects, in the order of their ids."""
        in_order = {kind: tuple(of[one] for one in sorted(of)) for kind, of in self._found.items()}
        return AdBook(
            currency=self._currency,
            advertisers=in_order["advertiser"],
            fundings=in_order["funding"],
            campaigns=in_order["campaign"],
            groups=in_order["group"],
            ads=in_order["ad"],
            versions=tuple(sorted(self._versions, key=lambda one: (one.ad, one.number))),
        )


def _advertiser(known: Advertiser | None, values: Mapping[str, Any], found: Any) -> Advertiser:
    return Advertiser(values["id"], values.get("name", known.name if known else ""))


def _funding(known: Funding | None, values: Mapping[str, Any], found: Any) -> Funding:
    given = _named(values, {"advertiser": "advertiser", "budget": "budget_micros"})
    return replace(known, **given) if known else Funding(id=values["id"], **given)


def _campaign(known: Campaign | None, values: Mapping[str, Any], found: Any) -> Campaign:
    same = ("advertiser", "funding", "zone", "pays_for", "caps")
    given = _named(
        values,
        {name: name for name in same}
        | {"budget": "budget_micros", "daily_budget": "daily_budget_micros"},
    )
    zone = given.get("zone", known.zone if known else "UTC")
    for name in ("start", "end"):
        if isinstance(values.get(name), Moment):
            given[f"{name}_seconds"] = values[name].seconds_in(zone)
    made = replace(known, **given) if known else Campaign(id=values["id"], **given)
    return _paused(made, known, values)


def _group(known: Group | None, values: Mapping[str, Any], found: Any) -> Group:
    targeting = _named(values, {name: name for name in Targeting.__dataclass_fields__})
    bid = _named(values, {"bid": "micros", "strategy": "strategy"})
    if known:
        made = replace(
            known,
            campaign=values.get("campaign", known.campaign),
            bid=replace(known.bid, **bid),
            targeting=replace(known.targeting, **targeting),
        )
    else:
        made = Group(values["id"], values["campaign"], GroupBid(**bid), Targeting(**targeting))
    return _paused(made, known, values)


def _ad(known: Ad | None, values: Mapping[str, Any], found: Any) -> Ad:
    group = values.get("group", known.group if known else "")
    return _paused(replace(known, group=group) if known else Ad(values["id"], group), known, values)


def _paused(made: Any, known: Any, values: Mapping[str, Any]) -> Any:
    """Return an object paused as a file says; what is new is paused whatever it says."""
    return made if known is None else replace(made, paused=values.get("paused", known.paused))


def _named(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {stored: values[name] for name, stored in names.items() if name in values}


_MAKE: dict[str, Callable[[Any, Mapping[str, Any], Any], Any]] = {
    "advertiser": _advertiser,
    "funding": _funding,
    "campaign": _campaign,
    "group": _group,
    "ad": _ad,
}


# What does not fit together
# -------------------------------------------------------------------------------------------------


def faults_of(book: AdBook, where: Mapping[tuple[str, str], str]) -> list[Fault]:
    """Return the faults of objects that name each other. where: of each, by kind and id."""
    advertisers = {one.id for one in book.advertisers}
    fundings = {one.id: one for one in book.fundings}
    campaigns = {one.id: one for one in book.campaigns}
    groups = {one.id for one in book.groups}
    found: list[Fault] = []

    def add(kind: str, one_id: str, what: str) -> None:
        found.append(Fault(where.get((kind, one_id), f"{kind} {one_id}"), what))

    for funding in book.fundings:
        if funding.advertiser not in advertisers:
            add("funding", funding.id, f"there is no advertiser {funding.advertiser}")
    for campaign in book.campaigns:
        for what in _faults_of_campaign(campaign, advertisers, fundings):
            add("campaign", campaign.id, what)
    for group in book.groups:
        of = campaigns.get(group.campaign)
        if of is None:
            add("group", group.id, f"there is no campaign {group.campaign}")
            continue
        least = min(of.budget_micros, of.daily_budget_micros or of.budget_micros)
        if group.bid.micros > least:
            bid = as_currency(group.bid.micros)
            add("group", group.id, f"bid {bid} is above the budget, so nothing could be paid")
    for ad in book.ads:
        if ad.group not in groups:
            add("ad", ad.id, f"there is no group {ad.group}")
    return found


def _faults_of_campaign(
    one: Campaign, advertisers: set[str], fundings: Mapping[str, Funding]
) -> list[str]:
    found = []
    if one.advertiser not in advertisers:
        found.append(f"there is no advertiser {one.advertiser}")
    if one.funding and one.funding not in fundings:
        found.append(f"there is no funding {one.funding}")
    elif one.funding and fundings[one.funding].advertiser != one.advertiser:
        found.append(f"funding {one.funding} is of {fundings[one.funding].advertiser}")
    if one.daily_budget_micros and one.daily_budget_micros > one.budget_micros:
        daily, total = as_currency(one.daily_budget_micros), as_currency(one.budget_micros)
        found.append(f"daily_budget {daily} is above budget {total}")
    start, end = one.start_seconds, one.end_seconds
    if start is not None and end is not None and start >= end:
        found.append("end must be later than start")
    return found
