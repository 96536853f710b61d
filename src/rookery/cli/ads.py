"""`rookery ads serve`, `explain`, `why`, `report`, `audit` and `replay`: auctions and the books.

How an auction is decided and a click charged is in the package `ads`.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from rookery.ads.terms.money import as_currency
from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened

app = typer.Typer(
    help="Import campaigns, preview auctions, and keep the books of views, clicks and spend.",
    no_args_is_help=True,
)
predict_app = typer.Typer(help="Judge predictions of clicks.", no_args_is_help=True)
app.add_typer(predict_app, name="predict")


@app.command()
def serve(
    query: Annotated[str, typer.Argument(help="The words that a person searched for.")],
    language: Annotated[
        str | None, typer.Option(help="The person's language as a two-letter code, such as en.")
    ] = None,
    country: Annotated[
        str | None, typer.Option(help="The person's country by two letters, such as DE.")
    ] = None,
    places: Annotated[int, typer.Option(help="How many places there are.", min=1, max=4)] = 1,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Preview the auction for a search: what would be shown, and why other groups would not.

    Nothing is booked: no offer is made, no budget is touched, and nobody's cap counts it.
    """
    from rookery.ads.server import AdRequest, AdServer
    from rookery.cli.show import context, show_json, show_table
    from rookery.core.config import to_plain
    from rookery.workflows.models import embedder_of

    opened_home = opened(home)
    with AdServer.of_home(opened_home, embedder_of(opened_home), context().clock) as server:
        request = AdRequest(query, language, "cli", country=country, places=places)
        preview = server.preview(request)
    if as_json:
        show_json(to_plain(preview))
        return
    for offer in preview.offers:
        print(f"{offer.title} ({offer.advertiser}), {as_currency(offer.price_micros)}\n{offer.why}")
    if not preview.offers:
        print("No ad.")
    print()
    show_table(
        ["group", "decision", "bid", "clicks", "words"],
        [
            [d.group, d.reason or "shown", as_currency(d.bid_micros), f"{d.pctr:.2%}",
             ", ".join(d.keywords)]
            for d in preview.decisions
        ],
    )  # fmt: skip
    for reason, count in preview.others.items():
        print(f"{count:,} other groups: {reason}")


@app.command()
def explain(
    auction: Annotated[int, typer.Argument(help="The number of an auction, as a view names it.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hold an auction again from its record: who took part, at what bids, and who paid what."""
    from rookery.ads.explain import explained
    from rookery.ads.ledger.store import opened_store
    from rookery.cli.show import show_facts, show_json, show_table

    opened_home = opened(home)
    with opened_store(opened_home) as engine:
        found = explained(opened_home, engine, auction)
    if as_json:
        show_json(found)
        return
    candidates, refused = found.pop("candidates"), found.pop("refused")
    show_facts(found)
    print()
    show_table(list(candidates[0]), [list(one.values()) for one in candidates])
    for reason, count in refused.items():
        print(f"{count:,} other groups: {reason}")


@app.command()
def why(
    campaign: Annotated[str, typer.Argument(help="The id of a campaign.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Count why the groups of a campaign did not run, and how often they were offered."""
    from dataclasses import asdict

    from rookery.ads.explain import why
    from rookery.ads.ledger.store import opened_store, reading
    from rookery.cli.show import show_json, show_table

    with opened_store(opened(home)) as engine, reading(engine) as connection:
        rows = why(connection, campaign)
    if as_json:
        show_json([asdict(one) for one in rows])
        return
    if not rows:
        print("No request has concerned it yet; `rookery ads serve` previews one.")
        return
    show_table(["group", "reason", "times"], [[r.group, r.reason, r.times] for r in rows])


@app.command()
def audit(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Prove the books: every sum, every chain of events, every price; exit code 1 if any is off."""
    from rookery.ads.ledger.audit import audit
    from rookery.ads.ledger.store import opened_store, reading
    from rookery.cli.show import show_json

    with opened_store(opened(home)) as engine, reading(engine) as connection:
        findings = audit(connection)
    if as_json:
        show_json({"agrees": not findings, "findings": list(findings)})
    else:
        print("\n".join(findings) if findings else "The books agree.")
    raise typer.Exit(1 if findings else 0)


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
