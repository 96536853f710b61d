"""Comparing models: own, adopted and tuned ones side by side on the same later posts.

The posts are the held-out documents of a corpus, without those that any of the models learned.
Bits per byte compare across tokenizers; the interval of a difference rests on the same draws of
authors (`evaluation/estimate.py`). Not here: one model beside baselines (`evaluate.py`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.home import Home
from rookery.model.checkpoint import load_network
from rookery.model.evaluation.bits import text_bits
from rookery.model.evaluation.estimate import ScoredTexts, bootstrap, interval
from rookery.model.evaluation.held_out import HeldOut, held_out
from rookery.model.phases import corpora_of
from rookery.model.tokenizer import load_tokenizer
from rookery.model.training.run import best_precision
from rookery.posts.live import live_log

MOST_DOCUMENTS = 5_000


def compare(
    home: Home,
    checkpoints: Sequence[Artifact],
    corpus: Artifact,
    context: Context,
    most_documents: int = MOST_DOCUMENTS,
) -> dict[str, Any]:
    """Return the bits per byte of some models on the same held-out documents.

    `{"documents", "bytes", "models": [{"key", "made_by", "parameters", "bits_per_byte",
    "interval_95", "less_than_first": [difference, low, high]}], "remarks"}`, in the order given.
    Raises `DataError` if no document is left to judge on.
    """
    with live_log(home) as log:
        restrictions = log.restrictions()
    learned, missing = _learned(home, checkpoints, corpus)
    held = held_out(corpus, learned, restrictions, most_documents, context.progress)
    bits = {one.key: _bits(one, held, context) for one in checkpoints}
    judged = ScoredTexts(np.array([len(text.encode()) for text in held.texts]), held.authors, bits)
    drawn, size = bootstrap(judged), int(judged.sizes.sum())
    first = checkpoints[0].key
    return {
        "documents": len(held.texts),
        "bytes": size,
        "models": [
            {
                "key": one.key,
                "made_by": made_by(one),
                "parameters": one.manifest.metrics.get("parameters"),
                "bits_per_byte": round(float(bits[one.key].sum()) / size, 4),
                "interval_95": interval(drawn[one.key]),
                "less_than_first": [
                    round(float((bits[one.key] - bits[first]).sum()) / size, 4),
                    *interval(drawn[one.key] - drawn[first]),
                ],
            }
            for one in checkpoints
        ],
        "remarks": [
            f"{missing} corpora that the models learned from no longer exist: some of what they "
            "are judged on may have been learned."
        ]
        * bool(missing),
    }


def made_by(checkpoint: Artifact) -> str:
    """Return how a checkpoint came about, in a word or two."""
    inputs, config = checkpoint.manifest.inputs, checkpoint.manifest.config
    if "lora_rank" in config:
        return "tuned, adapters" if config["lora_rank"] else "tuned, all weights"
    if "shards" not in inputs:
        return "adopted"
    return "trained, a later phase" if "earlier" in inputs else "trained"


def _learned(
    home: Home, checkpoints: Sequence[Artifact], corpus: Artifact
) -> tuple[list[Artifact], int]:
    """Return the corpora that any of the models learned from, and how many are gone."""
    found = [corpora_of(home, one) for one in checkpoints]
    corpora = {one.digest: one for each, _ in found for one in each}
    return list(corpora.values()) or [corpus], sum(missing for _, missing in found)


def _bits(checkpoint: Artifact, held: HeldOut, context: Context) -> np.ndarray:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = load_network(checkpoint, best_precision(device)).to(device)
    return text_bits(
        network, load_tokenizer(checkpoint), held.texts, context.progress, held.controls
    )
