"""Measure a live index: how soon a post is found, how fast queries stay, how soon a post is hidden.

    python benchmarks/bench_live.py --home HOME [--rate 1000] [--seconds 60]

The home needs posts; it is copied. A process of its own keeps the index current
(`rookery search index --follow`), another stores posts as a stream brings them, at a rate, and this
one searches all the time. *Fresh* is the time from the return of the log's commit until a search
finds a word that only this post has. *Hidden* is the time that the first search takes that begins
after a post was forgotten; that none of them finds the post is checked.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from record import table, write_result

from rookery.core.context import Context, SystemClock
from rookery.core.home import Home, open_home
from rookery.posts.forget import forget
from rookery.posts.lake import open_lake
from rookery.posts.live import live_log
from rookery.posts.post import Post
from rookery.posts.streams.inbox import Inbox, StreamMessage
from rookery.search.index import SearchIndex
from rookery.search.search import search_posts
from rookery.workflows.search import build_index, open_index

BATCH_SECONDS = 0.1
FORGOTTEN = 50
QUERIES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--rate", type=int, default=1000, help="posts a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--feed", type=Path, help=argparse.SUPPRESS)  # the process that stores
    arguments = parser.parse_args()
    if arguments.feed:
        store(open_home(arguments.home), arguments.rate, arguments.seconds)
        return
    with tempfile.TemporaryDirectory(prefix="rookery-live-") as folder:
        home = open_home(shutil.copytree(arguments.home, Path(folder) / "home"))
        build_index(home, Context())
        body = measured(home, arguments.rate, arguments.seconds)
    print(write_result("live", "A live index", ["tantivy"], body).read_text())


def measured(home: Home, rate: int, seconds: int) -> str:
    """Return the table of one run."""
    queries = list(words_of(home))
    index = open_index(home)
    posts = index.view.posts
    rest = [timed(index, query) for query in queries]
    command = [sys.executable, "-m", "rookery", "search", "index", "--follow"]
    follower = subprocess.Popen([*command, "--home", str(home.path)])
    try:
        time.sleep(5)  # until it has opened the index
        fresh, busy = under_stream(home, index, rate, seconds, queries)
        hidden = [hiding(home, index, n) for n in range(FORGOTTEN)]
    finally:
        follower.kill()
        follower.wait()
    rows = [
        ["fresh, ms", *percentiles(fresh), "p99 500"],
        ["query at rest, ms", *percentiles(rest), ""],
        ["query under the stream, ms", *percentiles(busy), "p99 3 times that at rest"],
        ["first query after a post is forgotten, ms", *percentiles(hidden), "50"],
    ]
    times = np.percentile(busy, 99) / np.percentile(rest, 99)
    told = f"{posts:,} posts at the start; {rate:,} a second for {seconds} s. "
    told += f"Under the stream p99 of queries is {times:.1f} times that at rest.\n\n"
    return told + table(["", "p50", "p99", "most", "bar"], rows)


def words_of(home: Home) -> Iterator[str]:
    """Yield queries of two words that stand in one post."""
    chance, found = np.random.default_rng(0), 0
    for batch in open_lake(home).batches(["text"]):
        for text in batch["text"].to_pylist():
            words = sorted({w for w in text.split() if w.isalpha() and len(w) > 3})
            if len(words) >= 4 and chance.random() < 0.05:
                yield " ".join(chance.choice(words, 2, replace=False))
                found += 1
                if found == QUERIES:
                    return


def under_stream(
    home: Home, index: SearchIndex, rate: int, seconds: int, queries: Sequence[str]
) -> tuple[list[float], list[float]]:
    """Search while posts arrive; return how long posts took to be found, and queries, in ms."""
    command = [sys.executable, __file__, "--home", str(home.path), "--feed", str(home.path)]
    storing = subprocess.Popen(
        [*command, "--rate", str(rate), "--seconds", str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert storing.stdout is not None
    fresh, busy, asked = [], [], 0
    for line in storing.stdout:
        word, stored = json.loads(line)
        while not search_posts(index, word, 1).hits:
            busy.append(timed(index, queries[asked % len(queries)]))
            asked += 1
        fresh.append((time.time() - stored) * 1000)
    storing.wait()
    return fresh, busy


def store(home: Home, rate: int, seconds: int) -> None:
    """Store posts at a rate, and print now and then a word that only the last one has, and when."""
    texts = [t for batch in open_lake(home).batches(["text"]) for t in batch["text"].to_pylist()]
    began, number = time.time(), 0
    with live_log(home) as log:
        inbox = Inbox(log)
        for beat in range(int(seconds / BATCH_SECONDS)):
            time.sleep(max(0.0, began + beat * BATCH_SECONDS - time.time()))
            posts = []
            for _ in range(int(rate * BATCH_SECONDS)):
                number += 1
                text = f"{texts[number % len(texts)]} uniq{number}x"
                now = datetime.now(UTC)
                name = f"live{number}"
                posts.append(Post(name, f"u{number % 997}", text, now, visibility="public"))
            inbox.store("bench", [StreamMessage(posts=tuple(posts))], SystemClock())
            if beat % 5 == 0:
                print(json.dumps([f"uniq{number}x", time.time()]), flush=True)


def hiding(home: Home, index: SearchIndex, number: int) -> float:
    """Forget a post, and return how long the next search takes, in ms; it must not find it."""
    word = f"uniq{100 * (number + 1)}x"
    assert search_posts(index, word, 1).hits, word
    forget(home, [f"live{100 * (number + 1)}"], [], Context())
    began = time.perf_counter()
    assert not search_posts(index, word, 1).hits, word
    return (time.perf_counter() - began) * 1000


def timed(index: SearchIndex, query: str) -> float:
    """Return how long a search takes, in ms."""
    began = time.perf_counter()
    search_posts(index, query, 10)
    return (time.perf_counter() - began) * 1000


def percentiles(values: Sequence[float]) -> list[str]:
    return [f"{float(v):.1f}" for v in (*np.percentile(values, [50, 99]), max(values))]


if __name__ == "__main__":
    main()
