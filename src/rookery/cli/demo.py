"""`rookery demo`: the whole loop, from posts to a web page, on synthetic posts or the user's own.

The choices of a demo, above all the scale that `--minutes` picked, are stored in its home before
the first stage that depends on them, so that a demo that was killed goes on as the same one. The
synthetic posts come from the package `town`; each stage is one call of its own package.
"""

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rookery.cli.options import (
    DEFAULT_HOME,
    AnywayOption,
    DatesOption,
    HomeOption,
    JsonOption,
    MapOption,
    date_order,
    read_map,
)
from rookery.core.extras import require_model

if TYPE_CHECKING:
    from rookery.core.artifact import Artifact
    from rookery.core.context import Context
    from rookery.core.home import Home
    from rookery.core.protocols import Embedder
    from rookery.posts.ingest import IngestReport

CHOICES = "demo.json"
DEFAULT_MINUTES = 1.5


@dataclass(frozen=True)
class Choices:
    """The options of a demo, and the scale that followed from them."""

    posts: str | None = None
    mapping: dict[str, str] | None = None
    limit: int | None = None
    minutes: float | None = None
    scale: float | None = None
    dates: str | None = None
    anyway: bool = False


def demo(
    posts: Annotated[
        Path | None,
        typer.Option(
            "--posts",
            help="A file of your own posts, in any format of `rookery posts ingest`. You vouch "
            "that those of a table are public, but for what the table itself says. Without it: "
            "the synthetic posts of a small town.",
        ),
    ] = None,
    mapping: MapOption = None,
    dates: DatesOption = None,
    anyway: AnywayOption = False,
    limit: Annotated[int | None, typer.Option(help="Read only the first N posts.", min=1)] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help=f"Train the model for about this many minutes; {DEFAULT_MINUTES:g} unless "
            "--scale is given.",
            min=0.01,
        ),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="Training compute in petaFLOP, instead of --minutes.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Serve the web page at the end.")
    ] = True,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Run everything once, from posts to a web page.

    The stages: posts, corpus, model, evaluation, export, search, answer, ads, page.

    A demo that was stopped goes on when the same command is given again.
    """
    from rookery.cli.show import context, show_json
    from rookery.core.home import create_home

    asked = _asked(posts, mapping, limit, minutes, scale, dates, anyway)
    opened, shown = create_home(home), context()
    result = run_demo(opened, _stored_choices(opened, asked), shown)
    if as_json:
        show_json(result)
    else:
        _show(result, opened)
    if serve and not as_json:
        from rookery.gateway.serve import serve as serve_pages

        # always on this machine alone: opening it to the network is a decision for `rookery serve`
        serve_pages(
            opened,
            host="127.0.0.1",
            context=shown,
            ready=lambda url: print(f"\nOpen {url} (Ctrl-C ends it)"),
        )


def _asked(
    posts: Path | None,
    mapping: str | None,
    limit: int | None,
    minutes: float | None,
    scale: float | None,
    dates: str | None,
    anyway: bool,
) -> Choices:
    """Return the choices that the options ask for; raise `UsageError` if they cannot be."""
    from rookery.core.errors import UsageError

    if minutes is not None and scale is not None:
        raise UsageError(
            "--scale and --minutes both set how long a run is", hint="Give one of them"
        )
    if scale is None and minutes is None:
        minutes = DEFAULT_MINUTES
    if posts is not None and not posts.exists():
        raise UsageError("there is no such file", where=posts)
    path = str(posts.absolute()) if posts else None
    return Choices(path, read_map(mapping), limit, minutes, scale, date_order(dates), anyway)


def _stored_choices(home: "Home", asked: Choices) -> Choices:
    """Return the stored choices if they are of the same demo, else store the new ones."""
    from rookery.core.config import from_plain
    from rookery.core.errors import UsageError
    from rookery.posts.lake import find_lake

    path = home.path / CHOICES
    if path.exists():
        stored = from_plain(Choices, json.loads(path.read_text()))
        # how long the model trains may differ
        others = replace(stored, minutes=None, scale=None) != replace(
            asked, minutes=None, scale=None
        )
        # without a lake the first demo took no posts, so other posts are welcome
        if others and find_lake(home) is not None:
            raise UsageError(
                "this home holds a demo on other posts",
                where=home.path,
                hint="Give another --home, or remove this one",
            )
        if not others and asked.scale is None and stored.minutes == asked.minutes:
            return stored
    _store_choices(home, asked)
    return asked


def _store_choices(home: "Home", choices: Choices) -> None:
    from rookery.core.atomic import write_atomically
    from rookery.core.config import to_plain

    write_atomically(home.path / CHOICES, json.dumps(to_plain(choices), indent=1).encode())


@dataclass
class _Loop:
    """The stages that ran so far, with what each made."""

    context: "Context"
    stages: list[dict[str, Any]] = field(default_factory=list)

    def run(self, name: str, work: Callable[[], Any], made: Callable[[Any], str]) -> Any:
        """Run one stage and time it; `made` describes its result in a few words."""
        clock = self.context.clock
        started = clock.monotonic_seconds()
        result = work()
        self.stages.append(
            {
                "name": name,
                "seconds": round(clock.monotonic_seconds() - started, 2),
                "made": made(result),
            }
        )
        return result


def run_demo(home: "Home", choices: Choices, context: "Context") -> dict[str, Any]:
    """Run the whole loop and return `{"stages": […], "bits_per_byte": {…}, "scale": …, …}`."""
    require_model()
    from rookery.corpus.build import build_corpus
    from rookery.model.evaluate import evaluate, read_result
    from rookery.model.export import export_stage
    from rookery.model.generate import load_generator
    from rookery.search.answers.answer import ask
    from rookery.search.build import build_index
    from rookery.search.index import open_index
    from rookery.town import advertising as ads_demo
    from rookery.workflows.models import sample_of
    from rookery.workflows.train import train

    loop = _Loop(context)
    loop.run("posts", lambda: _take_posts(home, choices, context), _describe_ingest)
    corpus = loop.run("corpus", lambda: build_corpus(home, context), _describe_corpus)
    choices = loop.run(
        "scale", lambda: _with_scale(home, choices), lambda c: f"{c.scale:g} petaFLOP"
    )
    checkpoint = loop.run(
        "model", lambda: train(home, choices.scale, context=context), _describe_model
    )
    evaluation = loop.run(
        "evaluation",
        lambda: read_result(evaluate(home, checkpoint, corpus, context)),
        _describe_evaluation,
    )
    loop.run(
        "export",
        lambda: export_stage(home, checkpoint, context),
        lambda a: f"{a.path.name}: Hugging Face layout",
    )
    embedder = _embedder(checkpoint)
    loop.run(
        "search",
        lambda: build_index(home, embedder, context),
        lambda r: f"{r.posts:,} posts in the index",
    )
    question = ads_demo.choose_question(corpus)
    found = loop.run(
        "answer",
        lambda: ask(open_index(home, embedder), question),
        lambda a: f"“{question}”: {len(a.sentences)} sentences citing {len(a.sources)} posts",
    )
    simulation = loop.run(
        "ads",
        lambda: ads_demo.run(home, corpus, embedder, context, choices.posts is None),
        _describe_ads,
    )
    sample = sample_of(load_generator(checkpoint))
    return {
        "stages": loop.stages,
        "bits_per_byte": evaluation["bits_per_byte"],
        "scale": choices.scale,
        "question": question,
        "answer": [{"text": s.text, "citations": list(s.citations)} for s in found.sentences],
        "note": found.note,
        "ads": simulation,
        "sample": sample,
    }


def _take_posts(home: "Home", choices: Choices, context: "Context") -> "IngestReport":
    from rookery.posts.ingest import ingest
    from rookery.town.posts import TownConfig, ingest_town

    if choices.posts is None:
        return ingest_town(home, TownConfig(), context)
    # these are the person's own posts, and `--posts` says that giving them vouches for them
    return ingest(
        home,
        [Path(choices.posts)],
        choices.mapping,
        context,
        choices.limit,
        visibility="public",
        dates=date_order(choices.dates),
        anyway=choices.anyway,
    )


def _with_scale(home: "Home", choices: Choices) -> Choices:
    """Return the choices with a scale, which is measured once and stored in the home."""
    from rookery.model.training.measure import scale_for_minutes

    if choices.scale is None:
        minutes = DEFAULT_MINUTES if choices.minutes is None else choices.minutes
        choices = replace(choices, scale=scale_for_minutes(minutes))
        _store_choices(home, choices)
    return choices


def _embedder(checkpoint: "Artifact") -> "Embedder":
    from rookery.model.embed import load_embedder

    return load_embedder(checkpoint)


def _describe_ingest(report: "IngestReport") -> str:
    aside = sum(report.set_aside.values())
    return (
        f"{report.added:,} posts added, {report.already_there:,} already there, {aside:,} set aside"
    )


def _describe_corpus(corpus: "Artifact") -> str:
    metrics = corpus.manifest.metrics
    train, validation = metrics["documents_train"], metrics["documents_validation"]
    return f"{train:,} documents to learn from, {validation:,} later ones held out"


def _describe_model(checkpoint: "Artifact") -> str:
    metrics = checkpoint.manifest.metrics
    return f"{metrics['parameters']:,} parameters, {metrics['tokens']:,} tokens seen"


def _describe_evaluation(result: dict[str, Any]) -> str:
    bits = ", ".join(f"{name} {value:.3f}" for name, value in result["bits_per_byte"].items())
    return f"{bits} bits per byte"


def _describe_ads(result: dict[str, Any]) -> str:
    return (
        f"{result['views']:,} views, {result['clicks']:,} clicks; "
        f"AUC {result['auc_model']:.3f} where the truth reaches {result['auc_truth']:.3f}"
    )


def _show(result: dict[str, Any], home: "Home") -> None:
    from rookery.cli.show import show_table

    show_table(
        ["stage", "seconds", "made"],
        [[s["name"], f"{s['seconds']:.1f}", s["made"]] for s in result["stages"]],
    )
    seconds = sum(s["seconds"] for s in result["stages"])
    print(f"\nTotal: {seconds:.0f} seconds. Made up by the model, written by nobody:")
    print(f"  {' '.join(result['sample'].split())}")
    print(f"\nThe question: {result['question']}")
    for sentence in result["answer"]:
        print(f"  {sentence['text']} {''.join(f'[{n}]' for n in sentence['citations'])}")
    if result.get("note"):
        print(f"  {result['note']}")
    runs = shlex.join([program_name(), "runs", "--home", str(home.path)])
    print(f"\nEverything is in {home.path}; `{runs}` lists how it was made.")


def program_name() -> str:
    """Return what a person types to call this program again.

    This is `rookery` where the PATH finds this very program under that name, else its path.
    """
    called = sys.argv[0]
    off_path = Path(called).name == "rookery" and shutil.which("rookery") != called
    return called if off_path else "rookery"
