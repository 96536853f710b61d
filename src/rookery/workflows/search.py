"""Searching a home's posts: the index with the vectors of the home's own model.

Who writes the answers is a setting of the home (`[answers]` in `rookery.toml`).
"""

import functools
from collections.abc import Callable

from rookery.core.context import Clock, Context, SystemClock
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.core.protocols import Embedder, Generator
from rookery.search import build, follow, index
from rookery.search.answers.writers import EXTRACTION, AnswerWriter
from rookery.search.build import IndexReport
from rookery.search.index import PostIndex
from rookery.search.shards.cluster import build_on_cluster, follow_on_cluster, open_shards
from rookery.workflows.models import embedder_key, embedder_of, embedder_with


def build_index(home: Home, context: Context = Context()) -> IndexReport:
    """Bring the index up to date, with vectors of the newest model if there is one.

    Raises `UsageError` if there are no posts.
    """
    if home.settings.search.runner == "ray":
        return build_on_cluster(home, newest_embedder, context)
    return build.build_index(home, embedder_of(home), context)


def follow_index(
    home: Home, context: Context = Context(), ended: Callable[[], bool] = lambda: False
) -> None:
    """Keep the index current until `ended` says so or Ctrl-C is pressed.

    A new model gets an index of its own, which takes over when it has caught up.
    """
    if home.settings.search.runner == "ray":
        follow_on_cluster(home, newest_embedder, embedder_with, ended)
        return
    earlier = functools.partial(embedder_with, home)
    follow.follow_index(home, newest_embedder(home), context, ended, earlier)


def open_index(home: Home) -> PostIndex:
    """Open the home's search index; raise `UsageError` if there is none for its newest model."""
    if home.settings.search.runner == "ray":
        return open_shards(home, newest_embedder)
    return index.open_index(home, newest_embedder(home))


def newest_embedder(home: Home) -> Callable[[], Embedder]:
    """Return a function that returns the home's embedder, and loads it when it has changed."""

    @functools.lru_cache(maxsize=1)
    def loaded(key: str) -> Embedder:
        return embedder_of(home)

    return lambda: loaded(embedder_key(home))


def writer_of(
    home: Home, generator: Callable[[], Generator], clock: Clock | None = None
) -> AnswerWriter:
    """Return the writer of answers that the home's settings name.

    generator: makes the home's own generator, and is only called if that one writes. Raises
    `UsageError` if the file with an endpoint's key cannot be read.
    """
    from rookery.search.answers.generation import EndpointWriter, GeneratorWriter

    chosen, clock = home.settings.answers, clock or SystemClock()
    if chosen.writer == "model":
        return GeneratorWriter(generator(), chosen.seconds, clock)
    if chosen.writer == "endpoint":
        key = _key(home, chosen.key_file)
        return EndpointWriter(
            chosen.endpoint, chosen.model, key, chosen.seconds, clock, chosen.context_tokens
        )
    return EXTRACTION


def _key(home: Home, name: str) -> str:
    try:
        return (home.path / name).read_text().strip() if name else ""
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            "the key of the endpoint for answers cannot be read",
            where=home.path / name,
            hint="Write it there, or change [answers] key_file in rookery.toml",
        ) from None
