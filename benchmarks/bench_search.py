"""Measure search on judged collections: words alone, vectors alone, and both.

    python benchmarks/bench_search.py --home HOME COLLECTION [COLLECTION …]

The vectors are those of the model of a home. A collection is a folder in BEIR layout; where it
holds the run of another engine (`pool_ql.run.gz`, TREC format, query likelihood), that run is
measured too.
"""

import argparse
import gzip
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from record import table, write_result

from rookery.core.artifact import find_artifacts
from rookery.core.home import open_home
from rookery.search.evaluate import read_judged
from rookery.search.ranking import metrics

SYSTEMS = ("bm25", "dense", "hybrid")
MEASURES = {
    "ndcg@10": metrics.ndcg,
    "map": metrics.average_precision,
    "recall@100": metrics.recall,
    "p@30": metrics.precision,
    "mrr": metrics.reciprocal_rank,
}
PEER = "pool_ql.run.gz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--home", type=Path, required=True)
    arguments = parser.parse_args()
    rows = [row for folder in arguments.collections for row in measured(folder, arguments.home)]
    body = f"Vectors: {described(arguments.home)}.\n\n" + table(
        ["collection", "system", *MEASURES], rows
    )
    print(
        write_result(
            "search", "Search on judged collections", ["tantivy", "faiss-cpu"], body
        ).read_text()
    )


def measured(folder: Path, home: Path) -> Iterator[list[str]]:
    """Yield a row for each of our systems, and for the peer's run if the collection has one.

    Our systems are measured by the real command.
    """
    systems = [word for name in SYSTEMS for word in ("--system", name)]
    command = [
        sys.executable,
        "-m",
        "rookery.cli.main",
        "search",
        "evaluate",
        str(folder),
        "--json",
        *systems,
    ]
    done = subprocess.run(
        [*command, "--home", str(home)], stdout=subprocess.PIPE, text=True, check=True
    )
    for name, values in json.loads(done.stdout)["systems"].items():
        yield [folder.name, name, *(f"{values[measure]:.3f}" for measure in MEASURES)]
    if (folder / PEER).exists():
        yield [folder.name, "query likelihood (peer)", *(f"{value:.3f}" for value in peer(folder))]


def peer(folder: Path) -> list[float]:
    """Return means over the queries that have a relevant post, as `search evaluate` takes them."""
    runs: dict[str, list[str]] = defaultdict(list)
    with gzip.open(folder / PEER, "rt") as lines:
        for line in lines:
            query, _, post, *_ = line.split()
            runs[query].append(post)
    judged = read_judged(folder, "test").grades
    return [float(np.mean([m(runs[q], g) for q, g in judged.items()])) for m in MEASURES.values()]


def described(home: Path) -> str:
    """Describe the home's newest model in a few words."""
    checkpoint = list(find_artifacts(open_home(home).artifacts, "checkpoint"))[-1].manifest
    numbers = checkpoint.metrics
    scale = checkpoint.config["scale_petaflop"]
    return f"{numbers['parameters']:,} parameters, {numbers['tokens']:,} tokens, {scale:g} petaFLOP"


if __name__ == "__main__":
    main()
