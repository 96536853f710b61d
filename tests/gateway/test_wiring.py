"""The parts of a gateway, made from a home."""

import httpx2
import pytest

from rookery.core.context import Context, SystemClock
from rookery.core.errors import UsageError
from rookery.core.protocols import HashedEmbedder
from rookery.gateway.app import create_app
from rookery.gateway.wiring import open_parts
from rookery.posts.forget import forget
from rookery.search.build import build_index
from rookery.search.readers import store_readers
from rookery.search.scope import KnownReader
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
    first = parts.search("rooks", "latest", limit=1)
    second = parts.search("rooks", "latest", first.cursor, limit=1)
    assert [hit.text for hit in first.hits + second.hits] == ["more rooks at dusk", "rooks at dawn"]
    assert parts.post(first.hits[0].id, None).hit.text == "more rooks at dusk"
    with pytest.raises(UsageError, match="no reader"):
        parts.search("rooks", "best", reader="eve")
    store_readers(home, [KnownReader("eve", muted_words=("dusk",))])
    assert [hit.text for hit in parts.search("rooks", "best", reader="eve").hits] == [
        "rooks at dawn"
    ]


def test_the_page_for_a_hidden_posts_words_is_the_page_for_words_of_no_post(
    home, put, a_post, served
):
    put(
        a_post("the xyzzy sings at dawn", id="secret"),
        a_post("rooks at dusk"),
        a_post("crows at dusk"),
    )
    build_index(home, HashedEmbedder(), Context())
    with served(create_app(open_parts(home, Context()), SystemClock())) as address:

        def page(path: str, query: str) -> str:
            answer = httpx2.get(address + path, params={"q": query})
            return answer.text.replace("zyxxy", "xyzzy")

        paths = ("", "answer", "v1/search", "xrpc/app.bsky.feed.searchPosts", "api/v2/search")
        assert all(page(path, "xyzzy") != page(path, "zyxxy") for path in paths)
        assert httpx2.get(f"{address}posts/secret").status_code == 200
        forget(home, ["secret"], [], Context())
        for path in paths:
            assert page(path, "xyzzy") == page(path, "zyxxy")
        gone, never = (httpx2.get(f"{address}posts/{name}") for name in ("secret", "never"))
        assert (gone.status_code, gone.text) == (never.status_code, never.text) == (404, gone.text)


def test_suggestions_are_made_of_the_posts_of_the_home(home, put, a_post):
    put(*(a_post("the #regatta at the harbour", author=f"writer{n}") for n in range(5)))
    build_index(home, HashedEmbedder(), Context())
    parts = open_parts(home, Context())
    assert list(parts.suggest("#reg")) == ["#regatta"]
    assert parts.correct("harbuor") == "harbour"
    assert [(trend.text, trend.posts) for trend in parts.trends()] == [("#regatta", 5)]
