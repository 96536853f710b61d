"""Probing: figures of every system for every task, and one line for a table that cannot be used."""

import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.model.probe import ProbeConfig, probe, random_network, read_result, read_tasks

CONFIG = ProbeConfig("text", "label", "split", "task")
COLUMNS = ("text", "label", "split", "task")


def rows(task="mood", texts=60):
    """Return rows of two moods, each with words of its own, in three splits."""
    words, chosen = {"good": "rooks elms", "bad": "hello home"}, random.Random(0)
    for n in range(texts):
        label = ("good", "bad")[n % 2]
        text = " ".join(chosen.choices(words[label].split(), k=6))
        yield text, label, ("train", "train", "test", "val")[n // 2 % 4], task


@pytest.fixture
def table(tmp_path):
    def write(*found, name="table.parquet"):
        columns = list(zip(*found, strict=True)) or [[]] * 4
        path = tmp_path / name
        pq.write_table(pa.table([pa.array(c, pa.string()) for c in columns], COLUMNS), path)
        return path

    return write


def test_each_system_of_each_task_has_macro_f1_and_accuracy(home, checkpoint, table):
    path = table(*rows(), *rows("other"))
    made = probe(home, checkpoint, path, CONFIG, Context())
    result = read_result(made)
    assert result["tasks"].keys() == {"mood", "other"}
    for found in result["tasks"].values():
        assert found["tfidf"] == {"macro_f1": 1.0, "accuracy": 1.0}
        assert found["model"].keys() == found["random"].keys() == {"macro_f1", "accuracy"}
        assert found["texts"] == {"train": 32, "judged": 14}
        assert found["classes"] == ["bad", "good"]
    assert result["mean_macro_f1"].keys() == {"model", "tfidf", "random"}
    assert made.kind == "probe"
    assert made.manifest.inputs["checkpoint"] == checkpoint.digest
    assert "rooks" not in json.dumps(result)


def test_a_finetuned_network_learns_the_labels(home, checkpoint, table):
    config = ProbeConfig("text", "label", "split", finetune=True)
    result = read_result(probe(home, checkpoint, table(*rows(texts=400)), config, Context()))
    assert result["tasks"]["label"]["finetuned"]["macro_f1"] > 0.9


def test_random_weights_are_random_in_every_layer_and_the_same_each_time(checkpoint):
    one, other = (dict(random_network(checkpoint, 0).named_parameters()) for _ in range(2))
    assert all((one[name] == other[name]).all() for name in one)
    assert all(one[name].any() for name in one)
    third = dict(random_network(checkpoint, 1).named_parameters())
    assert (one["model.embed_tokens.weight"] != third["model.embed_tokens.weight"]).any()


def test_a_task_without_a_test_split_is_judged_on_its_validation_split(table):
    (task,) = read_tasks(table(*(row for row in rows() if row[2] != "test")), CONFIG)
    assert len(task.texts[1]) == 14


@pytest.mark.parametrize(
    ("config", "kept", "message"),
    [
        (ProbeConfig("text", "lable", "split"), lambda row: True, "no column 'lable'"),
        (CONFIG, lambda row: row[1] == "good", "one class only: 'good'"),
        (CONFIG, lambda row: row[2] != "train", "no text in the split train"),
        (CONFIG, lambda row: row[2] == "train", "no text in the split test or val"),
        (CONFIG, lambda row: False, "no row with text, label and split"),
    ],
)
def test_a_table_that_cannot_be_probed_is_refused_in_a_line(table, config, kept, message):
    with pytest.raises(DataError, match=message):
        read_tasks(table(*filter(kept, rows())), config)


def test_labels_that_were_not_learned_are_left_out_of_the_judgement(table):
    extra = [("hello", "strange", "test", "mood")]
    (task,) = read_tasks(table(*rows(), *extra), CONFIG)
    assert len(task.texts[1]) == 14
    learned = [row for row in rows() if row[2] == "train"]
    with pytest.raises(DataError, match="has a label that was learned"):
        read_tasks(table(*learned, *extra, name="b.parquet"), CONFIG)
