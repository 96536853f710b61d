"""What a person reads on a terminal."""

import re
import shlex

import pytest
from typer.testing import CliRunner

from rookery.cli import demo
from rookery.cli.main import app
from rookery.cli.show import show_facts
from rookery.core.home import create_home
from rookery.fleet.planning.gpus import CATALOGUE


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.00021, "0.0002"),
        (0.02, "0.02"),
        (0.0, "0"),
        (1234.56, "1,234.6"),
        (1234, "1,234"),
        (True, "yes"),
    ],
)
def test_a_number_is_shown_short_and_a_small_one_not_as_nothing(capsys, value, shown):
    show_facts({"fact": value})
    assert capsys.readouterr().out.split() == ["fact", shown]


def test_the_command_that_a_demo_ends_with_works_as_it_is_typed(tmp_path, capsys):
    home = create_home(tmp_path / "elsewhere" / "my home")
    demo._show({"stages": [], "sample": "", "question": "", "answer": []}, home)
    (command,) = re.findall(r"`rookery (.+)`", " ".join(capsys.readouterr().out.split("\n")))
    assert CliRunner().invoke(app, shlex.split(command)).exit_code == 0


def test_help_names_every_gpu_that_can_be_planned_with():
    shown = CliRunner().invoke(app, ["fleet", "plan", "--help"]).stdout
    assert all(gpu.name in shown for gpu in CATALOGUE)
