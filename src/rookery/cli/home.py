"""`rookery init`, `runs` and `trace`: the verbs about a home as a whole.

What a home is made of is in `core/home.py`.
"""

from typing import Annotated, get_args

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, one_of, opened


def init(
    home: HomeOption = DEFAULT_HOME,
    policy: Annotated[
        str,
        typer.Option(
            help="Which public posts may be used. public: all, unless the author or the post says "
            "no. opt-in: only those whose author, or the post itself, says yes."
        ),
    ] = "public",
) -> None:
    """Create a home: the folder that holds everything of one platform, and its settings.

    A folder that is a home already keeps its settings.
    """
    from rookery.core.home import SETTINGS, Policy, create_home

    policies: tuple[Policy, ...] = get_args(Policy)
    made = create_home(home, one_of(policy, policies, "--policy"))
    print(
        f"Home {made.path} with policy {made.settings.rights.policy!r}; settings are in {SETTINGS}."
    )


def runs(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List every attempt to make something in the home, also those that failed."""
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
    post_id: Annotated[str, typer.Argument(help="The id of the post, or its permalink.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List every place that holds a post or was made from it, and say what corpora made of it.

    The fate of a post in a corpus is the split that holds it, or the reason why it was dropped,
    and for a copy the post that represents it. For a post that was forgotten, also show what is
    still owed at each place, and by when.
    """
    from rookery.cli.show import show_facts, show_json, show_table
    from rookery.workflows.trace import trace

    found = trace(opened(home), post_id)
    if as_json:
        show_json(found)
    else:
        facts = {k: v for k, v in found.items() if k not in ("fates", "places")}
        facts |= {f"in corpus {one['corpus']}": _fate(one) for one in found["fates"]}
        show_facts(facts, f"Post {found['post']}")
        columns = ["place", "how", "owed", "by"]
        show_table(columns, [[p[c] for c in columns] for p in found["places"]])


def _fate(found: dict[str, str]) -> str:
    of = found["represented_by"]
    return f"{found['fate']} of {of}" if of else found["fate"]
