"""The report of a training run: its loss curve, its speed, its phases and samples of its text.

The facts are for programs and the terminal; `pages/run.py` shows them as one HTML file. A run that
is still training has a report too, made of what it has recorded so far (`training/notes.py`): it
has no samples, and its validation loss is that of the few documents judged on the way. Not here:
how good the model is (`evaluate.py`); the figures of an evaluation are shown where there is one.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rookery.core.artifact import MANIFEST, Artifact, find_artifacts, open_artifact
from rookery.core.config import from_plain, to_plain
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.core.protocols import GenerationOptions
from rookery.model.config import learning_rate_factor, read_config
from rookery.model.evaluate import read_result
from rookery.model.generate import load_generator
from rookery.model.phases import Phase
from rookery.model.shape import parameters, training_flops_per_token
from rookery.model.training.notes import BEGUN, read_notes

PROMPTS = ("", "I", "Today", "Why")
SAMPLE_TOKENS = 48


def find_run(home: Home, key: str | None = None) -> Path:
    """Return the folder of a run, finished or not.

    key: the beginning of its key; None: the run that was begun last. Raises `UsageError` unless
    exactly one run is found.
    """
    begun = sorted(
        home.artifacts.glob(f"checkpoint/*/notes/{BEGUN}"), key=lambda path: path.stat().st_mtime
    )
    found = [path.parents[1] for path in begun if path.parents[1].name.startswith(key or "")]
    found = found if key else found[-1:]
    if len(found) != 1:
        raise UsageError(
            f"{len(found) or 'no'} runs have a key that begins with {key!r}"
            if key
            else "there is no run yet",
            where=home.artifacts,
            hint="`rookery model train` begins one, `rookery runs` lists them",
        )
    return found[0]


def describe(
    home: Home, folder: Path, prompts: Sequence[str] = PROMPTS, seed: int = 0
) -> dict[str, Any]:
    """Return all facts of the report on the run in a checkpoint's folder.

    `runs` are the phases whose folders still exist, this one last, each with its own curve. Steps
    are counted over all phases.
    """
    begun = json.loads((folder / "notes" / BEGUN).read_text())
    config = read_config(begun["config"])
    phases = [from_plain(Phase, phase) for phase in begun["phases"]]
    checkpoint = open_artifact(folder) if (folder / MANIFEST).exists() else None
    runs = [*_runs_before(home, begun["inputs"].get("earlier")), _run(folder)]
    tokens = sum(phase.tokens for phase in phases)
    facts = {
        "key": folder.name,
        "finished": checkpoint is not None,
        "steps_done": len(runs[-1]["curve"]),
        "steps": config.steps,
        "tokens": tokens,
        "parameters": parameters(config.shape),
        "flops": training_flops_per_token(config.shape) * tokens,
        "phases": to_plain(tuple(phases)),
        "config": to_plain(config),
        "inputs": _named(home, begun["inputs"]),
        "runs": runs,
        "samples": _samples(checkpoint, prompts, seed) if checkpoint else [],
        "evaluation": _evaluation(home, checkpoint) if checkpoint else None,
    }
    if checkpoint is None:
        return facts
    metrics = ("train_loss", "validation_loss", "epochs", "processes", "checkpoint_seconds_blocked")
    return facts | {name: checkpoint.manifest.metrics[name] for name in metrics}


def summary(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts that matter most, flat enough for a terminal."""
    shown = (
        "finished",
        "steps_done",
        "steps",
        "tokens",
        "parameters",
        "train_loss",
        "validation_loss",
        "epochs",
    )
    flat = {name: facts[name] for name in shown if name in facts} | {
        "flops": f"{facts['flops']:.2e}"
    }
    if curve := facts["runs"][-1]["curve"]:
        last = curve[-1]
        flat |= {
            f"last_{name}": last[name]
            for name in ("loss", "tokens_per_second", "utilisation", "learning_rate")
        }
    for number, phase in enumerate(facts["phases"], 1):
        flat[f"phase {number}"] = (
            f"{phase['steps']:,} steps, {phase['tokens']:,} tokens of the shards {phase['shards']}"
        )
    return flat | {"made of": facts["inputs"]}


def _runs_before(home: Home, earlier: str | None) -> list[dict[str, Any]]:
    """Return the runs that a later phase continues, oldest first, as far as they still exist."""
    found = next(
        (one for one in find_artifacts(home.artifacts, "checkpoint") if one.digest == earlier), None
    )
    return (
        [*_runs_before(home, found.manifest.inputs.get("earlier")), _run(found.path)]
        if found
        else []
    )


def _run(folder: Path) -> dict[str, Any]:
    """Return one phase: its first step among all, its curve, and its validation loss."""
    begun = json.loads((folder / "notes" / BEGUN).read_text())
    config = read_config(begun["config"])
    finished = open_artifact(folder).manifest.metrics if (folder / MANIFEST).exists() else {}

    def rate(step: int) -> float:
        return config.matrix_learning_rate * learning_rate_factor(config, step)

    return {
        "key": folder.name,
        "first_step": sum(phase["steps"] for phase in begun["phases"][:-1]),
        "steps": config.steps,
        "validation_loss": finished.get("validation_loss"),
        "curve": [
            note | {"learning_rate": rate(note["step"])} for note in read_notes(folder / "notes")
        ],
    }


def _named(home: Home, inputs: dict[str, str]) -> dict[str, str]:
    """Return the inputs of a run by name, each as its kind and key if it still exists."""
    known = {one.digest: f"{one.kind} {one.key}" for one in find_artifacts(home.artifacts)}
    return {name: known.get(digest, f"gone ({digest[:16]})") for name, digest in inputs.items()}


def _samples(checkpoint: Artifact, prompts: Sequence[str], seed: int) -> list[dict[str, str]]:
    """Return texts of the model: the same for the same checkpoint, prompts and seed."""
    generator = load_generator(checkpoint)

    def continuation(prompt: str, number: int) -> str:
        options = GenerationOptions(SAMPLE_TOKENS, seed=seed + number)
        return "".join(piece.text for piece in generator.generate(prompt, options))

    return [
        {"prompt": prompt, "text": continuation(prompt, number)}
        for number, prompt in enumerate(prompts)
    ]


def _evaluation(home: Home, checkpoint: Artifact) -> dict[str, Any] | None:
    """Return the newest evaluation of a checkpoint, or None."""
    every = find_artifacts(home.artifacts, "evaluation")
    found = [one for one in every if one.manifest.inputs["checkpoint"] == checkpoint.digest]
    return {"key": found[-1].key, **read_result(found[-1])} if found else None
