"""The page of an evaluation: its figures, and the curve of how the model ages.

It is one HTML file that loads nothing from elsewhere. The figures come from `evaluate.py`; the page
of a training run (`pages/run.py`) shows the same curve.
"""

from pathlib import Path
from typing import Any

import jinja2

CURVE_WIDTH, CURVE_HEIGHT = 640, 200
SHOWN = ("model", "ngram")
SHOWN_LANGUAGES = 14


def page(result: dict[str, Any]) -> str:
    """Return the result of `evaluate.py` as HTML."""
    return render(
        "evaluation.html.jinja",
        result=result,
        groups=groups(result),
        curve=curve(result["months"]),
        aged=aged_in_words(result["aged"]) if result.get("aged") else "",
    )


def render(template: str, **facts: Any) -> str:
    """Return one of this package's templates filled with facts.

    All values are escaped; a value that is missing is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(**facts)


def groups(result: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows of the table, each as its name and its figures."""
    languages = list(result["languages"].items())[:SHOWN_LANGUAGES]
    return [
        ("all", result),
        *((f"language: {name}", found) for name, found in languages),
        *((f"author {name} in training", found) for name, found in result["authors_seen"].items()),
        *((f"text: {name}", found) for name, found in result["novelty"].items()),
        *((_month(name), found) for name, found in result["months"].items()),
    ]


def aged_in_words(aged: dict[str, Any]) -> str:
    """Return the sentence that says by how much a model has aged."""
    more = aged["more_bits_per_byte"]
    return (
        f"From month {aged['from_month']} to month {aged['to_month']} after training the model "
        f"has aged by {more['model']:+.3f} bits per byte, the n-gram model by {more['ngram']:+.3f}."
    )


def _month(name: str) -> str:
    return "older than the last post in training" if name == "0" else f"month {name} after training"


def curve(months: dict[str, Any]) -> dict[str, Any]:
    """Return the chart of bits per byte over months.

    It has the points of each system's line, the model's 95% band, and the ends of the axes.
    """
    values = [v for found in months.values() for v in _heights(found)]
    low, high = min(values) - 0.05, max(values) + 0.05
    x = {name: CURVE_WIDTH * (place + 0.5) / len(months) for place, name in enumerate(months)}

    def y(bits: float) -> float:
        return CURVE_HEIGHT * (high - bits) / (high - low)

    lines = {
        system: [
            (round(x[name], 1), round(y(found["bits_per_byte"][system]), 1))
            for name, found in months.items()
        ]
        for system in SHOWN
    }
    intervals = [
        (x[name], *map(y, found["interval_95"]["model"]))
        for name, found in months.items()
        if found["interval_95"]
    ]
    band = [(round(a, 1), round(b, 1)) for a, b, _ in intervals] + [
        (round(a, 1), round(c, 1)) for a, _, c in intervals[::-1]
    ]
    return {
        "width": CURVE_WIDTH,
        "height": CURVE_HEIGHT,
        "lines": lines,
        "band": band,
        "low": round(low, 2),
        "high": round(high, 2),
        "months": list(months),
    }


def _heights(found: dict[str, Any]) -> list[float]:
    return [
        *(found["bits_per_byte"][system] for system in SHOWN),
        *found["interval_95"].get("model", ()),
    ]
