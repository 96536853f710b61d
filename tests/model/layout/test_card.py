"""The model card: it tells what was measured, and what was not."""

import json

import pytest
import yaml
from foreign_models import save_model

from rookery.core.context import Context
from rookery.core.stage import Stage, run_stage
from rookery.model.adopt import adopt
from rookery.model.layout.card import model_card

GROUP = {"documents": 1200, "bits_per_byte": {"model": 2.4, "ngram": 2.9, "zstd": 3.3, "xz": 3.1}}


@pytest.fixture
def judged(home):
    """Return a function that leaves the figures of a judgement of a checkpoint in the home."""

    def leave(kind, checkpoint, result, name="result.json"):
        def write(workspace):
            (workspace.path / name).write_text(json.dumps(result))
            return {}

        run_stage(home, Stage(kind, 1, result, {"checkpoint": checkpoint.digest}), write, Context())

    return leave


def head(card):
    return yaml.safe_load(card.split("---")[1])


def test_what_nobody_measured_is_said_to_be_unmeasured(checkpoint):
    card = model_card(checkpoint, "hf", "f32")
    assert head(card) == {"library_name": "transformers", "pipeline_tag": "text-generation"}
    assert "Nobody has evaluated it yet" in card
    assert "Nobody has measured yet how well its representation classifies" in card
    assert "No licence is" in card


def test_figures_of_evaluation_and_probe_are_shown(checkpoint, judged):
    often = GROUP | {"bits_per_byte": {"model": 1.1, "ngram": 1.2}}
    repetitions = {"10 or more": often, "0": GROUP}
    judged(
        "evaluation", checkpoint, GROUP | {"languages": {"en": GROUP}, "repetitions": repetitions}
    )
    judged(
        "probe",
        checkpoint,
        {
            "tasks": {
                "irony": {"model": {"macro_f1": 0.61, "accuracy": 0.62}, "texts": {"train": 9}}
            }
        },
        "result.json",
    )
    card = model_card(checkpoint, "gguf", "q8_0")
    assert "| all | 1,200 | 2.400 | 2.900 | 3.300 |" in card
    assert "| en | 1,200 | 2.400 |" in card
    assert card.index("| 0 | 1,200 | 2.400 | 2.900 |") < card.index(
        "| 10 or more | 1,200 | 1.100 |"
    )
    assert "| irony | model | 0.610 | 0.620 |" in card
    assert "stored as q8_0" in " ".join(card.split())


def test_the_licence_of_the_base_is_kept_by_what_was_tuned_from_it(home, tmp_path):
    folder = save_model(tmp_path / "open-bird", "Llama")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    base = adopt(home, folder, Context())

    def tune(workspace):
        (workspace.path / "shape.json").write_bytes(base.file("shape.json").read_bytes())
        return {}

    tuned = run_stage(home, Stage("checkpoint", 1, {}, {"base": base.digest}), tune, Context())
    for one in (base, tuned):
        card = model_card(one, "embedder", "f32")
        assert head(card)["license"] == "apache-2.0"
        assert "It began as open-bird" in card
