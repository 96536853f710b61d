"""A thousand posts forgotten: how long the call takes, and how soon a running gateway shows none of them.

    python benchmarks/bench_forget.py --data tweets.parquet [--home HOME]

`rookery serve` runs as a process of its own and is asked without a pause, over HTTP, for pages that show
some of the posts. The figure is strict: the time from the return of the call to the last moment at which
any answer that held one of them arrived, also one that was asked for before. The call is the function
that the verb calls; the verb as a whole, with the start of Python, stands beside it. With `--home` an
index that is there already is used (and loses the posts that are forgotten).
"""

import argparse
import contextlib
import html
import http.client
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from process import IRA_MAP, ROOKERY, new_home, progress, rookery
from record import table, write_result

from rookery.core.context import Context
from rookery.core.home import Home, open_home
from rookery.core.protocols import HashedEmbedder
from rookery.posts.forget import forget
from rookery.search.index import open_index
from rookery.search.search import search

POSTS = 1_000
SHOWN = 20  # posts on a page
WORDS = ("trump", "police", "vote", "music", "russia", "love", "news", "people", "money", "school", "water", "family")
BAR_CALL_SECONDS, BAR_HIDDEN_MILLISECONDS = 1.0, 50.0


@dataclass
class Reader:
    """A client that asks for one page again and again and notes when answers that hold a marked text arrived."""

    address: str
    query: str
    marks: list[str]
    last_shown: float = 0.0
    answers: int = 0
    shown: int = 0
    seconds: list[float] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> bool:
        """One page; whether it held any of the texts."""
        started = time.monotonic()
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", f"/?q={quote(self.query)}")
            page = html.unescape(connection.getresponse().read().decode().replace("<mark>", "").replace("</mark>", ""))
        arrived = time.monotonic()
        self.answers += 1
        self.seconds.append(arrived - started)
        if any(mark in page for mark in self.marks):
            self.shown += 1
            self.last_shown = arrived
            return True
        return False

    def run(self) -> None:
        while not self.stopped.is_set():
            self.ask()


@dataclass(frozen=True)
class Round:
    """How one forgetting went."""

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
        posts = rookery(home, "posts", "stats").said["posts"]
        with served(home) as address:
            rounds = [one_round(open_home(home), address, word) for word in WORDS[: arguments.rounds]]
    path = write_result("forget", "A thousand posts forgotten", ["tantivy", "deltalake"], body(posts, rounds))
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
    """A gateway as a process of its own; yields its address."""
    command = [*ROOKERY, "serve", "--home", str(home), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().split()[1]
    finally:
        process.terminate()
        process.communicate()


def one_round(home: Home, address: str, word: str) -> Round:
    """Forget all that is on the page of a word and a thousand posts about it while a client reads that page."""
    progress(f"forgetting posts about {word}")
    hits = search(open_index(home, HashedEmbedder()), word, limit=2 * POSTS).hits
    assert len(hits) == 2 * POSTS, f"only {len(hits)} posts about {word}"
    by_call, by_verb = [hit.id for hit in hits[:POSTS]], [hit.id for hit in hits[POSTS:]]
    marks = [line for hit in hits[:SHOWN] if len(line := max(hit.text.splitlines(), key=len)) > 30]
    reader = Reader(address, word, marks)
    assert reader.ask(), "the page shows none of the posts that are to be forgotten"
    thread = threading.Thread(target=reader.run)
    thread.start()
    time.sleep(1)
    before, started = reader.shown, time.monotonic()
    forget(home, by_call, [], Context())
    returned = time.monotonic()
    time.sleep(1 + 2 * statistics.median(reader.seconds))
    reader.stopped.set()
    thread.join()
    started_verb = time.monotonic()
    subprocess.run(
        [*ROOKERY, "posts", "forget", *by_verb, "--home", str(home.path), "--json"],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return Round(
        word,
        returned - started,
        time.monotonic() - started_verb,
        max(0.0, reader.last_shown - returned) * 1e3,
        statistics.median(reader.seconds) * 1e3,
        before,
        reader.answers - reader.shown,
    )


def body(posts: int, rounds: list[Round]) -> str:
    rows = [
        [r.query, f"{r.call_seconds:.3f}", f"{r.verb_seconds:.2f}", f"{r.hidden_milliseconds:.1f}",
         f"{r.page_milliseconds:.0f}", r.before, r.after]
        for r in rounds
    ]  # fmt: skip
    call, hidden = max(r.call_seconds for r in rounds), max(r.hidden_milliseconds for r in rounds)
    columns = ["posts about", "seconds of the call", "of the verb", "ms until hidden", "ms a page", "with", "without"]
    return (
        f"{posts:,} posts in lake and index; {POSTS:,} forgotten by each call. Slowest call {call:.3f} s, bar of "
        f"{BAR_CALL_SECONDS:g} s: {_met(call <= BAR_CALL_SECONDS)}. Last answer with one of them {hidden:.1f} ms after "
        f"the return, bar of {BAR_HIDDEN_MILLISECONDS:g} ms: {_met(hidden <= BAR_HIDDEN_MILLISECONDS)}. The last two "
        "columns count answers that held one of the posts before the call, and answers that held none after.\n\n"
        + table(columns, rows)
    )


def _met(met: bool) -> str:
    return "met" if met else "NOT met"


if __name__ == "__main__":
    main()
