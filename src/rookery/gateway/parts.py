"""What the gateway serves, as plain functions: the seam between the routes and all behind them.

`wiring.py` makes the parts from a home; a test makes them from twins.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rookery.core.protocols import Generator

if TYPE_CHECKING:
    from rookery.ads.server import AdServer
    from rookery.search.ask import Answer
    from rookery.search.search import Mode, Results


@dataclass(frozen=True)
class Parts:
    """The functions behind the routes; each may raise a `RookeryError`, whose line is then shown.

    search: a query and the mode (`best` or `latest`) to results. answer: a query to an answer.
    report: the report of the ads ledger, as `rookery ads report --json` prints it.
    """

    search: Callable[[str, "Mode"], "Results"]
    answer: Callable[[str], "Answer"]
    ads: "AdServer"
    report: Callable[[], dict[str, Any]]
    generator: Generator
