"""Training end to end, on sizes small enough to run in a second.

After a change that is meant to change how a model learns, the golden curve is written again by
`PYTHONPATH=src:tests/support python tests/model/test_train.py`.
"""

import itertools
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import tiny_run
import torch
import torch.nn.functional as F
from disk import full_disk
from tiny_run import (
    CONFIG,
    LONGER,
    SHAPE,
    gone_on_after,
    kept_bytes,
    losses,
    make_shards,
    make_tokenizer,
    needs_compiler,
)

from rookery.core.artifact import Artifact
from rookery.core.context import Context, FixedClock, SystemClock
from rookery.core.errors import DataError, PausedError, RookeryError, StorageError
from rookery.core.home import create_home, open_home
from rookery.core.pause import pause, resume
from rookery.core.runs import read_runs
from rookery.corpus.shards import open_shards
from rookery.model.checkpoint import load_network
from rookery.model.config import WatchConfig
from rookery.model.data.batches import batches
from rookery.model.data.masking import DocumentMask
from rookery.model.degrees import Degrees
from rookery.model.parallel.placement import PlacedNetwork
from rookery.model.parallel.processes import Processes
from rookery.model.shape import parameters
from rookery.model.train import train
from rookery.model.training.measure import synthetic_steps
from rookery.model.training.notes import read_notes
from rookery.model.training.run import Run
from rookery.model.training.states import States
from rookery.posts.forget import forget
from rookery.posts.live import live_log
from tests.model.training.test_measure import TickingClock

GOLDEN = Path(__file__).parents[1] / "golden" / "loss_tiny.json"


class Killed(BaseException):
    """The end of the process, as a kill causes it."""


class ActingProgress:
    """A progress display that does something when a step is done."""

    def __init__(self, step: int, act: Callable[[], object]):
        self.steps_left, self.act = step, act

    @contextmanager
    def task(self, title: str, total: int | None = None, unit: str = ""):
        yield self

    def advance(self, n: int = 1, note: str = "") -> None:
        self.steps_left -= n
        if n and self.steps_left < 0:
            self.act()

    def say(self, line: str) -> None:
        pass


def killing(step: int) -> ActingProgress:
    """Return a display that ends the run when a step is done."""

    def end() -> None:
        raise Killed

    return ActingProgress(step, end)


def golden_losses() -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        home = create_home(Path(folder) / "home")
        tokenizer = make_tokenizer(home)
        config = replace(CONFIG, steps=40, decay_steps=20)
        return [
            round(loss, 3)
            for loss in losses(
                train(home, make_shards(home, tokenizer), tokenizer, config, Context())
            )
        ]


@pytest.fixture
def tokenizer(home) -> Artifact:
    return make_tokenizer(home)


@pytest.fixture
def shards(home, tokenizer) -> Artifact:
    return make_shards(home, tokenizer)


@pytest.mark.parametrize(("documents", "warned"), [(3, True), (200, False)])
def test_learning_by_heart_is_warned_of(home, said, documents, warned):
    tokenizer = make_tokenizer(home)
    made = train(
        home, make_shards(home, tokenizer, documents), tokenizer, CONFIG, Context(progress=said)
    )
    assert bool(said.lines) == warned
    assert (made.manifest.metrics["epochs"] > 8) == warned


def test_a_tiny_network_learns_to_count(home, shards, tokenizer):
    made = train(home, shards, tokenizer, replace(CONFIG, steps=100, decay_steps=50), Context())
    assert made.manifest.metrics["validation_loss"] < 1.5
    network = load_network(made)
    assert network.logits(network(torch.tensor([[0, 7, 8, 9, 10]])))[0, -1].argmax() == 11


def test_the_loss_follows_the_golden_curve():
    curve = json.loads(GOLDEN.read_text())
    # half a tenth: what bfloat16 differs from float32 on processors that have no bfloat16
    assert golden_losses() == pytest.approx(curve, abs=0.05)


@pytest.fixture
def undisturbed(tmp_path) -> Artifact:
    """Return the checkpoint of the same run in a home of its own."""
    home = create_home(tmp_path / "undisturbed")
    tokenizer = make_tokenizer(home)
    return train(home, make_shards(home, tokenizer), tokenizer, CONFIG, Context())


def test_the_same_run_elsewhere_gives_the_same_bytes(home, shards, tokenizer, undisturbed):
    assert train(home, shards, tokenizer, CONFIG, Context()).digest == undisturbed.digest


@pytest.mark.parametrize(("step", "saved"), [(0, None), (3, None), (4, 4), (7, 4), (11, 8)])
def test_a_run_that_ended_at_any_step_goes_on_to_the_same_weights(
    home, shards, tokenizer, undisturbed, said, step, saved
):
    with pytest.raises(Killed):
        train(home, shards, tokenizer, CONFIG, Context(progress=killing(step)))
    made = train(home, shards, tokenizer, CONFIG, Context(progress=said))
    assert said.lines == ([f"Going on after step {saved}."] if saved else [])
    assert made.digest == undisturbed.digest
    assert losses(made) == losses(undisturbed)


@pytest.mark.parametrize("step", [0, 5])
def test_a_paused_run_stops_at_its_next_step_and_goes_on_to_the_same_weights(
    home, shards, tokenizer, undisturbed, said, step
):
    at_step = ActingProgress(step, lambda: pause(home, "an outage", FixedClock()))
    with pytest.raises(PausedError, match="an outage"):
        train(home, shards, tokenizer, CONFIG, Context(progress=at_step))
    assert [attempt["state"] for attempt in read_runs(home)][-1] == "paused"
    with pytest.raises(PausedError):
        train(home, shards, tokenizer, CONFIG, Context())
    resume(home)
    states = home.artifacts / "checkpoint" / undisturbed.key / "scratch"
    assert max(states.glob("step-*")).name == f"step-{step + 1:08d}"
    assert (
        train(home, shards, tokenizer, CONFIG, Context(progress=said)).digest == undisturbed.digest
    )
    assert said.lines == [f"Going on after step {step + 1}."]


def test_the_register_holds_the_compute_of_a_run(home, undisturbed):
    (attempt,) = [
        a for a in read_runs(open_home(undisturbed.path.parents[2])) if a["kind"] == "checkpoint"
    ]
    assert attempt["flops"] == undisturbed.manifest.metrics["flops"] > 0


@pytest.mark.slow
@needs_compiler
@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor"
)  # the compiler looks at it in passing
def test_compiled_layers_and_loss_learn_what_plain_ones_do():
    plain, compiled = (Run.begin(replace(CONFIG, compiled=compiled)) for compiled in (False, True))
    step = next(synthetic_steps(plain))
    for _ in range(3):
        assert compiled.learn(step, 1.0) == pytest.approx(plain.learn(step, 1.0), abs=0.05)


@pytest.mark.slow
@needs_compiler
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_compiled_run_that_is_killed_goes_on_to_the_same_weights(
    home, shards, tokenizer, tmp_path
):
    config = replace(CONFIG, compiled=True)
    with pytest.raises(Killed):
        train(home, shards, tokenizer, config, Context(progress=killing(10)))
    other = create_home(tmp_path / "other")
    assert (
        train(home, shards, tokenizer, config, Context()).digest
        == train(other, shards, tokenizer, config, Context()).digest
    )


def test_a_damaged_state_is_passed_over_for_the_one_before(
    home, shards, tokenizer, undisturbed, said
):
    with pytest.raises(Killed):
        train(home, shards, tokenizer, CONFIG, Context(progress=killing(10)))
    newest = max(home.artifacts.glob("checkpoint/*/scratch/step-*"))
    data = bytearray((newest / "__0_0.distcp").read_bytes())
    data[-1] ^= 1
    (newest / "__0_0.distcp").write_bytes(data)
    assert (
        train(home, shards, tokenizer, CONFIG, Context(progress=said)).digest == undisturbed.digest
    )
    assert said.lines[-1] == "Going on after step 4."


@pytest.mark.slow
def test_killed_by_the_system_again_and_again_it_ends_with_the_same_weights(
    home, shards, tokenizer, said, tmp_path
):
    other = create_home(tmp_path / "undisturbed")
    undisturbed = train(
        other, make_shards(other, make_tokenizer(other)), tokenizer, LONGER, Context()
    )
    notes = home.artifacts / "checkpoint" / undisturbed.key / "notes" / "metrics.jsonl"
    kills = sorted(np.random.default_rng(0).integers(1, LONGER.steps - 10, 4))
    for lines in kills:
        with subprocess.Popen([sys.executable, tiny_run.__file__, str(home.path)]) as process:
            _wait_for_lines(notes, lines, process)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    assert (
        train(home, shards, tokenizer, LONGER, Context(progress=said)).digest == undisturbed.digest
    )
    steps = [
        *gone_on_after(home),
        int(said.lines[-1].removeprefix("Going on after step ").removesuffix(".")),
    ]
    assert min(steps) >= _surely_saved(kills[0])
    assert steps[-1] >= _surely_saved(kills[-1])


def _surely_saved(steps: int) -> int:
    """Return the newest state that is surely whole when a run is killed after so many steps."""
    every = LONGER.checkpoint_steps
    return ((steps - 1) // every - 1) * every


def _wait_for_lines(path: Path, lines: int, process: subprocess.Popen) -> None:
    while process.poll() is None and not (
        path.exists() and path.read_bytes().count(b"\n") >= lines
    ):
        time.sleep(0.001)


def test_a_rate_measured_while_others_were_at_work_is_measured_again(
    home, shards, tokenizer, monkeypatch
):
    rates = iter([1.0, 1e15])  # more looks than that would end the run
    monkeypatch.setattr(
        "rookery.model.training.step_log.matrix_flops_per_second", lambda *_: next(rates)
    )
    made = train(home, shards, tokenizer, CONFIG, Context())
    shares = [note["utilisation"] for note in read_notes(made.path / "notes")]
    assert shares[0] > 1
    assert shares[-1] < 1


def test_what_a_checkpoint_says_of_itself_is_true(undisturbed):
    metrics = undisturbed.manifest.metrics
    assert metrics["parameters"] == parameters(SHAPE)
    assert metrics["tokens"] == CONFIG.steps * CONFIG.batch_tokens
    assert metrics["train_loss"] == pytest.approx(np.mean(losses(undisturbed)), abs=1e-3)
    expected = {
        "model.safetensors",
        "shape.json",
        "tokenizer.json",
        "embedding.safetensors",
        "optimizer.safetensors",
    }
    assert {file.path for file in undisturbed.manifest.files} == expected


def test_a_post_forgotten_while_training_is_left_out_from_then_on(home, shards):
    training = open_shards(shards, "train")
    with live_log(home) as log:
        masked = DocumentMask(training, log).all
        assert not masked().any()
        forget(home, ["train7"], ["author3"], Context())
        assert set(np.flatnonzero(masked())) == {7, *range(3, 200, 10)}


def test_what_is_forgotten_while_a_run_trains_is_left_out_from_the_next_step_on(
    home, shards, tokenizer, undisturbed
):
    forgetting = ActingProgress(
        5, lambda: forget(home, [], [f"author{i}" for i in range(10)], Context())
    )
    made = train(home, shards, tokenizer, CONFIG, Context(progress=forgetting))
    assert losses(made) == losses(undisturbed)[:6] + [None] * 6


def test_when_all_is_forgotten_nothing_is_learned(home, shards, tokenizer):
    forget(home, [], [f"author{i}" for i in range(10)], Context())
    made = train(home, shards, tokenizer, replace(CONFIG, steps=2), Context())
    assert losses(made) == [None, None]
    first = Run.begin(CONFIG).optimizer.masters()
    assert all(
        torch.equal(weight, first[name]) for name, weight in load_network(made).state_dict().items()
    )


def test_a_loss_that_is_no_number_ends_the_run_with_one_clear_line(home, shards, tokenizer):
    absurd = replace(CONFIG, matrix_learning_rate=1e37, vector_learning_rate=1e37)
    with pytest.raises(
        RookeryError, match=r"no longer a finite number \(step \d+\).*matrix_learning_rate"
    ):
        train(home, shards, tokenizer, absurd, Context())
    assert home.newest("checkpoint") is None


def test_a_loss_that_is_no_number_moves_no_weight(shards):
    run = Run.begin(CONFIG)
    before = {name: weight.clone() for name, weight in run.optimizer.masters().items()}
    training = open_shards(shards, "train")
    rows = next(batches(training, CONFIG, lambda documents: np.zeros(len(documents), dtype=bool)))
    with torch.no_grad():
        run.placed.parts[0].model.norm.weight.fill_(torch.nan)
    with pytest.raises(RookeryError):
        run.learn(rows, 1.0)
    assert all(
        torch.equal(weight, before[name]) for name, weight in run.optimizer.masters().items()
    )


def test_a_gradient_that_is_no_number_ends_the_run_before_it_is_published(
    home, shards, tokenizer, undisturbed, monkeypatch
):
    """Even in the last step, after which no loss would show it."""
    plain, calls = PlacedNetwork.finish_gradients, []

    def finish_gradients(self):
        plain(self)
        calls.append(None)
        if len(calls) == CONFIG.steps:
            next(iter(self.weights().values())).grad[0, 0] = torch.nan

    monkeypatch.setattr(PlacedNetwork, "finish_gradients", finish_gradients)
    with pytest.raises(
        RookeryError, match=rf"a gradient is no longer a finite number \(step {CONFIG.steps - 1}\)"
    ):
        train(home, shards, tokenizer, CONFIG, Context())
    assert home.newest("checkpoint") is None
    monkeypatch.undo()
    assert train(home, shards, tokenizer, CONFIG, Context()).digest == undisturbed.digest


def test_a_disk_that_is_full_until_the_end_is_said_in_one_line_and_the_run_goes_on_later(
    home, shards, tokenizer, undisturbed
):
    with ExitStack() as filled:
        full = ActingProgress(5, lambda: filled.enter_context(full_disk()))
        with pytest.raises(
            StorageError, match=r"the last state could not be saved.*Free some space"
        ):
            train(home, shards, tokenizer, CONFIG, Context(progress=full))
    assert train(home, shards, tokenizer, CONFIG, Context()).digest == undisturbed.digest


def test_a_disk_that_is_full_for_a_while_costs_a_state_and_nothing_else(
    home, shards, tokenizer, undisturbed, said
):
    with ExitStack() as filled:

        def fill_until_it_is_said() -> None:
            filled.close()
            if not said.lines:
                filled.enter_context(full_disk())

        full = ActingProgress(3, fill_until_it_is_said)
        full.say = said.say
        made = train(home, shards, tokenizer, CONFIG, Context(progress=full))
    assert made.digest == undisturbed.digest
    assert {line.partition(":")[0] for line in said.lines} == {
        "The state could not be saved, so the one before it is kept"
    }


def test_a_pause_leaves_the_state_that_was_just_saved_as_it_is(
    home, shards, tokenizer, undisturbed, monkeypatch
):
    """Otherwise a disk that has filled up since would destroy the last good state."""

    def stop(*_):
        pause(home, "an outage", SystemClock())

    after_four, when_it_goes_on = ActingProgress(3, stop), ActingProgress(CONFIG.steps, stop)
    when_it_goes_on.say = stop
    saves = []
    monkeypatch.setattr(
        States, "_finish", lambda *given, plain=States._finish: saves.append(given) or plain(*given)
    )
    for progress in (after_four, when_it_goes_on):
        with pytest.raises(PausedError):
            train(home, shards, tokenizer, CONFIG, Context(progress=progress))
        resume(home)
    assert [step for *_, step in saves] == [4]
    assert train(home, shards, tokenizer, CONFIG, Context()).digest == undisturbed.digest


def test_what_is_shown_beside_the_bar_counts_the_minutes_down(home, shards, tokenizer):
    progress, notes = ActingProgress(CONFIG.steps, lambda: None), []
    progress.advance = lambda n=1, note="": notes.append(note)
    train(home, shards, tokenizer, CONFIG, Context(TickingClock(tick_seconds=10.0), progress))
    left = [float(note.removesuffix(" min left").rpartition(" ")[2]) for note in notes if note]
    assert len(left) == CONFIG.steps
    assert left[0] > 1
    assert left[-1] == 0


def held_out_losses(artifact: Artifact) -> dict[int, float | None]:
    """Return the held-out losses of a run while it trained, by step."""
    notes = read_notes(artifact.path / "notes")
    return {note["step"]: note["held_out_loss"] for note in notes if "held_out_loss" in note}


def test_a_few_held_out_documents_are_judged_while_it_trains(undisturbed):
    judged = {
        note["step"]: note["held_out_loss"]
        for note in read_notes(undisturbed.path / "notes")
        if "held_out_loss" in note
    }
    assert list(judged) == [4, 9]
    assert judged[4] > judged[9]


def test_held_out_documents_cost_the_mean_of_their_tokens_and_teach_nothing(shards):
    run, held_back = Run.begin(CONFIG, precision=torch.float32), open_shards(shards, "validation")
    step = next(batches(held_back, CONFIG, lambda documents: np.zeros(len(documents), dtype=bool)))
    (network,), costs = run.placed.parts, []
    for rows in step.rows:
        for inputs, targets, documents in zip(
            rows.inputs, rows.targets, rows.documents, strict=True
        ):
            for there in (
                documents == document for document in np.unique(documents[documents >= 0])
            ):
                logits = network.logits(network(torch.from_numpy(inputs[there])[None]))[0]
                costs += [
                    F.cross_entropy(logits, torch.from_numpy(targets[there]), reduction="none")
                ]
    assert run.held_out_loss([step]) == pytest.approx(torch.cat(costs).mean().item(), abs=1e-5)
    assert all(weight.grad is None for weight in run.placed.weights().values())


def test_held_out_documents_that_are_forgotten_are_not_judged(home, shards, tokenizer):
    forget(home, [f"validation{i}" for i in range(20)], [], Context())
    made = train(home, shards, tokenizer, replace(CONFIG, steps=6), Context())
    assert held_out_losses(made) == {4: None}


@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=[pytest.mark.slow, needs_compiler])]
)
def test_layers_that_are_computed_again_learn_the_same_and_keep_less(compiled):
    config = replace(CONFIG, compiled=compiled, shape=replace(SHAPE, layers=4))
    plain, half, all_again = (
        Run.begin(config, Processes(degrees=Degrees(shard=1, recompute=share)))
        for share in (0.0, 0.5, 1.0)
    )
    step = next(synthetic_steps(plain))
    if not compiled:
        kept = [kept_bytes(run, step.rows[0]) for run in (plain, half, all_again)]
        assert kept[0] > 1.5 * kept[1] > 2 * kept[2]
    for _ in range(3):
        losses = [run.learn(step, 1.0) for run in (plain, half, all_again)]
        assert losses == pytest.approx(losses[:1] * 3, abs=0.01 if compiled else 0)


@pytest.mark.parametrize("harm", ["changed", "cut", "missing"])
def test_a_shard_that_is_no_longer_what_it_was_is_refused_by_name(home, shards, tokenizer, harm):
    file = shards.file("train.tokens")
    whole = file.read_bytes()
    file.write_bytes(whole[:-2] if harm == "cut" else bytes([whole[0] ^ 1]) + whole[1:])
    if harm == "missing":
        file.unlink()
    word = "is missing" if harm == "missing" else "has changed"
    with pytest.raises(
        DataError, match=rf"a file of a finished artifact {word} \(.*train\.tokens\)\. Restore"
    ):
        train(home, shards, tokenizer, CONFIG, Context())
    assert not list(home.artifacts.glob("checkpoint/*/scratch/step-*"))


def test_a_restart_reads_no_shard_again_that_nobody_has_touched(
    home, shards, tokenizer, undisturbed, monkeypatch
):
    read, verify = [], Artifact.verify
    monkeypatch.setattr(Artifact, "verify", lambda self: (read.append(self.kind), verify(self)))

    def attempt(progress: ActingProgress) -> list[str]:
        read.clear()
        with pytest.raises(Killed):
            train(home, shards, tokenizer, CONFIG, Context(progress=progress))
        return read

    assert attempt(killing(5)) == ["shards"]
    assert attempt(killing(2)) == []
    shards.file("train.tokens").touch()
    assert attempt(killing(2)) == ["shards"]
    assert train(home, shards, tokenizer, CONFIG, Context()).digest == undisturbed.digest


def test_a_shard_that_vanishes_while_training_is_held_until_its_end(
    home, shards, tokenizer, undisturbed
):
    vanishing = ActingProgress(
        5, lambda: [path.unlink(missing_ok=True) for path in shards.path.glob("*.tokens")]
    )
    made = train(home, shards, tokenizer, CONFIG, Context(progress=vanishing))
    assert made.digest == undisturbed.digest
    assert not shards.file("train.tokens").exists()


class JumpingClock(SystemClock):
    """A clock whose date jumps by years, while its seconds go on."""

    def __init__(self):
        self._days = itertools.cycle([0, 4000, -4000])

    def now(self) -> datetime:
        return super().now() + timedelta(days=next(self._days))


def test_a_wall_clock_that_jumps_changes_nothing(home, shards, tokenizer, undisturbed):
    with pytest.raises(Killed):
        train(
            home,
            shards,
            tokenizer,
            CONFIG,
            Context(JumpingClock(), killing(7)),
            watch=WatchConfig(),
        )
    made = train(home, shards, tokenizer, CONFIG, Context(JumpingClock()), watch=WatchConfig())
    assert made.digest == undisturbed.digest
    assert 0 <= made.manifest.seconds < 60
    assert [attempt["state"] for attempt in read_runs(home)][-2:] == ["failed", "finished"]


def test_shards_of_another_tokenizer_are_refused_by_name(home, shards):
    other = make_tokenizer(home, "other")
    with pytest.raises(DataError, match=f"shards {shards.key}.*tokenizer {other.key}"):
        train(home, shards, other, CONFIG, Context())


def test_shards_of_another_vocabulary_are_refused(home, tokenizer):
    with pytest.raises(DataError, match="vocabulary of 128, the model's shape one of 64"):
        train(home, make_shards(home, tokenizer, vocabulary=128), tokenizer, CONFIG, Context())


def test_nothing_to_learn_from_is_said(home, tokenizer):
    with pytest.raises(DataError, match="no training documents"):
        train(home, make_shards(home, tokenizer, documents=0), tokenizer, CONFIG, Context())


if __name__ == "__main__":
    torch.set_num_threads(1)
    GOLDEN.write_text(json.dumps(golden_losses()) + "\n")
