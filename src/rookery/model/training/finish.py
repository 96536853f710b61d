"""The end of a run: the files of its checkpoint, made from the last saved state, and its metrics.

Not here: what the files of a checkpoint are (`checkpoint.py`), and when they count as finished
(`core/stage.py`).
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from rookery.core.artifact import Artifact
from rookery.core.config import to_plain
from rookery.core.workspace import Workspace
from rookery.corpus.shards import Shards
from rookery.model.checkpoint import WEIGHTS, save_network
from rookery.model.config import TrainConfig, TuneConfig
from rookery.model.embed import FILE as EMBEDDING
from rookery.model.embed import save_table
from rookery.model.layout.tensors import Stored, stored_tensors, write_tensors
from rookery.model.network import head_name
from rookery.model.phases import OPTIMIZER, Phase
from rookery.model.shape import parameters, training_flops_per_token
from rookery.model.tokenizer import copy_tokenizer
from rookery.model.training.notes import read_notes
from rookery.model.training.optimizer import MASTER
from rookery.model.training.run import POSITION
from rookery.model.training.states import whole_state
from rookery.model.tuning.lora import merged

LOSS_STEPS = 20  # the training loss of a run is the mean over its last steps


def save_checkpoint(
    workspace: Workspace,
    config: TrainConfig,
    tokenizer: Artifact,
    learned: Shards,
    masked: np.ndarray,
    earlier: Artifact | None,
) -> None:
    """Write weights, the embedder's table, the optimizer's state and the tokenizer.

    masked: bool (documents,), which documents the table must not count. earlier: what the run went
    on from, or the base that it tuned. Raises `StorageError` if the last state could not be saved
    or is damaged.
    """
    if isinstance(config, TuneConfig) and earlier is not None:
        _save_tuned(workspace, config, earlier)
        return
    state = whole_state(workspace.scratch, config.steps)
    weights = _weights(state)
    save_network(workspace.path, config.shape, weights)
    head = head_name(config.shape)
    save_table(workspace.path, weights.read([head])[head].numpy(), learned, masked)
    # a later phase begins at the start of its own order of documents: no position
    beside = state.renamed(
        lambda name: None if name.startswith(MASTER) or name == POSITION else name
    )
    write_tensors(workspace.path, OPTIMIZER, beside)
    copy_tokenizer(tokenizer, workspace.path)


def _save_tuned(workspace: Workspace, config: TuneConfig, base: Artifact) -> None:
    """Write the weights of a tuned model, adapters merged, and what it keeps of its base.

    That is the tokenizer and the embedder, whose table holds more texts than a tuning sees.
    """
    learned = _weights(whole_state(workspace.scratch, config.steps))
    weights = stored_tensors(base.path, WEIGHTS)
    save_network(
        workspace.path, config.shape, merged(weights, learned) if config.lora_rank else learned
    )
    copy_tokenizer(base, workspace.path)
    shutil.copyfile(base.file(EMBEDDING), workspace.path / EMBEDDING)


def _weights(state: Stored) -> Stored:
    # the weights in float32 are what the optimizer calls masters
    return state.renamed(
        lambda name: name.removeprefix(MASTER) if name.startswith(MASTER) else None
    )


def manifest_metrics(
    config: TrainConfig,
    phases: tuple[Phase, ...],
    learned: Shards,
    notes: Path,
    validation_loss: float | None,
    earlier: Artifact | None,
) -> dict[str, Any]:
    """Return what the manifest reports: tokens and FLOP over all phases, losses of the last.

    Of an adopted model that was tuned it keeps the name and the licence.
    """
    before = earlier.manifest.metrics if earlier is not None else {}
    last = [note["loss"] for note in read_notes(notes)[-LOSS_STEPS:] if note["loss"] is not None]
    return {
        "parameters": parameters(config.shape),
        "tokens": sum(phase.tokens for phase in phases),
        "steps": config.steps,
        "flops": flops_of(config, phases),
        "phases": to_plain(phases),
        "train_loss": round(sum(last) / len(last), 4) if last else None,
        "validation_loss": None if validation_loss is None else round(validation_loss, 4),
        "epochs": round(epochs(config, learned), 2),
        **{name: before[name] for name in ("adopted",) if name in before},
    }


def flops_of(config: TrainConfig, phases: tuple[Phase, ...]) -> float:
    """Return the compute of a model's weights over all phases, in floating-point operations."""
    return training_flops_per_token(config.shape) * sum(phase.tokens for phase in phases)


def epochs(config: TrainConfig, learned: Shards) -> float:
    """Return how many times a run sees each document."""
    return config.tokens / len(learned.tokens)
