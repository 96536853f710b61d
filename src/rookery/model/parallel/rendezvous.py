"""Where the processes of one attempt meet, apart from all attempts before.

torchrun gives a restarted run the store of the attempt before it (PyTorch 2.13 means to make a new
one, and does not), so that processes would call each other at addresses where nobody answers any
more; and no launcher tells all machines alike which attempt it is. So each process puts up a name
of its own, the first announces the names that it finds, and a meeting is open when every process
has found itself in one announcement.
"""

import json
import time

from torch.distributed import PrefixStore, Store

from rookery.core.digest import digest_value

LOOK_SECONDS = 0.1


def rendezvous(store: Store, rank: int, count: int, name: str) -> Store:
    """The part of a store that belongs to these processes alone; `name`: one that no other attempt
    has.

    Waits until all are there. Raises what the store does if one of them does not come in the
    store's time.
    """
    store.set(f"name/{rank}", name)
    look = _announce if rank == 0 else _look
    while (meeting := look(store, rank, count, name)) is None:
        time.sleep(LOOK_SECONDS)
    return PrefixStore(f"meeting/{meeting}", store)


def _announce(store: Store, rank: int, count: int, name: str) -> str | None:
    """The first's part; the meeting, if all have agreed to it."""
    names = [
        found.decode() for found in store.multi_get([f"name/{other}" for other in range(count)])
    ]
    meeting = digest_value(names)
    store.set("names", json.dumps(names))
    if not store.check([f"agreed/{meeting}/{other}" for other in range(1, count)]):
        return None
    store.set(f"open/{meeting}", "")
    return meeting


def _look(store: Store, rank: int, count: int, name: str) -> str | None:
    """The others' part; a name that is not this attempt's stands in no announcement that all agree
    to.
    """
    names = json.loads(store.get("names"))
    if len(names) != count or names[rank] != name:
        return None
    meeting = digest_value(names)
    store.set(f"agreed/{meeting}/{rank}", "")
    return meeting if store.check([f"open/{meeting}"]) else None
