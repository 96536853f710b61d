"""Training: a model learns from token shards, and the result is a checkpoint.

A run begins from random weights, where an earlier run ended (`phases.py`), or it tunes a finished
model (`tune.py`). It may be one process or many, which run the same loop (`_fit`); the first also
holds the stage, writes the notes and publishes the checkpoint. Killed at any step and started
again, a run ends with the same weights, bit for bit: each batch follows from a position in one
fixed order of documents (`data/order.py`), which is saved with the weights. Documents that are
forgotten while a run trains are left out of every batch made after that.

Not here: what one step computes (`training/run.py`), how a network is spread over processes
(`parallel/`), saved states (`training/states.py`), and what a finished run leaves
(`training/finish.py`).
"""

from contextlib import closing
from itertools import islice

import torch

from rookery.core.artifact import Artifact, open_artifact
from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.errors import RookeryError
from rookery.core.home import Home
from rookery.core.pause import refusal
from rookery.core.stage import Stage, open_stage
from rookery.core.workspace import Workspace
from rookery.model.config import TrainConfig, WatchConfig, learning_rate_factor
from rookery.model.data.batches import Step
from rookery.model.data.order import Position
from rookery.model.parallel.processes import Processes, single_process
from rookery.model.phases import inputs_on, phases_on
from rookery.model.shape import training_flops_per_token
from rookery.model.training.finish import manifest_metrics, save_checkpoint
from rookery.model.training.inputs import check_inputs, verify_shards, warn
from rookery.model.training.notes import note_begun
from rookery.model.training.resume import resume
from rookery.model.training.run import Run
from rookery.model.training.split import Split, masked, open_splits
from rookery.model.training.states import States
from rookery.model.training.step_log import StepLog
from rookery.model.training.watchdog import Activity, Heartbeat
from rookery.model.training.watching import say_who_is_slow, watched_run

VERSION = 8  # raised by hand when the same config and inputs give other weights
VALIDATIONS = 10  # so many times a run judges itself by a few held-out documents while it trains


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
    """Train a model and return its checkpoint (`checkpoint.py` describes the files).

    earlier: a checkpoint from which this run goes on; None begins from random weights. watch: how
    patient the watchdog is that kills a process in which no step ends; None watches nothing. Called
    in every process of the run alike; their number and degrees are no part of the artifact's key.
    Raises `DataError` if shards, tokenizer, shape and earlier checkpoint do not belong together,
    the shards have changed since they were made, or there is nothing to learn from; `RookeryError`
    if the loss is no longer a number.
    """
    processes = processes or single_process()
    check_inputs(shards, tokenizer, config, processes.degrees, earlier)
    flops = training_flops_per_token(config.shape) * config.tokens
    stage = Stage("checkpoint", VERSION, config, inputs_on(shards, tokenizer, earlier), flops)
    if processes.is_first:
        with processes.leading() as others:
            with open_stage(home, stage, context) as workspace:
                if workspace is not None:  # None: an earlier attempt has finished the checkpoint
                    # before the others are called, which would all fail at a damaged shard
                    verify_shards(shards, workspace)
                    others.call()
                    _lead(home, workspace, shards, tokenizer, config, processes, earlier, watch)
            made = open_artifact(stage.folder(home))
        return processes.announce(made)
    else:
        if processes.called():
            workspace = Workspace(stage.folder(home), Context(context.clock))  # shows no progress
            # without masks of their own: those of the first process are broadcast at each step
            _fit(home, workspace, *open_splits(shards), config, processes, earlier, watch)
        return processes.announced()


def _lead(
    home: Home,
    workspace: Workspace,
    shards: Artifact,
    tokenizer: Artifact,
    config: TrainConfig,
    processes: Processes,
    earlier: Artifact | None,
    watch: WatchConfig | None,
) -> None:
    """Train together with the other processes, and leave the checkpoint in the workspace."""
    phases, inputs = phases_on(shards, config, earlier), inputs_on(shards, tokenizer, earlier)
    begun = {"config": to_plain(config), "inputs": inputs, "phases": to_plain(phases)}
    note_begun(workspace.notes, begun)
    progress, (learned, held_out) = workspace.context.progress, open_splits(shards)
    warn(config, phases, learned.shards, progress)
    with masked(home, learned, held_out, earlier, progress) as (learned, held_out):
        loss, seconds = _fit(home, workspace, learned, held_out, config, processes, earlier, watch)
        forgotten = learned.masked_documents()
    save_checkpoint(workspace, config, tokenizer, learned.shards, forgotten, earlier)
    workspace.metrics.update(
        manifest_metrics(config, phases, learned.shards, workspace.notes, loss, earlier),
        processes=processes.count,
        checkpoint_seconds_blocked=round(seconds, 3),
    )


def _fit(
    home: Home,
    workspace: Workspace,
    learned: Split,
    held_out: Split,
    config: TrainConfig,
    processes: Processes,
    earlier: Artifact | None,
    watch: WatchConfig | None,
) -> tuple[float | None, float]:
    """Take all steps that are left, in every process of the run, and save the last state.

    Returns the mean loss of held-out documents, and for how many seconds saving blocked training.
    """
    clock, progress = workspace.context.clock, workspace.context.progress
    run = Run.begin(config, processes, say=progress.say)
    log = StepLog(run, workspace)
    states = States(workspace.scratch, processes, clock, progress)
    with closing(states), watched_run(watch, run, workspace.notes) as heartbeat:
        first_step = resume(run, states, workspace.notes, earlier)
        heartbeat(first_step, Activity.READING)
        heartbeat.reset()  # who is slow is judged by steps alone, not by how a state is read
        with log.opened(first_step):
            _take_steps(home, run, learned, held_out, states, heartbeat, log, first_step)
        heartbeat(config.steps, Activity.SAVING)
        states.wait()
        processes.barrier()
        heartbeat(config.steps, Activity.JUDGING)
        return run.held_out_loss(held_out.validation(run)), states.blocked_seconds


def _take_steps(
    home: Home,
    run: Run,
    learned: Split,
    held_out: Split,
    states: States,
    heartbeat: Heartbeat,
    log: StepLog,
    first_step: int,
) -> None:
    """Take the steps of a run from `first_step` on; raise `PausedError` if the home is paused."""
    config = run.config
    every = max(5, config.steps // VALIDATIONS)  # very short runs judge themselves less often
    steps = learned.steps(run, Position(*run.position.tolist()))
    for number, step in enumerate(islice(steps, config.steps - first_step), first_step):
        heartbeat(number, Activity.ASKING)
        # the first process asks for all, so that all stop at the same step
        if pause := run.processes.broadcast(refusal(home) if run.processes.is_first else None):
            states.save(number, run.state())
            states.wait()
            raise pause
        heartbeat(number, Activity.LEARNING)
        loss = _learn(run, step, number)
        run.position.copy_(torch.tensor(step.following))  # saved with the state
        heartbeat(number, Activity.SAVING)
        states.poll()
        note, done = log.note(number, loss), number + 1
        if done % every == 0 and done < config.steps:
            note["held_out_loss"] = run.held_out_loss(held_out.short_validation(run))
        log.write(note)
        if done % config.checkpoint_steps == 0:
            say_who_is_slow(run, heartbeat, done, log.say)
        if done % config.checkpoint_steps == 0 or done == config.steps:
            states.save(done, run.state())  # copied now, written during the next steps
        heartbeat(done, Activity.READING)


def _learn(run: Run, step: Step, number: int) -> float | None:
    try:
        return run.learn(step, learning_rate_factor(run.config, number))
    except RookeryError as error:
        hint = "Lower matrix_learning_rate with --set"
        raise RookeryError(error.what, where=f"step {number}", hint=hint) from None
