"""The run register: every attempt to make something, recorded when it begins and when it ends.

An attempt without a recorded end is running if a process holds the stage's lock, and was killed
otherwise. Not here: how a stage runs (`stage.py`).
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rookery.core.context import Context
from rookery.core.errors import PausedError, RookeryError
from rookery.core.home import Home
from rookery.core.locks import is_held


@contextlib.contextmanager
def recorded(
    home: Home, kind: str, key: str, context: Context, flops: float | None = None
) -> Iterator[float]:
    """Record an attempt, however it ends; yield its starting time in seconds."""
    started = context.clock.monotonic_seconds()
    note = {"kind": kind, "key": key}
    record_run(
        home, context, note | {"event": "started"} | ({} if flops is None else {"flops": flops})
    )
    try:
        yield started
    except BaseException as error:
        reason = (
            error.line() if isinstance(error, RookeryError) else f"{type(error).__name__}: {error}"
        )
        event = "paused" if isinstance(error, PausedError) else "failed"
        with contextlib.suppress(OSError):  # a full disk must not hide why
            record_run(home, context, note | {"event": event, "reason": reason})
        raise
    seconds = round(context.clock.monotonic_seconds() - started, 3)
    record_run(home, context, note | {"event": "finished", "seconds": seconds})


def record_run(home: Home, context: Context, note: Mapping[str, Any]) -> None:
    """Append one line to the run register, in a single short write so that processes do not mix
    lines.
    """
    line = json.dumps({"at": context.clock.now().isoformat(), **note}, ensure_ascii=False) + "\n"
    with open(home.runs, "ab", buffering=0) as file:
        file.write(line.encode())


def read_runs(home: Home) -> list[dict[str, Any]]:
    """Return the attempts so far, oldest first: kind, key, started, state, seconds, flops, reason.

    The state of an attempt without a recorded end is `running` while a process holds the stage's
    lock, else `killed`.
    """
    attempts: list[dict[str, Any]] = []
    open_attempts: dict[tuple[str, str], dict[str, Any]] = {}
    for line in home.runs.read_text(errors="replace").splitlines() if home.runs.exists() else []:
        try:
            note = json.loads(line)
        except ValueError:
            continue  # the last line of a process that was killed while writing it
        name = (note["kind"], note["key"])
        if note["event"] == "started":
            if name in open_attempts:
                open_attempts[name]["state"] = "killed"
            attempt = {"kind": name[0], "key": name[1], "started": note["at"], "state": "running"}
            attempt |= {"flops": note["flops"]} if "flops" in note else {}
            open_attempts[name] = attempt
            attempts.append(attempt)
        elif name in open_attempts:
            attempt = open_attempts.pop(name)
            attempt["state"] = note["event"]
            attempt |= {k: note[k] for k in ("seconds", "reason") if k in note}
    for (kind, key), attempt in open_attempts.items():
        if not is_held(lock_of(home, kind, key)):
            attempt["state"] = "killed"
    return attempts


def lock_of(home: Home, kind: str, key: str) -> Path:
    """Return the lock file of a stage's artifact, held while it is made."""
    return home.artifacts / kind / f"{key}.lock"
