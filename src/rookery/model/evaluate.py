"""Evaluation: how many bits a model needs for each UTF-8 byte of texts that it has not seen.

Model, zstd and n-grams are judged alike: each text alone, every byte of it. The two baselines
(`baselines.py`) learn from the first training documents of the corpus that the model learned from
last. The result states how many bytes these are, how many the model saw, and how many there were.
A third baseline, xz, learns nothing beforehand and packs all texts together. A model that learned
with control tokens is given those of each document. Bits per byte compare across tokenizers and
languages; perplexity does not.

The texts to judge on come from one corpus; the training texts come from the corpora of all of the
checkpoint's phases. The two differ when a corpus was built since: it may hold out what the weights
have learned, and it holds texts that they never saw.

On a corpus the figures are also given by language, by month after training (how a model ages), by
whether the author is known, and by whether the text is new (`held_out.py`); their confidence
intervals are computed in `estimate.py`. Not here: how useful the model is in a task (search has an
evaluation of its own).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rookery.core.artifact import Artifact
from rookery.core.atomic import write_atomically
from rookery.core.context import Context, Progress, SilentProgress
from rookery.core.errors import DataError
from rookery.core.home import Home
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.prepare import as_in_corpus
from rookery.model.checkpoint import load_network
from rookery.model.evaluation.baselines import train_ngram, xz_bits_per_byte, zstd_bits
from rookery.model.evaluation.bits import text_bits
from rookery.model.evaluation.estimate import MODEL, ScoredTexts, by, summarize
from rookery.model.evaluation.held_out import HeldOut, held_out
from rookery.model.pages.evaluation import page
from rookery.model.phases import corpora_of
from rookery.model.tokenizer import Tokenizer, load_tokenizer, prefix, training_texts
from rookery.model.training.run import best_precision
from rookery.posts.live import live_log

RESULT, PAGE = "result.json", "evaluation.html"
STAGE_VERSION = 5
FEWEST_OF_MONTH = 100  # documents; fewer say nothing about a month


@dataclass(frozen=True)
class EvaluationConfig:
    """The size of an evaluation.

    most_documents: the largest number of documents that are judged. most_baseline_bytes: the
    largest number of bytes of training text that the baselines learn from.
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
    """Judge a checkpoint on a corpus' held-out documents, and return the artifact.

    It holds all figures as `result.json` and a page that shows them, `evaluation.html`. Documents
    that were forgotten since are left out, and so are those whose text, or a post of which, the
    checkpoint has learned. Raises `DataError` if no document is left to judge on.
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
        result["remarks"] = [*remarks, *_remarks_on_controls(checkpoint, held.controls)]
        write_atomically(
            workspace.path / RESULT, json.dumps(result, indent=1, ensure_ascii=False).encode()
        )
        write_atomically(workspace.path / PAGE, page(result).encode())
        return result["bits_per_byte"]

    return run_stage(home, stage, make, context)


def read_result(evaluation: Artifact) -> dict[str, Any]:
    """Return the figures of an evaluation, as `evaluate` wrote them."""
    return json.loads(evaluation.file(RESULT).read_text())


def evaluate_texts(
    home: Home, checkpoint: Artifact, corpus: Artifact, texts: Sequence[str]
) -> dict[str, Any]:
    """Judge a checkpoint on any texts, and return the figures of `estimate.py`.

    The texts are judged as the corpus would hold them; `raw` has the bytes and the bits per byte of
    the texts as they were given, and how many of them cleaning changed. Each text counts as an
    author of its own; those of which nothing is left are left out. Whether the texts are among the
    training texts is not examined. corpus: what the baselines learn from if the model's own corpus
    no longer exists. Raises `DataError` if no text is left.
    """
    learned, remarks = _learned(home, checkpoint, corpus)
    placeholders = learned[-1].manifest.config.get("placeholders", False)
    pairs = zip(as_in_corpus(texts, placeholders), texts, strict=True)
    both = [(clean, raw) for clean, raw in pairs if clean]
    if not both:
        raise DataError(
            "there is no text to judge on: every one is empty",
            hint="Name the texts' column with --column",
        )
    cleaned, given = (list(part) for part in zip(*both, strict=True))
    changed = np.array([clean != raw for clean, raw in both])
    every = [*cleaned, *(raw for clean, raw in both if clean != raw)]
    judged, _ = _judged(
        checkpoint, learned[-1], every, np.arange(len(every)), EvaluationConfig(), SilentProgress()
    )
    as_given = np.arange(len(both))
    as_given[changed] = np.arange(len(both), len(every))
    raw = _with_xz(summarize(judged.of(as_given)), given)
    return _with_xz(summarize(judged.of(np.arange(len(both)))), cleaned) | {
        "raw": {
            "texts_changed": int(changed.sum()),
            "bytes": raw["bytes"],
            "bits_per_byte": raw["bits_per_byte"],
        },
        "remarks": [*remarks, *_remarks_on_controls(checkpoint)],
    }


def _learned(
    home: Home, checkpoint: Artifact, corpus: Artifact
) -> tuple[list[Artifact], list[str]]:
    """Return the corpora that a checkpoint learned from, the last one last, and remarks on them."""
    found, missing = corpora_of(home, checkpoint)
    if not found and "adopted" in checkpoint.manifest.metrics:
        return [corpus], [
            "The model was adopted: what its maker trained it on is not known, and may hold some "
            "of what it is judged on."
        ]
    if not found:
        remark = (
            f"No corpus that the model learned from was found, so {corpus.key} is used in its place"
        )
    elif missing:
        count = missing + len(found)
        remark = f"{missing} of the {count} corpora that the model learned from no longer exist"
    else:
        return found, []
    return found or [corpus], [f"{remark}: it may have learned some of what it is judged on."]


def _remarks_on_controls(checkpoint: Artifact, controls: Sequence[Sequence[str]] = ()) -> list[str]:
    """Return the remark that belongs to a model that learned with control tokens."""
    if not load_tokenizer(checkpoint).controls:
        return []
    if any(controls):
        return [
            "The model is given the control tokens of each text, which are not counted; the "
            "baselines are not given them."
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
    of_months = by(judged, held.months)
    months = {month: of_months[month] for month in sorted(of_months, key=int)}
    return _with_xz(summarize(judged), held.texts) | {
        "left_out": dict(held.left_out),
        "training": {
            "until": held.trained_until.isoformat(),
            "bytes": held.training_bytes,
            "bytes_seen_by_model": _bytes_seen(checkpoint, load_tokenizer(checkpoint), held),
            "bytes_seen_by_baselines": baseline_bytes,
        },
        "languages": by(judged, held.languages),
        "months": months,
        "aged": aged(months),
        "authors_seen": by(judged, held.acquaintance),
        "novelty": by(judged, held.novelty),
        "repetitions": by(judged, held.repetitions),
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
    """Return the bits of each text under the model and the baselines.

    Second, the number of bytes that the baselines learned from.
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


def aged(months: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return by how many bits per byte a model is worse on the last month than on the first.

    months: figures by the month after training, from 1 on, as numbers in text; those of fewer than
    100 documents do not count. The n-gram model, which learned from the same texts, stands beside
    it: the difference of both is not that the texts have become harder. None without two months.
    """
    known = [
        (month, of["bits_per_byte"])
        for month, of in months.items()
        if int(month) > 0 and of["documents"] >= FEWEST_OF_MONTH
    ]
    if len(known) < 2:
        return None
    (first, before), (last, after) = known[0], known[-1]
    more = {name: round(after[name] - before[name], 4) for name in (MODEL, "ngram")}
    return {"from_month": int(first), "to_month": int(last), "more_bits_per_byte": more}


def _bytes_seen(checkpoint: Artifact, tokenizer: Tokenizer, held: HeldOut) -> int | None:
    """Return about how many bytes the model learned from, with repetitions.

    The estimate gives its training tokens the mean length of these texts' tokens. None for a
    checkpoint that does not record its tokens.
    """
    seen = checkpoint.manifest.metrics.get("tokens")
    if seen is None:
        return None
    tokens = sum(len(one) for one in tokenizer.encode(held.texts))
    tokens += sum(len(one) for one in held.controls) + len(held.texts)  # one end for each document
    return round(seen * sum(len(text.encode()) for text in held.texts) / tokens)
