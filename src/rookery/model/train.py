"""The training loop: shards and a tokenizer in, a checkpoint out.

Killed at any step and started again it ends with the same weights, bit for bit: the batches follow from
the step's number (`batches.py`), the state is saved every `checkpoint_steps` (`checkpoint.py`), and
nothing else is remembered. Forgotten documents are left out of every batch made after `forget`
returned. The loop knows one device; how the loss went and how fast it ran is noted in `notes/metrics.jsonl`.
"""

import json
import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rookery.core.artifact import Artifact, write_atomically
from rookery.core.context import Context
from rookery.core.digest import digest_file
from rookery.core.errors import DataError, RookeryError
from rookery.core.home import Home
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.shards import Shards, open_shards
from rookery.model.batches import Rows, batches
from rookery.model.checkpoint import TOKENIZER, newest_state, save_network, save_state
from rookery.model.config import TrainConfig, learning_rate_factor
from rookery.model.embed import save_table
from rookery.model.network import Network, initialise, summed_loss
from rookery.model.optimizer import Optimizer
from rookery.model.shape import parameters, training_flops_per_token
from rookery.posts.live import LiveLog, live_log

VERSION = 2
METRICS = "metrics.jsonl"
VALIDATION_TOKENS = 1 << 16
LOSS_STEPS = 20  # the final training loss is a mean over so many last steps
MANY_EPOCHS = 8  # beyond about four, seeing the same again teaches less and less (arXiv:2305.16264)


def train(home: Home, shards: Artifact, tokenizer: Artifact, config: TrainConfig, context: Context) -> Artifact:
    """Train a model from nothing; the artifact is a checkpoint (`checkpoint.py` says what lies in it).

    Raises `DataError` if shards, tokenizer and shape do not belong together or there is nothing to
    learn from, `RookeryError` if the loss stops being a number.
    """
    check_belongs(shards, tokenizer, config)
    stage = Stage("checkpoint", VERSION, config, {"shards": shards.digest, "tokenizer": tokenizer.digest})

    def make(workspace: Workspace) -> dict[str, Any]:
        learned = open_shards(shards, "train")
        if (epochs := config.tokens / len(learned.tokens)) > MANY_EPOCHS:
            context.progress.say(
                f"Each document is seen {epochs:.0f} times; with more posts, or at a smaller scale, "
                "the model would learn less by heart."
            )
        with live_log(home) as log:
            run = Run.begin(config)
            _fit(run, workspace, learned, log)
            held_out = validation_loss(run, open_shards(shards, "validation"), log)
            masked = Masked(learned, log)()
        network = run.finished()
        save_network(workspace.path, network)
        save_table(workspace.path, network.model.embed_tokens.weight.detach().numpy(), learned, masked)
        shutil.copyfile(tokenizer.file(TOKENIZER), workspace.path / TOKENIZER)
        return _metrics(config, _notes(workspace), held_out) | {"epochs": round(epochs, 2)}

    return run_stage(home, stage, make, context)


def check_belongs(shards: Artifact, tokenizer: Artifact, config: TrainConfig) -> None:
    """Raises `DataError` naming what does not belong together."""
    if shards.manifest.inputs["tokenizer"] != digest_file(tokenizer.file(TOKENIZER)):
        raise DataError(
            f"the shards {shards.key} were not made with the tokenizer {tokenizer.key}",
            mend="Make shards with this tokenizer, or name the tokenizer that they were made with",
        )
    known = shards.manifest.config["vocabulary"]
    if known != config.shape.vocabulary:
        raise DataError(
            f"the shards {shards.key} have a vocabulary of {known}, the model's shape one of {config.shape.vocabulary}",
            mend=f"Set shape.vocabulary={known}",
        )
    if not shards.manifest.metrics["documents_train"]:
        raise DataError("the corpus holds no training documents", where=shards.path)


@dataclass(frozen=True)
class Run:
    """A network in training with its optimizer, on one device."""

    config: TrainConfig
    network: Network
    optimizer: Optimizer
    device: torch.device

    @classmethod
    def begin(cls, config: TrainConfig) -> "Run":
        """From the seed, in the best precision of this machine's device."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = Network(config.shape)
        initialise(network, config.seed)
        optimizer = Optimizer(network.to(device), config)
        return cls(config, network.to(best_precision(device)), optimizer, device)

    def learn(self, rows_of_step: Iterable[Rows], factor: float) -> float | None:
        """One step; returns the mean loss in nats a token, or None if all of it is masked.

        If the loss is no finite number: `RookeryError`, and nothing has moved.
        """
        rows_of_step = [rows for rows in rows_of_step if rows.learned_tokens]
        tokens = sum(rows.learned_tokens for rows in rows_of_step)
        if not tokens:
            return None
        total = 0.0
        for rows in rows_of_step:
            loss = self.loss(rows) / tokens
            total += loss.item()
            loss.backward()
        if not math.isfinite(total):
            raise RookeryError("the loss is no longer a finite number")
        self.optimizer.step(factor)
        return total

    def loss(self, rows: Rows) -> Tensor:
        """The summed loss in nats of some rows."""
        inputs, targets, documents = (
            torch.from_numpy(array).to(self.device) for array in (rows.inputs, rows.targets, rows.documents)
        )
        return summed_loss(self.network, self.network(inputs, documents), targets)

    def finished(self) -> Network:
        """The network as it is published: with the optimizer's float32 weights."""
        network = Network(self.config.shape)
        network.load_state_dict(self.optimizer.masters())
        return network


def best_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively, else float32."""
    native = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


class Masked:
    """Which documents are left out: asks the live log anew at each call, and looks closer only if it grew."""

    def __init__(self, shards: Shards, log: LiveLog):
        self._shards, self._log = shards, log
        self._watermark, self._documents = 0, np.zeros(shards.documents, dtype=bool)

    def __call__(self) -> np.ndarray:
        """bool of shape (documents,)."""
        if self._log.watermark() > self._watermark:
            standing = self._log.standing()
            self._watermark, self._documents = standing.watermark, self._shards.masked(standing)
        return self._documents


def _fit(run: Run, workspace: Workspace, shards: Shards, log: LiveLog) -> None:
    """All steps that are still to do."""
    config, clock = run.config, workspace.context.clock
    first_step = _resume(run, workspace)
    order = batches(shards, config, Masked(shards, log), first_step)
    with (
        workspace.context.progress.task("training", config.steps, "steps") as task,
        open(workspace.notes / METRICS, "a", buffering=1) as notes,
    ):
        task.advance(first_step)
        began = clock.monotonic_seconds()
        for step, rows in enumerate(islice(order, config.steps - first_step), first_step):
            loss = _learn(run, rows, step)
            seconds = (clock.monotonic_seconds() - began) / (step + 1 - first_step)
            notes.write(_noted(step, loss, seconds, config))
            task.advance(1, _shown(step, loss, seconds, config))
            if (step + 1) % config.checkpoint_steps == 0:
                save_state(workspace.scratch, step + 1, run.optimizer.state())


def _learn(run: Run, rows: tuple[Rows, ...], step: int) -> float | None:
    try:
        return run.learn(rows, learning_rate_factor(run.config, step))
    except RookeryError as error:
        raise RookeryError(error.what, where=f"step {step}", mend="Lower matrix_learning_rate with --set") from None


def _noted(step: int, loss: float | None, seconds_per_step: float, config: TrainConfig) -> str:
    """The step's line in the metrics file."""
    rate = round(config.batch_tokens / max(seconds_per_step, 1e-9))
    note = {"step": step, "loss": loss, "tokens_per_second": rate, "seconds_per_step": round(seconds_per_step, 4)}
    return json.dumps(note) + "\n"


def _shown(step: int, loss: float | None, seconds_per_step: float, config: TrainConfig) -> str:
    """What stands beside the progress bar."""
    said = "nothing left to learn from" if loss is None else f"loss {loss:.3f}"
    minutes_left = seconds_per_step * (config.steps - step - 1) / 60
    return f"{said}, {config.batch_tokens / max(seconds_per_step, 1e-9):,.0f} tokens/s, {minutes_left:.1f} min left"


def _resume(run: Run, workspace: Workspace) -> int:
    """Go on from the newest saved state; returns the number of steps done, and forgets what was noted beyond."""
    found = newest_state(workspace.scratch)
    step = 0
    if found:
        step, state = found
        run.optimizer.load(state)
    kept = "".join(json.dumps(note) + "\n" for note in _notes(workspace) if note["step"] < step)
    write_atomically(workspace.notes / METRICS, kept.encode())
    return step


def _notes(workspace: Workspace) -> list[dict[str, Any]]:
    """What was noted of each step; a last line cut short by a kill is left out."""
    path = workspace.notes / METRICS
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


@torch.no_grad()
def validation_loss(run: Run, shards: Shards, log: LiveLog) -> float | None:
    """Mean loss in nats a token over the first `VALIDATION_TOKENS` places of held-out documents; None without any."""
    order = batches(shards, run.config, Masked(shards, log))
    total, tokens = 0.0, 0
    for rows in islice(order, max(1, min(VALIDATION_TOKENS, len(shards.tokens)) // run.config.batch_tokens)):
        total += sum(run.loss(part).item() for part in rows)
        tokens += sum(part.learned_tokens for part in rows)
    return total / tokens if tokens else None


def _metrics(config: TrainConfig, notes: list[dict[str, Any]], held_out: float | None) -> dict[str, Any]:
    last = [note["loss"] for note in notes[-LOSS_STEPS:] if note["loss"] is not None]
    return {
        "parameters": parameters(config.shape),
        "tokens": config.tokens,
        "steps": config.steps,
        "flops": training_flops_per_token(config.shape) * config.tokens,
        "train_loss": round(sum(last) / len(last), 4) if last else None,
        "validation_loss": None if held_out is None else round(held_out, 4),
    }
