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


def test_every_kind_of_wrong_value_is_refused_inside_tuples_unions_and_mappings():
    for plain, said in [
        ({"steps": 1, "span": [1, "day", 2]}, "span must be 2 values"),
        ({"steps": 1, "span": [1, 2]}, "span[1] must be str"),
        ({"steps": 1, "names": 1}, "unknown setting names"),
        ({"steps": 1, "shape": {"names": "ab"}}, "shape.names must be"),
        ({"steps": 1, "shapes": [{"width": "x"}]}, "shapes[0].width must be int"),
        ({"steps": 1, "words": 3}, "words must be"),
        ({"steps": 1, "seed": "x"}, "seed must be int"),
        ({"steps": 1, "again": None}, "again must be bool"),
        ({"steps": 1, "shape": {"rate": True}}, "shape.rate must be float"),
        ({"steps": 1, "shape": {"rate": "1"}}, "shape.rate must be float"),
        ({"steps": 1, "limit": None}, "limit must be"),
    ]:
        with pytest.raises(DataError) as error:
            from_plain(Config, plain)
        assert said in error.value.line()


def test_what_is_optional_may_be_left_out_and_what_is_given_is_read():
    plain = {
        "steps": 2,
        "shape": {"width": 3, "names": ["a", "b"]},
        "seed": None,
        "limit": 4,
        "span": [5, "week"],
        "shapes": [{"rate": 1}, {}],
        "words": {"a": 1, "b": 0.5},
        "again": True,
    }
    assert from_plain(Config, plain) == Config(
        *(2, Shape(3, 0.5, ("a", "b")), "best", None, 4, (5, "week")),
        *((Shape(64, 1.0), Shape()), {"a": 1.0, "b": 0.5}, True),
    )


def test_a_wrong_setting_names_the_config_and_the_nearest_field():
    for setting, said in [
        ("stepz=1", "there is no setting 'run.stepz'. Did you mean steps?"),
        ("qqq=1", "there is no setting 'run.qqq'. Known: again, limit, mode"),
        ("shape.qqq=1", "Known: names, rate, width"),
        ("words=3", "run.words must be"),
        ("steps=true", "run.steps must be int, not True"),
    ]:
        with pytest.raises((UsageError, DataError)) as error:
            with_settings(Config(1), [setting], where="run")
        assert said in error.value.line()


def test_a_mapping_takes_new_keys_and_a_dataclass_does_not():
    changed = with_settings(Config(1), ["words.new=2", "words.new=3", " steps = 4", "limit=x=y"])
    assert (changed.words, changed.steps, changed.limit) == ({"new": 3.0}, 4, "x=y")
    with pytest.raises(UsageError, match=r"there is no setting 'shape\.new'"):
        with_settings(Config(1), ["shape.new=1"])


def test_diff_shows_what_only_one_of_two_has():
    old, new = Config(1, words={"a": 1.0}), Config(1, words={"b": 2.0})
    assert diff(old, new) == ["words.a: 1.0 -> (none)", "words.b: (none) -> 2.0"]


def test_a_file_of_settings_is_read(tmp_path):
    path = tmp_path / "rookery.toml"
    path.write_text("steps = 3\n[shape]\nwidth = 8\n")
    assert load_toml(Config, path) == Config(3, Shape(width=8))
    path.write_text("steps = 'x'")
    with pytest.raises(DataError, match="steps must be int"):
        load_toml(Config, path)
