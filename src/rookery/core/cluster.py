"""The Ray cluster that this process works on: one that runs, or one that it starts.

Ray places, restarts and watches what runs there. Not here: what is run (`corpus/spread.py`,
`search/shards/cluster.py`).
"""

import functools
import logging
import os
from types import ModuleType

from rookery.core.errors import UsageError


def join_cluster(address: str) -> ModuleType:
    """Join the cluster at an address, and return the library.

    Without an address it is one that runs on this machine, or one that this process starts. Raises
    `UsageError` if Ray is not installed or the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports to its makers
    try:
        import ray
    except ImportError:
        raise UsageError(
            "Ray is not installed",
            hint='Run `pip install "rookery[ray]"`, or use runner = "native"',
        ) from None
    if ray.is_initialized():
        return ray
    join = functools.partial(
        ray.init,
        ignore_reinit_error=True,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": {"DAFT_ANALYTICS_ENABLED": "0"}},
    )
    try:
        join(address=address or "auto")
    except (ConnectionError, ValueError) as error:
        if address:
            raise UsageError(
                f"the Ray cluster cannot be joined: {str(error).splitlines()[0]}",
                where=address,
                hint="Start it (`ray start --head`), or change its address in rookery.toml",
            ) from None
        join(address="local", include_dashboard=False)
    return ray
