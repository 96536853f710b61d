"""The rendezvous: processes of one attempt find each other, apart from all attempts before.

torchrun gives a restarted run the store of the attempt before it (PyTorch 2.13 means to make a new
one, and does not), so that processes would connect to addresses where nobody answers any more; and
no launcher reports to all machines alike which attempt it is. So each process writes a name of its
own into the store, the first one announces the names that it finds, and the rendezvous is complete
when every process has found itself in one announcement.

Not here: how the processes exchange anything afterwards (`processes.py`).
"""

import json
import time

from torch.distributed import PrefixStore, Store

from rookery.core.digest import digest_value

LOOK_SECONDS = 0.1


def rendezvous(store: Store, rank: int, count: int, name: str) -> Store:
    """Return the part of a store that belongs to the processes of this attempt alone.

    name: one that no process of another attempt has. Waits until all are there; raises what the
    store raises if one of them does not come within the store's timeout.
    """
    store.set(f"name/{rank}", name)
    look = _announce if rank == 0 else _look
    while (agreed := look(store, rank, count, name)) is None:
        time.sleep(LOOK_SECONDS)
    return PrefixStore(f"meeting/{agreed}", store)


def _announce(store: Store, rank: int, count: int, name: str) -> str | None:
    """Announce the names found, in the first process; return their digest if all have agreed."""
    names = [
        found.decode() for found in store.multi_get([f"name/{other}" for other in range(count)])
    ]
    digest = digest_value(names)
    store.set("names", json.dumps(names))
    if not store.check([f"agreed/{digest}/{other}" for other in range(1, count)]):
        return None
    store.set(f"open/{digest}", "")
    return digest


def _look(store: Store, rank: int, count: int, name: str) -> str | None:
    """Agree to the announced names, in the others; return their digest once all have agreed.

    A name of an earlier attempt is in no announcement to which all agree.
    """
    names = json.loads(store.get("names"))
    if len(names) != count or names[rank] != name:
        return None
    digest = digest_value(names)
    store.set(f"agreed/{digest}/{rank}", "")
    return digest if store.check([f"open/{digest}"]) else None
