"""The one place where model, search and ads meet: which embedder and generator a home has, and what the pages get.

The newest checkpoint serves; where there is none, the untrained twins do. A part that cannot be opened
(no index yet) says so when it is asked, so that the rest of the page still works.

Imports stand inside the functions: a command that only wants an embedder must not wait for all the rest,
and torch is loaded only where there is a model.
"""

import functools
from typing import Any

from rookery.core.context import Context
from rookery.core.errors import RookeryError
from rookery.core.home import Home
from rookery.core.protocols import Embedder, Generator, HashedEmbedder, SeededGenerator
from rookery.gateway.parts import Parts

RESULTS = 20


def embedder_of(home: Home) -> Embedder:
    """The embedder of the newest checkpoint, or the untrained twin."""
    checkpoint = home.newest("checkpoint")
    if checkpoint is None:
        return HashedEmbedder()
    from rookery.model.embed import load_embedder

    return load_embedder(checkpoint)


def generator_of(home: Home) -> Generator:
    """The generator of the newest checkpoint, or the untrained twin, whose name says so."""
    checkpoint = home.newest("checkpoint")
    if checkpoint is None:
        return SeededGenerator()
    from rookery.model.generate import load_generator

    return load_generator(checkpoint)


def open_parts(home: Home, context: Context) -> Parts:
    """Load the models and open index and ads once, for as long as the process serves."""
    from rookery.ads.report import report
    from rookery.ads.server import AdServer
    from rookery.search.answer import answer
    from rookery.search.index import open_index
    from rookery.search.search import search

    embedder = embedder_of(home)
    try:
        index = open_index(home, embedder)
    except RookeryError as error:
        search_posts = answer_question = functools.partial(_refuse, error)
    else:
        search_posts = lambda text, mode: search(index, text, limit=RESULTS, mode=mode)  # noqa: E731
        answer_question = functools.partial(answer, index)
    ads = AdServer(home, embedder, context.clock)
    return Parts(search_posts, answer_question, ads, functools.partial(report, home), generator_of(home))


def _refuse(error: RookeryError, *_: Any) -> None:
    raise error
