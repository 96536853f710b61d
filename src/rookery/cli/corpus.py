"""`rookery corpus …`: make training text from the posts, and show what became of them.

The stages of a build are in the package `corpus`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, SetOption, opened

if TYPE_CHECKING:
    from rookery.core.artifact import Artifact
    from rookery.core.home import Home

app = typer.Typer(
    help="Make training text from the posts, and see what was dropped and why.",
    no_args_is_help=True,
)

SETTINGS = """Settings for --set, with their defaults:

validation_share=0.05    the share of the posts, the latest ones, that is held out
validation_limit=20000   hold out at most this many posts
split=time               time, or author: then no author is on both sides
placeholders=false       true: mentions become @USER and links HTTPURL
controls=false           true: a document begins with tokens for its language,
                         year and engagement
seed=0                   of the documents' order and of every random choice

Weights of the mixture: below 1, the share of these documents that is taken;
above 1, how often they are repeated (at most 16).

mixture.language:en=0.5
mixture.year:2016=2
mixture.source:reddit=0"""


@app.command(epilog=SETTINGS)
def build(
    settings: SetOption = [],  # noqa: B006
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a corpus from all posts of the home that may be used for training."""
    from rookery.cli.show import context
    from rookery.core.config import with_settings
    from rookery.corpus.build import CorpusConfig, build_corpus

    opened_home = opened(home)
    made = build_corpus(opened_home, context(), with_settings(CorpusConfig(), settings))
    _show(opened_home, made, as_json)


@app.command()
def report(
    page: Annotated[
        Path | None,
        typer.Option(
            help="Also write the report as an HTML page to this file, with bytes per token where a "
            "tokenizer has encoded the corpus."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the newest corpus: how many posts it keeps, and how many were dropped for which reason.

    Once a tokenizer has encoded the corpus, also show bytes per token by language.
    """
    from rookery.cli.show import write_page
    from rookery.corpus import report as reports
    from rookery.corpus.document import LAKE_VERSION

    opened_home = opened(home)
    corpus = opened_home.need("corpus", "rookery corpus build")
    _show(opened_home, corpus, as_json)
    if page is not None:
        version = corpus.manifest.metrics[LAKE_VERSION]
        facts = reports.visible(opened_home, reports.read(corpus), version)
        write_page(page, reports.page(facts | _compression(opened_home, corpus)))


def _show(home: "Home", corpus: "Artifact", as_json: bool) -> None:
    from rookery.cli.show import show_facts, show_json
    from rookery.corpus.report import summary

    facts = summary(corpus) | _compression(home, corpus)
    if as_json:
        show_json(facts)
    else:
        show_facts(facts, f"Corpus {corpus.key}")
        print(f"\n  As a page: {corpus.file('report.html')}\n  Data card: {corpus.file('card.md')}")


def _compression(home: "Home", corpus: "Artifact") -> dict[str, Any]:
    """Return bytes per token by language, or nothing if the corpus was not encoded yet."""
    from rookery.core.artifact import find_artifacts
    from rookery.corpus.report import compression

    made = [
        s
        for s in find_artifacts(home.artifacts, "shards")
        if s.manifest.inputs.get("corpus") == corpus.digest
    ]
    return {"compression": compression(corpus, made[-1])} if made else {}
