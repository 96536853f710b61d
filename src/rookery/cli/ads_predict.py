"""`rookery ads predict evaluate` and `rookery ads offpolicy`: judgements from logs.

How a prediction is judged is in the package `ads/predict`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rookery.cli.ads import app, predict_app
from rookery.cli.options import JsonOption

if TYPE_CHECKING:
    from rookery.ads.predict.calibration import CalibratedPredictor
    from rookery.ads.predict.evaluate import Evaluation
    from rookery.ads.predict.logs import ClickLog


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
