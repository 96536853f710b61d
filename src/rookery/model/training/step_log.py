"""The log of a run's steps: a line in a file for each, and what is shown beside the progress bar.

Not here: what such a line holds and how it is read back (`notes.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rookery.core.workspace import Workspace
from rookery.model.training.notes import metrics_logger, shown, step_metrics
from rookery.model.training.rate import matrix_flops_per_second
from rookery.model.training.run import Run, best_precision


class StepLog:
    """The log of the steps that a run takes in this attempt; made in every process of the run."""

    def __init__(self, run: Run, workspace: Workspace):
        self._run, self._notes = run, workspace.notes
        self._clock, self._progress = workspace.context.clock, workspace.context.progress
        self._peak = self._measured_peak()

    @contextmanager
    def opened(self, first_step: int) -> Iterator[None]:
        """Show a progress bar and open the file while steps are taken from `first_step` on."""
        with (
            self._progress.task("training", self._run.config.steps, "steps") as self._task,
            metrics_logger(self._notes, self._run.processes.is_first) as self._write_line,
        ):
            self._task.advance(first_step)
            self._first_step, self._began_seconds = first_step, self._clock.monotonic_seconds()
            yield

    def note(self, step: int, loss: float | None) -> dict[str, Any]:
        """Return the note of a step that has just ended, with the mean speed until then."""
        seconds = self._clock.monotonic_seconds() - self._began_seconds
        steps = step + 1 - self._first_step
        return step_metrics(step, loss, seconds / steps, self._run.config, self._peak)

    def write(self, note: dict[str, Any]) -> None:
        """Write the note of a step and show it."""
        # a device cannot do more than its peak: other work ran beside when that was measured. It is
        # measured again where a pause does not matter
        if "held_out_loss" in note and note["utilisation"] > 1:
            self._peak = max(self._peak, self._measured_peak())
        self._write_line(note)
        self._task.advance(1, shown(note, self._run.config))

    def say(self, line: str) -> None:
        """Print a line above the progress bar."""
        self._progress.say(line)

    def _measured_peak(self) -> float:
        """Return the FLOP a second that all processes can do if each is as fast as this one."""
        device = self._run.processes.device
        own = matrix_flops_per_second(device, best_precision(device), self._clock)
        return self._run.processes.count * own
