"""Fixtures: an application on a loopback port, with twins of search and model and real ads."""

import itertools
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import uvicorn

from rookery.ads.report import report
from rookery.ads.server import AdServer
from rookery.core.context import SystemClock
from rookery.core.protocols import HashedEmbedder, SeededGenerator
from rookery.gateway.app import create_app
from rookery.gateway.parts import Parts
from rookery.gateway.serve import address_of, listening, server_config
from rookery.search.hits import Hit
from rookery.search.search import Results
from tests.support.selling import campaign, sell

HARBOUR_TEA = campaign(
    "harbour-tea",
    advertiser="Harbour Tea <House>",
    title="Tea above the old harbour",
    body="Forty teas, one view.",
    url="https://example.com/tea?a=1&b=2",
)


@pytest.fixture
def ads(home):
    """A real ad server with one campaign, about tea."""
    with AdServer.of_home(home, HashedEmbedder(), SystemClock()) as server:
        sell(server.store, HARBOUR_TEA)
        yield server


BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def browser_headers() -> dict[str, str]:
    """The headers by which a request is taken for one of a person's browser."""
    return {"user-agent": BROWSER}


def a_hit(text: str, **fields) -> Hit:
    moment = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    hit = Hit("1", "ada", text, moment, "en", 2.0, {"bm25": 1.5})
    return replace(hit, **fields)


@pytest.fixture
def parts(home, ads) -> Parts:
    """The parts of a gateway in which every search finds one post.

    The post holds the query and the answer cites it; the ads are real, the generator is untrained.
    """
    return Parts(
        search=lambda text, mode, cursor=None, **_: Results(
            (a_hit(f"{text} is fine", highlights=((0, len(text)),)),),
            f"{text} ({mode})",
            {"copy": 2},
        ),
        post=lambda post_id, query: None,
        asks=lambda text: text.endswith("?"),
        answer=lambda text: SimpleNamespace(
            sentences=(SimpleNamespace(text=f"{text} is fine.", citations=(1,)),),
            sources=(a_hit(f"{text} is fine"),),
            note=None,
        ),
        ads=ads,
        report=lambda: report(home),
        generator=SeededGenerator(),
    )


@pytest.fixture(scope="session")
def served():
    """A function that serves an application on a free port and yields its address."""
    return _served


@contextmanager
def _served(app):
    with listening("127.0.0.1", 0) as listener:
        server = uvicorn.Server(server_config(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield address_of(listener)
        finally:
            server.should_exit = True
            thread.join()


def counting() -> Callable[[], str]:
    """Return a function that returns names that count up, in place of random ones."""
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):032x}"


@pytest.fixture
def address(parts, served) -> str:
    """The address of an application that serves these parts."""
    with served(create_app(parts, SystemClock(), counting())) as found:
        yield found
