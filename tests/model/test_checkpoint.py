"""A checkpoint that cannot be read says where, and how to mend it."""

import json

import pytest

from rookery.core.errors import DataError
from rookery.model.checkpoint import SHAPE, WEIGHTS, load_network


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


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
    ],
    ids=["no shape", "no JSON", "no shape of ours", "another shape", "no weights", "cut weights"],
)
def test_a_damaged_checkpoint_is_one_line_that_says_how_to_mend_it(checkpoint, name, damage):
    damage(checkpoint.file(name))
    with pytest.raises(DataError, match=r"of a checkpoint cannot be .*Restore it .*train anew") as refused:
        load_network(checkpoint)
    assert str(checkpoint.path) in refused.value.line()
    assert "\n" not in refused.value.line()
