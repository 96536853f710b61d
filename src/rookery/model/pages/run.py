"""A training run as a page: its curves over the steps of all phases, what it wrote, and how it was
judged.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rookery.model.pages.evaluation import curve, render

WIDTH, HEIGHT = 640, 200
MOST_POINTS = 300  # of a line; each is the mean of what lies between
TICKS = 4

Points = list[tuple[float, float]]
"""A line, as (step, value)."""


@dataclass(frozen=True)
class Chart:
    """Lines and dots laid out on `WIDTH` × `HEIGHT`, and the ticks of both axes as (place,
    words).
    """

    title: str
    note: str
    lines: tuple[Points, ...]
    dots: tuple[tuple[float, float, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def page(facts: dict[str, Any]) -> str:
    """What `report.py` describes, as HTML; whatever the model wrote is escaped."""
    evaluation = facts["evaluation"]
    months = curve(evaluation["months"]) if evaluation else None
    sizes = {"width": WIDTH, "height": HEIGHT}
    return render(
        "report.html.jinja", facts=facts, charts=charts(facts["runs"]), curve=months, **sizes
    )


def charts(runs: Sequence[dict[str, Any]]) -> list[Chart]:
    """Loss, learning rate, speed and utilisation over the steps of all phases; one without points
    is left out.
    """
    measured = [(run["first_step"] + run["steps"], run["validation_loss"]) for run in runs]
    dots = [(step, loss, f"held out: {loss:.3f}") for step, loss in measured if loss is not None]
    dots += [
        (
            run["first_step"] + note["step"] + 1,
            note["held_out_loss"],
            f"a few held out: {note['held_out_loss']:.3f}",
        )
        for run in runs
        for note in run["curve"]
        if note.get("held_out_loss") is not None
    ]
    told = {
        "loss": (
            "Loss",
            "Nats a token: a line for training, dots for held-out posts, a few on the way and "
            "more at the end.",
        ),
        "learning_rate": ("Learning rate", "Of the layers' matrices."),
        "tokens_per_second": ("Tokens a second", "The mean since the run last began or went on."),
        "utilisation": (
            "Utilisation",
            "Share of the rate at which this machine multiplies large matrices.",
        ),
    }
    drawn = (
        (words, _lines(runs, name), dots if name == "loss" else []) for name, words in told.items()
    )
    return [chart(*words, lines, seen) for words, lines, seen in drawn if lines]


def chart(
    title: str, note: str, lines: Sequence[Points], dots: Sequence[tuple[float, float, str]] = ()
) -> Chart:
    """Lay lines and dots, in their own units, out on the picture."""
    every = [point for line in lines for point in line] + [(x, y) for x, y, _ in dots]
    x_ticks, y_ticks = (ticks([point[axis] for point in every]) for axis in (0, 1))
    low, high = min(y_ticks), max(y_ticks)
    last = max(*(x for x, _ in every), 1)
    x, y = (
        (lambda step: round(WIDTH * step / last, 1)),
        (lambda v: round(HEIGHT * (high - v) / (high - low), 1)),
    )
    return Chart(
        title,
        note,
        tuple([(x(a), y(b)) for a, b in line] for line in lines),
        tuple((x(a), y(b), words) for a, b, words in dots),
        tuple((x(tick), f"{tick:,.0f}") for tick in x_ticks if tick <= last),
        tuple((y(tick), f"{tick:,.6g}") for tick in y_ticks),
    )


def ticks(values: Sequence[float]) -> list[float]:
    """A few round numbers, evenly spaced, that hold all values between the first and the last."""
    low, high = min(values), max(values)
    rough = (high - low or abs(high) or 1) / TICKS
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * n for n in (1, 2, 5, 10) if unit * n >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * n, 12) for n in range(first, max(last, first + 1) + 1)]


def _lines(runs: Sequence[dict[str, Any]], name: str) -> list[Points]:
    """A line for each phase."""
    lines = []
    for run in runs:
        points = [
            (run["first_step"] + n["step"], n[name])
            for n in run["curve"]
            if n.get(name) is not None
        ]
        lines += [_thinned(points)] if points else []
    return lines


def _thinned(points: Points) -> Points:
    """At most `MOST_POINTS` of them, each the mean of its neighbours."""
    size = -(-len(points) // MOST_POINTS) or 1
    groups = (points[start : start + size] for start in range(0, len(points), size))
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]
