"""Saved states: written beside training, and only what is whole is gone on with."""

import threading

import pytest
import torch
import torch.distributed.checkpoint as dcp
from disk import full_disk

from rookery.core.context import SystemClock
from rookery.core.errors import DataError, StorageError
from rookery.model.parallel.processes import Processes
from rookery.model.training.states import States, whole_state


@pytest.fixture
def states(tmp_path, said):
    made = States(tmp_path, Processes(), SystemClock(), said)
    yield made
    made.close()


def state(number: float, size: int = 8) -> dict[str, torch.Tensor]:
    return {"steps": torch.tensor(int(number)), "master.a": torch.full((size, 4), number)}


def saved(states, *steps: int) -> None:
    for step in steps:
        states.save(step, state(step))
    states.wait()


def test_a_state_comes_back_as_it_was_when_it_was_saved(states):
    given = state(3)
    states.save(3, given)
    given["master.a"].zero_()  # training goes on at once
    states.wait()
    found = state(0)
    assert states.restore(found) == 3
    assert torch.equal(found["master.a"], state(3)["master.a"])
    assert found["steps"] == 3


def test_where_there_is_a_gpu_the_writer_does_not_use_it(states, monkeypatch):
    """What is written lies in the machine's memory by then, and the GPU has other work."""

    def refused(*_, **__):
        raise AssertionError

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(dcp.filesystem, "_OverlappingCpuLoader", refused)
    saved(states, 3)
    assert states.restore(state(0)) == 3


def test_without_a_state_a_run_begins_at_the_beginning(states):
    assert states.restore(state(0)) == 0


def test_the_newest_two_are_kept(states, tmp_path):
    saved(states, 1, 2, 3, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000003", "step-00000004"]


def test_saving_goes_on_beside_training_and_what_is_not_yet_whole_does_not_count(
    states, tmp_path, monkeypatch
):
    may_write, plain = threading.Event(), dcp.FileSystemWriter.write_data

    def write_data(*given):
        assert may_write.wait(20)
        return plain(*given)

    monkeypatch.setattr(dcp.FileSystemWriter, "write_data", write_data)
    states.save(1, state(1))
    states.poll()
    assert not list(tmp_path.glob("step-*/whole-*"))
    may_write.set()
    states.wait()
    assert states.restore(state(0)) == 1


@pytest.mark.parametrize("name", ["__0_0.distcp", ".metadata", "whole-00000-of-00001.json"])
@pytest.mark.parametrize("harm", ["changed", "cut", "missing", "unreadable"])
def test_a_damaged_state_is_passed_over_aloud_for_the_one_before(
    states, tmp_path, said, name, harm
):
    saved(states, 1, 2)
    file = tmp_path / "step-00000002" / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] if harm == "cut" else bytes([whole[0] ^ 1]) + whole[1:])
    if harm in ("missing", "unreadable"):
        file.unlink()
    if harm == "unreadable":
        file.mkdir()  # to open it fails, as on a bad disk
    found = state(0)
    assert states.restore(found) == 1
    assert torch.equal(found["master.a"], state(1)["master.a"])
    assert said.lines[0].startswith("The state after 2 steps is passed over, because ")
    assert said.lines[1:] == ["Going on after step 1."]


def test_when_all_are_damaged_the_run_begins_anew_and_says_so(states, tmp_path, said):
    saved(states, 1, 2)
    for folder in tmp_path.iterdir():
        (folder / ".metadata").unlink()
    assert states.restore(state(0)) == 0
    assert len(said.lines) == 2


def test_a_state_of_another_network_is_refused(states):
    saved(states, 1)
    with pytest.raises(DataError, match="belongs to another network"):
        states.restore(state(0, size=9))
    with pytest.raises(DataError, match="belongs to another network"):
        states.restore(state(0) | {"master.b": torch.zeros(2)})


def test_a_state_that_is_there_already_is_not_put_at_risk(states, tmp_path):
    saved(states, 5)
    with full_disk():
        saved(states, 5)  # as a pause does
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]
    assert states.restore(state(0)) == 5
    with full_disk():
        saved(states, 5)
    assert states.restore(state(0)) == 5


def test_a_state_that_cannot_be_read_is_not_said_to_be_anothers(states, tmp_path, monkeypatch):
    saved(states, 5)

    def read_data(self, *_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(dcp.FileSystemReader, "read_data", read_data)
    with pytest.raises(
        StorageError, match=r"a saved state cannot be read: OSError.*Input/output error"
    ):
        states.restore(state(0))


def test_on_a_full_disk_the_state_before_is_kept_and_it_is_said(states, tmp_path, said):
    saved(states, 1)
    with full_disk():
        saved(states, 2)
    assert [line.partition(":")[0] for line in said.lines] == [
        "The state could not be saved, so the one before it is kept"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    saved(states, 3)
    assert states.restore(state(0)) == 3


def test_one_process_reads_a_whole_state_as_much_as_it_asks_for(states, tmp_path):
    saved(states, 5)
    stored, written = whole_state(tmp_path, 5), state(5)
    assert stored.bytes_of == {name: tensor.nbytes for name, tensor in written.items()}
    assert all(torch.equal(stored.read([name])[name], tensor) for name, tensor in written.items())
    assert stored.read(list(written)).keys() == written.keys()


def test_a_last_state_that_could_not_be_saved_ends_the_run_with_one_clear_line(states, tmp_path):
    saved(states, 5)
    with pytest.raises(StorageError, match=r"the last state could not be saved.*Free some space"):
        whole_state(tmp_path, 6)


def test_a_last_state_that_is_damaged_ends_the_run_with_what_is_wrong(states, tmp_path):
    saved(states, 5)
    file = tmp_path / "step-00000005" / "__0_0.distcp"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(
        StorageError,
        match=r"cannot be used, because its file __0_0.distcp is damaged.*the state before",
    ):
        whole_state(tmp_path, 5)
