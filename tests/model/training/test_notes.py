"""The notes of a run; on a full disk nothing needless is written, so that a run can go on."""

import pytest
from disk import full_disk
from tiny_run import CONFIG

from rookery.model.training.notes import (
    BEGUN,
    METRICS,
    note_begun,
    read_notes,
    shown,
    step_metrics,
    truncate_metrics,
)

FACTS = {"config": {"steps": 12}, "inputs": {"shards": "a" * 64}}


def lines(*steps: int) -> str:
    return "".join(f'{{"step": {step}}}\n' for step in steps)


def test_what_stands_already_is_not_written_again(tmp_path):
    note_begun(tmp_path, FACTS)
    (tmp_path / METRICS).write_text(lines(0, 1))
    with full_disk():
        note_begun(tmp_path, FACTS)
        truncate_metrics(2, tmp_path)
    assert [note["step"] for note in read_notes(tmp_path)] == [0, 1]


def test_what_is_another_is_written(tmp_path):
    note_begun(tmp_path, FACTS)
    note_begun(tmp_path, FACTS | {"phases": []})
    assert "phases" in (tmp_path / BEGUN).read_text()
    with full_disk(), pytest.raises(OSError, match="too large"):
        note_begun(tmp_path, FACTS)


def test_what_was_noted_beyond_a_state_is_forgotten(tmp_path):
    truncate_metrics(3, tmp_path)
    assert not (tmp_path / METRICS).exists()
    (tmp_path / METRICS).write_text(lines(0, 1, 2, 3) + '{"step": 4')
    truncate_metrics(3, tmp_path)
    assert (tmp_path / METRICS).read_text() == lines(0, 1, 2)


# of `tiny_run.SHAPE`: 20,480 matrix parameters, and two layers of two heads of 16 that look at 32
# tokens
FLOPS_PER_TOKEN = 3 * (2 * 20_480 + 4 * 2 * 2 * 16 * 32)


@pytest.mark.parametrize("loss", [2.5, None])
def test_of_a_step_its_loss_and_speed_and_the_share_of_the_machine_are_noted(loss):
    assert step_metrics(3, loss, 0.5, CONFIG, 4 * 512 * FLOPS_PER_TOKEN) == {
        "step": 3,
        "loss": loss,
        "tokens_per_second": 512,
        "seconds_per_step": 0.5,
        "utilisation": 0.25,
    }


@pytest.mark.parametrize(
    ("loss", "said"), [(2.5, "loss 2.500"), (None, "nothing left to learn from")]
)
def test_what_is_shown_of_a_step(loss, said):
    note = {
        "step": 3,
        "loss": loss,
        "tokens_per_second": 51_234,
        "seconds_per_step": 7.5,
        "utilisation": 0.25,
    }
    assert (
        shown(note, CONFIG)
        == f"{said}, 51,234 tokens/s (25% of the matrix-product peak), 1.0 min left"
    )
