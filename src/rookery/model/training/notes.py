"""The notes of a run while it trains: files in its artifact's `notes/`, which no digest counts.

    run.json        what the run is: its config, inputs and phases
    metrics.jsonl   a line for each step: its loss, how fast the steps are, and after some steps
                    the loss of a few held-out posts

The first process writes them. A run that goes on from a saved state removes the notes of all later
steps. Not here: when they are written (`step_log.py`), and what people see of them (`report.py`).
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rookery.core.atomic import write_atomically
from rookery.model.config import TrainConfig
from rookery.model.shape import training_flops_per_token

METRICS, BEGUN = "metrics.jsonl", "run.json"


def note_begun(folder: Path, facts: dict[str, Any]) -> None:
    """Note what the run is, unless that is noted already.

    A run that goes on then writes nothing here, and a full disk does not keep it from going on.
    """
    path, text = folder / BEGUN, json.dumps(facts).encode()
    if not path.exists() or path.read_bytes() != text:
        write_atomically(path, text)


def step_metrics(
    step: int,
    loss: float | None,
    seconds_per_step: float,
    config: TrainConfig,
    flops_per_second: float,
) -> dict[str, Any]:
    """Return the note of a step; `flops_per_second`: the peak rate of all devices together."""
    tokens_per_second = config.batch_tokens / max(seconds_per_step, 1e-9)
    return {
        "step": step,
        "loss": loss,
        "tokens_per_second": round(tokens_per_second),
        "seconds_per_step": round(seconds_per_step, 4),
        "utilisation": round(
            tokens_per_second * training_flops_per_token(config.shape) / flops_per_second, 4
        ),
    }


def shown(note: dict[str, Any], config: TrainConfig) -> str:
    """Return what is shown of a step beside the progress bar."""
    loss = "nothing left to learn from" if note["loss"] is None else f"loss {note['loss']:.3f}"
    speed = (
        f"{note['tokens_per_second']:,} tokens/s ({note['utilisation']:.0%} of the "
        f"matrix-product peak)"
    )
    minutes_left = note["seconds_per_step"] * (config.steps - note["step"] - 1) / 60
    return f"{loss}, {speed}, {minutes_left:.1f} min left"


@contextmanager
def metrics_logger(folder: Path, is_first: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that writes the note of a step; only the first process's does."""
    if not is_first:
        yield lambda note: None
        return
    with open(folder / METRICS, "ab", buffering=0) as file:

        def write(note: dict[str, Any]) -> None:
            with suppress(OSError):  # a full disk: training goes on without the note
                file.write(f"{json.dumps(note)}\n".encode())

        yield write


def read_notes(folder: Path) -> list[dict[str, Any]]:
    """Return the notes of all steps, without lines cut short by a kill or a full disk."""
    path, notes = folder / METRICS, []
    for line in path.read_text().splitlines() if path.exists() else []:
        with suppress(ValueError):
            notes.append(json.loads(line))
    return notes


def truncate_metrics(step: int, folder: Path) -> None:
    """Remove the notes of a step and all later ones."""
    path = folder / METRICS
    kept = "".join(
        json.dumps(note) + "\n" for note in read_notes(folder) if note["step"] < step
    ).encode()
    # a full disk does not matter where there is nothing to remove
    if (path.read_bytes() if path.exists() else b"") != kept:
        write_atomically(path, kept)
