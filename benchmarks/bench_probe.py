"""Measure `model probe`: the representation of a home's model beside TF-IDF and random weights.

    python benchmarks/bench_probe.py TWEETEVAL --home HOME

TWEETEVAL is `tweeteval.parquet`. Four tasks: emotion, irony, two stances. Judged on the split
`test` of a task, or on `val` where it has none. Also how many texts a second are embedded, by the
table and by the network, in CPU seconds of one thread.
"""

import argparse
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from record import bf16_unit, table, write_result

from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.model.inference.pooling import load_pooling
from rookery.model.probe import ProbeConfig, probe, read_result
from rookery.workflows.models import embedder_of

TASKS = ("emotion", "irony", "stance_feminist", "stance_hillary")
SPEED_TEXTS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tweeteval", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    home = open_home(arguments.home)
    checkpoint = home.need("checkpoint", "rookery model train")
    config = ProbeConfig("text", "label_name", "split", "task")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tasks.parquet"
        pq.write_table(tasks(arguments.tweeteval), path)
        result = read_result(probe(home, checkpoint, path, config, Context()))
    systems = list(result["mean_macro_f1"])
    rows = [
        [name, *(f"{found[system]['macro_f1']:.3f}" for system in systems)]
        for name, found in result["tasks"].items()
    ]
    rows.append(["mean", *(f"{result['mean_macro_f1'][system]:.3f}" for system in systems)])
    texts = pq.read_table(arguments.tweeteval, columns=["text"])["text"].to_pylist()[:SPEED_TEXTS]
    speeds = [
        [name, f"{per_second(embedder, texts):,.0f}"]
        for name, embedder in (
            ("table", embedder_of(home)),
            (f"network ({bf16_unit()})", load_pooling(checkpoint)),
        )
    ]
    shape = checkpoint.manifest.config["shape"]
    body = [
        f"Model: {shape['layers']} layers, {shape['width']} wide, of posts of the home.\n",
        table(["macro F1", *systems], rows),
        "\nTexts embedded a CPU second of one thread:\n",
        table(["with", "texts a second"], speeds),
    ]
    packages = ["torch", "scikit-learn"]
    print(write_result("probe", "Probing on tweeteval", packages, "\n".join(body)).read_text())


def tasks(path: Path) -> pa.Table:
    """Return the rows of the four tasks; a stance's target is part of its task's name."""
    found = pq.read_table(path, columns=["task", "target", "split", "text", "label_name"])
    found = found.cast(pa.schema([(name, pa.string()) for name in found.column_names]))
    targets = pc.fill_null(found["target"], "")
    names = pc.utf8_rtrim(pc.binary_join_element_wise(found["task"], targets, "_"), "_")
    found = found.set_column(0, "task", names)
    return found.filter(pc.is_in(names, pa.array(TASKS)))


def per_second(embedder, texts: list[str]) -> float:
    embedder.embed(texts[:256])
    began = time.process_time()
    embedder.embed(texts)
    return len(texts) / (time.process_time() - began)


if __name__ == "__main__":
    main()
