"""Compiled layers: only where they pay, and never if the compiler is missing or makes errors."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import CONFIG, SHAPE, kept_bytes, needs_compiler

from rookery.core.errors import UsageError
from rookery.fleet.planning.layout import Layout, memory_of
from rookery.model.config import TrainConfig, config_for_scale
from rookery.model.data.batches import Rows
from rookery.model.degrees import Degrees
from rookery.model.network import Layer
from rookery.model.parallel.processes import Processes, ProcessRank, single_process
from rookery.model.shape import ModelShape
from rookery.model.training import compiler
from rookery.model.training.compiler import fault, pays
from rookery.model.training.run import Run

CPU = torch.device("cpu")
BEGIN = """
from rookery.model.config import config_for_scale
from rookery.model.training.run import Run
said = []
run = Run.begin(config_for_scale(0.11), say=said.append)
print(*said, sep="\\n")
"""


def test_a_run_of_minutes_is_compiled_and_a_run_of_seconds_is_not():
    assert not pays(config_for_scale(0.03), single_process())
    assert pays(config_for_scale(0.2), single_process())


def test_a_run_of_many_processes_is_not():
    assert not pays(config_for_scale(0.2), Processes(ProcessRank(0, 2)))


@pytest.mark.parametrize("gpus", [1, 8])
def test_a_run_of_minutes_is_compiled_on_each_of_some_gpus(gpus):
    processes = Processes(ProcessRank(0, gpus), device=torch.device("cuda"))
    assert not pays(config_for_scale(gpus * 20), processes)
    assert pays(config_for_scale(gpus * 40), processes)


@pytest.mark.parametrize(
    "wrong", [lambda y: y * 1.5, lambda y: y * torch.nan, lambda y: y + y.detach()]
)
def test_code_that_reckons_wrong_is_found(monkeypatch, wrong):
    def compile_wrong(layer, options):
        layer.register_forward_hook(lambda layer, inputs, y: wrong(y))

    monkeypatch.setattr(Layer, "compile", compile_wrong)
    assert "does not compute" in fault(SHAPE, torch.float32, CPU)


def test_a_run_that_asks_for_what_cannot_be_had_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(compiler, "fault", lambda *_: "there is no compiler")
    with pytest.raises(UsageError, match="there is no compiler"):
        Run.begin(replace(CONFIG, compiled=True))


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_code_of_a_compiler_that_is_here_reckons_right(precision):
    assert fault(SHAPE, precision, CPU) is None


@pytest.mark.slow
@needs_compiler
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_what_a_step_learns_does_not_depend_on_the_rows_of_earlier_steps(two_threads):
    """It would if torch made code for the first rows it gets, and other code for all later ones."""
    config = replace(config_for_scale(0.17), compiled=True)
    first_of_few, first_of_many = (
        gradients(config, sizes) for sizes in ([(28, 128)], [(32, 128), (28, 128)])
    )
    assert all(torch.equal(weight, first_of_many[name]) for name, weight in first_of_few.items())


@pytest.mark.slow
@needs_compiler
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_compiled_layers_keep_as_much_as_a_plan_for_a_fleet_reckons():
    """Rows are longer than those with plain matmuls on a CPU, so no attention matrix is kept."""
    two, four = (
        ModelShape(512, 256, layers, 4, 2, 64, 704, context_tokens=1024) for layers in (2, 4)
    )
    kept, reckoned = (of(four) - of(two) for of in (bytes_of_two_rows, activation_bytes))
    assert 0.9 * reckoned < kept < 1.1 * reckoned


def bytes_of_two_rows(shape: ModelShape) -> int:
    """Return the bytes that compiled layers keep of two rows for the backward pass."""
    torch._dynamo.reset()
    inputs = np.random.default_rng(0).integers(shape.vocabulary, size=(2, shape.context_tokens))
    run = Run.begin(TrainConfig(0.0, shape, 1, 2048, 2048, compiled=True))
    return kept_bytes(run, Rows(inputs, inputs.copy(), np.zeros_like(inputs)))


def activation_bytes(shape: ModelShape) -> float:
    """Return the plan's number: one GPU, a micro-batch of two rows, no layer computed again."""
    one_gpu = Layout(Degrees(shard=1), micro_batch=2, micro_batches=1)
    return memory_of(shape, one_gpu).activations


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def gradients(config: TrainConfig, sizes: list[tuple[int, int]]) -> dict[str, torch.Tensor]:
    """Return the gradients of the last of some micro-batches, as if nothing was compiled before."""
    torch._dynamo.reset()
    run = Run.begin(config)
    generator = torch.Generator().manual_seed(0)
    for weight in run.placed.weights().values():
        if not weight.any():  # else a new network has no gradients inside its layers
            weight.data.normal_(0.0, 0.05, generator=generator)
    for rows, tokens in sizes:
        for weight in run.placed.weights().values():
            weight.grad = None
        inputs = np.random.default_rng(rows).integers(config.shape.vocabulary, size=(rows, tokens))
        run.loss(Rows(inputs, inputs.copy(), np.zeros_like(inputs))).backward()
    return {name: weight.grad for name, weight in run.placed.weights().items()}


@pytest.mark.slow
def test_without_a_compiler_a_long_run_says_so_and_runs_uncompiled(tmp_path: Path):
    environment = {**os.environ, "CXX": "/bin/false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", BEGIN], env=environment, capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert "are compiled" in first
    assert second.startswith("They run uncompiled")
    assert "No working C++ compiler" in second
