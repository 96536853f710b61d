"""Pausing a home: training stops at its next step and saves, and no run begins until `resume`.

The pause is one small file in the home, so it holds for every process on every machine that sees
the folder, and it outlives them. Not here: who asks, and when (`stage.py` before each run, the
training loop at each step), and the command (`cli/fleet.py`).
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rookery.core.atomic import write_atomically
from rookery.core.context import Clock
from rookery.core.errors import DataError, PausedError
from rookery.core.home import Home

_MEND = "Run `rookery fleet resume`, then the same command again: it goes on where it stopped"


@dataclass(frozen=True)
class Pause:
    """The time at which a home was paused, and the reason."""

    since: datetime
    reason: str


def pause(home: Home, reason: str, clock: Clock) -> Pause:
    """Pause a home and return the pause; a home that is already paused keeps its first reason."""
    current = paused(home)
    if current is None:
        note = {"since": clock.now().isoformat(), "reason": reason}
        write_atomically(_file(home), json.dumps(note, ensure_ascii=False).encode())
    return current or Pause(datetime.fromisoformat(note["since"]), reason)


def resume(home: Home) -> bool:
    """Allow runs again; return whether the home was paused."""
    was_paused = _file(home).exists()
    _file(home).unlink(missing_ok=True)
    return was_paused


def paused(home: Home) -> Pause | None:
    """Return the current pause, or None.

    Raises `DataError` for a pause file that cannot be read; such a file pauses the home all the
    same.
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
    """Return the error for a run in a paused home, or None; cheap enough to call at every step."""
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
    """Raise `PausedError` if the home is paused."""
    if error := refusal(home):
        raise error


def _file(home: Home) -> Path:
    return home.path / "paused.json"
