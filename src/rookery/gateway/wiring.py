"""The one place where model, search and ads are put together, for as long as a process serves.

The newest checkpoint serves; where there is none, the untrained twins do. Where there is no search
index yet, a search raises an error that names the command to make one, and the rest of the page
still works. What the parts are is in `parts.py`; how a model is chosen, in `workflows/models.py`.

Imports are inside the functions: a command that only wants an embedder must not wait for all the
rest, and torch is loaded only where there is a model.
"""

import functools
from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from rookery.core.context import Context
from rookery.core.home import Home
from rookery.gateway.parts import RESULTS, Parts, Search
from rookery.workflows.models import embedder_of, generator_of
from rookery.workflows.search import writer_of

if TYPE_CHECKING:
    from rookery.search.index import PostIndex
    from rookery.search.search import Mode, Results


def open_parts(home: Home, context: Context) -> Parts:
    """Load the models and open index and ads once, for as long as the process serves."""
    from rookery.ads.report import report
    from rookery.ads.server import AdServer
    from rookery.search.answers.kept import KeptAnswers
    from rookery.search.answers.question import is_question
    from rookery.search.post import post_page
    from rookery.search.suggest import completions, correction, trends
    from rookery.workflows.search import open_index

    embedder = embedder_of(home)
    generator = generator_of(home)
    index = functools.cache(functools.partial(open_index, home))  # what fails is tried again
    answers = KeptAnswers(writer_of(home, lambda: generator, context.clock))
    return Parts(
        search=_search(home, index),
        post=lambda post_id, query: post_page(index(), post_id, query),
        asks=is_question,
        answer=lambda text: answers.ask(index(), text),
        ads=AdServer.of_home(home, embedder, context.clock),
        report=functools.partial(report, home),
        generator=generator,
        suggest=lambda prefix: completions(index(), prefix),
        correct=lambda text: correction(index(), text),
        trends=lambda: trends(index()),
        lag=lambda: index().lag(),
    )


def _search(home: Home, index: Callable[[], "PostIndex"]) -> Search:
    """Return the search of the index in force."""
    from rookery.search.readers import reader_named
    from rookery.search.search import search_posts

    def search(
        text: str,
        mode: "Mode",
        cursor: str | None = None,
        limit: int = RESULTS,
        zone: tzinfo = UTC,
        reader: str | None = None,
    ) -> "Results":
        known = None if reader is None else reader_named(home, reader)
        return search_posts(index(), text, limit, mode, cursor, zone, known)

    return search
