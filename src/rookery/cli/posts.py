"""`rookery posts …`: take posts in, see what is there, note what may be done with them, forget."""

from pathlib import Path
from typing import Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, MapOption, opened, read_map

SaidOption = Annotated[str | None, typer.Option(help="yes, no or undefined.")]


def _table(columns: str):
    """The option of a platform's own table of what is to be noted."""
    named = (
        f"A table (CSV, JSON lines, Parquet) with the columns {columns}, and happened if it "
        f"tells when"
    )
    return typer.Option(help=f"{named}; all of it is noted, or nothing.")


app = typer.Typer(help="What people wrote, and what may be done with it.", no_args_is_help=True)


@app.command()
def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files, also .gz, .zst: X archive zip, X API v2, Mastodon, Jetstream, AT-proto "
            "repository, Discourse, "
            "Reddit, or tables. "
            "The format is found by itself; with --map every file is a table."
        ),
    ],
    mapping: MapOption = None,
    limit: Annotated[int | None, typer.Option(help="Take only the first N rows.", min=1)] = None,
    source_name: Annotated[
        str | None,
        typer.Option(
            help="What all ids are to begin with, such as the forum's host, where they are "
            "numbers that two sources "
            "may both have (Discourse)."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take posts into the lake; what cannot be read is set aside with its reason."""
    from rookery.cli.show import context, show_facts, show_json
    from rookery.posts.ingest import ingest

    report = ingest(opened(home), paths, read_map(mapping), context(), limit, source_name).to_dict()
    show_json(report) if as_json else show_facts(report, "Ingested")


@app.command()
def follow(
    url: Annotated[
        str, typer.Argument(help="wss://… (Jetstream) or https://… (a Mastodon server).")
    ],
    for_seconds: Annotated[
        float | None, typer.Option("--for", help="End after so many seconds.", min=0)
    ] = None,
    posts: Annotated[int | None, typer.Option(help="End after so many posts.", min=1)] = None,
    lake_posts: Annotated[
        int, typer.Option(help="Hand over to the lake after so many posts,", min=1)
    ] = 5_000,
    lake_seconds: Annotated[float, typer.Option(help="or after so many seconds.", min=0)] = 30.0,
    token_file: Annotated[
        Path | None, typer.Option(help="A file that holds the server's access token.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take posts from a live stream, read on where it was left; deletions hold at once. Ctrl-C ends
    it.
    """
    from rookery.cli.show import context, show_facts, show_json
    from rookery.core.errors import UsageError
    from rookery.posts.follow import Limits, follow
    from rookery.posts.streams.open import open_stream

    if token_file is not None and not token_file.is_file():
        raise UsageError("there is no such file", where=token_file)
    token = token_file.read_text().strip() if token_file else None
    around = context()
    limits = Limits(lake_posts, lake_seconds, for_seconds, posts)
    report = follow(opened(home), open_stream(url, around.clock, token), around, limits).to_dict()
    show_json(report) if as_json else show_facts(report, "Followed")


@app.command()
def forget(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of posts.")] = None,
    author: Annotated[
        list[str] | None, typer.Option(help="An author, with all posts; repeatable.")
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of what a network asks to honour: X compliance, Jetstream, ActivityPub "
            "deletions; repeatable. "
            "What can be taken back (a suspension, say) hides and forgets nothing."
        ),
    ] = None,
    ids_of: Annotated[
        str | None,
        typer.Option(
            help="posts or authors: what the ids of X's batch compliance are; it does not say."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hide posts at once from search, answers and every later training batch."""
    from rookery.cli.show import context, show_facts, show_json
    from rookery.core.config import to_plain
    from rookery.core.errors import UsageError
    from rookery.posts import compliance
    from rookery.posts.forget import forget

    if not ids and not author and not file:
        raise UsageError(
            "nothing to forget", hint="Give ids of posts, --author NAME, or --file FILE"
        )
    if file and (ids or author):
        raise UsageError("give either ids and authors, or files")
    if ids_of not in (None, "posts", "authors"):
        raise UsageError(f"--ids-of: {ids_of!r} is neither posts nor authors")
    if file:
        report = to_plain(compliance.apply(opened(home), file, ids_of, context()))
    else:
        report = to_plain(forget(opened(home), ids or [], author or [], context()))
    show_json(report) if as_json else show_facts(report, "Honoured" if file else "Forgotten")


@app.command()
def erase(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Make what is forgotten, and every earlier text of what was edited, physically gone; say what
    is still owed.
    """
    from rookery.cli.show import context, show_json, show_table
    from rookery.workflows.erase import erase

    report = erase(opened(home), context())
    if as_json:
        show_json(report)
        return
    if report["erased"]:
        show_table(
            ["place", "count", "unit"], [list(one.values()) for one in report["erased"]], "Erased"
        )
    else:
        print("There is nothing to erase.")
    if report["owed"]:
        show_table(["place", "owed", "by"], [list(one.values()) for one in report["owed"]], "Owed")


@app.command()
def consent(
    author: Annotated[list[str] | None, typer.Option(help="An author; repeatable.")] = None,
    file: Annotated[Path | None, _table("author, use, word")] = None,
    search: SaidOption = None,
    answers: SaidOption = None,
    ads: SaidOption = None,
    training: SaidOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Note an author's word on uses of all their posts: yes, no, or undefined, where the platform's
    policy holds.
    """
    from rookery.core.errors import UsageError
    from rookery.posts.consent import consent, consent_file

    words = {"search": search, "answers": answers, "ads": ads, "training": training}
    if file and (author or any(words.values())):
        raise UsageError("give either an author's words, or --file")
    if file:
        _noted(lambda at, context: consent_file(at, file, context), home, as_json)
    else:
        _noted(lambda at, context: consent(at, author or [], words, context), home, as_json)


@app.command()
def state(
    cause: Annotated[
        str | None,
        typer.Argument(help="suspended, protected, deactivated, taken_down, withheld, …"),
    ] = None,
    value: Annotated[str | None, typer.Argument(help="on, or off when it ends.")] = None,
    post: Annotated[list[str] | None, typer.Option(help="The id of a post; repeatable.")] = None,
    author: Annotated[
        list[str] | None, typer.Option(help="An author, with all posts; repeatable.")
    ] = None,
    file: Annotated[Path | None, _table("post or author, cause, value")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hide posts or authors for a while, or show them again: nothing is forgotten."""
    from rookery.core.errors import UsageError
    from rookery.posts.consent import state, state_file

    if file and (cause or post or author):
        raise UsageError("give either a state with posts and authors, or --file")
    if file:
        _noted(lambda at, context: state_file(at, file, context), home, as_json)
        return
    if cause is None or value is None:
        raise UsageError(
            "which state?", hint="Say, for example: suspended on --author NAME, or give --file FILE"
        )
    _noted(
        lambda at, context: state(at, post or [], author or [], cause, value, context),
        home,
        as_json,
    )


def _noted(note, home: Path, as_json: bool) -> None:
    from rookery.cli.show import context, show_facts, show_json

    report = {"new": note(opened(home), context())}
    show_json(report) if as_json else show_facts(report, "Noted")


@app.command()
def stats(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Count posts, authors, languages, and what the gate would drop for each use."""
    from rookery.cli.show import show_facts, show_json
    from rookery.posts.stats import stats

    counts = stats(opened(home))
    show_json(counts) if as_json else show_facts(counts, "Posts")
