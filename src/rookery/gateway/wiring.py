"""The one place where model, search and ads are put together, for as long as a process serves.

The newest checkpoint serves; where there is none, the untrained twins do. Where there is no search
index yet, a search raises an error that names the command to make one, and the rest of the page
still works. What the parts are is in `parts.py`; how a model is chosen, in `workflows/models.py`.

Imports are inside the functions: a command that only wants an embedder must not wait for all the
rest, and torch is loaded only where there is a model.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from rookery.core.context import Context
from rookery.core.home import Home
from rookery.core.protocols import Embedder
from rookery.gateway.parts import Parts
from rookery.workflows.models import embedder_of, generator_of

if TYPE_CHECKING:
    from rookery.search.index import SearchIndex

RESULTS = 20


def open_parts(home: Home, context: Context) -> Parts:
    """Load the models and open index and ads once, for as long as the process serves."""
    from rookery.ads.report import report
    from rookery.ads.server import AdServer
    from rookery.search.ask import ask
    from rookery.search.search import search_posts

    embedder = embedder_of(home)
    index = _index_in_force(home, embedder)
    return Parts(
        search=lambda text, mode: search_posts(index(), text, limit=RESULTS, mode=mode),
        answer=lambda text: ask(index(), text),
        ads=AdServer(home, embedder, context.clock),
        report=functools.partial(report, home),
        generator=generator_of(home),
    )


def _index_in_force(home: Home, embedder: Embedder) -> Callable[[], "SearchIndex"]:
    """Return a function that returns the index in force.

    It opens the index once, and again after `rookery search index` made another.
    """
    from rookery.search.index import CURRENT, open_index

    @functools.lru_cache(maxsize=1)
    def opened(made_at: int) -> "SearchIndex":
        return open_index(home, embedder)

    def index() -> "SearchIndex":
        current = home.search / CURRENT
        return opened(current.stat().st_mtime_ns if current.exists() else 0)

    return index
