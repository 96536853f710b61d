"""Compare two states to start a later phase from: the end of the plateau, or the last step.

    python benchmarks/bench_phases.py --data tweets.parquet --scale 0.02 --work FOLDER

The last step has the decayed weights that were published. The tweets of `later_tweets.py` arrive in
three parts: the earliest six tenths, two more, the last two. A model learns from the first part,
then continues in two phases, each on all that has arrived and each with the compute of the first
run. Both ways share that first run, its tokenizer and its batches; they differ in the state that
the next phase starts from. Beside them is a model that spends the same compute in one run on
everything. The steps are the product's own (`model/training/run.py`), in parallel on one thread
each. After each phase the model is evaluated on the first of the later tweets; the confidence
intervals of the differences resample authors (`estimate.py`). Started again with the same `--work`
it continues.
"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from bench_model import later_texts, once
from later_tweets import later_tweets
from process import opened_home, progress
from record import table, write_result
from torch import Tensor

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.home import Home
from rookery.core.lineage import HELD
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.document import LAKE_VERSION, SPLITS, read_documents, write_documents
from rookery.corpus.shards import open_shards, write_shards
from rookery.model.config import (
    TrainConfig,
    config_for_phase,
    config_for_scale,
    learning_rate_factor,
)
from rookery.model.data.batches import batches
from rookery.model.evaluation.bits import text_bits
from rookery.model.evaluation.estimate import MODEL, ScoredTexts, summarize
from rookery.model.network import Network
from rookery.model.tokenizer import load_tokenizer, train_tokenizer
from rookery.model.training.run import Run, best_precision

ARRIVED = (0.6, 0.8, 1.0)  # shares of the tweets, by time
JUDGED = 6_000
PLATEAU, LAST = "the end of the plateau", "the last step"
ANEW = "one run on everything"

State = dict[str, Tensor]


@dataclass(frozen=True)
class Story:
    """What one process trains.

    Either a first run with its phases from both states, or one run of all the compute (`anew`).
    """

    decay: float
    seed: int
    anew: bool = False

    @property
    def name(self) -> str:
        return f"{'anew' if self.anew else 'phases'}_decay_{self.decay:g}_seed_{self.seed}"


STORIES = (Story(0.5, 0), Story(0.5, 0, anew=True), Story(0.2, 0), Story(0.5, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=0.02)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    home = opened_home(arguments.work)
    later = later_tweets(home, arguments.data, Context())
    corpora = [arrived(home, later, share) for share in ARRIVED]
    tokenizer = train_tokenizer(
        home, corpora[0], Context(), config_for_scale(arguments.scale).shape.vocabulary
    )
    shards = [
        write_shards(home, corpus, load_tokenizer(tokenizer), Context()) for corpus in corpora
    ]
    judged = later_texts(later)[:JUDGED]
    texts = [text for text, _ in judged]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        made = [
            pool.submit(story_bits, home, story, arguments.scale, shards, tokenizer, texts)
            for story in STORIES
        ]
        costs = {key: np.array(bits) for one in made for key, bits in one.result()}
    text = body(config_for_scale(arguments.scale), judged, costs)
    print(
        write_result(
            "phases", "From which state a later phase goes on", ["torch"], text
        ).read_text()
    )


def arrived(home: Home, corpus: Artifact, share: float) -> Artifact:
    """Return the corpus of the earliest share of the documents to learn from."""

    def make(workspace: Workspace) -> dict[str, int]:
        train, validation = (
            pa.Table.from_batches(read_documents(corpus, split)) for split in SPLITS
        )
        created = train["created"].to_numpy()
        first = train.filter(
            pa.array(created <= np.quantile(created.astype(np.int64), share).astype(created.dtype))
        )
        write_documents(workspace.path / "train.parquet", [first])
        write_documents(workspace.path / "validation.parquet", [validation])
        (workspace.path / HELD).touch()
        return {"documents_train": len(first), LAKE_VERSION: 0}

    return run_stage(
        home, Stage("corpus", 1, {"share": share}, {"corpus": corpus.digest}), make, Context()
    )


Key = tuple[Story, str, int]
"""A story, the state that its phases start from, and how many phases there were."""


def story_bits(
    home: Home,
    story: Story,
    scale: float,
    shards: list[Artifact],
    tokenizer: Artifact,
    texts: list[str],
) -> list[tuple[Key, list[float]]]:
    """Return the bits of each evaluated text after each phase of a story."""
    torch.set_num_threads(1)

    def make() -> list:
        encoder = load_tokenizer(tokenizer)
        return [
            [start, phase, text_bits(network(config, state), encoder, texts).tolist()]
            for start, phase, config, state in trained(story, scale, shards)
        ]

    return [
        ((story, start, phase), bits)
        for start, phase, bits in once(home, f"{story.name}_{scale:g}", make)
    ]


def trained(
    story: Story, scale: float, shards: list[Artifact]
) -> Iterator[tuple[str, int, TrainConfig, State]]:
    """Yield each published state.

    With it come the way that it was trained, the number of its phases, and the configuration of the
    last one.
    """
    first = decaying(replace(config_for_scale(scale), seed=story.seed), story.decay)
    if story.anew:
        whole = replace(
            config_for_phase(first, len(shards) * scale),
            warmup_steps=first.warmup_steps,
            seed=story.seed,
        )
        yield ANEW, len(shards), whole, run(whole, shards[-1], None)[1]
        return
    begun = run(first, shards[0], None)
    yield LAST, 1, first, begun[1]
    for number, start in enumerate((PLATEAU, LAST)):
        config, states = first, begun
        for phase, learned in enumerate(shards[1:], 2):
            config = decaying(config_for_phase(config, scale), story.decay)
            states = run(config, learned, states[number])
            yield start, phase, config, states[1]


def decaying(config: TrainConfig, share: float) -> TrainConfig:
    return replace(config, decay_steps=round(config.steps * share))


def run(config: TrainConfig, shards: Artifact, begun: State | None) -> tuple[State, State]:
    """Train from a state or from nothing; return the states after the plateau and the last step."""
    progress(f"{config.steps} steps, {config.decay_steps} of them decay, seed {config.seed}")
    going = Run.begin(replace(config, compiled=False))
    if begun is not None:
        with torch.no_grad():
            for name, tensor in going.optimizer.state().items():
                tensor.copy_(begun[name])
        going.optimizer.give_weights()
    plateau: State = {}
    steps = batches(open_shards(shards, "train"), config, lambda documents: documents < 0)
    for number, step in enumerate(islice(steps, config.steps)):
        if number == config.steps - config.decay_steps:
            plateau = copied(going.optimizer.state())
        going.learn(step, learning_rate_factor(config, number))
    return plateau, copied(going.optimizer.state())


def copied(state: State) -> State:
    return {name: tensor.clone() for name, tensor in state.items()}


def network(config: TrainConfig, state: State) -> Network:
    made = Network(config.shape)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            weight.copy_(state[f"master.{name}"])
    return made.to(best_precision(torch.device("cpu")))


def body(config: TrainConfig, judged: list[tuple[str, str]], costs: dict[Key, np.ndarray]) -> str:
    sizes = np.array([len(text.encode()) for text, _ in judged])
    authors = np.array([author for _, author in judged])
    rows = []
    for (story, start, phase), bits in costs.items():
        other = costs.get((story, PLATEAU, phase)) if start == LAST else None
        found = summarize(
            ScoredTexts(sizes, authors, {MODEL: bits} | ({} if other is None else {PLATEAU: other}))
        )
        more = (
            ""
            if other is None
            else "{:+.4f} ({:+.4f} to {:+.4f})".format(*found["model_less"][PLATEAU])
        )
        from_ = start if phase > 1 else ""
        rows.append(
            [
                f"{story.decay:.0%}",
                story.seed,
                phase,
                from_,
                f"{found['bits_per_byte'][MODEL]:.4f}",
                more,
            ]
        )
    shape = config.shape
    columns = [
        "decays",
        "seed",
        "phases",
        "going on from",
        "bits per byte",
        "more than from the plateau (95%)",
    ]
    return (
        f"{config.scale_petaflop:g} petaFLOP a phase: vocabulary {shape.vocabulary:,}, "
        f"{shape.layers} layers of "
        f"{shape.width}, {config.steps:,} steps of {config.batch_tokens:,} tokens; "
        f"{len(judged):,} later tweets.\n\n" + table(columns, rows)
    )


if __name__ == "__main__":
    main()
