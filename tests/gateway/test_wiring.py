"""The parts of a gateway, made from a home."""

import httpx2
import pytest

from rookery.core.context import Context, SystemClock
from rookery.core.errors import UsageError
from rookery.core.protocols import HashedEmbedder
from rookery.gateway.app import create_app
from rookery.gateway.wiring import open_parts
from rookery.posts.forget import forget
from rookery.search.index import build_index
from rookery.workflows.models import embedder_of, generator_of


def test_a_home_without_a_model_is_served_by_the_untrained_twins(home):
    assert embedder_of(home) == HashedEmbedder()
    assert generator_of(home).name == "untrained"


def test_an_index_that_is_made_anew_while_serving_is_asked_from_then_on(home, put, a_post):
    parts = open_parts(home, Context())
    with pytest.raises(UsageError, match="rookery search index"):
        parts.search("rooks", "best")
    put(a_post("rooks at dawn"))
    build_index(home, HashedEmbedder(), Context())
    assert [hit.text for hit in parts.search("rooks", "best").hits] == ["rooks at dawn"]
    put(a_post("more rooks at dusk"), key="later")
    build_index(home, HashedEmbedder(), Context())
    assert len(parts.search("rooks", "best").hits) == 2
    assert parts.answer("rooks at dusk").sources


def test_the_page_for_a_hidden_posts_words_is_the_page_for_words_of_no_post(
    home, put, a_post, served
):
    put(a_post("xyzzy at dawn", id="secret"), a_post("rooks at dusk"), a_post("crows at dusk"))
    build_index(home, HashedEmbedder(), Context())
    with served(create_app(open_parts(home, Context()), SystemClock())) as address:

        def page(query: str) -> str:
            return httpx2.get(address, params={"q": query}).text.replace("zyxxy", "xyzzy")

        assert page("xyzzy") != page("zyxxy")
        forget(home, ["secret"], [], Context())
        assert page("xyzzy") == page("zyxxy")
