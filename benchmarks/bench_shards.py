"""Measure what an index in shards finds and how long it takes, beside one index of the same posts.

    python benchmarks/bench_shards.py --home HOME [--shards 3] [--rounds 3]

The home needs posts; it is copied. The shards are processes on Ray, all on this machine, so that
they share its cores with whoever asks. The two take turns on each query; queries are two words of
one post, and one frequent word of each, which more posts have than are ranked.
"""

import argparse
import shutil
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from bench_query import milliseconds, words_of
from record import table, write_result

from rookery.core.context import Context
from rookery.core.home import Home, Searching, open_home
from rookery.search.index import PostIndex
from rookery.search.search import search_posts
from rookery.workflows.search import build_index, open_index

PAGE = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    home = open_home(arguments.home)
    build_index(home, Context())
    one = open_index(home)
    queries = list(words_of(one))
    queries += [max(text.split(), key=len) for text in queries]
    with tempfile.TemporaryDirectory() as folder:
        split = copied(home, Path(folder) / "home", arguments.shards)
        report = build_index(split, Context())
        many = open_index(split)
        built = f"{arguments.shards} shards built in {report.seconds:.0f} s"
        body = f"{report.posts:,} posts, {built}.\n\n"
        body += compared(one, many, queries, arguments.rounds)
    print(write_result("shards", "An index in shards", ["ray", "tantivy"], body).read_text())


def copied(home: Home, path: Path, shards: int) -> Home:
    """Return a copy of a home without its index, to be split."""
    shutil.copytree(home.path, path, ignore=shutil.ignore_patterns("search", "artifacts"))
    settings = replace(home.settings, search=Searching(shards=shards, runner="ray"))
    return replace(home, path=path, settings=settings)


def compared(one: PostIndex, many: PostIndex, queries: list[str], rounds: int) -> str:
    """Return a table of both, and how much of what one index shows the shards show."""
    rows = []
    for mode in ("best", "latest"):
        pairs = [(shown(one, text, mode), shown(many, text, mode)) for text in queries]
        same = np.mean([len(set(a) & set(b)) / max(1, len(a)) for a, b in pairs])
        equal = np.mean([a == b for a, b in pairs])
        taken = np.array(
            [
                [milliseconds(partial(shown, index, mode=mode), text) for index in (one, many)]
                for _ in range(rounds)
                for text in queries
            ]
        )
        p50 = np.median(taken, axis=0)
        rows.append([mode, f"{equal:.3f}", f"{same:.3f}", *(f"{ms:.1f}" for ms in p50)])
    heads = ["search", "equal pages", "posts of one index's page", "one, p50 ms", "shards, p50 ms"]
    return table(heads, rows)


def shown(index: PostIndex, text: str, mode: str) -> list[str]:
    return [hit.id for hit in search_posts(index, text, PAGE, mode).hits]


if __name__ == "__main__":
    main()
