"""Measure forgetting a thousand posts: the seconds of the call, and until no page shows them.

    python benchmarks/bench_forget.py --data tweets.parquet [--home HOME]

`rookery serve` runs as a process of its own; a client requests, without a pause and over HTTP,
pages that show some of the posts. The figure is strict: the time from the return of the call to the
last moment at which any answer that held one of them arrived, also one that was requested before.
The call is the function that the verb calls; the verb as a whole, with the start of Python, is
measured too. With `--home` an index that exists already is used (and loses the forgotten posts).
"""

import argparse
import contextlib
import html
import http.client
import itertools
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from process import IRA_MAP, ROOKERY, new_home, progress, rookery
from record import table, write_result

from rookery.core.context import Context
from rookery.core.home import Home, open_home
from rookery.core.protocols import HashedEmbedder
from rookery.posts.forget import forget
from rookery.search.hits import Hit
from rookery.search.index import open_index
from rookery.search.search import search_posts

POSTS = 1_000
SHOWN = 20  # posts on a page
WATCH_SECONDS = 2
WORDS = (
    "trump",
    "police",
    "vote",
    "music",
    "russia",
    "love",
    "news",
    "people",
    "money",
    "school",
    "water",
    "family",
)
BAR_CALL_SECONDS, BAR_HIDDEN_MILLISECONDS = 1.0, 50.0


@dataclass(frozen=True)
class Page:
    """An answer of the gateway: when it was requested, when it had arrived, and its text."""

    asked: float
    arrived: float
    text: str

    def shows(self, lines: list[str]) -> bool:
        return any(line in self.text for line in lines)


@contextlib.contextmanager
def reading(address: str, query: str) -> Iterator[list[Page]]:
    """Request one page again and again in a thread; yield the list that it fills."""
    pages, stopped = [], threading.Event()

    def read() -> None:
        while not stopped.is_set():
            pages.append(asked_for(address, query))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield pages
    finally:
        stopped.set()
        thread.join()


def asked_for(address: str, query: str) -> Page:
    asked = time.monotonic()
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", f"/?q={quote(query)}")
        body = connection.getresponse().read().decode()
    arrived = time.monotonic()
    return Page(asked, arrived, html.unescape(body.replace("<mark>", "").replace("</mark>", "")))


@dataclass(frozen=True)
class Round:
    """The figures of one forgetting."""

    query: str
    call_seconds: float
    verb_seconds: float
    hidden_milliseconds: float
    page_milliseconds: float
    before: int
    after: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = arguments.home or indexed_home(Path(folder) / "home", arguments.data)
        posts = rookery(home, "posts", "stats").output["posts"]
        with served(home) as address:
            opened = open_home(home)
            common = (word for word in WORDS if len(found(opened, word)) == 2 * POSTS)
            rounds = [
                one_round(opened, address, word)
                for word in itertools.islice(common, arguments.rounds)
            ]
    path = write_result(
        "forget", "A thousand posts forgotten", ["tantivy", "deltalake"], body(posts, rounds)
    )
    print(path.read_text())


def indexed_home(home: Path, data: Path) -> Path:
    new_home(home)
    progress("ingesting")
    rookery(home, "posts", "ingest", data, "--map", IRA_MAP)
    progress("building the search index")
    rookery(home, "search", "index")
    return home


@contextlib.contextmanager
def served(home: Path) -> Iterator[str]:
    """Run a gateway as a process of its own, and yield its address."""
    command = [*ROOKERY, "serve", "--home", str(home), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().split()[1]
    finally:
        process.terminate()
        process.communicate()


def one_round(home: Home, address: str, word: str) -> Round:
    """Forget a thousand posts about a word while a client reads the page of that word."""
    progress(f"forgetting posts about {word}")
    hits = found(home, word)
    by_call, by_verb = [hit.id for hit in hits[:POSTS]], [hit.id for hit in hits[POSTS:]]
    with reading(address, word) as pages:
        time.sleep(WATCH_SECONDS)
        called = time.monotonic()
        forget(home, by_call, [], Context())
        returned = time.monotonic()
        time.sleep(WATCH_SECONDS)
    lines = lines_of_their_own(hits[:SHOWN], found(home, word), set(by_call))
    showing = [page.arrived for page in pages if page.shows(lines)]
    before = sum(arrived < called for arrived in showing)
    assert before, "no page showed any of the posts that were to be forgotten"
    started_verb = time.monotonic()
    verb = [*ROOKERY, "posts", "forget", *by_verb, "--home", str(home.path), "--json"]
    subprocess.run(verb, stdout=subprocess.DEVNULL, check=True)
    return Round(
        word,
        returned - called,
        time.monotonic() - started_verb,
        max(0.0, showing[-1] - returned) * 1e3,
        statistics.median(page.arrived - page.asked for page in pages) * 1e3,
        before,
        sum(page.arrived > returned for page in pages if not page.shows(lines)),
    )


def found(home: Home, word: str) -> tuple[Hit, ...]:
    return search_posts(open_index(home, HashedEmbedder()), word, limit=2 * POSTS).hits


def lines_of_their_own(
    hidden: Sequence[Hit], left: Sequence[Hit], forgotten: set[str]
) -> list[str]:
    """Return the longest line of each forgotten post.

    A line that occurs in another post, which is not forgotten, is left out.
    """
    assert forgotten.isdisjoint(hit.id for hit in left), "search still finds a forgotten post"
    lines = [max(hit.text.splitlines(), key=len) for hit in hidden]
    return [line for line in lines if not any(line in hit.text for hit in left)]


def body(posts: int, rounds: list[Round]) -> str:
    rows = [
        [r.query, f"{r.call_seconds:.3f}", f"{r.verb_seconds:.2f}", f"{r.hidden_milliseconds:.1f}",
         f"{r.page_milliseconds:.0f}", r.before, r.after]
        for r in rounds
    ]  # fmt: skip
    call, hidden = max(r.call_seconds for r in rounds), max(r.hidden_milliseconds for r in rounds)
    columns = [
        "posts about",
        "seconds of the call",
        "of the verb",
        "ms until hidden",
        "ms a page",
        "with",
        "without",
    ]
    return (
        f"{posts:,} posts in lake and index; {POSTS:,} forgotten by each call. Slowest call "
        f"{call:.3f} s, bar of "
        f"{BAR_CALL_SECONDS:g} s: {_met(call <= BAR_CALL_SECONDS)}. Last answer with one of them "
        f"{hidden:.1f} ms after "
        f"the return, bar of {BAR_HIDDEN_MILLISECONDS:g} ms: "
        f"{_met(hidden <= BAR_HIDDEN_MILLISECONDS)}. The last two "
        "columns count answers that held one of the posts before the call, and answers that held "
        "none after.\n\n" + table(columns, rows)
    )


def _met(met: bool) -> str:
    return "met" if met else "NOT met"


if __name__ == "__main__":
    main()
