"""What is sold, as people change it: import, export, review, pause.

    file or request ─► rows ─► merged with what is stored ─► saved, all of it or nothing

Each verb is one transaction. Ad servers see a change at their next request. Not here: what a file
may hold (`terms/`), and how it is stored (`ledger/book.py`).
"""

from collections.abc import Sequence
from typing import Literal

from sqlalchemy.engine import Engine

from rookery.ads.ledger import book
from rookery.ads.ledger.store import reading, writing
from rookery.ads.terms.files import Sheet
from rookery.ads.terms.merging import Changes, merge
from rookery.ads.terms.objects import AdBook

Pausable = Literal["campaign", "group", "ad"]


def import_sheet(engine: Engine, sheet: Sheet, is_dry_run: bool = False) -> Changes:
    """Merge what a file says into what is sold, and return what changes by it.

    is_dry_run: save nothing. Raises `Faults` with every fault, and saves nothing then.
    """
    transaction = reading if is_dry_run else writing
    with transaction(engine) as connection:
        before = book.read_book(connection)
        after, changes = merge(before, sheet)
        if not is_dry_run:
            book.save_book(connection, before, after)
    return changes


def export_book(engine: Engine) -> AdBook:
    """Return all that is sold."""
    with reading(engine) as connection:
        return book.read_book(connection)


def waiting(engine: Engine) -> list[str]:
    """Return the ads whose newest version is unreviewed."""
    latest = {one.ad: one for one in export_book(engine).versions}  # the newest comes last
    return [name for name, one in latest.items() if one.review == "unreviewed"]


def approve(engine: Engine, ads: Sequence[str]) -> None:
    """Let the newest version of ads be shown, of all or, if one is not there, of none."""
    with writing(engine) as connection:
        for ad in ads:
            book.review(connection, ad, "approved", "")


def reject(engine: Engine, ads: Sequence[str], reason: str = "") -> None:
    """Refuse the newest version of ads, of all or, if one is not there, of none."""
    with writing(engine) as connection:
        for ad in ads:
            book.review(connection, ad, "rejected", reason)


def set_paused(
    engine: Engine, kind: Pausable, name: str, paused: bool, is_below: bool = False
) -> int:
    """Pause or resume a campaign, a group or an ad, and return how many objects it were.

    is_below: and all groups and ads below it. Raises `UsageError` if it is not there.
    """
    with writing(engine) as connection:
        names = [(kind, name)]
        if is_below:
            names += _below(book.read_book(connection), kind, name)
        for one_kind, one in names:
            book.set_paused(connection, one_kind, one, paused)
    return len(names)


def _below(sold: AdBook, kind: Pausable, name: str) -> list[tuple[Pausable, str]]:
    """Return the groups and ads of a campaign, or the ads of a group."""
    groups = {one.id for one in sold.groups if kind == "campaign" and one.campaign == name}
    above = groups | ({name} if kind == "group" else set())
    ads = [one.id for one in sold.ads if one.group in above]
    return [("group", one) for one in sorted(groups)] + [("ad", one) for one in ads]
