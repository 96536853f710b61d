"""Measure posts per second from the lake to token shards, beside datatrove on the same steps.

    python benchmarks/bench_corpus.py --data tweets.parquet --peer-python dt/bin/python

`peer_datatrove.py` describes how to make the peer's environment; without `--peer-python` only our
side is measured. The peer is too slow for the whole file, so it gets a sample of posts that follow
one another in time, and a second one twice as large: the extra time of the second gives its rate
without fixed costs (starting workers, loading models). Our rate is given at both sizes, all costs
included.
"""

import argparse
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from process import IRA_MAP, Measured, measured, new_home, progress, rookery, step
from record import table, write_result

PEER = Path(__file__).with_name("peer_datatrove.py")
BAR_POSTS_PER_SECOND, BAR_RATIO = 40_000, 20
STEPS = [
    ["read", "the lake, a version, through the gate of rights", "Parquet"],
    ["text", "Unicode, entities, invisible characters; personal data redacted", "as it is"],
    [
        "quality",
        "rules for posts, floods of one template",
        "Gopher quality and repetition, bounds loosened",
    ],
    [
        "language",
        "py3langid's model, texts it is sure of",
        "fastText with lid.176.ftz (the small one)",
    ],
    [
        "duplicates",
        "equal keys; MinHash 16 × 4 over five characters, then each pair exactly",
        "MinHash 14 × 8 over five words (spaCy), no exact check",
    ],
    [
        "documents",
        "threads, a split by time, a seeded shuffle, lineage, a report",
        "in the order of the input",
    ],
    ["tokens", "tiktoken, the same tokenizer", "tokenizers, the same tokenizer"],
]


@dataclass(frozen=True)
class Corpus:
    """A home whose lake holds some posts, and the same posts as the peer reads them."""

    home: Path
    posts: int
    peer_file: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--sample", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=16_384)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tweets = pq.read_table(arguments.data).sort_by(
            [("created_at", "ascending"), ("post_id", "ascending")]
        )
        start = int(
            np.random.default_rng(arguments.seed).integers(len(tweets) - 2 * arguments.sample)
        )
        sizes = {"whole": tweets, "twice": tweets.slice(start, 2 * arguments.sample)}
        sizes["sample"] = sizes["twice"].slice(0, arguments.sample)
        corpora = {size: prepared(folder / size, part) for size, part in sizes.items()}
        del tweets, sizes
        progress("one build to train the tokenizer on")
        rookery(corpora["whole"].home, "corpus", "build")
        tokenizer = Path(
            step("tokenizer", corpora["whole"].home, arguments.vocabulary).output["path"]
        )
        runs = alternate(corpora, tokenizer, arguments.peer_python, arguments.rounds)
        posts = {size: corpus.posts for size, corpus in corpora.items()}
    path = write_result(
        "corpus",
        "From the lake to token shards",
        ["daft", "tiktoken", "pyarrow"],
        body(runs, posts),
    )
    print(path.read_text())


def prepared(folder: Path, tweets: pa.Table) -> Corpus:
    """Ingest some tweets into a home of their own."""
    folder.mkdir()
    pq.write_table(tweets, folder / "tweets.parquet")
    progress(f"ingesting {len(tweets):,} posts")
    home = new_home(folder / "home")
    rookery(home, "posts", "ingest", folder / "tweets.parquet", "--map", IRA_MAP)
    columns = {"id": tweets["post_id"].cast(pa.string()), "text": tweets["content"]}
    pq.write_table(pa.table(columns), folder / "peer.parquet")
    return Corpus(home, len(tweets), folder / "peer.parquet")


def alternate(
    corpora: dict[str, Corpus], tokenizer: Path, peer_python: Path | None, rounds: int
) -> dict[str, list[Measured]]:
    """Run every side in every round; the peer over characters runs in the first round only."""
    runs: dict[str, list[Measured]] = {}
    for number in range(rounds):
        for size, corpus in corpora.items():
            progress(f"round {number + 1} of {rounds}: {corpus.posts:,} posts")
            runs.setdefault(f"ours, {size}", []).append(ours(corpus, tokenizer))
            if peer_python and size != "whole":
                runs.setdefault(f"peer, {size}", []).append(peer(corpus, tokenizer, peer_python))
        if peer_python and not number:
            runs["peer over characters, sample"] = [
                peer(corpora["sample"], tokenizer, peer_python, "--characters")
            ]
    return runs


def ours(corpus: Corpus, tokenizer: Path) -> Measured:
    """Run all steps anew: remove what an earlier run made, but use the same tokenizer."""
    for kind in ("corpus", "shards"):
        shutil.rmtree(corpus.home / "artifacts" / kind, ignore_errors=True)
    return step("corpus", corpus.home, tokenizer)


def peer(corpus: Corpus, tokenizer: Path, python: Path, *options: str) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        return measured(
            [str(python), str(PEER), str(corpus.peer_file), folder, str(tokenizer), *options]
        )


def body(runs: dict[str, list[Measured]], posts: dict[str, int]) -> str:
    seconds = {name: statistics.median(run.seconds for run in part) for name, part in runs.items()}
    rate = posts["whole"] / seconds["ours, whole"]
    rows = [row(name, part, posts[name.split(", ")[1]]) for name, part in runs.items()]
    columns = [
        "what",
        "posts",
        "rounds",
        "median seconds",
        "least",
        "most",
        "posts a second",
        "documents",
        "tokens",
    ]
    sentences = [
        f"{rate:,.0f} posts a second. Bar of {BAR_POSTS_PER_SECOND:,}: "
        f"{_met(rate >= BAR_POSTS_PER_SECOND)}."
    ]
    parts = runs["ours, whole"][-1].output
    sentences += [
        f"Of the last whole run {parts['build_seconds']:.1f} s went into documents, "
        f"{parts['shards_seconds']:.1f} s into shards. Every run is a new process, its start "
        "included."
    ]
    sentences += ratios(seconds, posts, rate) if "peer, sample" in runs else []
    return "\n\n".join(
        [
            *sentences,
            table([*columns, "peak GB"], rows),
            "What each side does:",
            table(["step", "ours", "peer"], STEPS),
        ]
    )


def row(name: str, runs: list[Measured], posts: int) -> list[object]:
    """Return the row of the table for all runs of one side at one size."""
    seconds = [run.seconds for run in runs]
    return [
        name,
        f"{posts:,}",
        len(runs),
        f"{statistics.median(seconds):.1f}",
        f"{min(seconds):.1f}",
        f"{max(seconds):.1f}",
        f"{posts / statistics.median(seconds):,.0f}",
        f"{runs[-1].output['documents']:,}",
        f"{runs[-1].output['tokens']:,}",
        f"{max(run.peak_bytes for run in runs) / 1e9:.2f}",
    ]


def ratios(seconds: dict[str, float], posts: dict[str, int], rate: float) -> list[str]:
    """Return sentences that compare our rate with the peer's.

    One compares with the peer's rate without fixed costs, one at the same size with all costs.
    """
    more = seconds["peer, twice"] - seconds["peer, sample"]
    peer_rate = (
        (posts["twice"] - posts["sample"]) / more
        if more > 0
        else posts["twice"] / seconds["peer, twice"]
    )
    ratio = rate / peer_rate
    same = seconds["peer, sample"] / seconds["ours, sample"]
    return [
        f"Datatrove without its fixed costs: {peer_rate:,.0f} posts a second, so ours is "
        f"**{ratio:.0f} times** that. "
        f"Bar of {BAR_RATIO}: {_met(ratio >= BAR_RATIO)}. The sizes differ, in the peer's favour "
        f"as to fixed costs.",
        f"At the same {posts['sample']:,} posts, each as a whole with its start: {same:.1f} times.",
    ]


def _met(met: bool) -> str:
    return "met" if met else "NOT met"


if __name__ == "__main__":
    main()
