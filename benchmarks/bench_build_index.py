"""Measure how fast the search index is built beside bare tantivy, in processor seconds.

    python benchmarks/bench_build_index.py --home HOME

Both index the posts of a home in alternating rounds, each in a process of its own whose threads all
count. The peer is tantivy alone, fed from memory: the text by its own English tokenizer and stored,
author and id, and the same fast fields. Rookery reads its feed, asks the gate and makes vectors as
well; what the vectors take is measured apart and told. The home is copied, and stays as it is.
"""

import argparse
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tantivy
from record import table, write_result

from rookery.core.home import open_home
from rookery.posts import feed
from rookery.search.engine.fields import COUNTS
from rookery.workflows.models import embedder_of
from rookery.workflows.search import build_index

BAR = 0.25
_PAGE_POSTS = 8_192
_HEAP_BYTES = 200_000_000
_TEXTS = ("id", "author", "text")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        shutil.copytree(arguments.home, home, ignore=shutil.ignore_patterns("search"))
        sides = {"Rookery": _rookery, "bare tantivy": _peer, "Rookery's vectors alone": _vectors}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(arguments.rounds):
            for name, side in sides.items():
                posts, seconds = _alone(side, home)
                rates[name].append(posts / seconds)
    write_result("building", "Building the search index", ["tantivy"], _page(posts, rates))


def _alone(side: Callable[[Path], tuple[int, float]], home: Path) -> tuple[int, float]:
    """Return what a side measures in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(side, (home,))


def _rookery(home: Path) -> tuple[int, float]:
    shutil.rmtree(home / "search", ignore_errors=True)
    started = time.process_time()
    report = build_index(open_home(home))
    return report.posts, time.process_time() - started


def _peer(home: Path) -> tuple[int, float]:
    rows = _posts(home)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        index = tantivy.Index(_schema(), path=folder)
        writer = index.writer(_HEAP_BYTES, num_threads=1)
        for ordinal, row in enumerate(rows):
            writer.add_document(_document(ordinal, row))
        writer.commit()
        writer.wait_merging_threads()
        return len(rows), time.process_time() - started


def _vectors(home: Path) -> tuple[int, float]:
    texts = [row["text"] for row in _posts(home)]
    embedder = embedder_of(open_home(home))
    started = time.process_time()
    for start in range(0, len(texts), 1_024):
        embedder.embed(texts[start : start + 1_024])
    return len(texts), time.process_time() - started


def _posts(home: Path) -> list[dict]:
    names = [*_TEXTS, "created", *COUNTS]
    pages = feed.pages(open_home(home), 0, _PAGE_POSTS)
    return [row for page in pages for row in page.rows.select(names).to_pylist()]


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", stored=True, tokenizer_name="en_stem", index_option="position")
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(
        "author", stored=True, fast=True, tokenizer_name="raw", index_option="basic"
    )
    for name in ("ordinal", "moment"):
        builder.add_unsigned_field(name, indexed=True, fast=True)
    for name in COUNTS:
        builder.add_unsigned_field(name, fast=True)
    return builder.build()


def _document(ordinal: int, row: dict) -> tantivy.Document:
    made = tantivy.Document()
    for name in _TEXTS:
        made.add_text(name, row[name])
    made.add_unsigned("ordinal", ordinal)
    made.add_unsigned("moment", int(row["created"].timestamp()) + (1 << 42))
    for name in COUNTS:
        made.add_unsigned(name, max(0, row[name] or 0))
    return made


def _page(posts: int, rates: dict[str, list[float]]) -> str:
    ratios = [a / b for a, b in zip(rates["Rookery"], rates["bare tantivy"], strict=True)]
    rows = [
        [name, f"{statistics.median(found):,.0f}", f"{1e6 / statistics.median(found):.0f}"]
        for name, found in rates.items()
    ]
    reached = statistics.median(ratios)
    spread = f"{min(ratios):.1%} to {max(ratios):.1%} over {len(ratios)} rounds"
    return "\n".join(
        [
            f"{posts:,} posts.",
            "",
            table(["", "posts per processor second", "microseconds a post"], rows),
            f"Rookery builds at {reached:.1%} of bare tantivy's rate ({spread}). "
            f"The bar is {BAR:.0%}: {'reached' if reached >= BAR else 'not reached'}.",
        ]
    )


if __name__ == "__main__":
    main()
