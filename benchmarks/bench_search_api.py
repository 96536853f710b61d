"""How long a program waits for `GET /v1/search`, beside `/healthz` of the same server.

    python benchmarks/bench_search_api.py [HOME]

HOME: a home with posts and a search index; without one, a small town is made. `rookery serve` runs
as a process of its own. One client asks both by turns, on a connection that stays open; then eight
clients ask for one, then for the other, by turns too. The queries are pairs of words of posts of
the home, drawn with a fixed seed.
"""

import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, urlsplit

from process import ROOKERY, progress
from record import table, write_result

from rookery.core.context import Context
from rookery.core.home import Home, create_home, open_home
from rookery.posts.lake import open_lake
from rookery.town.posts import TownConfig, ingest_town

QUERIES, CLIENTS, ROUNDS, ROUND_SECONDS = 200, 8, 3, 4.0
HEALTH = "/healthz"
BARS = {"p50": 6.0, "rate": 6.0}


def main() -> None:
    """Measure everything in one run, and write the page of results."""
    with tempfile.TemporaryDirectory() as folder:
        home = open_home(Path(sys.argv[1])) if len(sys.argv) > 1 else _town(Path(folder) / "home")
        posts = open_lake(home).count()
        paths = [f"/v1/search?q={quote(q)}&mode={mode}" for mode in ("best", "latest")
                 for q in _queries(home)]  # fmt: skip
        best, latest = paths[:QUERIES], paths[QUERIES:]
        with _served(home) as host:
            waits = _waits(host, {"best": best, "latest": latest, "healthz": [HEALTH]})
            rates = _rates(host, {"best": best, "latest": latest, "healthz": [HEALTH]})
    body = (
        f"{posts:,} posts, {QUERIES} queries of two words, pages of 20.\n\n"
        + _table("p50, one client (ms)", waits, lambda own, peer: own / peer, BARS["p50"])
        + "\n"
        + _table(f"answers/s, {CLIENTS} clients", rates, lambda own, peer: peer / own, BARS["rate"])
    )
    print(write_result("search_api", "The search API", ["fastapi", "uvicorn", "tantivy"], body))
    print(body)


def _town(path: Path) -> Home:
    progress("making a town")
    home = create_home(path)
    ingest_town(home, TownConfig(authors=500, posts=20_000), Context())
    command = [*ROOKERY, "search", "index", "--home", str(path)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return home


def _queries(home: Home) -> list[str]:
    texts = open_lake(home).dataset().head(20_000, columns=["text"])["text"].to_pylist()
    words = [re.findall(r"[^\W\d_]{4,}", text) for text in texts]
    pairs = [found for found in words if len(found) >= 2]
    draw = random.Random(1)
    return [" ".join(draw.sample(draw.choice(pairs), 2)) for _ in range(QUERIES)]


@contextmanager
def _served(home: Home) -> Iterator[str]:
    command = [*ROOKERY, "serve", "--home", str(home.path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield urlsplit(process.stdout.readline().split()[1]).netloc
    finally:
        process.terminate()
        process.communicate()


def _get(connection: HTTPConnection, path: str) -> float:
    """Return the seconds that an answer took."""
    started = time.perf_counter()
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise SystemExit(f"{path}: {response.status}")
    return time.perf_counter() - started


def _waits(host: str, paths: dict[str, list[str]]) -> dict[str, list[float]]:
    """Return the milliseconds of each kind of request; the kinds take turns."""
    progress("one client")
    waits: dict[str, list[float]] = {name: [] for name in paths}
    connection = HTTPConnection(host)
    for n in range(-20, QUERIES):  # the first ones warm the server
        for name, of in paths.items():
            seconds = _get(connection, of[n % len(of)])
            if n >= 0:
                waits[name].append(1000 * seconds)
    connection.close()
    return waits


def _rates(host: str, paths: dict[str, list[str]]) -> dict[str, list[float]]:
    """Return the answers a second that all clients together get, by round."""
    rates: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(ROUNDS):
        for name, of in paths.items():
            progress(f"{CLIENTS} clients, {name}")
            until = time.perf_counter() + ROUND_SECONDS
            with ThreadPoolExecutor(CLIENTS) as pool:
                counts = pool.map(lambda n, of=of, until=until: _count(host, of, n, until),
                                  range(CLIENTS))  # fmt: skip
                rates[name].append(sum(counts) / ROUND_SECONDS)
    return rates


def _count(host: str, paths: list[str], first: int, until: float) -> int:
    connection, count = HTTPConnection(host), 0
    while time.perf_counter() < until:
        _get(connection, paths[(first * 31 + count) % len(paths)])
        count += 1
    connection.close()
    return count


def _table(what: str, values: dict[str, list[float]], ratio, bar: float) -> str:
    middle = {name: statistics.median(of) for name, of in values.items()}
    rows = [
        [f"`/v1/search`, {name}", f"{middle[name]:.2f}", f"{middle['healthz']:.2f}",
         f"{ratio(middle[name], middle['healthz']):.1f}", f"at most {bar:.0f}"]
        for name in ("best", "latest")
    ]  # fmt: skip
    return table([what, "search", "`/healthz`", "ratio", "bar"], rows)


if __name__ == "__main__":
    main()
