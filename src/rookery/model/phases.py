"""Phases: a model continues to learn when posts have arrived, instead of being trained anew.

A run stores, beside the weights that it publishes, the state of the optimizer at its end
(`optimizer.safetensors`). A later phase starts from both, at the full learning rate, on the shards
of the grown corpus, and decays again. The reasons are in docs/decisions/0005.

A checkpoint names all its phases, and the shards of all of them are among its inputs: a post that
any of them held is traced to the checkpoint even where the earlier checkpoint no longer exists.

Not here: the loop (`train.py`), and how long a phase is (`config.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from rookery.core.arrays import among
from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.config import diff, from_plain
from rookery.core.digest import digest_file
from rookery.core.errors import DataError, UsageError
from rookery.core.home import NEWEST, Home
from rookery.corpus.shards import Exclusions, Shards, open_shards
from rookery.model.checkpoint import TOKENIZER, WEIGHTS, load_shape
from rookery.model.config import TrainConfig, TuneConfig, read_config
from rookery.model.layout.tensors import tensor_files
from rookery.model.parallel.placement import local, piece
from rookery.model.parallel.processes import Processes
from rookery.model.training.optimizer import MASTER

OPTIMIZER = "optimizer.safetensors"
PIECE_POSTS = 1 << 22  # posts of an earlier phase that are looked up at once


@dataclass(frozen=True)
class Phase:
    """A part of what a model's weights went through: one run on one artifact of shards.

    shards, digest: the key and the digest of the shards; corpus: the digest of the corpus that they
    were made of; steps, tokens: how many the weights went through in this phase.
    """

    shards: str
    digest: str
    corpus: str
    steps: int
    tokens: int


def find_checkpoint(home: Home, name: str, corpus: Artifact | None = None) -> Artifact:
    """Return a finished checkpoint by its key, by the beginning of its key, or as `newest`.

    corpus: `newest` is then the newest one that another phase can continue and whose last phase
    learned from another corpus, so that a command can be repeated. Raises `UsageError` unless
    exactly one checkpoint is found.
    """
    if name != NEWEST:
        return home.find("checkpoint", name)
    every = list(find_artifacts(home.artifacts, "checkpoint"))
    found = [one for one in every if corpus is None or _can_learn(one, corpus)]
    if not found:
        raise UsageError(
            "every checkpoint that can go on has learned from the newest corpus"
            if every
            else "there is no checkpoint yet",
            where=home.artifacts,
            hint="Name one by its key; `rookery runs` lists them",
        )
    return found[-1]


def _can_learn(checkpoint: Artifact, corpus: Artifact) -> bool:
    last = next((phase.corpus for phase in reversed(phases(checkpoint))), "")
    return _has_optimizer(checkpoint) and last != corpus.digest


def corpora_of(home: Home, checkpoint: Artifact) -> tuple[list[Artifact], int]:
    """Return the corpora that a checkpoint's phases learned from, and how many no longer exist.

    Each corpus is given once, that of the last phase last. A checkpoint of an earlier release does
    not name its phases: no corpora, and none missing.
    """
    here = {one.digest: one for one in find_artifacts(home.artifacts, "corpus")}
    # conversations of a file are of no corpus
    of_phases = [phase.corpus for phase in phases(checkpoint) if phase.corpus]
    wanted = list(dict.fromkeys(reversed(of_phases)))[::-1]
    found = [here[digest] for digest in wanted if digest in here]
    return found, len(wanted) - len(found)


def config_of(checkpoint: Artifact) -> TrainConfig:
    """Return the configuration of a checkpoint's last phase.

    Raises `DataError` for a checkpoint that `train.py` did not make, such as an adopted one.
    """
    try:
        return read_config(checkpoint.manifest.config)
    except DataError:
        raise DataError(
            f"the checkpoint {checkpoint.key} was not trained here, so no phase can continue it",
            hint="Tune it instead, or name one that `rookery model train` made",
        ) from None


def phases(checkpoint: Artifact) -> tuple[Phase, ...]:
    """Return the phases of a checkpoint, first to last; none if an earlier release made it."""
    return tuple(
        from_plain(Phase, phase) for phase in checkpoint.manifest.metrics.get("phases", ())
    )


def phases_on(shards: Artifact, config: TrainConfig, earlier: Artifact | None) -> tuple[Phase, ...]:
    """Return the phases that the weights of a run on these shards will have gone through.

    earlier: the checkpoint that the run continues, whose phases come first.
    """
    made_of = shards.manifest.inputs
    own = Phase(
        shards.key,
        shards.digest,
        made_of.get("corpus") or made_of.get("threads", ""),
        config.steps,
        config.tokens,
    )
    return (own,) if earlier is None else (*phases(earlier), own)


def inputs_on(shards: Artifact, tokenizer: Artifact, earlier: Artifact | None) -> dict[str, str]:
    """Return the digests of all that a checkpoint derives from, by the name of the input.

    The shards of every earlier phase are named by the phase's number.
    """
    # a tuning is given its base in the place of the tokenizer, whose copy that holds
    named = tokenizer.manifest.inputs.get("tokenizer", tokenizer.digest)
    inputs = {"shards": shards.digest, "tokenizer": named}
    if earlier is None:
        return inputs
    before = {
        f"shards of phase {number}": phase.digest for number, phase in enumerate(phases(earlier), 1)
    }
    return inputs | before | {"earlier": earlier.digest}


def learned_before(
    home: Home,
    earlier: Artifact | None,
    held_back: Shards,
    say: Callable[[str], None] = lambda line: None,
) -> np.ndarray:
    """Return bool (documents,), true for held-out documents with a post that was learned before.

    An earlier phase may have learned it, since the date that divides training from validation can
    move back. Reports through `say` if shards of an earlier phase no longer exist.
    """
    passed = phases(earlier) if earlier else ()
    here = {one.digest: one for one in find_artifacts(home.artifacts, "shards")} if passed else {}
    judged = np.unique(held_back.post_hashes)
    found = [np.empty(0, np.uint64)]
    for digest in dict.fromkeys(phase.digest for phase in passed):
        if digest not in here:
            say(
                "Shards of an earlier phase no longer exist: what is held out now may have been "
                "learned then."
            )
            continue
        learned = open_shards(here[digest], "train").post_hashes
        pieces = (
            learned[start : start + PIECE_POSTS] for start in range(0, len(learned), PIECE_POSTS)
        )
        found += [piece[among(piece, judged)] for piece in pieces]
    return held_back.holding(Exclusions(np.unique(np.concatenate(found)), np.empty(0, np.uint64)))


def check_goes_on(earlier: Artifact, tokenizer: Artifact, config: TrainConfig) -> None:
    """Raise `DataError` with the reason if no phase can continue from a checkpoint.

    A tuning needs no state of its base's optimizer.
    """
    if not isinstance(config, TuneConfig) and not _has_optimizer(earlier):
        raise DataError(
            f"the checkpoint {earlier.key} holds no optimizer state to continue from",
            where=earlier.path,
            hint="It was adopted or tuned, an earlier release made it, or "
            f"{OPTIMIZER} was removed: `rookery model tune posts`, or train without --from",
        )
    if digest_file(earlier.file(TOKENIZER)) != digest_file(tokenizer.file(TOKENIZER)):
        raise DataError(
            f"the checkpoint {earlier.key} was not trained with the tokenizer {tokenizer.key}",
            hint="Make shards with the tokenizer that it was trained with",
        )
    if changes := diff(load_shape(earlier), config.shape):
        raise DataError(
            f"the checkpoint {earlier.key} has another shape: {', '.join(changes)}",
            hint="A phase keeps the shape; train anew, without --from, for another",
        )


def _has_optimizer(checkpoint: Artifact) -> bool:
    files = tensor_files(checkpoint.path, OPTIMIZER)
    return all(file.exists() for file in files) and bool(phases(checkpoint))


def tokenizer_of(home: Home, checkpoint: Artifact) -> Artifact:
    """Return the tokenizer that a checkpoint was trained with.

    Raises `DataError` if it no longer exists.
    """
    wanted = checkpoint.manifest.inputs["tokenizer"]
    found = (one for one in find_artifacts(home.artifacts, "tokenizer") if one.digest == wanted)
    if (tokenizer := next(found, None)) is None:
        raise DataError(
            f"the tokenizer of the checkpoint {checkpoint.key} is gone",
            where=home.artifacts,
            hint="Train anew",
        )
    return tokenizer


def load_last_state(
    checkpoint: Artifact, state: Mapping[str, Tensor], processes: Processes
) -> None:
    """Read a checkpoint's weights and optimizer state into the state of a new run's optimizer.

    state: tensors by name, of which this process may hold a piece each. Raises `DataError` in every
    process if a file has changed since it was written or if a tensor is missing.
    """
    files = [(MASTER, file) for file in tensor_files(checkpoint.path, WEIGHTS)]
    files += [("", file) for file in tensor_files(checkpoint.path, OPTIMIZER)]
    _load(checkpoint, files, state, processes)


def load_weights(checkpoint: Artifact, weights: Mapping[str, Tensor], processes: Processes) -> None:
    """Read weights of a checkpoint by their names; otherwise as `load_last_state`."""
    files = [("", file) for file in tensor_files(checkpoint.path, WEIGHTS)]
    _load(checkpoint, files, weights, processes)


@torch.no_grad()
def _load(
    checkpoint: Artifact,
    files: Sequence[tuple[str, Path]],
    state: Mapping[str, Tensor],
    processes: Processes,
) -> None:
    """Read tensors of some files, each with a prefix before its names, into those given."""
    changed: DataError | None = None
    if processes.is_first:
        try:
            checkpoint.verify([path.name for _, path in files])
        except DataError as error:
            changed = error
    if changed := processes.broadcast(changed):
        raise changed
    missing = set(state)
    for prefix, path in files:
        with safe_open(path, framework="pt") as file:
            found = missing & {prefix + key for key in file.keys()}
            for name in found:
                key, tensor = name.removeprefix(prefix), state[name]
                if local(tensor).numel():
                    local(tensor).copy_(
                        file.get_slice(key)[piece(tensor)] if tensor.dim() else file.get_tensor(key)
                    )
        missing -= found
    if missing:
        raise DataError(
            f"the checkpoint {checkpoint.key} holds no {min(missing)}",
            where=checkpoint.path,
            hint="Another release made it: train anew, without --from",
        )
