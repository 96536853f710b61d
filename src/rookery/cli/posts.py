"""`rookery posts …`: take posts in, look at files, record consent and states, forget and erase.

What each of these means for a post is in the package `posts`; `workflows/erase.py` erases.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from rookery.cli.options import (
    DEFAULT_HOME,
    AnywayOption,
    DatesOption,
    HomeOption,
    JsonOption,
    MapOption,
    VisibilityOption,
    date_order,
    one_of,
    opened,
    read_map,
)

if TYPE_CHECKING:
    from rookery.core.context import Context
    from rookery.core.home import Home
    from rookery.posts.look import LookReport
    from rookery.posts.sources.tables.judging import TableOptions


def _consent(use: str) -> Any:
    """Return the option for an author's consent to one use."""
    return typer.Option(help=f"Consent to {use}: yes, no or undefined.")


def _table(columns: str) -> Any:
    """Return the option for a platform's own table of consent or states."""
    return typer.Option(
        help=f"A table (CSV, JSON lines or Parquet) with the columns {columns} and, optionally, "
        "happened (a time). All rows are recorded, or none."
    )


NAMES_SHOWN = 12
"""How many of the files that were not read are named to people; `--json` names all."""

app = typer.Typer(
    help="Take posts in, record what may be done with them, forget and erase them.",
    no_args_is_help=True,
)


@app.command()
def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files of any of these formats, also compressed: X archive, X API v2 and v1.1, "
            "Mastodon, Jetstream, AT-proto repository or answers, Discourse, Reddit, or a table "
            "(CSV, JSON lines, a JSON list, Parquet); or folders, zips and tars of them. The "
            "format is recognised; with --map every file is a table."
        ),
    ],
    mapping: MapOption = None,
    visibility: VisibilityOption = None,
    dates: DatesOption = None,
    anyway: AnywayOption = False,
    limit: Annotated[int | None, typer.Option(help="Read only the first N rows.", min=1)] = None,
    source_name: Annotated[
        str | None,
        typer.Option(
            help="A prefix for all ids and authors, for example forum.example.org. For sources "
            "whose ids are mere numbers that another source may have too (Discourse)."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take posts from files into the home; rows that are no posts are set aside with a reason.

    The same files taken in again add nothing. `rookery posts look FILE` shows beforehand how a
    table would be read.
    """
    from rookery.cli.show import context, show_facts, show_json
    from rookery.posts.ingest import ingest

    options = _table_options(mapping, visibility, dates)
    taken = ingest(
        opened(home),
        paths,
        options.mapping,
        context(),
        limit,
        source_name,
        options.visibility,
        options.dates,
        anyway,
    )
    report = taken.to_dict()
    if as_json:
        show_json(report)
        return
    names = taken.not_read
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    report["not_read"] = (", ".join(names[:NAMES_SHOWN]) or "nothing") + more
    show_facts({name: value for name, value in report.items() if name != "notes"}, "Ingested")
    for note in taken.notes:
        typer.echo(note, err=True)


@app.command()
def look(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A file of posts, in any format.")],
    mapping: MapOption = None,
    visibility: VisibilityOption = None,
    dates: DatesOption = None,
    home: HomeOption = DEFAULT_HOME,  # as every verb takes it; nothing in it is read
    as_json: JsonOption = False,
) -> None:
    """Show how a file would be read, and take nothing. The home need not exist.

    Of a table: its columns, how each is read and why. Of every file: how many rows would be taken,
    and why the others would not, each reason with three of the values. It ends with exit code 2 if
    the file would be refused.
    """
    from rookery.cli.show import context, show_json
    from rookery.core.errors import DataError
    from rookery.posts.look import look

    report = look(path, _table_options(mapping, visibility, dates), context().clock.now())
    show_json(report.to_dict()) if as_json else _show_look(report)
    if report.refused is not None:
        raise DataError(report.refused)


def _table_options(
    mapping: str | None, visibility: str | None, dates: str | None
) -> "TableOptions":
    """Return what the options say about tables; raise `UsageError` for a word that is none."""
    from rookery.posts.post import VISIBILITIES
    from rookery.posts.sources.tables.judging import TableOptions

    stated = [name for name in VISIBILITIES if name != "unknown"]
    return TableOptions(
        read_map(mapping),
        None if visibility is None else one_of(visibility, stated, "--visibility"),
        date_order(dates),
    )


def _show_look(report: "LookReport") -> None:
    from rookery.cli.show import show_facts, show_table

    facts = {
        "format": report.format,
        "columns": ", ".join(report.columns),
        "rows": report.rows,
        "would be taken": report.taken,
        "visibility": report.visibility,
    }
    show_facts({name: value for name, value in facts.items() if value != ""}, "Looked at")
    if report.readings:
        rows = [[r.field, r.column, r.reading, r.why] for r in report.readings]
        show_table(["field", "column", "read as", "because"], rows, "Columns")
    if report.refusals:
        refused = [
            [reason, found["rows"], ", ".join(found["values"])]
            for reason, found in report.refusals.items()
        ]
        show_table(["reason", "rows", "values"], refused, "Refused")
    for note in report.notes:
        print(note)


@app.command()
def follow(
    url: Annotated[
        str,
        typer.Argument(
            help="The address of the stream: wss://… (Jetstream) or https://… (a Mastodon server)."
        ),
    ],
    for_seconds: Annotated[
        float | None, typer.Option("--for", help="End after this many seconds.", min=0)
    ] = None,
    posts: Annotated[int | None, typer.Option(help="End after this many posts.", min=1)] = None,
    lake_posts: Annotated[
        int,
        typer.Option(help="Write to the lake (the posts on disk) after this many posts.", min=1),
    ] = 5_000,
    lake_seconds: Annotated[
        float,
        typer.Option(help="Write to the lake after this many seconds, if that is sooner.", min=0),
    ] = 30.0,
    token_file: Annotated[
        Path | None,
        typer.Option(help="A file that holds an access token for the server (Mastodon)."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take posts from a live stream until Ctrl-C.

    Started again, it reads on from where it stopped. A deletion takes effect at once.
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
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            help="Ids of the posts to forget, or their permalinks on x.com, bsky.app, a Mastodon "
            "server or Reddit."
        ),
    ] = None,
    author: Annotated[
        list[str] | None,
        typer.Option(help="An author to forget, with all posts. May be repeated."),
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of deletions and other requests of a network: X compliance (also the "
            "notices of API v1.1), Jetstream or ActivityPub. What the network may take back, such "
            "as a suspension, only hides posts. May be repeated."
        ),
    ] = None,
    ids_of: Annotated[
        str | None,
        typer.Option(
            help="posts or authors: what the ids in X's batch compliance files belong to; the "
            "files do not state it."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Forget posts for good: hide them at once from search, answers and all later training.

    The posts stay in files until `rookery posts erase`. If a name is of no post here, it is
    recorded all the same, the first line says so, and the exit code is 1.
    """
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
    kinds: tuple[compliance.IdsOf, ...] = get_args(compliance.IdsOf)
    kind = None if ids_of is None else one_of(ids_of, kinds, "--ids-of")
    if file:
        report = to_plain(compliance.apply(opened(home), file, kind, context()))
    else:
        report = to_plain(forget(opened(home), ids or [], author or [], context()))
    unknown = report.get("unknown", [])
    if as_json:
        show_json(report)
    else:
        if unknown:
            print(f"No post here is named by {', '.join(unknown)}: recorded in case one comes.")
        facts = {name: value for name, value in report.items() if name != "unknown"}
        show_facts(facts, "Honoured" if file else "Forgotten")
    if unknown:
        raise typer.Exit(1)


@app.command()
def erase(
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            help="Look also for what was erased before, for example after files came back from a "
            "backup.",
        ),
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Erase from every file all posts that were forgotten, and earlier texts of edited posts.

    Then list what is still owed, such as models that learned from these posts, and by when.
    """
    from rookery.cli.show import context, show_json, show_table
    from rookery.workflows.erase import erase

    report = erase(opened(home), context(), everything)
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
    author: Annotated[
        list[str] | None, typer.Option(help="The author who consents or refuses. May be repeated.")
    ] = None,
    file: Annotated[Path | None, _table("author, use, word")] = None,
    search: Annotated[str | None, _consent("being found in search")] = None,
    answers: Annotated[str | None, _consent("being cited in answers")] = None,
    ads: Annotated[str | None, _consent("being shown beside ads")] = None,
    training: Annotated[str | None, _consent("the training of models")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Record an author's consent for each use of all their posts.

    yes and no hold until the next change; undefined leaves it to the home's policy.

    Example: rookery posts consent --author ada --training no
    """
    from rookery.core.errors import UsageError
    from rookery.posts.consent import consent, consent_file

    words = {"search": search, "answers": answers, "ads": ads, "training": training}
    if file and (author or any(words.values())):
        raise UsageError("give either --author with the uses, or --file")
    if file:
        _record(lambda at, context: consent_file(at, file, context), home, as_json)
    else:
        _record(lambda at, context: consent(at, author or [], words, context), home, as_json)


@app.command()
def state(
    cause: Annotated[
        str | None,
        typer.Argument(
            help="Why they are hidden: suspended, protected, deactivated, taken_down, deleted, "
            "dropped, withheld or signed_in_only."
        ),
    ] = None,
    value: Annotated[
        str | None, typer.Argument(help="on when the state begins, off when it ends.")
    ] = None,
    post: Annotated[
        list[str] | None, typer.Option(help="The id of a post. May be repeated.")
    ] = None,
    author: Annotated[
        list[str] | None, typer.Option(help="An author, with all posts. May be repeated.")
    ] = None,
    country: Annotated[
        list[str] | None,
        typer.Option(
            help="A country in which alone they are withheld, as in DE. May be repeated. Readers "
            "elsewhere may find them; nothing else uses them."
        ),
    ] = None,
    file: Annotated[Path | None, _table("post or author, cause, value")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hide posts or authors for a while, or show them again; nothing is forgotten.

    Example: rookery posts state suspended on --author ada
    """
    from rookery.core.errors import UsageError
    from rookery.posts.consent import state, state_file

    if file and (cause or post or author or country):
        raise UsageError("give either a state with posts and authors, or --file")
    if file:
        _record(lambda at, context: state_file(at, file, context), home, as_json)
        return
    if cause is None or value is None:
        raise UsageError(
            "no state is given", hint="Example: suspended on --author NAME, or give --file FILE"
        )
    _record(
        lambda at, context: state(
            at, post or [], author or [], cause, value, context, country or []
        ),
        home,
        as_json,
    )


def _record(record: "Callable[[Home, Context], int]", home: Path, as_json: bool) -> None:
    """Record something in the live log of a home, and print how many entries are new."""
    from rookery.cli.show import context, show_facts, show_json

    report = {"new": record(opened(home), context())}
    show_json(report) if as_json else show_facts(report, "Recorded")


@app.command()
def stats(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Count posts, authors and languages, and the posts that may not be used, by reason."""
    from rookery.cli.show import show_facts, show_json
    from rookery.posts.stats import stats

    counts = stats(opened(home))
    show_json(counts) if as_json else show_facts(counts, "Posts")
