"""The training loop: shards and a tokenizer in, a checkpoint out.

It begins from nothing, or where an earlier run ended (`phases.py`). Killed at any step and started
again it ends with the same weights, bit for bit: the batches follow from a position in one order of
documents (`order.py`), which is saved with the state every `checkpoint_steps` (`states.py`).
Forgotten documents are left out of every batch made after `forget` returned. The loop reads the
same in one process and in each of many (`parallel/`). What one step does is in `run.py`, what is
noted of it in `notes.py`.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rookery.core.artifact import Artifact, verify_once
from rookery.core.config import to_plain
from rookery.core.context import Clock, Context
from rookery.core.digest import digest_file
from rookery.core.errors import DataError, PausedError, RookeryError
from rookery.core.home import Home
from rookery.core.pause import refusal
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.document import MORE_IS_NEEDED
from rookery.corpus.shards import Shards, open_shards
from rookery.model.checkpoint import TOKENIZER, save_network
from rookery.model.config import TrainConfig, WatchConfig, learning_rate_factor
from rookery.model.data.batches import Share, Step, batches
from rookery.model.data.masking import DocumentMask
from rookery.model.data.order import BEGINNING, Position
from rookery.model.degrees import check_fits, micro_batches
from rookery.model.embed import save_table
from rookery.model.network import head_name
from rookery.model.parallel.processes import Processes, single_process
from rookery.model.phases import (
    OPTIMIZER,
    Phase,
    check_goes_on,
    inputs_on,
    learned_before,
    load_last_state,
    phases_on,
)
from rookery.model.shape import ModelShape, parameters, training_flops_per_token
from rookery.model.tensors import Stored, write_tensors
from rookery.model.training.notes import (
    metrics_logger,
    note_begun,
    read_notes,
    shown,
    step_metrics,
    truncate_metrics,
)
from rookery.model.training.optimizer import MASTER
from rookery.model.training.rate import matrix_flops_per_second
from rookery.model.training.run import POSITION, Run, best_precision
from rookery.model.training.states import States, whole_state
from rookery.model.training.thresholds import warnings
from rookery.model.training.watchdog import Activity, Heartbeat, slow_ranks, watched
from rookery.posts.live import live_log

VERSION = 8
VERIFIED = (
    "verified.json"  # in the scratch folder: which files of the shards were found to be whole
)
VALIDATION_TOKENS = 1 << 16
JUDGINGS = 10  # so often a run looks at a few held-out documents while it trains
JUDGED_TOKENS, JUDGED_SHARE = (
    1 << 13,
    1 / 200,
)  # at most so many tokens each time, or so much of the run, or one step's
LOSS_STEPS = 20  # the final training loss is a mean over so many last steps
MANY_EPOCHS = 8  # beyond about four, seeing the same again teaches less and less (arXiv:2305.16264)


def train(
    home: Home,
    shards: Artifact,
    tokenizer: Artifact,
    config: TrainConfig,
    context: Context,
    processes: Processes | None = None,
    earlier: Artifact | None = None,
    watch: WatchConfig | None = None,
) -> Artifact:
    """Train a model; the artifact is a checkpoint (`checkpoint.py` says what lies in it).

    earlier: a checkpoint that this run goes on from; else it begins from nothing.
    watch: with how much patience a watchdog kills a process in which steps no longer end; else
    nobody watches. Called in every process of the run alike, whose number and degrees are no part
    of the artifact's name. Raises `DataError` if shards, tokenizer, shape and earlier checkpoint do
    not belong together, the shards are no longer what they were, or there is nothing to learn from,
    `RookeryError` if the loss stops being a number.
    """
    processes = processes or single_process()
    check_belongs(shards, tokenizer, config)
    check_fits(processes.degrees, config)
    if earlier is not None:
        check_goes_on(earlier, tokenizer, config)
    flops = training_flops_per_token(config.shape) * config.tokens
    stage = Stage("checkpoint", VERSION, config, inputs_on(shards, tokenizer, earlier), flops)
    phases = phases_on(shards, config, earlier)

    def make(workspace: Workspace) -> dict[str, Any]:
        begun = {
            "config": to_plain(config),
            "inputs": dict(stage.inputs),
            "phases": to_plain(phases),
        }
        note_begun(workspace.notes, begun)
        learned, held_back = (open_shards(shards, split) for split in ("train", "validation"))
        for line in warnings(_flops(config, phases)):
            context.progress.say(line)
        if (epochs := config.tokens / len(learned.tokens)) > MANY_EPOCHS:
            context.progress.say(
                f"Each document is seen {epochs:.0f} times; with more posts, or at a smaller "
                f"scale, "
                "the model would learn less by heart."
            )
        with live_log(home) as log:
            seen = Split(learned, masked := DocumentMask(learned, log))
            known = learned_before(home, earlier, held_back, context.progress.say)
            unseen = Split(held_back, DocumentMask(held_back, log, known))
            held_out, blocked_seconds = _fit(
                config, processes, workspace, seen, unseen, lambda: refusal(home), earlier, watch
            )
            left_out = masked.all()
        state = whole_state(workspace.scratch, config.steps)
        _save(workspace.path, config.shape, state, learned, left_out)
        shutil.copyfile(tokenizer.file(TOKENIZER), workspace.path / TOKENIZER)
        metrics = _metrics(config, phases, read_notes(workspace.notes), held_out) | {
            "epochs": round(epochs, 2)
        }
        return metrics | {
            "processes": processes.count,
            "checkpoint_seconds_blocked": round(blocked_seconds, 3),
        }

    def follow() -> None:
        """What the other processes do: they learn too, and write nothing but their part of each
        state.
        """
        workspace = Workspace(stage.folder(home), Context(context.clock))
        seen, unseen = (
            Split(open_shards(shards, split), None) for split in ("train", "validation")
        )
        _fit(config, processes, workspace, seen, unseen, lambda: None, earlier, watch)

    def begin(make: Callable[[Workspace], dict[str, Any]]) -> Artifact:
        def make_of_whole(workspace: Workspace) -> dict[str, Any]:
            # before the others are called, who would meet what is missing in words of their own
            verify_once(shards, workspace.scratch / VERIFIED)
            return make(workspace)

        return run_stage(home, stage, make_of_whole, context)

    return processes.make_together(begin, make, follow)


def check_belongs(shards: Artifact, tokenizer: Artifact, config: TrainConfig) -> None:
    """Raises `DataError` naming what does not belong together."""
    if shards.manifest.inputs["tokenizer"] != digest_file(tokenizer.file(TOKENIZER)):
        raise DataError(
            f"the shards {shards.key} were not made with the tokenizer {tokenizer.key}",
            hint="Make shards with this tokenizer, or name the tokenizer that they were made with",
        )
    known = shards.manifest.config["vocabulary"]
    if known != config.shape.vocabulary:
        raise DataError(
            f"the shards {shards.key} have a vocabulary of {known}, the model's shape one of "
            f"{config.shape.vocabulary}",
            hint=f"Set shape.vocabulary={known}",
        )
    if not shards.manifest.metrics["documents_train"]:
        raise DataError(
            "the corpus holds no training documents",
            where=shards.path,
            hint=MORE_IS_NEEDED,
        )


@dataclass(frozen=True)
class Split:
    """Documents, and in the first process which of them are left out: all ask it, so that no two
    see different ones.
    """

    shards: Shards
    masked: DocumentMask | None

    def steps(self, run: Run, begin: Position = BEGINNING) -> Iterator[Step]:
        """This process's share of the steps of a run over these documents, from a position on."""

        def broadcast_mask(documents: np.ndarray) -> np.ndarray:
            return run.processes.broadcast_mask(len(documents), lambda: self.masked(documents))

        degrees = run.processes.degrees
        pieces = micro_batches(degrees, run.config) if run.pipeline else None
        share = Share(run.processes.data_part, degrees.data, pieces)
        return batches(self.shards, run.config, broadcast_mask, begin, share)


def _fit(
    config: TrainConfig,
    processes: Processes,
    workspace: Workspace,
    seen: Split,
    unseen: Split,
    paused: Callable[[], PausedError | None],
    earlier: Artifact | None,
    watch: WatchConfig | None,
) -> tuple[float | None, float]:
    """All steps that are still to do, and the last state saved.

    Returns the mean loss of held-out documents after them (`Run.held_out_loss`), and for how many
    seconds saving held them up. paused: of the first process, which asks the home for all of them,
    so that all stop at the same step.
    """
    run = Run.begin(config, processes, say=workspace.context.progress.say)
    clock = workspace.context.clock
    rate = _rate(processes, clock)
    progress = workspace.context.progress
    judging_steps = max(5, config.steps // JUDGINGS)
    saving = closing(States(workspace.scratch, processes, clock, progress))
    with saving as states, _watched(watch, run, workspace) as heartbeat:
        first_step = _resume(run, states, workspace, earlier)
        heartbeat(first_step, Activity.READING)
        heartbeat.reset()
        showing = progress.task("training", config.steps, "steps")
        with showing as task, metrics_logger(workspace.notes, processes.is_first) as note:
            task.advance(first_step)
            order = seen.steps(run, Position(*run.position.tolist()))
            steps = _steps(run, order, states, first_step, clock, paused, heartbeat)
            for step, (loss, seconds) in enumerate(steps, first_step):
                noted = step_metrics(step, loss, seconds, config, rate)
                if (step + 1) % judging_steps == 0 and step + 1 < config.steps:
                    if noted["utilisation"] > 1:  # others were at work when it was measured
                        rate = max(rate, _rate(processes, clock))
                    noted["held_out_loss"] = run.held_out_loss(_judged(unseen, run))
                note(noted)
                task.advance(1, shown(noted, config))
                if (step + 1) % config.checkpoint_steps == 0:
                    _name_the_slow(run, heartbeat, step + 1, progress.say)
        heartbeat(config.steps, Activity.SAVING)
        states.wait()
        processes.barrier()
        heartbeat(config.steps, Activity.JUDGING)
        return run.held_out_loss(_validating(unseen, run)), states.blocked_seconds


def _rate(processes: Processes, clock: Clock) -> float:
    """Floating-point operations a second that all processes could do, each being as fast as this
    one.
    """
    return processes.count * matrix_flops_per_second(
        processes.device, best_precision(processes.device), clock
    )


def _judged(unseen: Split, run: Run) -> Iterator[Step]:
    """The same few steps of held-out documents each time."""
    tokens = min(JUDGED_TOKENS, JUDGED_SHARE * run.config.tokens, len(unseen.shards.tokens))
    return islice(unseen.steps(run), max(1, int(tokens / run.config.batch_tokens)))


def _validating(unseen: Split, run: Run) -> Iterator[Step]:
    """The steps of held-out documents by which a finished run is judged."""
    tokens = min(VALIDATION_TOKENS, len(unseen.shards.tokens))
    return islice(unseen.steps(run), max(1, tokens // run.config.batch_tokens))


def _steps(
    run: Run,
    order: Iterator[Step],
    states: States,
    first_step: int,
    clock: Clock,
    paused: Callable[[], PausedError | None],
    heartbeat: Heartbeat,
) -> Iterator[tuple[float | None, float]]:
    """Each step's loss, and the mean seconds a step until then; states are saved between steps, and
    after the last.

    Raises `PausedError` before a step, with the state saved, if the home is paused.
    """
    config = run.config
    began = clock.monotonic_seconds()
    for number, step in enumerate(islice(order, config.steps - first_step), first_step):
        heartbeat(number, Activity.ASKING)
        if stop := run.processes.broadcast(paused()):
            states.save(number, run.state())
            states.wait()
            raise stop
        heartbeat(number, Activity.LEARNING)
        loss = _learn(run, step, number)
        run.position.copy_(torch.tensor(step.following))
        heartbeat(number, Activity.SAVING)
        states.poll()
        yield loss, (clock.monotonic_seconds() - began) / (number + 1 - first_step)
        if (number + 1) % config.checkpoint_steps == 0 or number + 1 == config.steps:
            states.save(number + 1, run.state())
        heartbeat(number + 1, Activity.READING)


def _watched(
    watch: WatchConfig | None, run: Run, workspace: Workspace
) -> AbstractContextManager[Heartbeat]:
    """This process under its watchdog's eyes; stalls of a run are numbered alike in all of its
    processes.
    """
    place = run.processes.place
    number = run.processes.broadcast(len(list(workspace.notes.glob("stall-*"))))
    return watched(watch, workspace.notes / f"stall-{number:04d}", place.rank, place.count)


def _name_the_slow(run: Run, heartbeat: Heartbeat, step: int, say: Callable[[str], None]) -> None:
    """One line for each process that is at work while most wait for it, once its watchdog has
    looked often enough.
    """
    shares = run.processes.all_gather(heartbeat.busy_share())
    if None in shares:
        return
    heartbeat.reset()
    for rank in slow_ranks(shares):
        say(
            f"Process {rank} is slow: at work {shares[rank]:.0%} of the time before step {step}, "
            f"others wait for it."
        )


def _learn(run: Run, step: Step, number: int) -> float | None:
    try:
        return run.learn(step, learning_rate_factor(run.config, number))
    except RookeryError as error:
        raise RookeryError(
            error.what, where=f"step {number}", hint="Lower matrix_learning_rate with --set"
        ) from None


def _resume(run: Run, states: States, workspace: Workspace, earlier: Artifact | None) -> int:
    """Go on from the newest saved state; returns the number of steps done, and forgets what was
    noted beyond.
    """
    step = states.restore(run.state())
    if step == 0 and earlier is not None:
        load_last_state(earlier, run.optimizer.state(), run.processes)
    run.optimizer.give_weights()
    if run.processes.is_first:
        truncate_metrics(step, workspace.notes)
    return step


def _save(
    folder: Path, shape: ModelShape, state: Stored, learned: Shards, left_out: np.ndarray
) -> None:
    """Publish the last state: weights, the table of the embedder, and what the optimizer knows
    beside them.
    """
    weights = state.renamed(
        lambda name: name.removeprefix(MASTER) if name.startswith(MASTER) else None
    )
    save_network(folder, shape, weights)
    head = head_name(shape)
    save_table(folder, weights.read([head])[head].numpy(), learned, left_out)
    beside = state.renamed(
        lambda name: None if name.startswith(MASTER) or name == POSITION else name
    )
    write_tensors(folder, OPTIMIZER, beside)


def _flops(config: TrainConfig, phases: tuple[Phase, ...]) -> float:
    """The compute that went into the weights, over all phases."""
    return training_flops_per_token(config.shape) * sum(phase.tokens for phase in phases)


def _metrics(
    config: TrainConfig,
    phases: tuple[Phase, ...],
    notes: list[dict[str, Any]],
    held_out: float | None,
) -> dict[str, Any]:
    """What the manifest says: tokens and FLOP over all phases, steps and losses of the last."""
    last = [note["loss"] for note in notes[-LOSS_STEPS:] if note["loss"] is not None]
    return {
        "parameters": parameters(config.shape),
        "tokens": sum(phase.tokens for phase in phases),
        "steps": config.steps,
        "flops": _flops(config, phases),
        "phases": to_plain(phases),
        "train_loss": round(sum(last) / len(last), 4) if last else None,
        "validation_loss": None if held_out is None else round(held_out, 4),
    }
