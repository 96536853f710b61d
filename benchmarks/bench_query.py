"""Measure how long a search takes, beside the text engine alone on the same query and index.

    python benchmarks/bench_query.py --home HOME [--rounds 3]

The home needs posts. *Bare* is the text engine's own search for the same words, its best ten posts
read as they are stored: no ranking, no gate, no page. Systems take turns on each query; queries are
two words of one post. Then what a stranger may type is timed: texts far too long, thousands of
operators, many periods.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from record import table, write_result

from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.search.engine.match import compiled
from rookery.search.index import SearchIndex
from rookery.search.query import parse
from rookery.search.search import search_posts
from rookery.workflows.search import build_index, open_index

QUERIES = 200
BEST, LATEST, TYPED = 8.0, 4.0, 20.0  # bars, in times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    home = open_home(arguments.home)
    build_index(home, Context())
    index = open_index(home)
    queries = list(words_of(index))
    systems: dict[str, Callable[[str], object]] = {
        "bare": lambda text: bare(index, text),
        "best": lambda text: search_posts(index, text, 10),
        "latest": lambda text: search_posts(index, text, 10, mode="latest"),
    }
    taken = {name: [] for name in systems}
    for _ in range(arguments.rounds):
        for text in queries:
            for name, search in systems.items():
                taken[name].append(milliseconds(search, text))
    p50 = {name: float(np.median(values)) for name, values in taken.items()}
    bars = {"bare": "", "best": f"{BEST:g}", "latest": f"{LATEST:g}"}
    rows = [
        [
            name,
            f"{p50[name]:.2f}",
            f"{float(np.percentile(values, 99)):.2f}",
            f"{p50[name] / p50['bare']:.1f}",
            bars[name],
        ]
        for name, values in taken.items()
    ]
    body = f"{index.view.posts:,} posts.\n\n"
    body += table(["search", "p50, ms", "p99, ms", "times bare", "bar"], rows)
    body += "\n## What a stranger may type\n\n"
    body += table(["query", "ms", "times two words", "bar"], list(typed(index, p50["best"])))
    print(write_result("query", "How long a search takes", ["tantivy"], body).read_text())


def words_of(index: SearchIndex) -> Iterator[str]:
    """Yield queries of two words that stand in one post."""
    chance, found, view = np.random.default_rng(0), 0, index.view
    for ordinal in chance.permutation(view.findable).tolist():
        (post,) = view.posts_at([view.address_of(ordinal)])
        words = sorted({w for w in post["text"].split() if w.isalpha() and len(w) > 3})
        if len(words) >= 3:
            yield " ".join(chance.choice(words, 2, replace=False))
            found += 1
            if found == QUERIES:
                return


def bare(index: SearchIndex, text: str) -> list[object]:
    """Search by the text engine alone, and read what it stores of the best ten posts."""
    view = index.view
    match = compiled(parse(text).root, view.schema, view.analyses)
    return [view.searcher.doc(at) for _, at in view.searcher.search(match, 10, count=False).hits]


def typed(index: SearchIndex, two_words: float) -> Iterator[list[str]]:
    """Yield how long queries take that are far too much."""
    years = " OR ".join(f"during:{2000 + n}" for n in range(28))
    for name, text in (
        ("100,000 characters", "tram " * 20_000),
        ("2,000 `since:`", " ".join(f"since:2020-01-{n % 28 + 1:02d}" for n in range(2_000))),
        ("20,000 operators", " ".join(f"-from:u{n}" for n in range(20_000))),
        ("5,000 wildcards", " ".join(f"wor{n}*" for n in range(5_000))),
        ("28 periods, any of them", years),
    ):
        best = min(milliseconds(lambda t: search_posts(index, t, 10), text) for _ in range(3))
        yield [name, f"{best:.1f}", f"{best / two_words:.1f}", f"{TYPED:g}"]


def milliseconds(search: Callable[[str], object], text: str) -> float:
    began = time.perf_counter()
    search(text)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
