"""Where a run begins: at its newest saved state, an earlier run's end, or with random weights.

A tuning begins with the weights of its base alone. Those that do not learn are in no saved state,
so they are read from the base each time.

Not here: how states are saved and found (`states.py`), and what a phase is (`phases.py`).
"""

from pathlib import Path

from rookery.core.artifact import Artifact
from rookery.model.config import TuneConfig
from rookery.model.phases import load_last_state, load_weights
from rookery.model.training.notes import truncate_metrics
from rookery.model.training.run import Run
from rookery.model.training.states import States
from rookery.model.tuning.lora import is_adapter


def resume(run: Run, states: States, notes: Path, earlier: Artifact | None) -> int:
    """Load what a run goes on from, and return how many of its steps are done.

    The notes of later steps are removed. earlier: a checkpoint to begin from if no state is saved.
    """
    step = states.restore(run.state())
    if isinstance(run.config, TuneConfig) and earlier is not None:
        _load_base(run, step, earlier)
    elif step == 0 and earlier is not None:
        load_last_state(earlier, run.optimizer.state(), run.processes)
    run.optimizer.give_weights()
    if run.processes.is_first:
        truncate_metrics(step, notes)
    return step


def _load_base(run: Run, step: int, base: Artifact) -> None:
    masters = run.optimizer.masters()
    fixed = {name: w for name, w in run.placed.weights().items() if name not in masters}
    learning = {name: w for name, w in masters.items() if not is_adapter(name)}
    load_weights(base, fixed | (learning if step == 0 else {}), run.processes)
