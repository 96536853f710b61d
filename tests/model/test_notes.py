"""What is noted of a run: on a full disk nothing is written that need not be, so that a run that goes on does."""

import pytest
from disk import full_disk

from rookery.model.notes import BEGUN, METRICS, keep_before, note_begun, read_notes

FACTS = {"config": {"steps": 12}, "inputs": {"shards": "a" * 64}}


def lines(*steps: int) -> str:
    return "".join(f'{{"step": {step}}}\n' for step in steps)


def test_what_stands_already_is_not_written_again(tmp_path):
    note_begun(tmp_path, FACTS)
    (tmp_path / METRICS).write_text(lines(0, 1))
    with full_disk():
        note_begun(tmp_path, FACTS)
        keep_before(2, tmp_path)
    assert [note["step"] for note in read_notes(tmp_path)] == [0, 1]


def test_what_is_another_is_written(tmp_path):
    note_begun(tmp_path, FACTS)
    note_begun(tmp_path, FACTS | {"phases": []})
    assert "phases" in (tmp_path / BEGUN).read_text()
    with full_disk(), pytest.raises(OSError, match="too large"):
        note_begun(tmp_path, FACTS)


def test_what_was_noted_beyond_a_state_is_forgotten(tmp_path):
    keep_before(3, tmp_path)
    assert not (tmp_path / METRICS).exists()
    (tmp_path / METRICS).write_text(lines(0, 1, 2, 3) + '{"step": 4')
    keep_before(3, tmp_path)
    assert (tmp_path / METRICS).read_text() == lines(0, 1, 2)
