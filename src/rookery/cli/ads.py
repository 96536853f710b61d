"""`rookery ads …`: campaigns, a preview of one auction, the report, and judgements from logs.

How an auction is decided, a click charged and a prediction judged is in the package `ads`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, opened

if TYPE_CHECKING:
    from rookery.ads.predict.calibration import CalibratedPredictor
    from rookery.ads.predict.evaluate import Evaluation
    from rookery.ads.predict.logs import ClickLog

app = typer.Typer(
    help="Load ad campaigns, run auctions, and report views, clicks and spend.",
    no_args_is_help=True,
)
predict_app = typer.Typer(help="Judge predictions of clicks.", no_args_is_help=True)
app.add_typer(predict_app, name="predict")


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


@predict_app.command()
def evaluate(
    file: Annotated[
        Path, typer.Argument(help="A click log laid out as Avazu's or Criteo's: CSV or Parquet.")
    ],
    folds: Annotated[int, typer.Option(help="Into how many equal parts the log is cut.")] = 3,
    deep: Annotated[
        bool, typer.Option("--deep", help="Judge DCNv2 instead of FTRL; it needs rookery[model].")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Judge how well clicks are predicted, on the views of a click log that were not learned from.

    Where the log tells the time, a part is predicted from those before it; elsewhere, from all
    others. Learning rates are chosen without the part that is judged.
    """
    from dataclasses import asdict

    from rookery.ads.predict.evaluate import evaluate, ftrl_candidates
    from rookery.ads.predict.logs import read_clicks
    from rookery.cli.show import show_json

    log = read_clicks(file)
    found = evaluate(log, folds, _deep_candidates(log) if deep else ftrl_candidates)
    if as_json:
        show_json(asdict(found))
        return
    _show_evaluation(found)


@app.command()
def offpolicy(
    log: Annotated[
        Path, typer.Argument(help="The log to learn from, with propensities, as Open Bandit's.")
    ],
    policy: Annotated[
        Path, typer.Option(help="A log of the policy to judge: what it chose, and how often.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Estimate the clicks a view that one policy would have had, from the log of another.

    By inverse propensity scoring, self-normalized, and doubly robust, each with a 95% interval.
    """
    from dataclasses import asdict

    from rookery.ads.predict.logs import read_choices
    from rookery.ads.predict.offpolicy import judge
    from rookery.cli.show import show_facts, show_json, show_table

    found = judge(read_choices(log), read_choices(policy))
    if as_json:
        show_json(asdict(found))
        return
    rows = [
        [name, *(f"{number:.5f}" for number in (one.value, one.low, one.high))]
        for name, one in found.rows()
    ]
    show_table(["clicks a view", "estimate", "low (95%)", "high (95%)"], rows)
    show_facts({"effective views": round(found.effective_views), "views": found.views})


def _deep_candidates(log: "ClickLog") -> "Callable[[float], list[CalibratedPredictor]]":
    from rookery.ads.predict.calibration import CalibratedPredictor
    from rookery.core.extras import require_model

    require_model()
    from rookery.model.clicks import RATES, ClickShape, DeepPredictor

    def candidates(ctr: float) -> list[CalibratedPredictor]:
        fields = log.buckets.shape[1]
        shapes = [ClickShape(fields, rate=rate, prior_ctr=ctr) for rate in RATES]
        return [CalibratedPredictor(DeepPredictor(shape)) for shape in shapes]

    return candidates


def _show_evaluation(found: "Evaluation") -> None:
    from rookery.cli.show import show_facts, show_table

    parts = [
        [n, one.rows, one.clicks, *(f"{x:.4f}" for x in (one.auc, one.log_loss)), one.calibrated]
        for n, one in enumerate(found.folds, 1)
    ]
    show_table(["fold", "views", "clicks", "AUC", "log loss", "calibrated"], parts)
    order = "those before it" if found.in_time_order else "all others: the log tells no time"
    show_facts(
        {
            "layout": found.layout,
            "views": found.rows,
            "each fold predicted from": order,
            "AUC": f"{found.auc:.4f}",
            "log loss": f"{found.log_loss:.4f}",
            "log loss of the mean rate": f"{found.constant_log_loss:.4f}",
            "predicted clicks for each real one": f"{found.calibration['predicted_by_real']:.3f}",
            "calibration error": f"{found.calibration['expected_error']:.4f}",
        },
        "\nAll folds",
    )


def _show(found: dict[str, Any], as_json: bool) -> None:
    from rookery.cli.show import show_facts, show_json, show_table

    if as_json:
        show_json(found)
        return
    rows = found["campaigns"]
    columns = list(rows[0]) if rows else ["campaign"]
    show_table(columns, [[row[c] for c in columns] for row in rows])
    show_facts(found["totals"], "\nTotals")
