"""The page of a training run: its curves over all phases, samples of its text, its evaluation.

The facts come from `report.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rookery.model.pages.evaluation import curve, render

WIDTH, HEIGHT = 640, 200
MOST_POINTS = 300  # of a line; each is the mean of its neighbours
TICKS = 4

Points = list[tuple[float, float]]
"""A line, as (step, value)."""


@dataclass(frozen=True)
class Chart:
    """A chart of `WIDTH` × `HEIGHT`: lines, dots with words, and ticks as (place, words)."""

    title: str
    note: str
    lines: tuple[Points, ...]
    dots: tuple[tuple[float, float, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def page(facts: dict[str, Any]) -> str:
    """Return the facts of `report.py` as HTML; all text of the model is escaped."""
    evaluation = facts["evaluation"]
    months = curve(evaluation["months"]) if evaluation else None
    sizes = {"width": WIDTH, "height": HEIGHT}
    return render(
        "report.html.jinja", facts=facts, charts=charts(facts["runs"]), curve=months, **sizes
    )


def charts(runs: Sequence[dict[str, Any]]) -> list[Chart]:
    """Return the charts of loss, learning rate, speed and utilisation over all phases' steps.

    A chart without points is left out.
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
    titles = {
        "loss": (
            "Loss",
            "In nats for each token: a line for training, dots for held-out posts, a few on the "
            "way and more at the end.",
        ),
        "learning_rate": ("Learning rate", "Of the layers' matrices."),
        "tokens_per_second": ("Tokens per second", "The mean since the run last began or resumed."),
        "utilisation": (
            "Utilisation",
            "As a share of the rate at which this machine multiplies large matrices.",
        ),
    }
    drawn = (
        (title, note, _lines(runs, name), dots if name == "loss" else [])
        for name, (title, note) in titles.items()
    )
    return [chart(title, note, lines, seen) for title, note, lines, seen in drawn if lines]


def chart(
    title: str, note: str, lines: Sequence[Points], dots: Sequence[tuple[float, float, str]] = ()
) -> Chart:
    """Return a chart of lines and dots that are given in their own units."""
    every = [point for line in lines for point in line] + [(step, value) for step, value, _ in dots]
    x_ticks, y_ticks = (ticks([point[axis] for point in every]) for axis in (0, 1))
    low, high = min(y_ticks), max(y_ticks)
    last = max(*(step for step, _ in every), 1)

    def x(step: float) -> float:
        return round(WIDTH * step / last, 1)

    def y(value: float) -> float:
        return round(HEIGHT * (high - value) / (high - low), 1)

    return Chart(
        title,
        note,
        tuple([(x(a), y(b)) for a, b in line] for line in lines),
        tuple((x(a), y(b), words) for a, b, words in dots),
        tuple((x(tick), f"{tick:,.0f}") for tick in x_ticks if tick <= last),
        tuple((y(tick), f"{tick:,.6g}") for tick in y_ticks),
    )


def ticks(values: Sequence[float]) -> list[float]:
    """Return a few round numbers, evenly spaced, that all values lie between."""
    low, high = min(values), max(values)
    rough = (high - low or abs(high) or 1) / TICKS
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * n for n in (1, 2, 5, 10) if unit * n >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * n, 12) for n in range(first, max(last, first + 1) + 1)]


def _lines(runs: Sequence[dict[str, Any]], name: str) -> list[Points]:
    """Return a line for each phase."""
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
    """Return at most `MOST_POINTS` points, each the mean of several neighbours."""
    size = -(-len(points) // MOST_POINTS) or 1
    groups = (points[start : start + size] for start in range(0, len(points), size))
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]
