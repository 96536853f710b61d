"""Measure whether language models order posts better than the ranker does alone.

    python benchmarks/bench_rerank.py --home HOME --model HOME [--model HOME …] YEAR YEAR [MORE …]

The two years are judged collections, each measured by a ranker and by weights of the model that
were learned without it: from the other year, and from the train judgments of any more collections.
The vectors are those of the first home. The newest checkpoint of each `--model` reads the best 50
posts of each query. Written with L(x | y) for the log probability of x after y and a line feed, it
adds one or both of these to the ranker's score, in standard deviations among the 50:

    query    L(query | post) - L(query)            query likelihood, as mutual information
    post     (L(post | query) - L(post)) / tokens  the other direction, for the post's length

A weight is the one of a short list, 0 among it, with the best nDCG at 10 on the other collections.
Queries come in a drawn order, so the penalty of the ranker, chosen by folds of them, may differ
from that of bench_search.py, and nDCG by some thousandths.
"""

import argparse
import itertools
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from record import table, write_result

from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.core.protocols import Embedder
from rookery.model.checkpoint import load_network
from rookery.model.network import Network
from rookery.model.tokenizer import Tokenizer, load_tokenizer
from rookery.model.training.loss import IGNORED
from rookery.search.evaluate import RANKED, candidates_of, features_of
from rookery.search.judged import indexed, read_judged
from rookery.search.learn import chosen_penalty, fitted
from rookery.search.query import words_query
from rookery.search.ranking import metrics
from rookery.search.ranking.fitting import JudgedCandidates, ideal_gain
from rookery.search.ranking.ranker import Weights
from rookery.workflows.models import embedder_of

DEPTH = 50
MOST_READ = 100  # queries of a train collection that a model reads; of the years it reads all
MOST_TOKENS = 120  # of a query or post
TIMED = 20  # queries
BATCH_TOKENS = 4_096
WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
SIGNALS = ("query", "post")
VARIANTS = (("query",), ("post",), SIGNALS)


@dataclass(frozen=True)
class Asked:
    """A judged query. ordinals, texts: of its candidates, best by words first."""

    text: str
    ordinals: np.ndarray
    texts: tuple[str, ...]
    candidates: JudgedCandidates


@dataclass(frozen=True)
class Ranked:
    """The best candidates of a query by the ranker, with what a model says of each.

    signals: (n, len(SIGNALS)), in standard deviations.
    """

    scores: np.ndarray
    ordinals: np.ndarray
    grades: np.ndarray
    ideal: float
    signals: np.ndarray

    def ndcg(self, weights: Sequence[float]) -> float:
        scores = self.scores + self.signals @ np.array(weights)
        first = np.lexsort((-self.ordinals, -scores))[:10]
        return float(self.grades[first] @ (1 / np.log2(np.arange(2, len(first) + 2)))) / self.ideal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--model", type=Path, action="append", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    embedder = embedder_of(open_home(arguments.home))
    folders = arguments.collections
    qrels = ["test", "test", *["train"] * (len(folders) - 2)]
    asked = [list(read(f, q, embedder)) for f, q in zip(folders, qrels, strict=True)]
    rankers = [learned([a for n, a in enumerate(asked) if n != year]) for year in (0, 1)]
    rows = []
    for home in arguments.model:
        reader = Reader(*newest(home))
        for year in (0, 1):
            print(reader.name, folders[year].name, flush=True)
            ranked = [
                [reader.ranked(query, rankers[year]) for query in source[: most_read(n)]]
                for n, source in enumerate(asked)
            ]
            seconds = reader.seconds(asked[year], rankers[year])
            rows += [
                [folders[year].name, reader.name, *measured(ranked, year, variant, seconds)]
                for variant in VARIANTS
            ]
    headings = [
        "collection", "model", "reads", "weights", "ranker", "with model", "difference", "95%",
        "p", "CPU seconds a query",
    ]  # fmt: skip
    body = (
        f"nDCG at 10. The model reads the best {DEPTH} posts of the ranker; seconds are medians on "
        f"one core. Vectors: embedder {embedder.digest}, of a stated weight of "
        f"{embedder.weight:g}. Ranker and weights were learned without the year.\n\n"
        + table(headings, rows)
    )
    title = "Re-ranking by a language model"
    print(write_result("rerank", title, ["torch", "tantivy"], body).read_text())


def newest(folder: Path) -> tuple[str, Network, Tokenizer]:
    """Return a name for the newest checkpoint of a home, its network and its tokenizer."""
    checkpoint = open_home(folder).newest("checkpoint")
    network = load_network(checkpoint)
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    return f"{folder.name} ({millions:.1f}M)", network, load_tokenizer(checkpoint)


def read(folder: Path, qrels: str, embedder: Embedder) -> Iterator[Asked]:
    """Yield the judged queries of a collection, in an order that says nothing about them."""
    judged = read_judged(folder, qrels)
    print(folder.name, len(judged.grades), flush=True)
    with tempfile.TemporaryDirectory(prefix="rookery-rerank-") as scratch:
        index = indexed(judged, embedder, Path(scratch) / "index", Context())
        names = sorted(judged.grades)
        random.Random(0).shuffle(names)
        for name in names:
            query, grades = words_query(judged.queries[name]), judged.grades[name]
            ordinals = candidates_of(index, query, RANKED)
            ids = [index.ids[n] for n in ordinals]
            found = np.array([max(0, grades.get(i, 0)) for i in ids], float)
            ideal = ideal_gain(list(grades.values()))
            known = features_of(index, query, ordinals)
            candidates = JudgedCandidates(known, found, len(query.terms), ideal)
            texts = tuple(judged.posts[i].text for i in ids)
            yield Asked(judged.queries[name], np.array(ordinals), texts, candidates)


def learned(sources: Sequence[Sequence[Asked]]) -> Weights:
    """Return the weights of the ranker, learned as `rookery search learn` does."""
    parts = [[asked.candidates for asked in source] for source in sources]
    penalty, _ = chosen_penalty(parts)
    return fitted(parts, penalty)


def most_read(source: int) -> int | None:
    return None if source < 2 else MOST_READ


class Reader:
    """A language model that reads queries and posts, each pair once."""

    def __init__(self, name: str, network: Network, tokenizer: Tokenizer) -> None:
        self.name, self._network, self._tokenizer = name, network, tokenizer
        self._line_feed = tokenizer.encode(["\n"])[0]
        self._read: dict[tuple[str, str], np.ndarray] = {}

    def ranked(self, asked: Asked, weights: Weights) -> Ranked:
        """Return the best candidates of a query, read by the model."""
        scores = weights.scores(asked.candidates.features, asked.candidates.terms)
        best = np.lexsort((-asked.ordinals, -scores))[:DEPTH]
        texts = [asked.texts[n] for n in best]
        unread = [text for text in dict.fromkeys(texts) if (asked.text, text) not in self._read]
        if unread:
            both = [self.signal(name, asked.text, unread) for name in SIGNALS]
            for text, *values in zip(unread, *both, strict=True):
                self._read[asked.text, text] = np.array(values)
        told = np.array([self._read[asked.text, text] for text in texts]).reshape(-1, len(SIGNALS))
        return Ranked(
            scores[best],
            asked.ordinals[best],
            asked.candidates.grades[best],
            asked.candidates.ideal,
            (told - told.mean(axis=0)) / np.maximum(told.std(axis=0), 1e-9) if len(told) else told,
        )

    def signal(self, name: str, query: str, posts: Sequence[str]) -> np.ndarray:
        """Return what one direction tells of posts, float64 (posts,)."""
        q, *p = [
            t[:MOST_TOKENS] or self._line_feed for t in self._tokenizer.encode([query, *posts])
        ]
        if name == "query":
            return self._after([(post, q) for post in p]) - self._after([([], q)])
        mutual = self._after([(q, post) for post in p]) - self._after([([], post) for post in p])
        return mutual / np.array([len(post) for post in p])

    def seconds(self, asked: Sequence[Asked], weights: Weights) -> dict[str, float]:
        """Return the median CPU seconds in which the best posts of a query are read."""
        taken: dict[str, list[float]] = {name: [] for name in SIGNALS}
        for one in asked[:TIMED]:
            scores = weights.scores(one.candidates.features, one.candidates.terms)
            texts = [one.texts[n] for n in np.argsort(-scores)[:DEPTH]]
            for name in SIGNALS:
                began = time.process_time()
                self.signal(name, one.text, texts)
                taken[name].append(time.process_time() - began)
        return {name: float(np.median(found)) for name, found in taken.items()}

    def _after(self, pairs: Sequence[tuple[list[int], list[int]]]) -> np.ndarray:
        """Return the log probability of each text after another and a line feed, or after none."""
        before = list(self._tokenizer.before_text)
        known = [[*before, *first, *self._line_feed] if first else before for first, _ in pairs]
        whole = [[*k, *second] for k, (_, second) in zip(known, pairs, strict=True)]
        found = np.zeros(len(pairs))
        for part in batches([len(tokens) for tokens in whole]):
            found[part] = self._sums([whole[n] for n in part], [len(known[n]) for n in part])
        return found

    @torch.no_grad()
    def _sums(self, rows: Sequence[list[int]], known: Sequence[int]) -> np.ndarray:
        """Return for each row of tokens the log probability of those behind the known ones."""
        tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        targets = torch.full_like(tokens, IGNORED)
        for n, row in enumerate(rows):
            tokens[n, : len(row)] = torch.tensor(row)
            targets[n, known[n] : len(row)] = tokens[n, known[n] : len(row)]
        logits = self._network.logits(self._network(tokens[:, :-1])).float()
        nats = F.cross_entropy(
            logits.flatten(0, 1), targets[:, 1:].flatten(), ignore_index=IGNORED, reduction="none"
        )
        return -nats.view(len(rows), -1).double().sum(dim=1).numpy()


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield places of rows of similar length, so that there is little padding."""
    batch: list[int] = []
    for n in sorted(range(len(lengths)), key=lambda n: lengths[n]):
        if batch and (len(batch) + 1) * lengths[n] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch


def measured(
    ranked: Sequence[Sequence[Ranked]], year: int, variant: Sequence[str], seconds: dict[str, float]
) -> list[str]:
    """Return the cells of a row: weights chosen without the year, and what they do on it."""
    others = [source for n, source in enumerate(ranked) if n != year]
    weights = max(choices(variant), key=lambda w: (worth(others, w), -sum(w)))
    alone = np.array([query.ndcg((0.0, 0.0)) for query in ranked[year]])
    ours = np.array([query.ndcg(weights) for query in ranked[year]])
    found = metrics.paired_bootstrap(ours - alone)
    return [
        " + ".join(variant),
        " + ".join(f"{w:g} {name}" for w, name in zip(weights, SIGNALS, strict=True) if w)
        or "none",
        f"{alone.mean():.3f}",
        f"{ours.mean():.3f}",
        f"{found.difference:+.3f}",
        f"{found.low:+.3f} to {found.high:+.3f}",
        f"{found.p:.3f}",
        f"{sum(seconds[name] for name in variant):.2f}",
    ]


def choices(variant: Sequence[str]) -> list[tuple[float, ...]]:
    """Return the weights that are tried, 0 for a signal that is not in the variant."""
    return list(itertools.product(*(WEIGHTS if name in variant else (0.0,) for name in SIGNALS)))


def worth(sources: Sequence[Sequence[Ranked]], weights: Sequence[float]) -> float:
    """Return the mean nDCG over collections, each of which counts the same."""
    means = [np.mean([query.ndcg(weights) for query in source]) for source in sources]
    return float(np.mean(means))


if __name__ == "__main__":
    main()
