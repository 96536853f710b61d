"""`rookery model …`: train a language model on the corpus, evaluate it, run it and export it.

The order of the stages is in `workflows/train.py`; everything about the model itself is in the
package `model`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rookery.cli import model_tune
from rookery.cli.options import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    ModelOption,
    SetOption,
    opened,
)

if TYPE_CHECKING:
    from rookery.core.artifact import Artifact
    from rookery.core.home import Home
    from rookery.model.config import TrainConfig
    from rookery.model.degrees import Degrees
    from rookery.model.parallel.processes import Processes, ProcessRank

app = typer.Typer(
    help="Train a language model on the corpus, evaluate it, run it and export it.",
    no_args_is_help=True,
)
ScaleOption = Annotated[
    float | None,
    typer.Option(
        help="Training compute in petaFLOP; width, depth, batch and number of tokens follow from "
        "it. Without it: 0.03, about two minutes on two cores."
    ),
]
MinutesOption = Annotated[
    float | None,
    typer.Option(
        help="Instead of --scale: measure this machine and take the scale that trains in about "
        "this many minutes. The same command later takes the same scale."
    ),
]
app.add_typer(model_tune.app, name="tune")
CHECKPOINT = "rookery model train"

SETTINGS = """Some settings for --set, with example values (docs/training.md has more):

steps=2000                    steps of the optimizer
batch_tokens=65536            tokens per step
micro_batch_tokens=4096       tokens that pass through the network at once
matrix_learning_rate=0.02     peak learning rate of the layers' matrices
shape.layers=6                also shape.width, shape.heads and others
seed=0                        of the first weights and the order of documents
checkpoint_steps=100          steps between two saved states of the run
compiled=true                 compile the layers; without it: where it pays
watch.seconds=300             call the run stalled after this long without a step

Settings that spread a run over processes; the degrees multiply to their number:

parallel.shard, parallel.replicate, parallel.tensor, parallel.context,
parallel.pipeline, parallel.groups_per_stage, parallel.recompute,
parallel.offload"""


@app.command()
def tokenizer(
    scale: ScaleOption = None, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Train a tokenizer on the newest corpus; `rookery model train` does so by itself."""
    from rookery.cli.show import context, show_facts, show_json
    from rookery.model.tokenizer import train_tokenizer
    from rookery.workflows.train import base_config

    opened_home = opened(home)
    corpus = opened_home.need("corpus", "rookery corpus build")
    size = base_config(scale).shape.vocabulary
    made = train_tokenizer(opened_home, corpus, context(), size)
    facts = {"key": made.key, **made.manifest.metrics}
    show_json(facts) if as_json else show_facts(facts, "Tokenizer")


@app.command(epilog=SETTINGS)
def train(
    scale: ScaleOption = None,
    minutes: MinutesOption = None,
    processes: Annotated[
        int | None,
        typer.Option(help="Train in this many processes on this machine.", min=1),
    ] = None,
    max_restarts: Annotated[
        int,
        typer.Option(
            help="With --processes: how often all processes are started again after one was "
            "killed.",
            min=0,
        ),
    ] = 3,
    earlier: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Continue an earlier checkpoint on the newest corpus: the beginning of its key, "
            "or newest. --scale or --minutes give how much more compute; without them, as much "
            "as before.",
        ),
    ] = None,
    settings: SetOption = [],  # noqa: B006
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Train a language model on the newest corpus.

    A run that was stopped or killed goes on when the same command is given again.
    """
    _refuse_two_lengths(scale, minutes, settings)
    from rookery.cli.processes import rank_from_environment, reporting_outcome, start_processes
    from rookery.model.degrees import check_fits, resolve_degrees
    from rookery.model.phases import find_checkpoint
    from rookery.workflows.train import apply_settings, base_config

    opened_home, place = opened(home), rank_from_environment(processes)
    count = place.count if place else processes or 1
    with reporting_outcome(place):
        corpus = opened_home.need("corpus", "rookery corpus build")
        before = None if earlier is None else find_checkpoint(opened_home, earlier, corpus)
        config, degrees, _ = apply_settings(base_config(scale, before), settings)
        degrees = resolve_degrees(degrees, count)
        if minutes is None:  # with --minutes the shape is not known yet
            check_fits(degrees, config)
        if count > 1 and place is None:
            start_processes(count, max_restarts)
        else:
            request = {
                "minutes": minutes,
                "settings": sorted(settings),
                "corpus": corpus.key,
                "from": before and before.key,
            }
            _train(opened_home, scale, request, before, settings, place, degrees, as_json)


def _refuse_two_lengths(scale: float | None, minutes: float | None, settings: list[str]) -> None:
    """Raise `UsageError` if a command gives the length of a run in two ways."""
    from rookery.core.errors import UsageError

    if minutes is None:
        return
    names = {setting.partition("=")[0].strip() for setting in settings}
    for other, given in (("--scale", scale is not None), ("--set steps=…", "steps" in names)):
        if given:
            raise UsageError(
                f"{other} and --minutes both set how long a run is", hint="Give one of them"
            )


def _train(
    home: "Home",
    scale: float | None,
    request: dict[str, Any],
    before: "Artifact | None",
    settings: list[str],
    place: "ProcessRank | None",
    degrees: "Degrees",
    as_json: bool,
) -> None:
    """Train in this process; the first process of the run prints the result."""
    from rookery.cli.processes import stored_scale
    from rookery.cli.show import context, show_facts, show_json
    from rookery.core.context import Context
    from rookery.model.parallel.processes import ProcessRank, joined
    from rookery.workflows import train as workflow
    from rookery.workflows.worth import measure

    with joined(place or ProcessRank(), degrees) as processes:
        shown = context() if processes.is_first else Context()
        if (minutes := request["minutes"]) is not None:
            scale = stored_scale(
                home,
                processes,
                request | {"processes": processes.count},
                lambda: _measured_scale(minutes, before, settings, processes),
            )
            shown.progress.say(
                f"Scale {scale:g} petaFLOP (--scale {scale:g}); the same command takes it again."
            )
        made = workflow.train(
            home,
            scale,
            settings=settings,
            earlier=before.key if before else None,
            context=shown,
            processes=processes,
        )
    if processes.is_first:
        corpus = home.need("corpus", "rookery corpus build")
        worth = measure(home, made, corpus, shown).manifest.metrics
        facts = {"key": made.key, **made.manifest.metrics, "search_weight": worth["weight"]}
        show_json(facts) if as_json else show_facts(
            facts | {"phases": len(facts["phases"])}, "Checkpoint"
        )


def _measured_scale(
    minutes: float, before: "Artifact | None", settings: list[str], processes: "Processes"
) -> float:
    """Return the scale at which this very run, with its settings, takes about these minutes."""
    from rookery.model.training.measure import scale_for_minutes
    from rookery.workflows.train import apply_settings, base_config

    def run_of(scale: float) -> "TrainConfig":
        return apply_settings(base_config(scale, before), settings)[0]

    return scale_for_minutes(minutes, config_of=run_of, processes=processes)


@app.command()
def evaluate(
    texts: Annotated[
        Path | None,
        typer.Option(
            help="Texts to evaluate on: a CSV, JSON lines or Parquet file, or - for the lines of "
            "standard input. Without it: the validation posts of the corpus."
        ),
    ] = None,
    column: Annotated[str, typer.Option(help="The column of the file with the text.")] = "text",
    model: ModelOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Measure a model in bits per UTF-8 byte (less is better).

    Shown beside it: zstd, an n-gram model and xz on the same bytes. Texts of a file are judged as
    the corpus would clean them; the figures of the texts as they are stand below.
    """
    from rookery.cli.show import context, show_json
    from rookery.core.extras import require_model
    from rookery.workflows.models import need_checkpoint

    require_model()
    from rookery.model.evaluate import PAGE, evaluate, evaluate_texts, read_result

    opened_home = opened(home)
    checkpoint = need_checkpoint(opened_home, model)
    corpus = opened_home.need("corpus", "rookery corpus build")
    page = None
    if texts is None:
        made = evaluate(opened_home, checkpoint, corpus, context())
        result, page = read_result(made), made.file(PAGE)
    else:
        result = evaluate_texts(opened_home, checkpoint, corpus, _lines_or_column(texts, column))
    if as_json:
        show_json(result)
    else:
        _show_evaluation(result)
        if page:
            print(f"\n  As a page, with a curve by month: {page}")


def _lines_or_column(path: Path, column: str) -> list[str]:
    """Return the texts of a file's column, or the lines of standard input for `-`."""
    import sys

    from rookery.core.errors import DataError
    from rookery.posts.sources.tabular import read_column

    if str(path) != "-":
        return read_column(path, column)
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(
            "standard input is not UTF-8", hint="Convert it, for example with iconv -t utf-8"
        ) from None
    # `splitlines` would also split at characters that occur inside posts
    lines = text.replace("\r\n", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def _show_evaluation(result: dict[str, Any]) -> None:
    """Print the figures as a table, and below it what they rest on."""
    from rookery.cli.show import show_table
    from rookery.model.pages.evaluation import aged_in_words, groups

    lines = groups(result) if "training" in result else [("all", result)]
    columns = [
        "bits per byte",
        "documents",
        "bytes",
        "model",
        "95%",
        "ngram",
        "zstd",
        "model − ngram, 95%",
    ]
    show_table(columns, [_line(name, found) for name, found in lines])
    print(f"\n  xz, all texts together: {result['bits_per_byte']['xz']:.3f}")
    if raw := result.get("raw"):
        bits = ", ".join(f"{name} {value:.3f}" for name, value in raw["bits_per_byte"].items())
        print(f"  as given ({raw['texts_changed']:,} texts are changed by cleaning): {bits}")
    if aged := result.get("aged"):
        print(f"  {aged_in_words(aged)}")
    for name, count in result.get("left_out", {}).items():
        print(f"  left out, {name.replace('_', ' ')}: {count:,}")
    for name, value in result.get("training", {}).items():
        print(
            f"  training, {name.replace('_', ' ')}: "
            f"{f'{value:,}' if isinstance(value, int) else value}"
        )
    for remark in result["remarks"]:
        print(f"  {remark}")


def _line(name: str, found: dict[str, Any]) -> list[str]:
    bits, interval, less = found["bits_per_byte"], found["interval_95"], found["model_less"]
    return [
        name,
        f"{found['documents']:,}",
        f"{found['bytes']:,}",
        f"{bits['model']:.3f}",
        "{:.3f} to {:.3f}".format(*interval["model"]) if interval else "",
        f"{bits['ngram']:.3f}",
        f"{bits['zstd']:.3f}",
        "{:+.3f} ({:+.3f} to {:+.3f})".format(*less["ngram"]) if less else "",
    ]


@app.command()
def compare(
    keys: Annotated[
        list[str], typer.Argument(help="Checkpoints: each the beginning of a key, or newest.")
    ],
    documents: Annotated[
        int, typer.Option(help="Judge on at most this many documents.", min=1)
    ] = 5_000,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Compare models, own, adopted or tuned, on the same later posts of the newest corpus.

    Posts that any of them learned are left out. Less is better.
    """
    from rookery.cli.show import context, show_json, show_table
    from rookery.core.extras import require_model
    from rookery.workflows.models import need_checkpoint

    require_model()
    from rookery.model.compare import compare

    opened_home = opened(home)
    checkpoints = [need_checkpoint(opened_home, key) for key in keys]
    corpus = opened_home.need("corpus", "rookery corpus build")
    result = compare(opened_home, checkpoints, corpus, context(), documents)
    if as_json:
        show_json(result)
        return
    columns = ["model", "made by", "parameters", "bits per byte", "95%", "less than the first"]
    show_table(columns, [_compared(one) for one in result["models"]])
    print(f"\n  on {result['documents']:,} documents of {result['bytes']:,} bytes")
    for remark in result["remarks"]:
        print(f"  {remark}")


def _compared(one: dict[str, Any]) -> list[str]:
    return [
        one["key"],
        one["made_by"],
        f"{one['parameters']:,}" if one["parameters"] else "",
        f"{one['bits_per_byte']:.3f}",
        "{:.3f} to {:.3f}".format(*one["interval_95"]),
        "{:+.3f} ({:+.3f} to {:+.3f})".format(*one["less_than_first"]),
    ]


@app.command()
def report(
    key: Annotated[
        str | None,
        typer.Argument(
            help="The key of a run, or its beginning. Without it: the run that was begun last."
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Also write the report as an HTML page, with curves, to this file."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show a training run, finished or still going on.

    It shows loss, speed, phases, the inputs of the run, and samples of what the model writes.
    """
    from rookery.cli.show import show_facts, show_json, write_page
    from rookery.model import report
    from rookery.model.pages import run as run_page

    opened_home = opened(home)
    facts = report.describe(opened_home, report.find_run(opened_home, key))
    if page is not None:
        write_page(page, run_page.page(facts))
    if as_json:
        show_json(facts)
    else:
        show_facts(report.summary(facts), f"Run {facts['key']}")
        for sample in facts["samples"]:
            print(f"\n  {sample['prompt']}|{sample['text']}")
