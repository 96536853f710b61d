"""Measure how fast the feed gives posts in the order of their arrival, beside reading the files.

    python benchmarks/bench_feed.py --data tweets.parquet

The posts are ingested once as they are and once in a random order, which spreads the posts of each
month over the whole feed. Then all of them are read from the first on, each time in a new process,
beside a plain scan of the same columns in no order. A few posts that came last, by a file and by a
stream, are read while the lake holds all the others. Reading must give 100,000 posts for each
second of one core, which other work on the machine changes less than the time that passes.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from process import IRA_MAP, measured, new_home, opened_home, progress, rookery
from record import table, write_result

from rookery.core.context import Context
from rookery.core.home import Home
from rookery.posts.feed import latest, read
from rookery.posts.ingest import ingest_batches
from rookery.posts.live import live_log
from rookery.posts.post import Post, to_batch
from rookery.posts.streams.inbox import Inbox, StreamMessage

BAR_POSTS_PER_CORE_SECOND = 100_000
FEW, TIMES = 10, 20
READ = """
import json, sys, time
from rookery.core.home import Home
from pathlib import Path
home, way = Home(Path(sys.argv[1])), sys.argv[2]
began, used = time.perf_counter(), time.process_time()
if way == "feed":
    from rookery.posts.feed import pages
    posts = sum(page.rows.num_rows for page in pages(home))
else:
    from rookery.posts.lake import open_lake
    posts = sum(batch.num_rows for batch in open_lake(home).batches())
seconds, used = time.perf_counter() - began, time.process_time() - used
print(json.dumps({"posts": posts, "seconds": seconds, "core_seconds": used}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shuffled = Path(folder) / "shuffled.parquet"
        posts = pq.read_table(arguments.data)
        order = np.random.default_rng(0).permutation(posts.num_rows)
        pq.write_table(posts.take(pa.array(order)), shuffled, row_group_size=65_536)
        del posts
        homes = {"as in the file": arguments.data, "in a random order": shuffled}
        runs: dict[tuple[str, str], list] = {}
        for order_of, data in homes.items():
            home = new_home(Path(folder) / order_of)
            rookery(home, "posts", "ingest", data, "--map", IRA_MAP)
            for number in range(arguments.rounds):
                for way in ("feed", "scan in no order"):
                    progress(f"{order_of}, {way}, round {number + 1} of {arguments.rounds}")
                    command = [sys.executable, "-c", READ, str(home), way]
                    runs.setdefault((order_of, way), []).append(measured(command))
        few = few_new(opened_home(Path(folder) / "in a random order"))
    print(write_result("feed", "The feed of posts", ["pyarrow"], body(runs, few)).read_text())


def few_new(home: Home) -> dict[str, float]:
    """Return the milliseconds (median) of reading what came last, and of asking for its number."""
    context, now = Context(), datetime.now(UTC)
    last = latest(home)
    posts = [Post(f"few {n}", "ada", f"a rook {n}", now) for n in range(2 * FEW)]
    first, second = posts[:FEW], posts[FEW:]
    ingest_batches(home, "few", "few", lambda: iter([(to_batch(first), [])]), context)
    with live_log(home) as log:
        messages = [StreamMessage((post,)) for post in second]
        Inbox(log).store("stream", messages, context.clock)

    def ids(after: int) -> list[str]:
        return read(home, after, FEW).rows["id"].to_pylist()

    assert ids(last) == [post.id for post in first]
    assert ids(last + FEW) == [post.id for post in second]
    return {
        f"`read` of {FEW} posts of the last file": median_ms(lambda: ids(last)),
        f"`read` of {FEW} posts of a stream": median_ms(lambda: ids(last + FEW)),
        "`read` where nothing is new": median_ms(lambda: ids(last + 2 * FEW)),
        "`latest`": median_ms(lambda: latest(home)),
    }


def median_ms(act: Callable[[], object]) -> float:
    """Return the median time of an act, in milliseconds."""
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds)


def body(runs: dict[tuple[str, str], list], few: dict[str, float]) -> str:
    """Return the page's text: the rates of all posts, and the times for a few."""
    rows, rates = [], []
    for (order_of, way), of in runs.items():
        seconds, used = (
            statistics.median(run.output[name] for run in of)
            for name in ("seconds", "core_seconds")
        )
        rate = of[0].output["posts"] / used
        peak = max(run.peak_bytes for run in of) / 1e9
        rows.append([order_of, way, f"{seconds:.2f}", f"{used:.2f}", f"{rate:,.0f}", f"{peak:.2f}"])
        rates += [rate] if way == "feed" else []
    verdict = "met" if min(rates) >= BAR_POSTS_PER_CORE_SECOND else "NOT met"
    posts = next(iter(runs.values()))[0].output["posts"]
    columns = ["arrival", "read by", "median seconds", "core-seconds", "posts a core-second"]
    all_of_them = table([*columns, "peak GB"], rows)
    last_ones = table(["what", "median ms"], [[name, f"{ms:.1f}"] for name, ms in few.items()])
    return (
        f"{posts:,} posts. Bar of {BAR_POSTS_PER_CORE_SECOND:,} posts a core-second: {verdict}.\n\n"
        f"{all_of_them}\nWhile the lake holds them all:\n\n{last_ones}"
    )


if __name__ == "__main__":
    main()
