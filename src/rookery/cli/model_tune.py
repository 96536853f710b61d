"""`rookery model tune …`: fit a model to a use.

The stages and their order are in `workflows/tune.py`.
"""

from typing import Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened

app = typer.Typer(help="Fit a model to a use.", no_args_is_help=True)


@app.command()
def search(
    vocabulary: Annotated[
        int,
        typer.Option(help="Tokens of the embedder's own tokenizer, a multiple of 64."),
    ] = 32_768,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Tune the vectors of search on pairs of posts: replies, quotes, shared links, crops.

    The newest corpus' posts are learned from; the latest pairs are held back, and show at which
    weight beside words the vectors find most. Search and ads use the result from then on;
    `rookery search index` makes the posts' vectors anew. A run that was stopped or killed goes on
    when the same command is given again.
    """
    from rookery.cli.show import context, show_facts, show_json
    from rookery.workflows.tune import tune_search

    made, worth = tune_search(opened(home), vocabulary, context())
    facts = {"key": made.key, **made.manifest.metrics, "worth": worth.manifest.metrics}
    if as_json:
        show_json(facts)
    else:
        pairs = facts["pairs"]
        show_facts(
            {"key": made.key, **{f"{name} pairs": count for name, count in pairs.items()}}
            | {"weight beside words": worth.manifest.metrics["weight"]},
            "Embedder",
        )
