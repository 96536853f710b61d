"""Configuration: there and back without loss, and strict about everything else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.config import diff, from_plain, load_toml, to_plain, with_settings
from rookery.core.errors import DataError, UsageError


@dataclass(frozen=True)
class Shape:
    width: int = 64
    rate: float = 0.5
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    steps: int
    shape: Shape = field(default_factory=Shape)
    mode: Literal["best", "latest"] = "best"
    seed: int | None = None
    limit: int | str = "none"
    span: tuple[int, str] = (1, "day")
    shapes: tuple[Shape, ...] = ()
    words: Mapping[str, float] = field(default_factory=dict)
    again: bool = False


finite = st.floats(allow_nan=False, allow_infinity=False)
shapes = st.builds(
    Shape, st.integers(), finite, st.lists(st.text(max_size=3), max_size=3).map(tuple)
)
configs = st.builds(
    Config,
    st.integers(),
    shapes,
    st.sampled_from(["best", "latest"]),
    st.none() | st.integers(),
    st.integers() | st.text(max_size=3),
    st.tuples(st.integers(), st.text(max_size=3)),
    st.lists(shapes, max_size=2).map(tuple),
    st.dictionaries(st.text(max_size=3), finite, max_size=2),
    st.booleans(),
)


@given(configs)
def test_a_config_made_plain_and_back_is_the_same(config):
    assert from_plain(Config, to_plain(config)) == config


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({}, "setting steps is missing"),
        ({"steps": 1, "stops": 2}, "unknown setting stops. Did you mean steps?"),
        ({"steps": 1.5}, "steps must be int, not 1.5"),
        ({"steps": "1"}, "steps must be int"),
        ({"steps": True}, "steps must be int, not True"),
        ({"steps": None}, "steps must be int"),
        ({"steps": 1, "again": 1}, "again must be bool"),
        ({"steps": 1, "mode": "worst"}, "mode must be one of best, latest"),
        ({"steps": 1, "shape": 3}, "shape must be a table"),
        ({"steps": 1, "shape": {"widht": 3}}, "unknown setting shape.widht. Did you mean width?"),
        ({"steps": 1, "shape": {"names": ["a", 1]}}, "shape.names[1] must be str"),
        ({"steps": 1, "span": [1]}, "span must be 2 values"),
        ({"steps": 1, "span": ["day", 1]}, "span[0] must be int"),
        ({"steps": 1, "limit": 1.5}, "limit must be str"),
        ({"steps": 1, "words": {"a": "b"}}, "words.a must be float"),
        ([1], "Config must be a table"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_field(plain, said):
    with pytest.raises(DataError) as error:
        from_plain(Config, plain)
    assert said in error.value.line()


def test_a_whole_number_may_stand_for_a_float():
    assert from_plain(Shape, {"rate": 2}) == Shape(rate=2.0)


def test_settings_change_a_copy():
    config = Config(1)
    changed = with_settings(
        config, ["shape.width=256", "steps=9", "mode=latest", 'shape.names=["a"]', "seed=3"]
    )
    assert changed == Config(9, Shape(256, names=("a",)), "latest", 3)
    assert config == Config(1)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("steps", "NAME=VALUE"),
        ("stepz=1", "there is no setting 'stepz'. Did you mean steps?"),
        ("shape.widht=1", "Did you mean width?"),
        ("steps.more=1", "there is no setting 'steps.more'"),
        ("nothing.at.all=1", "there is no setting"),
        ("steps=many", "steps must be int, not 'many'"),
    ],
)
def test_a_wrong_setting_is_refused(setting, said):
    with pytest.raises((UsageError, DataError)) as error:
        with_settings(Config(1), [setting])
    assert said in error.value.line()


def test_diff_says_what_changed_and_nothing_else():
    old, new = Config(1), Config(2, Shape(width=32))
    assert diff(old, new) == ["shape.width: 64 -> 32", "steps: 1 -> 2"]
    assert diff(old, old) == []


@pytest.mark.parametrize("text", ["steps = ", "steps = 'x'", "other = 1", "\x00"])
def test_a_broken_file_is_one_line_that_names_it(tmp_path, text):
    path = tmp_path / "rookery.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"rookery\.toml"):
        load_toml(Config, path)
