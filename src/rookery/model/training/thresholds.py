"""At which amount of training compute a law begins to look at a model.

One table of published numbers, told before a run begins and before a cluster is rented. It is no
legal advice: each law adds conditions of its own, and counts later tuning of the same model too.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Threshold:
    """An amount of compute in floating-point operations, and what the law says of more than
    that.
    """

    flops: float
    law: str


THRESHOLDS = (
    Threshold(
        1e23,
        "EU: a general-purpose model if it generates language (Commission guidelines of July "
        "2025 on the AI Act): "
        "technical documentation, a copyright policy and a public summary of the training data",
    ),
    Threshold(
        1e25,
        "EU: presumed to carry systemic risk (AI Act, article 51(2)): notify the Commission "
        "within two weeks "
        "(article 52(1)), evaluate and mitigate",
    ),
    Threshold(
        1e26,
        "California: a frontier model (SB 53, 2025): publish a framework and a transparency "
        "report, report incidents",
    ),
)


def thresholds_passed(flops: float) -> tuple[Threshold, ...]:
    """Those that a run of so many floating-point operations passes, lowest first."""
    return tuple(threshold for threshold in THRESHOLDS if flops > threshold.flops)


def warnings(flops: float) -> list[str]:
    """One line for each threshold that is passed."""
    return [
        f"{flops:.1e} FLOP is more than {t.flops:.0e}. {t.law}" for t in thresholds_passed(flops)
    ]
