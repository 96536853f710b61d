"""`rookery ads import`, `export`, `approve`, `reject`, `pause` and `resume`: what is sold.

How files are read and merged is in the package `ads/terms`.
"""

import contextlib
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rookery.cli.ads import app
from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


class Form(StrEnum):
    """A form of file that what is sold is written in."""

    TOML = "toml"
    JSON = "json"
    CSV = "csv"


class Pausable(StrEnum):
    """A kind of object that can be paused."""

    CAMPAIGN = "campaign"
    GROUP = "group"
    AD = "ad"


KindArgument = Annotated[Pausable, typer.Argument(help="What it is: campaign, group or ad.")]
NameArgument = Annotated[str, typer.Argument(help="Its id.")]
BelowOption = Annotated[bool, typer.Option("--below", help="And all groups and ads below it.")]
AdsArgument = Annotated[list[str] | None, typer.Argument(help="The ids of ads.")]


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(help="TOML, JSON, or CSV as spreadsheets write it; the docs have the form."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would change.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Import advertisers, campaigns, groups and ads: all of a file, or with any fault none of it.

    What is new begins paused, and its words unreviewed. What the file does not name stays.
    """
    from rookery.ads.sold import import_sheet
    from rookery.ads.terms.files import read_sheet
    from rookery.cli.show import show_facts, show_json

    sheet = read_sheet(file)
    with _store(home) as engine:
        changes = import_sheet(engine, sheet, dry_run)
    if as_json:
        show_json(changes.count() | {"dry_run": dry_run})
        return
    show_facts(changes.count(), "Would change" if dry_run else "Imported")
    if changes.to_review and not dry_run:
        print("\nNew words wait for `rookery ads approve`, and what is new for `ads resume`.")


@app.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(help="The file to write; without it, standard output.")
    ] = None,
    form: Annotated[
        Form | None, typer.Option(help="The form; by default that of the file's name, or TOML.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write all that is sold, as a file that imports as no change."""
    from rookery.ads.sold import export_book
    from rookery.ads.terms import exporting
    from rookery.core.atomic import write_atomically

    write = {Form.TOML: exporting.as_toml, Form.JSON: exporting.as_json, Form.CSV: exporting.as_csv}
    with _store(home) as engine:
        text = write[form or _form_of(file)](export_book(engine))
    if file is None:
        sys.stdout.write(text)
    else:
        write_atomically(file, text.encode())


def _form_of(file: Path | None) -> Form:
    """Return the form that a file's name tells; TOML where it tells none."""
    ending = file.suffix.lstrip(".").lower() if file else ""
    return Form(ending) if ending in list(Form) else Form.TOML


@app.command()
def approve(
    ads: AdsArgument = None,
    all_: Annotated[bool, typer.Option("--all", help="All whose words wait for review.")] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Let the newest words of ads be shown."""
    from rookery.ads.sold import approve, waiting

    with _store(home) as engine:
        names = waiting(engine) if all_ else _named(ads)
        approve(engine, names)
    print(f"Approved: {', '.join(names) or 'none waits'}")


@app.command()
def reject(
    ads: AdsArgument = None,
    reason: Annotated[str, typer.Option(help="Why, for the advertiser.")] = "",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Refuse the newest words of ads; those approved before go on."""
    from rookery.ads.sold import reject

    names = _named(ads)
    with _store(home) as engine:
        reject(engine, names, reason)
    print(f"Rejected: {', '.join(names)}")


@app.command()
def pause(
    kind: KindArgument,
    name: NameArgument,
    below: BelowOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Stop a campaign, a group or an ad from the next request on."""
    _set_paused(home, kind, name, True, below)


@app.command()
def resume(
    kind: KindArgument,
    name: NameArgument,
    below: BelowOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Let a campaign, a group or an ad run."""
    _set_paused(home, kind, name, False, below)


def _set_paused(home: Path, kind: Pausable, name: str, paused: bool, below: bool) -> None:
    from rookery.ads.sold import set_paused

    with _store(home) as engine:
        count = set_paused(engine, kind.value, name, paused, below)
    print(f"{'Paused' if paused else 'Resumed'}: {kind.value} {name}, {count} in all")


@app.command()
def renew(home: HomeOption = DEFAULT_HOME) -> None:
    """Renew the key that signs offers, within seconds; those that are out still count."""
    from rookery.ads.ledger.store import writing
    from rookery.ads.ledger.token import replace_key
    from rookery.cli.show import context

    with _store(home) as engine, writing(engine) as connection:
        replace_key(connection, int(context().clock.now().timestamp()))
    print("There is a new key.")


def _named(ads: list[str] | None) -> list[str]:
    from rookery.core.errors import UsageError

    if not ads:
        raise UsageError("no ad is named", hint="`rookery ads export` lists them")
    return ads


@contextlib.contextmanager
def _store(home: Path) -> "Iterator[Engine]":
    from rookery.ads.ledger.store import opened_store

    with opened_store(opened(home)) as engine:
        yield engine
