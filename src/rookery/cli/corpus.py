"""`rookery corpus …`: make training text of the posts, and see how."""

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, SetOption, opened

app = typer.Typer(help="How posts become training text.", no_args_is_help=True)


@app.command()
def build(settings: SetOption = [], home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:  # noqa: B006
    """Make a corpus of the newest version of the lake."""
    from rookery.cli.show import context
    from rookery.core.config import with_settings
    from rookery.corpus.build import CorpusConfig, build

    _show(build(opened(home), context(), with_settings(CorpusConfig(), settings)), as_json)


@app.command()
def report(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the newest corpus: what was kept, what was dropped and why."""
    _show(opened(home).need("corpus", "rookery corpus build"), as_json)


def _show(corpus, as_json: bool) -> None:
    from rookery.cli.show import show_facts, show_json
    from rookery.corpus.report import summary

    facts = summary(corpus)
    if as_json:
        show_json(facts)
    else:
        show_facts(facts, f"Corpus {corpus.key}")
        print(f"\n  As a page: {corpus.file('report.html')}")
