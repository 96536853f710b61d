"""The launcher: it starts a run in many processes on this machine, with torchrun's own machinery.

The processes are copies of one command. If one is killed, all are started again and go on from the
newest saved state; after a number of restarts the run is given up. An error that would only come
again is reported to the launcher in a file, the *outcome*, and ends the run at once.

On several machines an outer launcher (torchrun, Slurm, Ray) starts the same command instead:
docs/training.md. Not here: what the processes do once they run (`parallel/`).
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from rookery.core.errors import RookeryError

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
LOOK_SECONDS = 0.5


def launch(command: Sequence[str], processes: int, restarts: int, outcome: Path) -> None:
    """Run a command in many processes until all have ended well.

    command: the words after the interpreter. Raises `RookeryError` with the outcome that a process
    reported, or if the restarts are used up.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="rookery",
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=restarts,
        monitor_interval=LOOK_SECONDS,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),  # otherwise a temporary folder stays
    )
    try:
        elastic_launch(config, sys.executable)(*command)
    except ChildFailedError as error:
        # one process has reported its error, and another one failed because that one ended
        if outcome.exists():
            raise _reported(outcome) from None
        rank, failure = error.get_first_failure()
        raise RookeryError(
            f"process {rank} of the run ended with exit code {failure.exitcode}, after "
            f"{restarts} restarts",
            hint="The same command goes on from the newest saved state",
        ) from None
    except SignalException as stopped:
        sys.exit(128 + stopped.sigval)
    if outcome.exists():
        raise _reported(outcome)


def write_outcome(outcome: Path, error: RookeryError, is_first: bool) -> None:
    """Report why the run cannot go on; the first process's report replaces that of others."""
    report = {
        "what": error.what,
        "where": error.where,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }
    own = outcome.with_name(f"{outcome.name}.{os.getpid()}")
    own.write_text(json.dumps(report))
    if is_first:
        own.replace(outcome)
        return
    with suppress(FileExistsError):  # a link never replaces a report that is there
        os.link(own, outcome)
    own.unlink()


def end_with_launcher(launcher: int) -> None:
    """Let this process be killed when its launcher, given by its process id, ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != launcher:  # it ended before this process could ask for that
        sys.exit(1)


def _reported(outcome: Path) -> RookeryError:
    report = json.loads(outcome.read_text())
    error = RookeryError(report["what"], where=report["where"], hint=report["hint"])
    error.exit_code = report["exit_code"]
    return error
