"""Thresholds: the amounts of training compute from which on a law applies to a model.

One table of published numbers, which people see before a run begins and before a cluster is rented.
It is no legal advice: each law adds conditions of its own, and counts later tuning of the same
model too. Not here: who prints the warnings (`inputs.py`, `fleet/plan.py`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Threshold:
    """An amount of compute in floating-point operations, and what a law asks above it."""

    flops: float
    law: str


THRESHOLDS = (
    Threshold(
        1e23,
        "EU: a general-purpose model if it generates language (Commission guidelines of July 2025 "
        "on the AI Act): technical documentation, a copyright policy and a public summary of the "
        "training data",
    ),
    Threshold(
        1e25,
        "EU: presumed to carry systemic risk (AI Act, article 51(2)): notify the Commission within "
        "two weeks (article 52(1)), evaluate and mitigate",
    ),
    Threshold(
        1e26,
        "California: a frontier model (SB 53, 2025): publish a framework and a transparency "
        "report, report incidents",
    ),
)


def thresholds_passed(flops: float) -> tuple[Threshold, ...]:
    """Return the thresholds that so many floating-point operations pass, lowest first."""
    return tuple(threshold for threshold in THRESHOLDS if flops > threshold.flops)


def warnings(flops: float) -> list[str]:
    """Return one line for each threshold that so many floating-point operations pass."""
    return [
        f"{flops:.1e} FLOP is more than {t.flops:.0e}. {t.law}" for t in thresholds_passed(flops)
    ]
