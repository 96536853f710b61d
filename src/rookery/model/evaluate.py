"""Evaluation: how many bits a model needs for each UTF-8 byte of texts it has not seen, beside two baselines.

All three are judged alike: each text alone, its own characters only (what it would cost to say that the
text ends is not counted, for any of them), every byte of it. The baselines (`baselines.py`) learn from the
first training documents of the same corpus. Bits per byte compare across tokenizers and languages;
perplexity does not. Not here: what the model is good for (search has an evaluation of its own).
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from rookery.core.artifact import Artifact, write_atomically
from rookery.core.context import Context, Progress, SilentProgress
from rookery.core.errors import DataError
from rookery.core.home import Home
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.document import LAKE_VERSION, read_documents
from rookery.model.baselines import train_ngram, zstd_bits
from rookery.model.checkpoint import load_network
from rookery.model.network import IGNORED, Network
from rookery.model.tokenizer import Tokenizer, load_tokenizer, prefix, training_texts
from rookery.model.train import best_precision
from rookery.posts.live import Standing, live_log

RESULT = "result.json"
STAGE_VERSION = 1


@dataclass(frozen=True)
class EvaluationConfig:
    """How much is looked at: documents that are judged, and bytes of training text the baselines learn from."""

    most_documents: int = 20_000
    most_baseline_bytes: int = 20_000_000


def evaluate(
    home: Home,
    checkpoint: Artifact,
    corpus: Artifact,
    context: Context,
    config: EvaluationConfig = EvaluationConfig(),
) -> Artifact:
    """Judge a checkpoint on the corpus' held-out documents, those forgotten since left out; `result.json` says it all.

    Raises `DataError` if no document is left to judge on.
    """
    with live_log(home) as log:
        standing = log.standing()
    inputs = {"checkpoint": checkpoint.digest, "corpus": corpus.digest, "standing": standing.digest}
    stage = Stage("evaluation", STAGE_VERSION, config, inputs)

    def make(workspace: Workspace) -> dict[str, Any]:
        texts, languages = _held_out(corpus, standing, config.most_documents)
        if not texts:
            raise DataError("the corpus has no held-out documents to judge on", where=corpus.path)
        bits = _bits(checkpoint, corpus, texts, config, context.progress)
        result = _result(texts, bits) | {
            "languages": _by_language(texts, languages, bits),
            "baseline_bytes": config.most_baseline_bytes,
        }
        write_atomically(workspace.path / RESULT, json.dumps(result, indent=1, ensure_ascii=False).encode())
        return result["bits_per_byte"]

    return run_stage(home, stage, make, context)


def evaluate_texts(checkpoint: Artifact, corpus: Artifact, texts: Sequence[str]) -> dict[str, Any]:
    """Judge a checkpoint on any texts: `{"bytes": …, "documents": …, "bits_per_byte": {"model", "zstd", "ngram"}}`.

    Empty texts are left out; raises `DataError` if none is left.
    """
    texts = [text for text in texts if text]
    if not texts:
        raise DataError("there is no text to judge on: every one is empty")
    return _result(texts, _bits(checkpoint, corpus, texts, EvaluationConfig(), SilentProgress()))


def text_bits(
    network: Network, tokenizer: Tokenizer, texts: Sequence[str], progress: Progress | None = None
) -> np.ndarray:
    """Bits (float64, one a text) that the network needs for each text's own tokens.

    The first token is predicted from the end-of-document token. A text longer than the context is read in
    windows that each begin halfway through the one before, and every token is counted once.
    """
    windows = list(_windows(tokenizer.encode(texts), tokenizer.end_of_document, network.shape.context_tokens))
    bits = np.zeros(len(texts))
    with (progress or SilentProgress()).task("evaluation", len(windows), "texts") as task:
        for batch in _batches(windows):
            for window, nats in zip(batch, _losses(network, batch), strict=True):
                bits[window.text] += nats / math.log(2)
            task.advance(len(batch))
    return bits


@dataclass(frozen=True)
class _Window:
    """A stretch of a text's tokens, the one before it included; the first `known` targets are counted elsewhere."""

    text: int
    tokens: list[int]
    known: int


def _windows(encoded: Sequence[Sequence[int]], end_of_document: int, context_tokens: int) -> Iterator[_Window]:
    stride = max(context_tokens // 2, 1)
    for text, tokens in enumerate(encoded):
        whole = [end_of_document, *tokens]
        yield _Window(text, whole[: context_tokens + 1], 0)
        for start in range(stride, len(whole) - 1 - (context_tokens - stride), stride):
            yield _Window(text, whole[start : start + context_tokens + 1], context_tokens - stride)


def _batches(windows: list[_Window], tokens: int = 4_096) -> Iterator[list[_Window]]:
    """Windows of like length together, so that little is padded."""
    batch: list[_Window] = []
    for window in sorted(windows, key=lambda w: (len(w.tokens), w.text)):
        if batch and (len(batch) + 1) * len(window.tokens) > tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


@torch.no_grad()
def _losses(network: Network, batch: Sequence[_Window]) -> np.ndarray:
    """Nats (float64, one a window) of the targets that are not counted elsewhere."""
    longest = max(len(w.tokens) for w in batch)
    tokens = torch.zeros(len(batch), longest, dtype=torch.long)
    targets = torch.full((len(batch), longest - 1), IGNORED)
    for row, window in enumerate(batch):
        tokens[row, : len(window.tokens)] = torch.tensor(window.tokens)
        targets[row, window.known : len(window.tokens) - 1] = tokens[row, window.known + 1 : len(window.tokens)]
    logits = network.logits(network(tokens[:, :-1])).float()
    nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return nats.view_as(targets).double().sum(dim=1).numpy()


def _held_out(corpus: Artifact, standing: Standing, most: int) -> tuple[list[str], list[str]]:
    """The texts and languages of the first held-out documents all of whose posts may still be trained on."""
    texts: list[str] = []
    languages: list[str] = []
    version = corpus.manifest.metrics[LAKE_VERSION]
    for batch in read_documents(corpus, "validation", ["text", "language", "post_ids", "author_ids"]):
        for row in batch.to_pylist():
            posts = zip(row["post_ids"], row["author_ids"], strict=True)
            if not row["text"] or any(standing.bars("training", *post, version) for post in posts):
                continue
            texts.append(row["text"])
            languages.append(row["language"] or "unknown")
            if len(texts) == most:
                return texts, languages
    return texts, languages


def _bits(
    checkpoint: Artifact, corpus: Artifact, texts: Sequence[str], config: EvaluationConfig, progress: Progress
) -> dict[str, np.ndarray]:
    """Bits of each text, under the model and under the baselines."""
    model = text_bits(
        load_network(checkpoint, best_precision(torch.device("cpu"))), load_tokenizer(checkpoint), texts, progress
    )
    with progress.task("baselines", 3, "steps") as task:
        training = list(prefix(training_texts(corpus), config.most_baseline_bytes))
        task.advance()
        zstd = zstd_bits(training, texts)
        task.advance()
        return {"model": model, "zstd": zstd, "ngram": train_ngram(training).bits(texts)}


def _result(texts: Sequence[str], bits: dict[str, np.ndarray]) -> dict[str, Any]:
    size = sum(len(text.encode()) for text in texts)
    per_byte = {name: round(float(cost.sum()) / size, 4) for name, cost in bits.items()}
    return {"bytes": size, "documents": len(texts), "bits_per_byte": per_byte}


def _by_language(texts: Sequence[str], languages: Sequence[str], bits: dict[str, np.ndarray]) -> dict[str, Any]:
    """The same for each language, the one with most documents first."""
    tags, of_text, counts = np.unique(languages, return_inverse=True, return_counts=True)
    result = {}
    for tag in np.argsort(-counts, kind="stable"):
        chosen = np.flatnonzero(of_text == tag)
        result[str(tags[tag])] = _result(
            [texts[i] for i in chosen], {name: cost[chosen] for name, cost in bits.items()}
        )
    return result
