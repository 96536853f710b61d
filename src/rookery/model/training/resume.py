"""Where a run begins: at its newest saved state, an earlier run's end, or with random weights.

Not here: how states are saved and found (`states.py`), and what a phase is (`phases.py`).
"""

from pathlib import Path

from rookery.core.artifact import Artifact
from rookery.model.phases import load_last_state
from rookery.model.training.notes import truncate_metrics
from rookery.model.training.run import Run
from rookery.model.training.states import States


def resume(run: Run, states: States, notes: Path, earlier: Artifact | None) -> int:
    """Load what a run goes on from, and return how many of its steps are done.

    The notes of later steps are removed. earlier: a checkpoint to begin from if no state is saved.
    """
    step = states.restore(run.state())
    if step == 0 and earlier is not None:
        load_last_state(earlier, run.optimizer.state(), run.processes)
    run.optimizer.give_weights()
    if run.processes.is_first:
        truncate_metrics(step, notes)
    return step
