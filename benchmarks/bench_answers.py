"""Measure answers on collections with relevance judgements, and how far one year's bar holds.

    python benchmarks/bench_answers.py COLLECTION COLLECTION [--shares 1 0.3 0.1]

Each of two collections is indexed as a home's posts. Its own topics should be answered, with
posts that were judged relevant; those of the other, of which it holds posts by chance alone, should
be refused. How much must be written about a topic is a number in `evidence.py`: here the bar is
moved to where one collection does best, and measured on the other. Smaller shares of the posts,
taken at random, show whether the bar follows the size of a collection. The authors are unknown, so
each post counts as one author's.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from record import table, write_result

from rookery.core.context import Context
from rookery.core.home import create_home
from rookery.core.protocols import HashedEmbedder
from rookery.posts.lake import append
from rookery.posts.post import Post, to_table
from rookery.search.answers import evidence
from rookery.search.answers.answer import ask, gathered
from rookery.search.answers.question import topic_of
from rookery.search.build import build_index
from rookery.search.index import SearchIndex, open_index
from rookery.search.judged import JudgedCollection, read_judged

ANSWERED, REFUSED, RELEVANT = 0.85, 0.90, 0.50
"""The bars: the shares of own topics answered, of other topics refused, of citations relevant."""


@dataclass(frozen=True)
class Asked:
    """A topic that was asked of a collection.

    margin: its evidence's strength over what is needed, 0 where no sentence is about it.
    relevant: for each cited post, whether it was judged relevant.
    """

    own: bool
    margin: float
    answered: bool
    relevant: tuple[bool, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", type=Path, nargs=2)
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.3, 0.1])
    arguments = parser.parse_args()
    names = [folder.name for folder in arguments.collections]
    judged = [read_judged(folder, "test") for folder in arguments.collections]
    measured = {}
    for share in arguments.shares:
        for n, name in enumerate(names):
            measured[share, name] = list(asked(judged[n], judged[1 - n], share))
            print(share, name, flush=True)
    shipped = [
        [name, f"{share:.0%}", *shares_of(measured[share, name])]
        for share in arguments.shares
        for name in names
    ]
    moved = [
        [
            f"{share:.0%}",
            names[n],
            f"{bar:.2f}",
            names[1 - n],
            *at_bar(measured[share, names[1 - n]], bar),
        ]
        for share in arguments.shares
        for n in (0, 1)
        for bar in [best_bar(measured[share, names[n]])]
    ]
    body = (
        f"Bars: {ANSWERED:.0%} of a collection's own topics answered, {RELEVANT:.0%} of cited "
        f"posts relevant, {REFUSED:.0%} of the other's topics refused.\n\n## As shipped\n\n"
        + table(
            [
                "collection",
                "posts kept",
                "own answered",
                "cited posts relevant",
                "cited posts an answer",
                "other's refused",
            ],
            shipped,
        )
        + "\n## The bar chosen on one collection, measured on the other\n\nA bar of 1 is the one "
        "that ships.\n\n"
        + table(
            ["posts kept", "chosen on", "bar", "measured on", "own answered", "other's refused"],
            moved,
        )
    )
    print(write_result("answers", "Answers with citations", ["tantivy"], body).read_text())


def asked(own: JudgedCollection, other: JudgedCollection, share: float) -> Iterator[Asked]:
    """Yield what a collection, or a share of its posts, answers to its own and other topics."""
    chance = random.Random(0)
    texts = {i: post.text for i, post in own.posts.items() if share == 1 or chance.random() < share}
    with tempfile.TemporaryDirectory(prefix="rookery-answers-") as folder:
        index = indexed(Path(folder) / "home", texts)
        for query, grades in own.grades.items():
            relevant = {i for i, grade in grades.items() if grade > 0}
            if not relevant.isdisjoint(texts):
                yield one(index, own.queries[query], True, relevant)
        for query in other.grades:
            yield one(index, other.queries[query], False, set())


def indexed(folder: Path, texts: Mapping[str, str]) -> SearchIndex:
    """Return the index of a new home with these texts as posts."""
    home, moment = create_home(folder), datetime(2011, 2, 1, tzinfo=UTC)
    posts = [Post(i, i, texts[i], moment, visibility="public") for i in sorted(texts)]
    append(home, to_table(posts).to_batches(), "posts")
    build_index(home, HashedEmbedder(), Context())
    return open_index(home, HashedEmbedder())


def one(index: SearchIndex, text: str, own: bool, relevant: set[str]) -> Asked:
    """Ask one topic, at the bar that ships and at none."""
    answer = ask(index, text)
    cited = tuple(source.id in relevant for source in answer.sources)
    return Asked(own, margin_of(index, text), bool(answer.sentences), cited)


def margin_of(index: SearchIndex, text: str) -> float:
    """Return the strength of the evidence for a topic over what is needed."""
    topic = topic_of(text)
    found = gathered(index, topic)
    judged = evidence.judged(topic, found)
    return judged.strength / evidence.needed_strength(found.posts) if judged.passages else 0.0


def shares_of(rows: list[Asked]) -> list[str]:
    """Return the measures at the bar that ships."""
    own, other = [r for r in rows if r.own], [r for r in rows if not r.own]
    cited = [relevant for row in own for relevant in row.relevant]
    answers = sum(row.answered for row in own)
    return [
        f"{np.mean([r.answered for r in own]):.3f}",
        f"{np.mean(cited):.3f}",
        f"{len(cited) / answers:.1f}",
        f"{np.mean([not r.answered for r in other]):.3f}",
    ]


def best_bar(rows: list[Asked]) -> float:
    """Return the bar that exceeds both bars by most, in the middle (geometric) of such bars."""
    bars = np.unique([r.margin for r in rows if r.margin > 0])
    worth = np.array([min(a - ANSWERED, r - REFUSED) for a, r in (rates(rows, b) for b in bars)])
    best = bars[worth >= worth.max() - 1e-9]
    return float(np.exp(np.log(best).mean()))


def rates(rows: list[Asked], bar: float) -> tuple[float, float]:
    """Return the share of own topics answered and of other topics refused at a bar."""
    answered = np.mean([r.margin >= bar for r in rows if r.own])
    return float(answered), float(np.mean([r.margin < bar for r in rows if not r.own]))


def at_bar(rows: list[Asked], bar: float) -> list[str]:
    return [f"{rate:.3f}" for rate in rates(rows, bar)]


if __name__ == "__main__":
    main()
