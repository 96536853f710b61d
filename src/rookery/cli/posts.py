"""`rookery posts …`: take posts in, see what is there, forget."""

from pathlib import Path
from typing import Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, MapOption, opened, read_map

app = typer.Typer(help="What people wrote, and what may be done with it.", no_args_is_help=True)


@app.command()
def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files, also .gz, .zst: X archive zip, X API v2, Mastodon, Jetstream, Discourse, Reddit, or tables. "
            "The format is found by itself; with --map every file is a table."
        ),
    ],
    mapping: MapOption = None,
    limit: Annotated[int | None, typer.Option(help="Take only the first N rows.", min=1)] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take posts into the lake; what cannot be read is set aside with its reason."""
    from rookery.cli.show import context, show_facts, show_json
    from rookery.posts.ingest import ingest

    report = ingest(opened(home), paths, read_map(mapping), context(), limit).to_dict()
    show_json(report) if as_json else show_facts(report, "Ingested")


@app.command()
def forget(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of posts.")] = None,
    author: Annotated[list[str] | None, typer.Option(help="An author, with all posts; repeatable.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hide posts at once from search, answers and every later training batch."""
    from rookery.cli.show import context, show_facts, show_json
    from rookery.core.config import to_plain
    from rookery.core.errors import UsageError
    from rookery.posts.forget import forget

    if not ids and not author:
        raise UsageError("nothing to forget", mend="Give ids of posts, or --author NAME")
    report = to_plain(forget(opened(home), ids or [], author or [], context()))
    show_json(report) if as_json else show_facts(report, "Forgotten")


@app.command()
def stats(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Count posts, authors, languages, and what the gate would drop for each use."""
    from rookery.cli.show import show_facts, show_json
    from rookery.posts.stats import stats

    counts = stats(opened(home))
    show_json(counts) if as_json else show_facts(counts, "Posts")
