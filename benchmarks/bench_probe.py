"""Measure `model probe`: the representation of a home's model beside TF-IDF and random weights.

    python benchmarks/bench_probe.py TWEETEVAL --home HOME [--base FOLDER]

TWEETEVAL is `tweeteval.parquet`. Four tasks: emotion, irony, two stances. Judged on the split
`test` of a task, or on `val` where it has none. With `--base`, a model in Hugging Face's layout
is adopted and probed on emotion and irony. Also how many texts a second are embedded, by the
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

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.context import Context
from rookery.core.home import Home, open_home
from rookery.model.adopt import AdoptConfig, adopt
from rookery.model.embed import load_embedder
from rookery.model.inference.pooling import load_pooling
from rookery.model.probe import ProbeConfig, probe, read_result

TASKS = ("emotion", "irony", "stance_feminist", "stance_hillary")
BASE_TASKS, BASE_CONTEXT_TOKENS = ("emotion", "irony"), 256
SPEED_TEXTS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tweeteval", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--base", type=Path, help="A folder of Hugging Face.")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    home = open_home(arguments.home)
    own = [one for one in find_artifacts(home.artifacts, "checkpoint") if is_trained(one)]
    checkpoint = own[-1]
    labelled = tasks(arguments.tweeteval)
    figures = [scores(home, checkpoint, labelled)]
    if arguments.base:
        adopted = adopt(home, arguments.base, Context(), AdoptConfig(BASE_CONTEXT_TOKENS))
        few = labelled.filter(pc.is_in(labelled["task"], pa.array(BASE_TASKS)))
        figures.append(scores(home, adopted, few))
    texts = pq.read_table(arguments.tweeteval, columns=["text"])["text"].to_pylist()[:SPEED_TEXTS]
    speeds = [
        [name, f"{per_second(embedder, texts):,.0f}"]
        for name, embedder in (
            ("table", load_embedder(checkpoint)),
            (f"network ({bf16_unit()})", load_pooling(checkpoint)),
        )
    ]
    shape = checkpoint.manifest.config["shape"]
    body = [
        f"Model: {shape['layers']} layers, {shape['width']} wide, of posts of the home.\n",
        *figures,
        "\nTexts embedded a CPU second of one thread:\n",
        table(["with", "texts a second"], speeds),
    ]
    packages = ["torch", "scikit-learn"]
    print(write_result("probe", "Probing on tweeteval", packages, "\n".join(body)).read_text())


def is_trained(checkpoint: Artifact) -> bool:
    """Return whether a checkpoint began from random weights and was not tuned."""
    return "shape" in checkpoint.manifest.config and "lora_rank" not in checkpoint.manifest.config


def scores(home: Home, checkpoint: Artifact, labelled: pa.Table) -> str:
    """Return the table of a checkpoint's scores on some tasks, with its parameters."""
    config = ProbeConfig("text", "label_name", "split", "task")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tasks.parquet"
        pq.write_table(labelled, path)
        result = read_result(probe(home, checkpoint, path, config, Context()))
    systems = list(result["mean_macro_f1"])
    rows = [
        [name, *(f"{found[system]['macro_f1']:.3f}" for system in systems)]
        for name, found in result["tasks"].items()
    ]
    rows.append(["mean", *(f"{result['mean_macro_f1'][system]:.3f}" for system in systems)])
    size = f"{checkpoint.manifest.metrics['parameters']:,} parameters"
    return table([f"macro F1, {size}", *systems], rows)


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
