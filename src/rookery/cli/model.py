"""`rookery model …`: make a language model of the corpus, judge it, use it."""

from pathlib import Path
from typing import Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, SetOption, opened

app = typer.Typer(help="How a language model is made, judged and used.", no_args_is_help=True)
ScaleOption = Annotated[
    float | None,
    typer.Option(
        help="The one dial: training compute in petaFLOP. Sets width, depth, batch, horizon. "
        "0.03 unless given."
    ),
]
MinutesOption = Annotated[
    float | None,
    typer.Option(
        help="Pick the scale that this machine trains in about so many minutes; asked again, the "
        "same one."
    ),
]
CHECKPOINT = "rookery model train"

SETTINGS = """--set takes what the scale chooses: steps, batch_tokens, matrix_learning_rate, shape.layers=6 and more;
seed; micro_batch_tokens (at once through the network); checkpoint_steps (how often a state is saved); compiled=true;
parallel.shard, .replicate, .tensor, .context, .pipeline, .recompute, .offload (how a run is spread over processes);
watch.seconds (how long a step may stand still). docs/training.md says more."""


@app.command()
def tokenizer(
    scale: ScaleOption = None, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Train the tokenizer on the newest corpus."""
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
        int | None, typer.Option(help="Train in so many processes on this machine.", min=1)
    ] = None,
    max_restarts: Annotated[
        int,
        typer.Option(
            help="With --processes: how often all are started again after one was killed.", min=0
        ),
    ] = 3,
    earlier: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Let a checkpoint go on learning from the grown corpus: its key, or newest. "
            "--scale or --minutes say how much more; else it is as much as before.",
        ),
    ] = None,
    settings: SetOption = [],  # noqa: B006
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Train on the newest corpus; killed at any moment and started again, it goes on where it
    was.
    """
    from rookery.core.errors import UsageError

    if scale is not None and minutes is not None:
        raise UsageError(
            "--scale and --minutes are two ways to say the same", hint="Give one of them"
        )
    if minutes is not None and any(
        setting.partition("=")[0].strip() == "steps" for setting in settings
    ):
        raise UsageError(
            "--minutes and --set steps=… are two ways to say the same", hint="Give one of them"
        )

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
        if minutes is None:  # else the shape is not known yet
            check_fits(degrees, config)
        if count > 1 and place is None:
            start_processes(count, max_restarts)
        else:
            asked = {
                "minutes": minutes,
                "settings": sorted(settings),
                "corpus": corpus.key,
                "from": before and before.key,
            }
            _train(opened_home, scale, asked, before, settings, place, degrees, as_json)


def _train(home, scale, asked, before, settings, place, degrees, as_json: bool) -> None:
    """This process's part; the first shows what came of it."""
    from rookery.cli.processes import scale_kept
    from rookery.cli.show import context, show_facts, show_json
    from rookery.core.context import Context
    from rookery.model.parallel.processes import ProcessRank, joined
    from rookery.workflows import train as workflow

    with joined(place or ProcessRank(), degrees) as processes:
        shown = context() if processes.is_first else Context()
        if (minutes := asked["minutes"]) is not None:
            asked = asked | {"processes": processes.count}
            scale = scale_kept(
                home,
                processes,
                asked,
                lambda: _measured_scale(minutes, before, settings, processes),
            )
            shown.progress.say(
                f"Scale {scale:g} petaFLOP (--scale {scale:g}), which the same command keeps to."
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
        facts = {"key": made.key, **made.manifest.metrics}
        show_json(facts) if as_json else show_facts(
            facts | {"phases": len(facts["phases"])}, "Checkpoint"
        )


def _measured_scale(minutes, before, settings, processes) -> float:
    """The scale at which the very run that is asked for takes so many minutes."""
    from rookery.model.training.measure import scale_for_minutes
    from rookery.workflows.train import apply_settings, base_config

    def run_of(scale):
        return apply_settings(base_config(scale, before), settings)[0]

    return scale_for_minutes(minutes, config_of=run_of, processes=processes)


@app.command()
def evaluate(
    texts: Annotated[
        Path | None,
        typer.Option(
            help="CSV, JSONL, Parquet, or - for lines of standard input; else the held-out posts."
        ),
    ] = None,
    column: Annotated[str, typer.Option(help="The file's column with the text.")] = "text",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Bits per UTF-8 byte, beside zstd, an n-gram model and xz on the same bytes."""
    from rookery.cli.show import context, show_json
    from rookery.model.evaluate import PAGE, evaluate, evaluate_texts, read_result

    opened_home = opened(home)
    checkpoint, corpus = (
        opened_home.need("checkpoint", CHECKPOINT),
        opened_home.need("corpus", "rookery corpus build"),
    )
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
            print(f"\n  As a page, with the curve of months: {page}")


def _lines_or_column(path: Path, column: str) -> list[str]:
    """The texts of a file's column, or the lines of standard input for `-`."""
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
    lines = text.replace("\r\n", "\n").split(
        "\n"
    )  # `splitlines` also parts at marks that stand inside of posts
    return lines if lines[-1] else lines[:-1]


def _show_evaluation(result: dict) -> None:
    """The figures as a table, and what they rest on."""
    from rookery.cli.show import show_table
    from rookery.model.pages.evaluation import groups

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
    for name, count in result.get("left_out", {}).items():
        print(f"  left out, {name.replace('_', ' ')}: {count:,}")
    for name, value in result.get("training", {}).items():
        print(
            f"  training, {name.replace('_', ' ')}: "
            f"{f'{value:,}' if isinstance(value, int) else value}"
        )
    for remark in result["remarks"]:
        print(f"  {remark}")


def _line(name: str, found: dict) -> list[str]:
    bits, sure, less = found["bits_per_byte"], found["interval_95"], found["model_less"]
    return [
        name,
        f"{found['documents']:,}",
        f"{found['bytes']:,}",
        f"{bits['model']:.3f}",
        "{:.3f} to {:.3f}".format(*sure["model"]) if sure else "",
        f"{bits['ngram']:.3f}",
        f"{bits['zstd']:.3f}",
        "{:+.3f} ({:+.3f} to {:+.3f})".format(*less["ngram"]) if less else "",
    ]


@app.command()
def report(
    key: Annotated[
        str | None,
        typer.Argument(help="The key of a run, or its beginning; else the one begun last."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write the page here, with curves and samples.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show a training run, finished or still going: loss, speed, phases, what it was made of, what
    it writes.
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


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(help="How the text begins.")],
    max_tokens: Annotated[int, typer.Option(help="At most so many tokens.", min=1)] = 64,
    temperature: Annotated[
        float, typer.Option(help="0 always takes the likeliest token.", min=0.0)
    ] = 0.8,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same text.")] = None,
    control: Annotated[
        list[str], typer.Option(help="What the text shall be: language:en; repeatable.")
    ] = [],  # noqa: B006
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Continue a text with the newest model."""
    from rookery.core.protocols import GenerationOptions
    from rookery.model.generate import load_generator

    generator = load_generator(opened(home).need("checkpoint", CHECKPOINT), control)
    print(prompt, end="", flush=True)
    for piece in generator.generate(prompt, GenerationOptions(max_tokens, temperature, seed=seed)):
        print(piece.text, end="", flush=True)
    print()


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write; must not exist yet.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write the newest model in the Hugging Face layout: transformers, vLLM and SGLang load it."""
    from rookery.model.export import export

    export(opened(home).need("checkpoint", CHECKPOINT), folder)
    print(f"Exported to {folder}")
