"""Searching a home's posts: the index with the vectors of the home's own model."""

from rookery.core.context import Context
from rookery.core.home import Home
from rookery.search import index
from rookery.search.index import IndexReport, SearchIndex
from rookery.workflows.models import embedder_of


def build_index(home: Home, context: Context = Context()) -> IndexReport:
    """Index every post that may be searched, with vectors of the newest model if there is one.

    Raises `UsageError` if there are no posts or another build is running.
    """
    return index.build_index(home, embedder_of(home), context)


def open_index(home: Home) -> SearchIndex:
    """Open the home's search index; raise `UsageError` if there is none for its newest model."""
    return index.open_index(home, embedder_of(home))
