"""`rookery model embed` and `probe`: what the model makes of texts, as vectors.

How vectors are made and judged is in the package `model`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rookery.cli.model import CHECKPOINT, app
from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, one_of, opened

if TYPE_CHECKING:
    from rookery.core.home import Home
    from rookery.core.protocols import Embedder

WAYS = ("table", "network")


@app.command()
def embed(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A file of posts, in any format, or a CSV, JSON lines or Parquet table of texts.",
        ),
    ],
    target: Annotated[
        Path | None,
        typer.Option("--to", help="The file to write. Without it: FILE.vectors.parquet."),
    ] = None,
    way: Annotated[
        str,
        typer.Option(
            "--with",
            help="table: sums of rows, as search uses them; tens of thousands of texts a second. "
            "network: the mean of the newest model's hidden states.",
        ),
    ] = "table",
    text: Annotated[
        str | None,
        typer.Option(help="Read FILE as a table, and this column of it as the texts."),
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option("--id", help="The column of a table with the ids. Without it: row numbers."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write a vector for each text of a file, as Parquet with the columns id and vector.

    A run that was stopped or killed goes on when the same command is given again.
    """
    from rookery.cli.show import context, show_facts, show_json
    from rookery.core.extras import require_model

    require_model()
    from rookery.model.inference.vectors import embed_file

    opened_home = opened(home)
    to = target or path.with_name(f"{path.name}.vectors.parquet")
    embedder = _embedder(opened_home, one_of(way, WAYS, "--with"))
    facts = embed_file(opened_home, path, to, embedder, context(), text, identity)
    facts = {"file": str(to), **facts}
    show_json(facts) if as_json else show_facts(facts, "Vectors")


def _embedder(home: "Home", way: str) -> "Embedder":
    if way == "table":
        from rookery.workflows.models import embedder_of

        return embedder_of(home)
    from rookery.model.inference.pooling import load_pooling

    return load_pooling(home.need("checkpoint", CHECKPOINT))
