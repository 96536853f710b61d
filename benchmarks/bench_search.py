"""Measure search on judged collections, each by weights that were learned without it.

    python benchmarks/bench_search.py --home HOME COLLECTION [COLLECTION …]

The vectors are those of the model of a home. A collection is a folder in BEIR layout, judged by
`qrels/test.tsv`. The ranker of each one is learned from the other collections, and from its own
`qrels/train.tsv` where it has one. Where a collection holds the run of another engine
(`pool_ql.run.gz`, TREC format, query likelihood), that run is measured too. Scoring is timed in the
same run, on made-up posts.
"""

import argparse
import gzip
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from record import table, write_result

from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.core.protocols import Embedder
from rookery.posts.post import Post, to_table
from rookery.search.engine.analysis import analyse
from rookery.search.engine.columns import columns_of, hashed
from rookery.search.engine.statistics import Statistics
from rookery.search.evaluate import SYSTEMS, evaluate
from rookery.search.judged import read_judged
from rookery.search.learn import JudgedQueries, chosen_penalty, fitted, read_source
from rookery.search.ranking import metrics
from rookery.search.ranking.features import Wanted, features
from rookery.search.ranking.ranker import Weights, shipped
from rookery.workflows.models import embedder_of

MEASURES = {
    "ndcg@10": metrics.ndcg,
    "map": metrics.average_precision,
    "recall@100": metrics.recall,
    "p@30": metrics.precision,
    "mrr": metrics.reciprocal_rank,
}
PEER = "pool_ql.run.gz"
HEADINGS = ["collection", "system", *MEASURES, "against bm25", "95%", "p"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--home", type=Path, required=True)
    arguments = parser.parse_args()
    embedder = embedder_of(open_home(arguments.home))
    sources = [read(folder, embedder) for folder in arguments.collections]
    rows, notes = [], []
    for folder in arguments.collections:
        others = [s for s in sources if (s.name, s.qrels) != (folder.name, "test")]
        weights, note = learned(folder.name, others)
        notes.append(note)
        rows += list(measured(folder, weights, embedder))
    milliseconds = [1e3 * ranking_seconds(candidates) for candidates in (200, 300)]
    body = "\n".join(
        [
            f"Vectors: embedder {embedder.digest}, of a stated weight of {embedder.weight:g}.\n",
            *notes,
            "",
            table(HEADINGS, rows),
            f"\nFeatures and scores of 200 candidates take {milliseconds[0]:.2f} ms of CPU, of 300 "
            f"{milliseconds[1]:.2f} ms (median of 200 queries of three words).",
        ]
    )
    title = "Search on judged collections"
    print(write_result("search", title, ["tantivy"], body).read_text())


def read(folder: Path, embedder: Embedder) -> JudgedQueries:
    """Return what is learned from a collection: its train judgments, else those of test."""
    has_train = (folder / "qrels" / "train.tsv").exists()
    return read_source(folder, "train" if has_train else "test", embedder, Context())


def learned(name: str, sources: Sequence[JudgedQueries]) -> tuple[Weights, str]:
    """Return weights learned from some sources, and a line about them."""
    parts = [source.queries for source in sources]
    penalty, _ = chosen_penalty(parts)
    named = ", ".join(f"{s.name} ({s.qrels}, {len(s.queries)} queries)" for s in sources)
    return fitted(parts, penalty), f"- {name}: learned from {named}; penalty {penalty:g}"


def measured(folder: Path, weights: Weights, embedder: Embedder) -> Iterator[list[str]]:
    """Yield a row for each of our systems, and for the peer's run if the collection has one."""
    result = evaluate(folder, "test", SYSTEMS, embedder, Context(), weights)
    for name, values in result["systems"].items():
        yield row(folder, name, values, result["against_bm25"].get(name))
    bare = {name: float("nan") for name in MEASURES}
    yield row(folder, "best: what vectors gave", bare, result["model"])
    if (folder / PEER).exists():
        yield row(folder, "query likelihood (peer)", dict(zip(MEASURES, peer(folder), strict=True)))


def row(folder: Path, name: str, values: dict, difference: dict | None = None) -> list[str]:
    cells = ["" if np.isnan(values[m]) else f"{values[m]:.3f}" for m in MEASURES]
    if difference is None:
        return [folder.name, name, *cells, "", "", ""]
    interval = f"{difference['low']:+.3f} to {difference['high']:+.3f}"
    return [
        folder.name, name, *cells,
        f"{difference['difference']:+.3f}", interval, f"{difference['p']:.3f}",
    ]  # fmt: skip


def peer(folder: Path) -> list[float]:
    """Return means over the queries that have a relevant post, as `search evaluate` takes them."""
    runs: dict[str, list[str]] = defaultdict(list)
    with gzip.open(folder / PEER, "rt") as lines:
        for line in lines:
            query, _, post, *_ = line.split()
            runs[query].append(post)
    judged = read_judged(folder, "test").grades
    return [float(np.mean([m(runs[q], g) for q, g in judged.items()])) for m in MEASURES.values()]


def ranking_seconds(candidates: int, posts: int = 20_000) -> float:
    """Return the median CPU seconds in which candidates of a three-word query are ranked.

    The posts are made up: 14 words each, as frequent as Zipf's law has it.
    """
    random = np.random.default_rng(0)
    written = datetime(2026, 1, 1, tzinfo=UTC)
    words = (random.zipf(1.3, (posts, 14)) % 50_000).astype(str)
    made = [
        Post(str(n), "", " ".join(f"w{word}" for word in line), written + timedelta(minutes=n))
        for n, line in enumerate(words.tolist())
    ]
    vectors = (random.normal(size=(posts, 256)) / 16).astype(np.float32)
    columns = columns_of(to_table(made), [analyse(post.text) for post in made], vectors)
    statistics = Statistics().with_posts(columns, np.arange(columns.posts))
    terms = tuple(hashed([f"w{n}"]) for n in (3, 12, 40))
    wanted = Wanted(terms, np.concatenate(terms), vectors[0], 0.2)
    taken = []
    for _ in range(200):
        ordinals = random.choice(posts, candidates, replace=False)
        began = time.process_time()
        shipped().scores(features(wanted, columns, ordinals, statistics), len(terms))
        taken.append(time.process_time() - began)
    return float(np.median(taken))


if __name__ == "__main__":
    main()
