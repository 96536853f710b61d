"""Starting a run in many processes on this machine, by torchrun's own machinery.

The processes are copies of one command. If one is killed, all are started again and go on from the
newest saved state; after so many restarts the run is given up. An error that another attempt would
only meet again is told to the launcher in a file, the *outcome*, and ends the run at once.

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
    """Run a command (after the interpreter) in so many processes until all have ended well.

    Raises `RookeryError` with the outcome that a process told, or if the restarts are used up.
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
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),  # else every run leaves a temporary folder
    )
    try:
        elastic_launch(config, sys.executable)(*command)
    except ChildFailedError as error:
        if outcome.exists():  # one has told why, and another ended of it
            raise _told(outcome) from None
        rank, failure = error.get_first_failure()
        raise RookeryError(
            f"process {rank} of the run ended with exit code {failure.exitcode}, after "
            f"{restarts} restarts",
            hint="The same command goes on from the newest saved state",
        ) from None
    except SignalException as stopped:
        sys.exit(128 + stopped.sigval)
    if outcome.exists():
        raise _told(outcome)


def write_outcome(outcome: Path, error: RookeryError, is_first: bool) -> None:
    """Note why the run cannot go on; the first process's word counts before that of others."""
    told = {
        "what": error.what,
        "where": error.where,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }
    own = outcome.with_name(f"{outcome.name}.{os.getpid()}")
    own.write_text(json.dumps(told))
    if is_first:
        own.replace(outcome)
        return
    with suppress(FileExistsError):  # a link never takes the place of a word that is there
        os.link(own, outcome)
    own.unlink()


def end_with_launcher(launcher: int) -> None:
    """Let this process be killed when its launcher, given by its id, is, so that none is left over
    (Linux).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != launcher:  # it was killed before this process could ask for that
        sys.exit(1)


def _told(outcome: Path) -> RookeryError:
    told = json.loads(outcome.read_text())
    error = RookeryError(told["what"], where=told["where"], hint=told["hint"])
    error.exit_code = told["exit_code"]
    return error
