"""Measure `model tune search`: does a table that learned from earlier pairs find later ones?

    python benchmarks/bench_tune_search.py DATA [--home HOME] [--learned 0.6] [--judged 1.0]

DATA holds `tweets_ira` and the search collections. The home is of the first 60% of the English
tweets by time (`--learned`); where there is none, it is made. Judged by pairs of later tweets: they
share a link and less than half of their words; the second has to be found by the first among
10,000. BM25 is search without vectors. Both tables rank by what search computes; alone they are
compared exactly. Then the three judged collections, by the command's own code.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from record import table, write_result

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.home import Home, create_home
from rookery.core.protocols import Embedder
from rookery.corpus.build import build_corpus
from rookery.model.embed import fold, load_embedder
from rookery.model.tuning.pairs import find_pairs
from rookery.posts.ingest import ingest
from rookery.search.evaluate import evaluate
from rookery.search.worth import measure_worth
from rookery.workflows import worth
from rookery.workflows.train import train
from rookery.workflows.tune import tune_search

EARLY_SHARE, MOST_QUERIES, MOST_TEXTS = 0.6, 1_000, 10_000
COLLECTIONS = (
    "search_checkthat2020_en",
    "search_trec_microblog_2011",
    "search_trec_microblog_2012",
)
COLUMNS = {"id": "post_id", "author": "author_id", "text": "content", "created": "created_at"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "tuned-home")
    parser.add_argument("--learned", type=float, default=EARLY_SHARE, help="Share by time.")
    parser.add_argument("--judged", type=float, default=1.0, help="Up to this share by time.")
    parser.add_argument("--name", default="tune_search", help="Of the result.")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tweets = english(arguments.data / "tweets_ira" / "tweets.parquet")
    early, late = (int(tweets.num_rows * one) for one in (arguments.learned, arguments.judged))
    home = home_of(arguments.home, tweets.slice(0, early))
    tuned, seconds = tuned_in(home)
    checkpoint = home.need("checkpoint", "rookery model train")
    models = {"today's table": checkpoint, "tuned table": tuned}
    weights = {name: weight(home, model) for name, model in models.items()}
    texts, wanted = later_pairs(tweets.slice(early, late - early))
    rows, found = [], {}
    for name, model in models.items():
        embedder = load_embedder(model, weights[name])
        found[name] = measure_worth(texts, wanted, embedder, Context())
        rows.append(row(name, found[name], weights[name], alone(texts, wanted, embedder)))
    body = [
        f"Pairs learned from: {tuned.manifest.metrics['pairs']}. Tuning took {seconds:.0f} CPU "
        "seconds of one thread, tokenizer and reading included.",
        f"\n{len(wanted):,} queries among {len(texts):,} texts; recall at 10:\n",
        table(["", "alone", "BM25", *(f"at {w:g}" for w in SHOWN), "stated", "at stated"], rows),
        "\nJudged collections (the vectors' weight is what each table stated):\n",
        table(
            ["collection", "table", "system", "ndcg@10", "recall@100"],
            list(collections(arguments.data, models, weights)),
        ),
    ]
    packages = ["torch", "tantivy"]
    text = "\n".join(body)
    print(write_result(arguments.name, "Tuning for search", packages, text).read_text())


SHOWN = (0.1, 0.2, 0.3, 0.4, 0.5)


def english(path: Path):
    """Return the English tweets, earliest first."""
    tweets = pq.read_table(path, columns=[*COLUMNS.values(), "language"])
    tweets = tweets.filter(pc.equal(tweets["language"], "English"))
    return tweets.sort_by([("created_at", "ascending"), ("post_id", "ascending")])


def home_of(folder: Path, tweets) -> Home:
    """Return a home with a corpus and a default model of some tweets, made if it is absent."""
    home = create_home(folder)
    if home.newest("checkpoint") is None:
        source = folder / "tweets.parquet"
        pq.write_table(tweets, source)
        ingest(home, [source], COLUMNS)
        build_corpus(home)
        train(home)
    return home


def tuned_in(home: Home) -> tuple[Artifact, float]:
    """Tune anew; return the embedder and the CPU seconds that it took, without its judgement."""
    for kind in ("embedder", "worth"):
        shutil.rmtree(home.artifacts / kind, ignore_errors=True)
    began = time.process_time()
    tuned, judged = tune_search(home)
    return tuned, time.process_time() - began - judged.manifest.seconds


def weight(home: Home, model: Artifact) -> float:
    """Return the weight that a model states."""
    worth.measure(home, model, home.need("corpus", "rookery corpus build"), Context())
    return worth.weight_of(home, model)


def later_pairs(tweets) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return texts to search, by id, and queries with the id of the text to find."""
    posts = tweets.rename_columns(["id", "author", "text", "created", "language"])
    missing = np.full(posts.num_rows, None)
    posts = posts.append_column("reply_to", [missing.tolist()])
    posts = posts.append_column("quote_of", [missing.tolist()])
    raw = ["" if text is None else text for text in posts["text"].to_pylist()]
    folded = fold(raw)
    taken: set[int] = set()
    chosen = []
    for a, b in find_pairs(posts, folded).rows.tolist():
        if not {a, b} & taken:  # a post is in one pair only
            taken |= {a, b}
            chosen.append((a, b))
    chosen = chosen[-MOST_QUERIES:]
    ids = [str(one) for one in posts["id"].to_pylist()]
    shown = [b for _, b in chosen]
    keys = {folded[n] for n in shown}
    for n in np.random.default_rng(1).permutation(posts.num_rows).tolist():
        if len(shown) == MOST_TEXTS:
            break
        if n not in taken and len(folded[n]) > 15 and folded[n] not in keys:
            shown.append(n)
            keys.add(folded[n])
    return {ids[n]: bare(raw[n]) for n in shown}, [(bare(raw[a]), ids[b]) for a, b in chosen]


def bare(text: str) -> str:
    """Return a text without its links."""
    return " ".join(w for w in text.split() if not w.lower().startswith(("http", "www.")))


def alone(texts: dict[str, str], wanted: list[tuple[str, str]], embedder: Embedder) -> float:
    """Return the recall at 10 by vectors alone, compared exactly."""
    place = {name: n for n, name in enumerate(texts)}
    scores = embedder.embed([q for q, _ in wanted]) @ embedder.embed(list(texts.values())).T
    gold = np.array([place[name] for _, name in wanted])
    better = (scores > scores[np.arange(len(gold)), gold][:, None]).sum(axis=1)
    return float((better < 10).mean())


def row(name: str, found, stated: float, exact: float) -> list[str]:
    recall = found.recall_at_10
    at = [f"{recall[str(weight)]:.3f}" for weight in SHOWN]
    shown = [f"{exact:.3f}", f"{recall['0.0']:.3f}", *at, f"{stated:g}"]
    return [name, *shown, f"{recall[str(stated)]:.3f}"]


def collections(data: Path, models: dict[str, Artifact], weights: dict[str, float]):
    """Yield a row for each collection, table and system; words alone once."""
    for collection in COLLECTIONS:
        systems: tuple[str, ...] = ("bm25", "dense", "hybrid")
        for name, model in models.items():
            embedder = load_embedder(model, weights[name])
            measured = evaluate(data / collection, "test", systems, embedder, Context())
            for system, found in measured["systems"].items():
                shown = "" if system == "bm25" else name
                yield [
                    collection.removeprefix("search_"),
                    shown,
                    system,
                    f"{found['ndcg@10']:.3f}",
                    f"{found['recall@100']:.3f}",
                ]
            systems = ("dense", "hybrid")


if __name__ == "__main__":
    main()
