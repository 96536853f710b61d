"""Measure the ad server: auctions a CPU-second, tails, memory, and what the candidate step keeps.

    python benchmarks/bench_ads.py [--tweets FILE] [--home FOLDER] [--requests N]

Campaigns and requests are made from posts (`ads_market.py`); everything is on: caps, pacing,
prediction, promised money, three places, tokens, records. The vectors of texts are given. A thread
keeps the server up to date meanwhile, as the gateway does. Beside it, in turns, tantivy answers OR
queries of the same words over the same keywords, and the 200 best ids are read.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import tantivy
from ads_market import TWEETS, Source
from record import table, write_result

from rookery.ads.auction import Bidders, bidders, fitting, sell_places
from rookery.ads.ledger.book import save_book
from rookery.ads.ledger.store import open_store, sqlite_url, writing
from rookery.ads.offers import AdRequest
from rookery.ads.select.nearness import SIMILAR_ENOUGH
from rookery.ads.select.words import words_of
from rookery.ads.server import AdServer
from rookery.ads.terms.objects import AdBook
from rookery.core.context import SystemClock

SIZES = (10_000, 100_000)
REQUESTS, ROUNDS, EXACT = 2_000, 4, 150
HALF_OF_TANTIVY, TWICE, TAIL, MEMORY_MB, KEPT = 0.5, 2.0, 5.0, 400, 0.99


def main() -> None:
    """Measure each size in a process of its own, and write the page of results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tweets", type=Path, default=TWEETS)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--size", type=int, help="measure this alone, and print it")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.size:
        found = measured(arguments.tweets, arguments.folder, arguments.size, arguments.requests)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = [_in_process(arguments, Path(folder), size) for size in SIZES]
    print(write_result("ads", "The ad server", ["numpy", "tantivy"], page(found)).read_text())


def _in_process(arguments: argparse.Namespace, folder: Path, size: int) -> dict:
    command = [sys.executable, __file__, "--tweets", str(arguments.tweets)]
    command += ["--requests", str(arguments.requests), "--size", str(size), "--folder", str(folder)]
    subprocess.run([*command[:2], *command[2:], "--requests", "0"], check=True, capture_output=True)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measured(tweets: Path, folder: Path, size: int, count: int) -> dict:
    """Return the figures of a size; with no requests, only make the store."""
    source, path = Source(tweets), folder / f"{size}.sqlite"
    if not count:
        store = open_store(sqlite_url(path), "OFF")
        with writing(store) as connection:
            save_book(connection, AdBook("EUR"), source.book(size))
        return {}
    requests = list(source.requests(count))
    gc.collect()
    before = _resident_mb()
    store = open_store(sqlite_url(path), "OFF")
    started = time.process_time()
    records = folder / f"records {size}"
    server = AdServer(store, source.embedder, SystemClock(), records=records)
    loaded = time.process_time() - started
    memory = _resident_mb() - before
    search = _tantivy(source, size)
    with _kept_up(server):
        ours, theirs, times, sold = _in_turns(server, search, requests)
        kept = _kept_value(server, requests[:EXACT])
    server.close()
    return {
        "size": size,
        "auctions": ours,
        "tantivy": theirs,
        "p50_ms": float(np.percentile(times, 50)) * 1e3,
        "p99_ms": float(np.percentile(times, 99)) * 1e3,
        "sold": sold / len(times),
        "load_s": loaded,
        "memory_mb": memory,
        "kept": kept,
    }


class _kept_up:
    """A thread that keeps the server up to date, as the gateway has one."""

    def __init__(self, server: AdServer) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=[server], daemon=True)

    def _run(self, server: AdServer) -> None:
        while not self._ended.wait(0.09):
            server.tick()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def _in_turns(
    server: AdServer, search: Callable[[Sequence[str]], int], requests: Sequence[AdRequest]
) -> tuple[float, float, list[float], int]:
    """Return auctions and searches a CPU-second, the CPU seconds of each auction, places sold.

    The CPU seconds of a process are those of all its threads: keeping up is counted with auctions.
    """
    spent, searched, times, sold = 0.0, 0.0, [], 0
    for request in requests[:100]:
        server.serve(request), search(words_of(request.text))
    for part in np.array_split(np.arange(len(requests)), 2 * ROUNDS):
        started = time.process_time()
        for n in part.tolist():
            own = time.thread_time()
            sold += len(server.serve(requests[n]))
            times.append(time.thread_time() - own)
        spent += time.process_time() - started
        started = time.thread_time()
        for n in part.tolist():
            search(words_of(requests[n].text))
        searched += time.thread_time() - started
    return len(requests) / spent, len(requests) / searched, times, sold


def _tantivy(source: Source, size: int) -> Callable[[Sequence[str]], int]:
    """Return a search of the same keywords by any of some words, that reads the 200 best ids."""
    schema = (
        tantivy.SchemaBuilder()
        .add_text_field("words", tokenizer_name="raw", index_option="freq")
        .add_integer_field("id", stored=True)
        .build()
    )
    index = tantivy.Index(schema)
    writer = index.writer(num_threads=1)
    for n, group in enumerate(source.book(size).groups):
        document = tantivy.Document(id=n)
        for keyword in group.targeting.keywords:
            document.add_text("words", " ".join(words_of(keyword.text)))
        writer.add_document(document)
    writer.commit()
    index.reload()
    searcher, known = index.searcher(), set(source.words) | set(source.pairs)

    def search(words: Sequence[str]) -> int:
        runs = [*words, *(" ".join(pair) for pair in pairwise(words))]
        terms = [
            (tantivy.Occur.Should, tantivy.Query.term_query(schema, "words", run))
            for run in dict.fromkeys(runs)
            if run in known
        ]
        hits = searcher.search(tantivy.Query.boolean_query(terms), 200, count=False).hits
        return sum(searcher.doc(address)["id"][0] for _, address in hits)

    return search


def _kept_value(server: AdServer, requests: Sequence[AdRequest]) -> float:
    """Return the share of the value of the four best places that the candidate step keeps."""
    kept = exact = 0.0
    for request in requests:
        words = words_of(request.text)
        kept += _value(server, request, words, is_exact=False)
        exact += _value(server, request, words, is_exact=True)
    return kept / exact


def _value(server: AdServer, request: AdRequest, words: list[str], is_exact: bool) -> float:
    market = server._market
    inventory, moment = market.inventory, market.at(time.time())
    most = 10**9 if is_exact else 200
    found = inventory.candidates(words, request.vector, moment.worth, most)
    if is_exact:  # and all that is near in meaning, compared one by one
        rows = np.flatnonzero(moment.worth > 0)
        near = rows[inventory._meanings.similarity(rows, request.vector) >= SIMILAR_ENOUGH]
        every, keywords = np.union1d(found.rows, near), inventory.keywords.found_in(words)
        found = inventory._compared(every, keywords, request.vector, found.others)
    page = request.page
    fits, refused, reasons = fitting(
        inventory.columns, found, page, [], moment.standing, time.time()
    )
    taking_part: Bidders = bidders(
        inventory, fits, moment, server._predictor, words, page.language, refused, reasons
    )
    places = sell_places(taking_part, inventory.columns, 1, 4, "second_price")
    won = [place.candidate for place in places]
    return float((taking_part.bids[won] * taking_part.weights[won].astype(float)).sum())


def page(found: Sequence[dict]) -> str:
    """Return the tables of all sizes."""
    small, large = found
    rows = [
        [
            f"{one['size']:,}",
            f"{one['auctions']:,.0f}",
            f"{one['tantivy']:,.0f}",
            f"{one['auctions'] / one['tantivy']:.2f}",
            f"{one['p50_ms']:.2f}",
            f"{one['p99_ms']:.2f}",
            f"{one['p99_ms'] / one['p50_ms']:.1f}",
            f"{one['sold']:.2f}",
            f"{one['kept']:.4f}",
            f"{one['memory_mb']:.0f}",
            f"{one['load_s']:.0f}",
        ]
        for one in found
    ]
    columns = ["campaigns", "auctions a CPU-second", "tantivy", "times", "CPU p50, ms", "p99, ms",
               "p99 by p50", "places sold", "value kept", "memory, MB", "load, CPU s"]  # fmt: skip
    bars = [
        ["auctions by tantivy's searches, 100,000", f"{large['auctions'] / large['tantivy']:.2f}",
         f"at least {HALF_OF_TANTIVY}"],
        ["CPU of 100,000 by 10,000", f"{small['auctions'] / large['auctions']:.2f}",
         f"at most {TWICE:g}"],
        ["p99 by p50, 100,000", f"{large['p99_ms'] / large['p50_ms']:.1f}", f"at most {TAIL:g}"],
        ["memory above none, 100,000", f"{large['memory_mb']:.0f} MB", f"at most {MEMORY_MB} MB"],
        ["value kept by the candidate step", f"{min(s['kept'] for s in found):.4f}",
         f"at least {KEPT}"],
    ]  # fmt: skip
    return table(columns, rows) + "\n" + table(["bar", "measured", "asked"], bars)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
