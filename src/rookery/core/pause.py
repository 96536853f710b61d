"""Pausing a home: training stops at its next step and saves, and no run begins until the home is
resumed.

The pause is one small file in the home, so that it holds for every process on every machine that
sees the folder, and outlives them. Not here: who asks at which moment (`stage.py` before each run,
the training loop at each step), and the command (`cli/fleet.py`).
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rookery.core.artifact import write_atomically
from rookery.core.context import Clock
from rookery.core.errors import DataError, PausedError
from rookery.core.home import Home

_MEND = "Run `rookery fleet resume`, then the same command again: it goes on where it stopped"


@dataclass(frozen=True)
class Pause:
    """Since when a home is paused, and why."""

    since: datetime
    reason: str


def pause(home: Home, reason: str, clock: Clock) -> Pause:
    """Pause a home; one that is paused already keeps its first reason."""
    current = paused(home)
    if current is None:
        note = {"since": clock.now().isoformat(), "reason": reason}
        write_atomically(_file(home), json.dumps(note, ensure_ascii=False).encode())
    return current or Pause(datetime.fromisoformat(note["since"]), reason)


def resume(home: Home) -> bool:
    """Let runs begin again; whether the home was paused."""
    was_paused = _file(home).exists()
    _file(home).unlink(missing_ok=True)
    return was_paused


def paused(home: Home) -> Pause | None:
    """The pause that holds now, or None; a file that cannot be read is a `DataError`, and pauses
    all the same.
    """
    try:
        note = json.loads(_file(home).read_text())
        return Pause(datetime.fromisoformat(note["since"]), note["reason"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"the pause of a home cannot be read: {error}", where=_file(home), hint=_MEND
        ) from None


def refusal(home: Home) -> PausedError | None:
    """What a run is told, since when and why, if the home is paused. Cheap enough for every
    step.
    """
    current = paused(home)
    if current is None:
        return None
    why = f": {current.reason}" if current.reason else ""
    return PausedError(
        f"runs are paused since {current.since:%Y-%m-%d %H:%M} UTC{why}",
        where=home.path,
        hint=_MEND,
    )


def refuse_if_paused(home: Home) -> None:
    """Raises `PausedError` if the home is paused."""
    if error := refusal(home):
        raise error


def _file(home: Home) -> Path:
    return home.path / "paused.json"
