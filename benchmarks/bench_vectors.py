"""Measure how long it takes to find the nearest vectors, and what an approximate index would save.

    pip install faiss-cpu==1.15.1
    OMP_NUM_THREADS=1 python benchmarks/bench_vectors.py --home HOME

The home needs a search index. Questions are the vectors of posts, with noise. *Exact* is what
search does; numpy is the same in floating-point numbers; IVF is faiss' index of lists over bytes,
with its recall of the exact 200 best. CPU seconds, one thread.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from record import table, write_result

from rookery.core.home import open_home
from rookery.search.engine.nearest import nearest
from rookery.search.index import SearchIndex
from rookery.workflows.search import open_index

QUESTIONS, BEST, LISTS, TRAINED = 50, 200, 4_096, 200_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    index = open_index(open_home(parser.parse_args().home)).as_of_now()
    faiss.omp_set_num_threads(1)
    posts = index.view.columns.vectors
    chance = np.random.default_rng(0)
    asked = posts[chance.choice(index.view.findable, QUESTIONS)].astype(np.float32) / 127
    asked += chance.normal(0, 0.05, asked.shape).astype(np.float32)
    rows, truth = exact(index, asked)
    rows += approximate(posts, asked, truth)
    body = f"{len(posts):,} posts, {posts.shape[1]} dimensions, {QUESTIONS} questions.\n\n"
    body += table(["way", "ms a question", "recall of 200", "built in, s"], rows)
    page = write_result("vectors", "The nearest vectors", ["numkong", "numpy", "faiss-cpu"], body)
    print(page.read_text())


def exact(index: SearchIndex, asked: np.ndarray) -> tuple[list[list[str]], list[set[int]]]:
    view = index.view
    floats = [timed(products, view.columns.vectors, view.findable, one) for one in asked[:5]]
    found = [timed(nearest, view, one, view.findable, BEST) for one in asked]
    truth = [set(np.argpartition(-cosines, BEST)[:BEST].tolist()) for cosines, _ in floats]
    places = [set(np.searchsorted(view.findable, ordinals).tolist()) for ordinals, _ in found]
    recall = np.mean([len(a & b) / BEST for a, b in zip(truth, places, strict=False)])
    rows = [
        ["numpy, products alone", f"{np.mean([s for _, s in floats]) * 1e3:.1f}", "", ""],
        ["exact", f"{np.mean([s for _, s in found]) * 1e3:.1f}", f"{recall:.3f}", ""],
    ]
    return rows, [set(ordinals.tolist()) for ordinals, _ in found]


def products(vectors: np.ndarray, ordinals: np.ndarray, asked: np.ndarray) -> np.ndarray:
    return vectors[ordinals].astype(np.float32) @ asked / 127


def approximate(posts: np.ndarray, asked: np.ndarray, truth: list[set[int]]) -> list[list[str]]:
    floats = posts.astype(np.float32) / 127
    some = np.random.default_rng(1).choice(len(floats), min(len(floats), TRAINED), replace=False)
    began = time.process_time()
    lists = faiss.IndexFlatIP(posts.shape[1])
    kind = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexIVFScalarQuantizer(
        lists, posts.shape[1], LISTS, kind, faiss.METRIC_INNER_PRODUCT
    )
    index.train(floats[some])
    index.add(floats)
    built = time.process_time() - began
    rows = []
    for probed in (8, 32, 128, 256):
        index.nprobe = probed
        (_, found), seconds = timed(index.search, asked, BEST)
        same = [len(t & set(f)) / BEST for t, f in zip(truth, found.tolist(), strict=True)]
        spent = f"{seconds / QUESTIONS * 1e3:.1f}"
        rows.append([f"IVF, {probed} lists", spent, f"{np.mean(same):.3f}", f"{built:.0f}"])
    return rows


def timed(work: Callable[..., Any], *given: Any) -> tuple[Any, float]:
    began = time.process_time()
    return work(*given), time.process_time() - began


if __name__ == "__main__":
    main()
