"""The options that several verbs share, and how a verb reads them.

Not here: an option that only one verb has; it is declared with that verb.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rookery.core.errors import UsageError

if TYPE_CHECKING:
    from rookery.core.home import Home
    from rookery.posts.sources.dates import DateOrder

HOME_HELP = "The folder that holds everything of one platform."


def _nearest_home(context: typer.Context, home: Path) -> Path:
    """Return the home that is given after the verb, else the one before it, else any other."""
    before = context.find_root().params.get("home")
    source = context.get_parameter_source("home")
    is_given = source is not None and source.name == "COMMANDLINE"
    return home if is_given or before is None else before


HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="ROOKERY_HOME",
        help=HOME_HELP,
        show_default=True,
        callback=_nearest_home,
    ),
]
EarlyHomeOption = Annotated[
    Path | None,
    typer.Option("--home", help=f"{HOME_HELP} It may be given before the verb or after it."),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")
]
SetOption = Annotated[
    list[str],
    typer.Option("--set", help="Change one setting: NAME=VALUE, see below. May be repeated."),
]
MapOption = Annotated[
    str | None,
    typer.Option(
        "--map",
        help="Which column of a table holds which field, as FIELD=COLUMN pairs, for example "
        "text=body,author=user. Fields: text, author, created, id, language, likes and more. "
        "Without it the columns are guessed by their names. Who names the columns vouches that the "
        "posts are public, but for what the table itself says of who may read them.",
    ),
]
VisibilityOption = Annotated[
    str | None,
    typer.Option(
        "--visibility",
        help="Who may read a table's posts of which no column says it: public, unlisted, followers "
        "or direct. Without it and without --map nobody has vouched, and no use accepts them. "
        "public also vouches for what an X archive leaves open: it may not list circle tweets.",
    ),
]
DatesOption = Annotated[
    str | None,
    typer.Option(
        "--dates",
        help="day-first or month-first: how a table's dates such as 5/1/2026 are meant, where they "
        "fit both.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="A checkpoint: the beginning of its key, or newest. Without it: the one that "
        "rookery.toml names, which is the newest unless you changed it.",
    ),
]
AnywayOption = Annotated[
    bool,
    typer.Option("--anyway", help="Take a table even if most of its rows cannot be taken."),
]
DEFAULT_HOME = Path("rookery-home")

Choice = TypeVar("Choice", bound=str)


def opened(home: Path) -> "Home":
    """Open the home that `--home` names."""
    from rookery.core.home import open_home

    return open_home(home)


def one_of(word: str, choices: Sequence[Choice], option: str) -> Choice:
    """Return the choice that an option's word names; raise `UsageError` for any other word."""
    for choice in choices:
        if word == choice:
            return choice
    raise UsageError(f"{option} takes {' or '.join(choices)}, not {word!r}")


def read_map(text: str | None) -> dict[str, str] | None:
    """Parse `text=content,author=user` into a mapping from a post's field to the file's column."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",") if part]
    for field, sign, column in pairs:
        if not (field and sign and column):
            raise UsageError(
                f"--map takes FIELD=COLUMN pairs, not {text!r}",
                hint="Example: --map text=body,author=user",
            )
    return {field.strip(): column.strip() for field, _, column in pairs}


def date_order(word: str | None) -> "DateOrder | None":
    """Return the order of day and month that `--dates` names, None if it was not given."""
    from rookery.posts.sources.dates import DATE_ORDERS

    return None if word is None else one_of(word, DATE_ORDERS, "--dates")
