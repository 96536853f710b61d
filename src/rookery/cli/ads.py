"""`rookery ads …`: load campaigns, preview one auction, and print the report.

How an auction is decided and a click is charged is in the package `ads`.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened

app = typer.Typer(
    help="Load ad campaigns, run auctions, and report views, clicks and spend.",
    no_args_is_help=True,
)


@app.command()
def campaigns(
    file: Annotated[
        Path | None,
        typer.Argument(help="A TOML file of campaigns to load. Without it: list those there are."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Load campaigns from a TOML file, or list the campaigns of the home.

    A campaign of the file takes the place of the one with the same id; all others stay.
    """
    from rookery.ads.ledger.store import save_campaigns
    from rookery.ads.report import report
    from rookery.ads.terms.campaigns import load_campaigns

    opened_home = opened(home)
    if file is not None:
        save_campaigns(opened_home, load_campaigns(file))
    _show(report(opened_home), as_json)


@app.command()
def serve(
    query: Annotated[str, typer.Argument(help="The words that a person searched for.")],
    language: Annotated[
        str | None, typer.Option(help="The person's language as a two-letter code, such as en.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Preview the auction for a search: for every campaign, why it was eligible or not.

    Nothing is booked: no offer is made, no budget is touched, and nobody's cap counts it.
    """
    from rookery.ads.server import AdRequest, AdServer
    from rookery.cli.show import context, show_json, show_table
    from rookery.core.config import to_plain
    from rookery.workflows.models import embedder_of

    opened_home = opened(home)
    server = AdServer(opened_home, embedder_of(opened_home), context().clock)
    outcome = server.preview(AdRequest(text=query, language=language, viewer="cli"))
    if as_json:
        show_json(to_plain(outcome))
        return
    print(f"{outcome.offer.title}: {outcome.why}" if outcome.offer else "No ad.")
    show_table(
        ["campaign", "verdict"],
        [[c.campaign, getattr(c.verdict, "reason", "eligible")] for c in outcome.candidates],
    )


@app.command()
def replay(
    file: Annotated[
        Path,
        typer.Argument(
            help="A log of views that were for sale: click, market_price and pctr, as CSV with a "
            "header, or click, price and pCTR with tabs between them; plain or gzip."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Pace budgets over a log of bids, beside the best that was possible in hindsight."""
    from rookery.ads.replay import read_bid_log, replay
    from rookery.cli.show import show_json, show_table

    found = replay(read_bid_log(file))
    if as_json:
        show_json(found)
        return
    print(f"{found['views']:,} views\n")
    rows = [[b["fraction"], b["value_ratio"], b["spend_ratio"]] for b in found["budgets"]]
    show_table(["budget", "of the best value", "of the budget spent"], rows)


@app.command()
def report(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show offers, views, clicks and spend of every campaign, and whether the ledger adds up."""
    from rookery.ads.report import report

    _show(report(opened(home)), as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    from rookery.cli.show import show_facts, show_json, show_table

    if as_json:
        show_json(found)
        return
    rows = found["campaigns"]
    columns = list(rows[0]) if rows else ["campaign"]
    show_table(columns, [[row[c] for c in columns] for row in rows])
    show_facts(found["totals"], "\nTotals")
