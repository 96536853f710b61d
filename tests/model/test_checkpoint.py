"""Checkpoints: one that cannot be read is refused with its path and a hint."""

import json

import pytest

from rookery.core.errors import DataError
from rookery.model.checkpoint import SHAPE, TOKENIZER, WEIGHTS, load_network
from rookery.model.export import export


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def of_another_size(path):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"width": 48}))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (SHAPE, lambda path: path.unlink()),
        (SHAPE, lambda path: path.write_text("{")),
        (SHAPE, lambda path: path.write_text('{"width": 32, "wdith": 32}')),
        (SHAPE, of_another_size),
        (WEIGHTS, lambda path: path.unlink()),
        (WEIGHTS, cut),
        (WEIGHTS, flipped),
    ],
    ids=[
        "no shape",
        "no JSON",
        "no shape of ours",
        "another shape",
        "no weights",
        "cut weights",
        "a flipped bit",
    ],
)
def test_a_damaged_checkpoint_is_one_line_that_says_how_to_mend_it(checkpoint, name, damage):
    damage(checkpoint.file(name))
    with pytest.raises(
        DataError, match=r"a file of a finished artifact .*Restore it .*run again"
    ) as refused:
        load_network(checkpoint)
    assert str(checkpoint.path) in refused.value.line()
    assert "\n" not in refused.value.line()


@pytest.mark.parametrize("name", [WEIGHTS, SHAPE, TOKENIZER])
def test_what_has_changed_is_not_exported(checkpoint, tmp_path, name):
    flipped(checkpoint.file(name))
    with pytest.raises(DataError, match=f"a file of a finished artifact has changed.*{name}"):
        export(checkpoint, tmp_path / "exported")
    assert list(tmp_path.glob("*exported*")) == []
