"""`rookery corpus …`: make training text of the posts, and see how."""

from pathlib import Path
from typing import Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, SetOption, opened

app = typer.Typer(help="How posts become training text.", no_args_is_help=True)

SETTINGS = """--set takes: validation_share=0.05 (the part of the posts, the latest, that is held out);
validation_limit=20000; seed=0; split=author (hold out people too); placeholders=true (mentions become @USER, links
HTTPURL); controls=true (documents begin with tokens for language, year and engagement);
mixture.language:en=0.5, mixture.year:2016=2, mixture.source:reddit=0 (below 1 a part is taken, above 1 repeated)."""


@app.command(epilog=SETTINGS)
def build(
    settings: SetOption = [],  # noqa: B006
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a corpus of the newest version of the lake."""
    from rookery.cli.show import context
    from rookery.core.config import with_settings
    from rookery.corpus.build import CorpusConfig, build

    home = opened(home)
    _show(home, build(home, context(), with_settings(CorpusConfig(), settings)), as_json)


@app.command()
def report(
    page: Annotated[
        Path | None,
        typer.Option(help="Write the page anew here, with what a tokenizer made of it."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the newest corpus: what was kept, what was dropped and why, and bytes a token once there
    are shards.
    """
    from rookery.cli.show import write_page
    from rookery.corpus import report as reports

    home = opened(home)
    corpus = home.need("corpus", "rookery corpus build")
    _show(home, corpus, as_json)
    if page is not None:
        write_page(page, reports.page(reports.read(corpus) | _compression(home, corpus)))


def _show(home, corpus, as_json: bool) -> None:
    from rookery.cli.show import show_facts, show_json
    from rookery.corpus.report import summary

    facts = summary(corpus) | _compression(home, corpus)
    if as_json:
        show_json(facts)
    else:
        show_facts(facts, f"Corpus {corpus.key}")
        print(f"\n  As a page: {corpus.file('report.html')}\n  Data card: {corpus.file('card.md')}")


def _compression(home, corpus) -> dict:
    """Bytes a token by language, if the corpus has been encoded."""
    from rookery.core.artifact import find_artifacts
    from rookery.corpus.report import compression

    made = [
        s
        for s in find_artifacts(home.artifacts, "shards")
        if s.manifest.inputs["corpus"] == corpus.digest
    ]
    return {"compression": compression(corpus, made[-1])} if made else {}
