"""`rookery search saved …`: queries under a name, each of which tells what is new.

The rules are in `search/saved.py`.
"""

from typing import Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened

app = typer.Typer(
    help="Keep queries under a name, and see what is new for each.", no_args_is_help=True
)
NameArgument = Annotated[str, typer.Argument(help="The name of the saved search.")]


@app.command()
def add(
    name: NameArgument,
    query: Annotated[str, typer.Argument(help="The query, as for `rookery search query`.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Save a query; from now on it tells what is new."""
    from rookery.search.query import parse
    from rookery.search.saved import save_search
    from rookery.workflows.search import open_index

    save_search(open_index(opened(home)), name, query)
    print(f"Saved {name}: {parse(query).understood}")


@app.command("list")
def list_saved(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the saved searches."""
    from rookery.cli.show import show_json, show_table
    from rookery.core.config import to_plain
    from rookery.search.saved import saved_searches

    saved = saved_searches(opened(home))
    if as_json:
        show_json({name: to_plain(search) for name, search in saved.items()})
    else:
        show_table(["name", "query"], [[name, search.query] for name, search in saved.items()])


@app.command()
def new(
    name: NameArgument,
    limit: Annotated[
        int, typer.Option(help="Show the newest so many; all count as told.", min=1, max=1000)
    ] = 20,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the posts that match and arrived since the last time; each is told once."""
    from rookery.cli.show import show_json, show_table
    from rookery.core.config import to_plain
    from rookery.search.saved import mark_told, news_of
    from rookery.workflows.search import open_index

    place = opened(home)
    news = news_of(open_index(place), name, limit)
    if as_json:
        show_json(to_plain(news))
    else:
        rows = [[h.author, f"{h.created:%Y-%m-%d %H:%M}", h.language, h.text] for h in news.hits]
        print(
            f"New: {news.posts:,}"
            + (f", of which the newest {limit}" if news.posts > limit else "")
        )
        if rows:
            show_table(["author", "created", "lang", "text"], rows)
    mark_told(place, name, news)


@app.command()
def remove(name: NameArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Remove a saved search."""
    from rookery.search.saved import remove_search

    remove_search(opened(home), name)
    print(f"Removed {name}")
