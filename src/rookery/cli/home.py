"""`rookery init`, `runs`, `trace` and `serve`: the home as a whole."""

from typing import Annotated

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened


def init(
    home: HomeOption = DEFAULT_HOME,
    policy: Annotated[
        str, typer.Option(help="What holds where an author said nothing: public or opt-in.")
    ] = "public",
) -> None:
    """Make a home folder with its settings."""
    from typing import get_args

    from rookery.core.errors import UsageError
    from rookery.core.home import SETTINGS, Policy, create_home

    if policy not in get_args(Policy):
        raise UsageError(f"there is no policy {policy!r}", hint="Take public or opt-in")
    made = create_home(home, policy)
    print(
        f"Home {made.path} with policy {made.settings.rights.policy!r}; settings are in {SETTINGS}."
    )


def runs(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List every attempt to make something, failed ones too."""
    from rookery.cli.show import show_json, show_table
    from rookery.core.runs import read_runs

    attempts = read_runs(opened(home))
    if as_json:
        show_json({"runs": attempts})
    else:
        columns = ["started", "kind", "key", "state", "seconds", "flops", "reason"]
        shown = [a | ({"flops": f"{a['flops']:.2e}"} if "flops" in a else {}) for a in attempts]
        show_table(columns, [[a.get(c) for c in columns] for a in shown])


def trace(
    post_id: Annotated[str, typer.Argument(help="The id of a post.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Say everything that holds a post or was made from it, and what is still owed if it is
    forgotten.
    """
    from rookery.cli.show import show_facts, show_json, show_table
    from rookery.workflows.trace import trace as trace_post

    found = trace_post(opened(home), post_id)
    if as_json:
        show_json(found)
    else:
        show_facts({k: v for k, v in found.items() if k != "places"}, f"Post {post_id}")
        columns = ["place", "how", "owed", "by"]
        show_table(columns, [[p[c] for c in columns] for p in found["places"]])


def serve(
    host: Annotated[
        str | None, typer.Option(help="Where to listen; the settings say 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="The port; the settings say 8700.")] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Open the page and the API."""
    from rookery.cli.show import context
    from rookery.gateway.serve import serve

    opened_home = opened(home)
    settings = opened_home.settings.serve
    port = settings.port if port is None else port
    serve(
        opened_home,
        host or settings.host,
        port,
        context(),
        lambda url: print(f"Open {url}", flush=True),
    )
