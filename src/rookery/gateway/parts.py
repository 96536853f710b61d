"""What the gateway serves, as plain functions: the seam between the pages and everything behind
them.

`wiring.py` fills it from a home; a test fills it with twins.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rookery.core.protocols import Generator

if TYPE_CHECKING:
    from rookery.ads.server import AdServer
    from rookery.search.ask import Answer
    from rookery.search.search import Results


@dataclass(frozen=True)
class Parts:
    """Each may raise a `RookeryError`, whose line is then shown in its place.

    search: what was typed and the mode (`best` or `latest`) to results. answer: the same to an
    answer. report: what the ads ledger says, as `rookery ads report --json` does.
    """

    search: Callable[[str, str], "Results"]
    answer: Callable[[str], "Answer"]
    ads: "AdServer"
    report: Callable[[], dict[str, Any]]
    generator: Generator
