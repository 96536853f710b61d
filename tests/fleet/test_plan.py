"""The plan as a whole: its sums, its refusals, and its agreement with a published run."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from rookery.cli.main import app
from rookery.core.errors import UsageError
from rookery.fleet.plan import PlanRequest, plan
from rookery.fleet.planning.gpus import find_gpu
from rookery.model.config import config_for_scale

BIG = PlanRequest(gpus=10_000, gpu="h100", tokens=15_000_000_000_000)


def test_the_parts_add_up_to_their_sums():
    made = plan(**vars(BIG))
    memory = sum(q.value for q in made.quantities if q.name.startswith("memory: "))
    seconds = sum(q.value for q in made.quantities if q.name.startswith("time: "))
    assert made.value("memory") == pytest.approx(memory)
    assert made.value("step time") == pytest.approx(seconds)
    assert made.value("throughput") == pytest.approx(made.value("batch") / made.value("step time"))


def test_the_cost_is_hours_times_price_for_every_gpu_that_is_paid():
    made = plan(**vars(BIG))
    assert made.value("cost") == pytest.approx(
        made.value("GPU hours") * find_gpu("h100").price_per_hour
    )
    assert made.value("GPU hours") == pytest.approx(made.value("days") * 24 * BIG.gpus)


def test_parameters_follow_from_tokens_unless_given():
    assert plan(**vars(BIG)).value("parameters") == pytest.approx(15e12 / 20, rel=0.02)
    given = plan(gpus=64, gpu="h100", tokens=10**12, parameters=8 * 10**9)
    assert given.value("parameters") == pytest.approx(8e9, rel=0.02)


def test_llama_3_405b_takes_about_as_long_as_it_took():
    made = plan(gpus=16_384, gpu="h100", tokens=15_600_000_000_000, parameters=405 * 10**9)
    # Its model card says 30.84M GPU hours: 78 days of 16,384 GPUs.
    assert 78 / 1.4 < made.value("days") < 78 * 1.4


def test_a_plan_names_the_laws_whose_compute_threshold_it_passes():
    assert len(plan(**vars(BIG)).duties) == 2
    assert plan(**vars(replace(BIG, tokens=10**9))).duties == ()


def test_a_plan_says_in_what_its_model_differs_from_the_one_that_is_trained():
    (weakness,) = [text for text in plan(**vars(BIG)).weaknesses if "`rookery model train`" in text]
    planned, trained = plan(**vars(BIG)).shape, config_for_scale(1.0).shape
    assert (planned.tied, trained.tied) == (True, False)
    assert f"{planned.context_tokens:,} tokens" in weakness
    assert f"contexts of {trained.context_tokens}" in weakness


def test_every_number_has_a_formula():
    assert all(q.formula for q in plan(**vars(BIG)).quantities)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gpus": 0}, "at least one GPU"),
        ({"gpu": "tpu"}, "Known: a100"),
        ({"tokens": 0}, "tokens to train on"),
        ({"parameters": 5}, "between 10M and 100T"),
        ({"gpus": 8}, r"do not fit on 8 h100.* each parameter needs 18 bytes"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_line(change, message):
    request = PlanRequest(
        **({"gpus": 10_000, "gpu": "h100", "tokens": 15_000_000_000_000} | change)
    )
    with pytest.raises(UsageError, match=message) as refused:
        plan(**vars(request))
    assert "\n" not in refused.value.line()


def test_the_verb_prints_the_plan_as_json():
    result = CliRunner().invoke(app, ["fleet", "plan", "--gpus", "8", "--tokens", "160B", "--json"])
    assert result.exit_code == 0
    assert {"name", "value", "unit", "formula"} == set(json.loads(result.stdout)["quantities"][0])
