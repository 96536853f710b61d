"""`rookery model tune …`: fit a finished model to posts, to conversations or to search.

Not here: training from scratch and later phases (`model.py`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, ModelOption, SetOption, opened
from rookery.core.errors import UsageError

if TYPE_CHECKING:
    from rookery.core.artifact import Artifact
    from rookery.core.context import Context
    from rookery.core.home import Home

app = typer.Typer(
    help="Fit a finished model to posts, to conversations or to search.", no_args_is_help=True
)
SETTINGS = """Some settings for --set, with example values:

steps=100                     steps of the optimizer
batch_tokens=2048             tokens per step
vector_learning_rate=0.002    peak learning rate of the adapters
matrix_learning_rate=0.002    with --full: of the layers' matrices
seed=0                        of the adapters and the order of documents

parallel.shard, parallel.replicate: how processes share the model"""

FullOption = Annotated[
    bool, typer.Option("--full", help="Let all weights learn, instead of small adapters (LoRA).")
]
RankOption = Annotated[int, typer.Option(help="The rank of the adapters.", min=1)]
ProcessesOption = Annotated[
    int | None, typer.Option(help="Tune in this many processes on this machine.", min=1)
]


@app.command(epilog=SETTINGS)
def posts(
    tokens: Annotated[
        int | None,
        typer.Option(
            help="Learn from this many tokens. Without it and --epochs: 100,000, or each training "
            "document once if that is less.",
            min=1,
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(help="See each training document this many times.", min=0.001),
    ] = None,
    full: FullOption = False,
    rank: RankOption = 16,
    model: ModelOption = None,
    processes: ProcessesOption = None,
    settings: SetOption = [],  # noqa: B006
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Let a model go on learning the posts of the newest corpus.

    The result is a new checkpoint. A tuning that was killed goes on when the same command is given
    again.
    """

    def shards_of(opened_home: "Home", base: "Artifact", context: "Context") -> "Artifact":
        from rookery.model.tune import post_shards

        corpus = opened_home.need("corpus", "rookery corpus build")
        return post_shards(opened_home, base, corpus, context)

    if tokens is not None and epochs is not None:
        raise UsageError(
            "--tokens and --epochs both set how long a run is", hint="Give one of them"
        )
    length = tokens, epochs
    _tune(home, model, processes, settings, as_json, length, 0 if full else rank, shards_of)


@app.command(epilog=SETTINGS)
def chat(
    file: Annotated[
        Path | None,
        typer.Argument(
            help='Conversations as JSON lines: {"messages": [{"role": "user", "content": "…"}, '
            '{"role": "assistant", "content": "…"}]}. Without it: the threads of the newest '
            "corpus."
        ),
    ] = None,
    epochs: Annotated[
        float, typer.Option(help="See each conversation this many times.", min=0.001)
    ] = 2.0,
    full: FullOption = False,
    rank: RankOption = 16,
    model: ModelOption = None,
    processes: ProcessesOption = None,
    settings: SetOption = [],  # noqa: B006
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Teach a model to reply; only the replies of the conversations are learned.

    The result is a new checkpoint. A tuning that was killed goes on when the same command is given
    again.
    """

    def shards_of(opened_home: "Home", base: "Artifact", context: "Context") -> "Artifact":
        from rookery.model.tune import chat_shards

        source = file or opened_home.need("corpus", "rookery corpus build")
        return chat_shards(opened_home, base, source, context)

    length = None, epochs
    _tune(home, model, processes, settings, as_json, length, 0 if full else rank, shards_of)


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


def _tune(
    path: Path,
    model: str | None,
    processes: int | None,
    settings: list[str],
    as_json: bool,
    length: tuple[int | None, float | None],
    rank: int,
    shards_of: Callable[["Home", "Artifact", "Context"], "Artifact"],
) -> None:
    """Tune in this process, or start several that do; the first process prints the result.

    length: in tokens, or in times that each document is seen; neither: `tune.DEFAULT_TOKENS`.
    """
    from rookery.cli.processes import rank_from_environment, reporting_outcome, start_processes
    from rookery.cli.show import context
    from rookery.core.context import Context
    from rookery.core.extras import require_model
    from rookery.workflows.models import need_checkpoint

    require_model()
    home, place = opened(path), rank_from_environment(processes)
    with reporting_outcome(place):
        base = need_checkpoint(home, model)
        if processes and processes > 1 and place is None:
            start_processes(processes, restarts=3)
            return
        from rookery.model.checkpoint import load_shape
        from rookery.model.config import config_for_tuning
        from rookery.model.degrees import resolve_degrees
        from rookery.model.parallel.processes import ProcessRank, joined
        from rookery.model.tune import config_of_length, tune
        from rookery.workflows.train import apply_settings

        count = place.count if place else 1
        _, degrees, _ = apply_settings(config_for_tuning(load_shape(base), 1, rank), settings)
        with joined(place or ProcessRank(), resolve_degrees(degrees, count)) as joined_processes:
            shown = context() if joined_processes.is_first else Context()
            shards = joined_processes.main_process_first(lambda: shards_of(home, base, shown))
            config = config_of_length(base, shards, rank, *length)
            config, _, _ = apply_settings(config, settings)
            made = tune(home, base, shards, config, shown, joined_processes)
    if joined_processes.is_first:
        _show(home, base, made, as_json)


def _show(home: "Home", base: "Artifact", made: "Artifact", as_json: bool) -> None:
    from rookery.cli.show import show_facts, show_json
    from rookery.workflows.models import need_checkpoint

    facts = {"key": made.key, "base": base.key, **made.manifest.metrics}
    if as_json:
        show_json(facts)
        return
    show_facts(facts | {"phases": len(facts["phases"])}, "Checkpoint")
    serving = need_checkpoint(home)
    if serving.digest != made.digest:
        print(f"\n  {serving.key} serves; [model] serve in rookery.toml names it.")
