"""Options that several verbs share, and how a verb opens its home."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rookery.core.errors import UsageError

if TYPE_CHECKING:
    from rookery.core.home import Home

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar="ROOKERY_HOME", help="The folder of this platform.", show_default=True
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output, nothing else.")
]
SetOption = Annotated[
    list[str], typer.Option("--set", help="NAME=VALUE for one setting; repeatable.")
]
MapOption = Annotated[
    str | None,
    typer.Option("--map", help="Which column is what: text=…,author=…,created=…,language=…,id=…"),
]
DEFAULT_HOME = Path("rookery-home")


def opened(home: Path) -> "Home":
    """The home that `--home` names."""
    from rookery.core.home import open_home

    return open_home(home)


def read_map(text: str | None) -> dict[str, str] | None:
    """`text=content,author=user` as a mapping from our field to the file's column."""
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
