"""Evaluation: how many bits a model needs for each UTF-8 byte of texts it has not seen, beside
three baselines.

Model, zstd and n-grams are judged alike: each text alone, every byte of it. The two baselines
(`baselines.py`) learn from the first training documents of the corpus that the model learned from
last; how many bytes these are, how many the model saw and how many there were is said. xz learns
nothing beforehand and packs all texts together. A model that learned with control tokens is told
those of each document. Bits per byte compare across tokenizers and languages; perplexity does not.

What is judged on comes from one corpus, and what training held from those of the checkpoint's
phases: a corpus built since may hold back what the weights have learned, and holds what they never
saw.

On a corpus the figures are also given by language, by month after training (how a model ages), by
whether the author is known, and by whether the text is new (`held_out.py`); how sure they are is in
`estimate.py`. Not here: what the model is good for (search has an evaluation of its own).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rookery.core.artifact import Artifact, write_atomically
from rookery.core.context import Context, Progress, SilentProgress
from rookery.core.errors import DataError
from rookery.core.home import Home
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.model.checkpoint import load_network
from rookery.model.evaluation.baselines import train_ngram, xz_bits_per_byte, zstd_bits
from rookery.model.evaluation.bits import text_bits
from rookery.model.evaluation.estimate import MODEL, ScoredTexts, by, summarize
from rookery.model.evaluation.held_out import HeldOut, held_out
from rookery.model.pages.evaluation import page
from rookery.model.phases import corpora_of
from rookery.model.tokenizer import (
    SPECIAL_TOKENS,
    Tokenizer,
    load_tokenizer,
    prefix,
    training_texts,
)
from rookery.model.training.run import best_precision
from rookery.posts.live import live_log

RESULT, PAGE = "result.json", "evaluation.html"
STAGE_VERSION = 3


@dataclass(frozen=True)
class EvaluationConfig:
    """How much is looked at: documents that are judged, and bytes of training text the baselines
    learn from.
    """

    most_documents: int = 20_000
    most_baseline_bytes: int = 20_000_000


def evaluate(
    home: Home,
    checkpoint: Artifact,
    corpus: Artifact,
    context: Context,
    config: EvaluationConfig = EvaluationConfig(),
) -> Artifact:
    """Judge a checkpoint on the corpus' held-out documents; `result.json` says it all,
    `evaluation.html` shows it.

    Documents forgotten since are left out, and so are those of which the checkpoint learned the
    text or a post. Raises `DataError` if no document is left to judge on.
    """
    with live_log(home) as log:
        restrictions = log.restrictions()
    learned, remarks = _learned(home, checkpoint, corpus)
    inputs = {
        "checkpoint": checkpoint.digest,
        "corpus": corpus.digest,
        "standing": restrictions.digest,
    }
    inputs |= {f"learned corpus {number}": one.digest for number, one in enumerate(learned, 1)}
    stage = Stage("evaluation", STAGE_VERSION, config, inputs)

    def make(workspace: Workspace) -> dict[str, Any]:
        held = held_out(corpus, learned, restrictions, config.most_documents, context.progress)
        result = _result(checkpoint, learned[-1], held, config, context.progress)
        result["remarks"] = [*remarks, *_of_controls(checkpoint, held.controls)]
        write_atomically(
            workspace.path / RESULT, json.dumps(result, indent=1, ensure_ascii=False).encode()
        )
        write_atomically(workspace.path / PAGE, page(result).encode())
        return result["bits_per_byte"]

    return run_stage(home, stage, make, context)


def read_result(evaluation: Artifact) -> dict[str, Any]:
    """What an evaluation found."""
    return json.loads(evaluation.file(RESULT).read_text())


def evaluate_texts(
    home: Home, checkpoint: Artifact, corpus: Artifact, texts: Sequence[str]
) -> dict[str, Any]:
    """Judge a checkpoint on any texts: the figures of `estimate.py`, each text counting as an
    author of its own.

    corpus: what the baselines learn from if that of the model is gone. Empty texts are left out;
    raises `DataError` if none is left. Nothing is said of whether they are in training.
    """
    texts = [text for text in texts if text]
    if not texts:
        raise DataError(
            "there is no text to judge on: every one is empty",
            hint="Name the texts' column with --column",
        )
    learned, remarks = _learned(home, checkpoint, corpus)
    judged, _ = _judged(
        checkpoint, learned[-1], texts, np.arange(len(texts)), EvaluationConfig(), SilentProgress()
    )
    return _with_xz(summarize(judged), texts) | {"remarks": [*remarks, *_of_controls(checkpoint)]}


def _learned(
    home: Home, checkpoint: Artifact, corpus: Artifact
) -> tuple[list[Artifact], list[str]]:
    """The corpora that a checkpoint learned from, the last one last, and what has to be said of
    them.
    """
    found, gone = corpora_of(home, checkpoint)
    if not found:
        said = (
            f"No corpus that the model learned from is known here, and {corpus.key} is taken for it"
        )
    elif gone:
        said = f"{gone} of the {gone + len(found)} corpora that the model learned from are gone"
    else:
        return found, []
    return found or [corpus], [f"{said}: it may have learned some of what it is judged on."]


def _of_controls(checkpoint: Artifact, controls: Sequence[Sequence[str]] = ()) -> list[str]:
    """What has to be said where a model learned with control tokens."""
    if set(load_tokenizer(checkpoint).special) <= set(SPECIAL_TOKENS):
        return []
    if any(controls):
        return [
            "The model is told the control tokens of each text, which are not counted; the "
            "baselines are not."
        ]
    return [
        "The model learned with control tokens before each text and is judged without them, "
        "which costs it bits."
    ]


def _result(
    checkpoint: Artifact,
    learned: Artifact,
    held: HeldOut,
    config: EvaluationConfig,
    progress: Progress,
) -> dict[str, Any]:
    judged, baseline_bytes = _judged(
        checkpoint, learned, held.texts, held.authors, config, progress, held.controls
    )
    months = by(judged, held.months)
    return _with_xz(summarize(judged), held.texts) | {
        "left_out": dict(held.left_out),
        "training": {
            "until": held.trained_until.isoformat(),
            "bytes": held.training_bytes,
            "bytes_seen_by_model": _bytes_seen(checkpoint, load_tokenizer(checkpoint), held),
            "bytes_seen_by_baselines": baseline_bytes,
        },
        "languages": by(judged, held.languages),
        "months": {month: months[month] for month in sorted(months, key=int)},
        "authors_seen": by(judged, held.acquaintance),
        "novelty": by(judged, held.novelty),
    }


def _judged(
    checkpoint: Artifact,
    learned: Artifact,
    texts: Sequence[str],
    authors: np.ndarray,
    config: EvaluationConfig,
    progress: Progress,
    controls: Sequence[Sequence[str]] | None = None,
) -> tuple[ScoredTexts, int]:
    """The bits of each text under the model and under the baselines, and the bytes that these
    learned from.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = load_network(checkpoint, best_precision(device)).to(device)
    bits = {MODEL: text_bits(network, load_tokenizer(checkpoint), texts, progress, controls)}
    with progress.task("baselines", 3, "steps") as task:
        training = list(prefix(training_texts(learned), config.most_baseline_bytes))
        task.advance()
        bits["zstd"] = zstd_bits(training, texts)
        task.advance()
        bits["ngram"] = train_ngram(training).bits(texts)
    sizes = np.array([len(text.encode()) for text in texts])
    return ScoredTexts(sizes, authors, bits), sum(len(text.encode()) for text in training)


def _with_xz(result: dict[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    return result | {
        "bits_per_byte": result["bits_per_byte"] | {"xz": round(xz_bits_per_byte(texts), 4)}
    }


def _bytes_seen(checkpoint: Artifact, tokenizer: Tokenizer, held: HeldOut) -> int | None:
    """About how many bytes the model learned from, repetitions counted: its tokens, as long as
    these texts' are.
    """
    tokens = sum(map(len, (*tokenizer.encode(held.texts), *held.controls))) + len(held.texts)
    seen = checkpoint.manifest.metrics.get("tokens")
    return (
        None
        if seen is None
        else round(seen * sum(len(text.encode()) for text in held.texts) / tokens)
    )
