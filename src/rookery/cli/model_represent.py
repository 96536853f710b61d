"""`rookery model embed` and `probe`: what the model makes of texts, as vectors.

How vectors are made and judged is in the package `model`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, ModelOption, one_of, opened

if TYPE_CHECKING:
    from rookery.core.home import Home
    from rookery.core.protocols import Embedder

WAYS = ("table", "network")


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
            "network: the mean of the model's hidden states.",
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
    model: ModelOption = None,
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
    embedder = _embedder(opened_home, one_of(way, WAYS, "--with"), model)
    facts = embed_file(opened_home, path, to, embedder, context(), text, identity)
    facts = {"file": str(to), **facts}
    show_json(facts) if as_json else show_facts(facts, "Vectors")


def _embedder(home: "Home", way: str, model: str | None) -> "Embedder":
    """Return what embeds: search's table, or that of a model that is named, or a network."""
    from rookery.workflows.models import embedder_of, need_checkpoint

    if way == "network":
        from rookery.model.inference.pooling import load_pooling

        return load_pooling(need_checkpoint(home, model))
    if model is None:
        return embedder_of(home)
    from rookery.model.embed import load_embedder

    return load_embedder(need_checkpoint(home, model))


def probe(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A CSV, JSON lines or Parquet table of labelled texts."
        ),
    ],
    text: Annotated[str, typer.Option(help="The column with the texts.")],
    label: Annotated[str, typer.Option(help="The column with the labels.")],
    split: Annotated[
        str, typer.Option(help="The column that says train, val or test; val if there is no test.")
    ],
    task: Annotated[
        str | None,
        typer.Option(help="The column that says to which task a row belongs. Without it: one."),
    ] = None,
    finetune: Annotated[
        bool, typer.Option("--finetune", help="Also train all weights for each task.")
    ] = False,
    model: ModelOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Judge how well a model's representation tells labels apart.

    Beside it: TF-IDF, and the same network with random weights, all with the same classifier.
    """
    from rookery.cli.show import context, show_json, show_table
    from rookery.core.extras import require_model

    require_model()
    from rookery.model import probe as probing
    from rookery.workflows.models import need_checkpoint

    opened_home = opened(home)
    config = probing.ProbeConfig(text, label, split, task, finetune)
    checkpoint = need_checkpoint(opened_home, model)
    result = probing.read_result(probing.probe(opened_home, checkpoint, path, config, context()))
    if as_json:
        show_json(result)
        return
    systems = list(result["mean_macro_f1"])
    rows = [
        [name, *(f"{found[system]['macro_f1']:.3f}" for system in systems)]
        for name, found in result["tasks"].items()
    ]
    means = ["mean", *(f"{result['mean_macro_f1'][system]:.3f}" for system in systems)]
    show_table(["macro F1", *systems], [*rows, means])
