"""Phases: a model goes on learning when posts have arrived, without beginning anew.

A run keeps, beside the weights that it publishes, what the optimizer knew at its end
(`optimizer.safetensors`). A later phase starts from both, at the full learning rate, on the shards
of the grown corpus, and decays again. Why so is in docs/decisions/0005.

A checkpoint names all its phases, and all their shards are among its inputs: a post that any of
them held is traced to it even where the earlier checkpoint is gone.

Not here: the loop (`train.py`), and how long a phase is (`config.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from rookery.core.arrays import among
from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.config import diff, from_plain
from rookery.core.digest import digest_file
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home
from rookery.corpus.shards import Exclusions, Shards, open_shards
from rookery.model.checkpoint import TOKENIZER, WEIGHTS, load_shape
from rookery.model.config import TrainConfig
from rookery.model.parallel.placement import local, piece
from rookery.model.parallel.processes import Processes
from rookery.model.tensors import tensor_files
from rookery.model.training.optimizer import MASTER

OPTIMIZER = "optimizer.safetensors"
NEWEST = "newest"
PIECE_POSTS = 1 << 22  # so many posts of an earlier phase are looked up at once


@dataclass(frozen=True)
class Phase:
    """A part of what a model's weights went through.

    shards: their key, digest: theirs, corpus: the digest of theirs; steps, tokens: how many of them
    these weights saw.
    """

    shards: str
    digest: str
    corpus: str
    steps: int
    tokens: int


def find_checkpoint(home: Home, name: str, corpus: Artifact | None = None) -> Artifact:
    """A finished checkpoint by its key, or the beginning of it, or `newest`.

    corpus: `newest` is then the newest that did not learn from this one last, so that a command can
    be given again. Raises `UsageError` if there is none, or if several begin so.
    """
    every = list(find_artifacts(home.artifacts, "checkpoint"))
    if name == NEWEST:
        found = [one for one in every if corpus is None or _last_corpus(one) != corpus.digest][-1:]
        which = (
            "there is no checkpoint yet"
            if not every
            else "every checkpoint has learned from the newest corpus"
        )
    else:
        found = [one for one in every if one.key.startswith(name)]
        which = f"{len(found) or 'no'} checkpoints have a key that begins with {name!r}"
    if len(found) != 1:
        raise UsageError(
            which, where=home.artifacts, hint="Name one by its key; `rookery runs` lists them"
        )
    return found[0]


def _last_corpus(checkpoint: Artifact) -> str:
    return next((phase.corpus for phase in reversed(phases(checkpoint))), "")


def corpora_of(home: Home, checkpoint: Artifact) -> tuple[list[Artifact], int]:
    """The corpora that a checkpoint's phases learned from, each once, the last phase's last; and
    how many are gone.

    Neither is known of a checkpoint that an earlier release made.
    """
    here = {one.digest: one for one in find_artifacts(home.artifacts, "corpus")}
    wanted = list(dict.fromkeys(phase.corpus for phase in reversed(phases(checkpoint))))[::-1]
    found = [here[digest] for digest in wanted if digest in here]
    return found, len(wanted) - len(found)


def config_of(checkpoint: Artifact) -> TrainConfig:
    """How a checkpoint was trained; of its last phase."""
    return from_plain(TrainConfig, checkpoint.manifest.config)


def phases(checkpoint: Artifact) -> tuple[Phase, ...]:
    """What a checkpoint's weights went through, in order; nothing of one that an earlier release
    made.
    """
    return tuple(
        from_plain(Phase, phase) for phase in checkpoint.manifest.metrics.get("phases", ())
    )


def phases_on(shards: Artifact, config: TrainConfig, earlier: Artifact | None) -> tuple[Phase, ...]:
    """What the weights of a run on some shards will have gone through, the earlier one's first."""
    own = Phase(
        shards.key,
        shards.digest,
        shards.manifest.inputs.get("corpus", ""),
        config.steps,
        config.tokens,
    )
    return (own,) if earlier is None else (*phases(earlier), own)


def inputs_on(shards: Artifact, tokenizer: Artifact, earlier: Artifact | None) -> dict[str, str]:
    """What a checkpoint derives from: the shards of every phase, by the phase's number, and the
    earlier checkpoint.
    """
    inputs = {"shards": shards.digest, "tokenizer": tokenizer.digest}
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
    """bool (documents,): which held-out documents hold a post that an earlier phase learned from.

    The cut between what is learned and what is held out may have moved back since. Shards that are
    gone are told.
    """
    passed = phases(earlier) if earlier else ()
    here = {one.digest: one for one in find_artifacts(home.artifacts, "shards")} if passed else {}
    judged = np.unique(held_back.post_hashes)
    found = [np.empty(0, np.uint64)]
    for digest in dict.fromkeys(phase.digest for phase in passed):
        if digest not in here:
            say(
                "Shards of an earlier phase are gone: what is held out now may have been learned "
                "from then."
            )
            continue
        learned = open_shards(here[digest], "train").post_hashes
        pieces = (
            learned[start : start + PIECE_POSTS] for start in range(0, len(learned), PIECE_POSTS)
        )
        found += [piece[among(piece, judged)] for piece in pieces]
    return held_back.holding(Exclusions(np.unique(np.concatenate(found)), np.empty(0, np.uint64)))


def check_goes_on(earlier: Artifact, tokenizer: Artifact, config: TrainConfig) -> None:
    """Raises `DataError` naming what keeps a phase from going on from a checkpoint."""
    if not all(file.exists() for file in tensor_files(earlier.path, OPTIMIZER)) or not phases(
        earlier
    ):
        raise DataError(
            f"the checkpoint {earlier.key} keeps no state to go on from",
            where=earlier.path,
            hint=f"An earlier release made it, or {OPTIMIZER} was removed: train anew, without "
            f"--from",
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


def tokenizer_of(home: Home, checkpoint: Artifact) -> Artifact:
    """The tokenizer that a checkpoint was trained with; raises `DataError` if it is no longer
    here.
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


@torch.no_grad()
def load_last_state(
    checkpoint: Artifact, state: Mapping[str, Tensor], processes: Processes
) -> None:
    """Read a checkpoint's weights and its optimizer into an optimizer's state, of which this
    process may hold a piece.

    Raises `DataError`, in every process, if a file of them has changed since it was written, and if
    it lacks a tensor.
    """
    files = [(MASTER, file) for file in tensor_files(checkpoint.path, WEIGHTS)]
    files += [("", file) for file in tensor_files(checkpoint.path, OPTIMIZER)]
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
        what = f"the checkpoint {checkpoint.key} keeps no {min(missing)}"
        raise DataError(
            what, where=checkpoint.path, hint="Another release made it: train anew, without --from"
        )
