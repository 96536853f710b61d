"""What the gateway serves, as plain functions: the seam between the routes and all behind them.

`wiring.py` makes the parts from a home; a test makes them from twins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, Protocol

from rookery.core.protocols import Generator

if TYPE_CHECKING:
    from rookery.ads.server import AdServer
    from rookery.search.answers.answer import Answer
    from rookery.search.lag import Lag
    from rookery.search.post import PostPage
    from rookery.search.search import Mode, Results
    from rookery.search.suggest import Trend

RESULTS = 20
"""Posts on a page, unless a program asks for another number."""


class Search(Protocol):
    """A search of the posts."""

    def __call__(
        self,
        text: str,
        mode: "Mode",
        cursor: str | None = None,
        limit: int = RESULTS,
        zone: tzinfo = UTC,
        reader: str | None = None,
    ) -> "Results":
        """Return one page of results.

        cursor: that of the page before. zone: where the reader's days begin. reader: the name of
        whoever reads, whose blocks and mutes hold; None for a stranger.
        """


@dataclass(frozen=True)
class Parts:
    """The functions behind the routes; each may raise a `RookeryError`, whose line is then shown.

    search: a page of results. post: an id, and the query that led there or None, to the page of a
    post. asks: whether a text is a question; only such a one has an answer. answer: a question to
    an answer. report: the report of the ads ledger, as `rookery ads report --json` prints it.

    Absent where a home does not offer them: suggest, what completes the beginning of a word, as it
    is written in a query (`#rooks`, `from:ada`); correct, another spelling of a query, or None;
    trends, what is written more than before; lag, that the index lacks posts, or None.
    """

    search: Search
    post: Callable[[str, str | None], "PostPage | None"]
    asks: Callable[[str], bool]
    answer: Callable[[str], "Answer"]
    ads: "AdServer"
    report: Callable[[], dict[str, Any]]
    generator: Generator
    suggest: Callable[[str], Sequence[str]] | None = None
    correct: Callable[[str], str | None] | None = None
    trends: Callable[[], "Sequence[Trend]"] | None = None
    lag: Callable[[], "Lag | None"] = lambda: None
