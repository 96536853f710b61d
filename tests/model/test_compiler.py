"""Compiled layers: only where they pay, and never where the compiler is missing or makes wrong code."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_run import CONFIG

from rookery.core.errors import UsageError
from rookery.model import compiler
from rookery.model.batches import made_up_rows
from rookery.model.compiler import fault, pays
from rookery.model.config import config_for_scale
from rookery.model.network import Layer
from rookery.model.parallel.processes import Place, Processes, alone
from rookery.model.run import Run

ROWS = made_up_rows(CONFIG)
BEGIN = """
import torch
from rookery.model.config import config_for_scale
from rookery.model.run import Run
said = []
run = Run.begin(config_for_scale(0.11), say=said.append)
print(*said, sep="\\n")
"""


def test_a_run_of_minutes_is_compiled_and_a_run_of_seconds_is_not():
    assert not pays(config_for_scale(0.03), alone())
    assert pays(config_for_scale(0.2), alone())


def test_a_run_of_many_processes_is_not():
    assert not pays(config_for_scale(0.2), Processes(Place(0, 2)))


@pytest.mark.parametrize("wrong", [lambda y: y * 1.5, lambda y: y * torch.nan, lambda y: y + y.detach()])
def test_code_that_reckons_wrong_is_found(monkeypatch, wrong):
    compile_wrong = lambda layer, options: layer.register_forward_hook(lambda layer, inputs, y: wrong(y))  # noqa: E731
    monkeypatch.setattr(Layer, "compile", compile_wrong)
    assert "does not reckon" in fault(CONFIG, ROWS, torch.float32)


def test_a_run_that_asks_for_what_cannot_be_had_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(compiler, "fault", lambda config, rows, precision: "there is no compiler")
    with pytest.raises(UsageError, match="there is no compiler"):
        Run.begin(replace(CONFIG, compiled=True))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="there is no g++ here")
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_code_of_a_compiler_that_is_here_reckons_right(precision):
    assert fault(CONFIG, ROWS, precision) is None


@pytest.mark.slow
def test_without_a_compiler_a_long_run_says_so_and_runs_uncompiled(tmp_path: Path):
    environment = {**os.environ, "CXX": "/bin/false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", BEGIN], env=environment, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert "are compiled" in first
    assert second.startswith("They run uncompiled")
    assert "No working C++ compiler" in second
