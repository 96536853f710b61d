"""An index over a few posts, for the tests of search."""

import pytest

from rookery.core.context import Context, FixedClock
from rookery.core.protocols import HashedEmbedder
from rookery.search.build import build_index
from rookery.search.index import open_index


@pytest.fixture
def indexed(home, put):
    """Put posts into the lake, build the index and open it, with a clock in the middle of 2026."""

    def indexed(*posts, key="test"):
        put(*posts, key=key)
        build_index(home, HashedEmbedder(), Context())
        return open_index(home, HashedEmbedder(), FixedClock(FixedClock().time.replace(month=7)))

    return indexed


@pytest.fixture
def found():
    """Return the ids that a search finds."""
    from rookery.search.search import search_posts

    def found(index, text, **options):
        return [hit.id for hit in search_posts(index, text, **options).hits]

    return found
