"""The rendezvous of one attempt's processes, apart from attempts before: threads, a real store."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from torch.distributed import TCPStore

from rookery.model.parallel.rendezvous import rendezvous

COUNT = 3


@pytest.fixture
def store():
    return TCPStore("127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=20))


def client(store):
    return TCPStore("127.0.0.1", store.port, is_master=False, timeout=timedelta(seconds=20))


def attempt(store, number: int, ranks=range(COUNT)) -> list:
    """Run each process in a thread, the first last: the others find an earlier attempt's rest."""
    with ThreadPoolExecutor(COUNT) as threads:
        order = sorted(ranks, reverse=True)
        met = {
            r: threads.submit(rendezvous, client(store), r, COUNT, f"name {number} of {r}")
            for r in order
        }
        return [met[rank].result() for rank in ranks]


def test_every_attempt_meets_apart_from_those_before(store):
    for number in range(3):
        parts = attempt(store, number)
        parts[1].set("address", f"of attempt {number}")
        assert [part.get("address") for part in parts] == [f"of attempt {number}".encode()] * COUNT


@pytest.mark.parametrize("survivors", [[0], [1], [1, 2], [0, 2]])
def test_an_attempt_that_ended_before_all_had_come_does_no_harm(store, survivors):
    """It leaves names, perhaps an announcement, and agreements to it."""
    attempt(store, 0)
    for rank in survivors:
        store.set(f"name/{rank}", f"name 1 of {rank}")
    if 0 in survivors:
        store.set("names", '["name 1 of 0", "name 0 of 1", "name 0 of 2"]')
    parts = attempt(store, 2)
    parts[0].set("address", "new")
    assert parts[2].get("address") == b"new"
