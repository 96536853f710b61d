"""Measure what minutes of training buy: bits per byte on later tweets, beside other methods.

    python benchmarks/bench_model.py --data tweets.parquet --minutes 10 --work FOLDER

The other methods are packers and n-grams of the same posts. Each point of the curve is a whole run
of `rookery model train` at the scale that this machine trains in an eighth, a quarter, a half and
all of `--minutes`. Evaluation is not counted. Started again with the same `--work` it continues. On
a machine with a GPU the runs use it. PPMd is measured too where `pyppmd` is installed. The n-grams
of all posts take 9 GB of memory.
"""

import argparse
import json
import lzma
import os
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from later_tweets import later_tweets
from process import opened_home, progress, rookery
from record import bf16_unit, table, write_result

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.atomic import write_atomically
from rookery.core.context import Context
from rookery.core.home import Home
from rookery.corpus.document import read_documents
from rookery.model.checkpoint import load_network, load_shape
from rookery.model.evaluation.baselines import train_ngram, zstd_bits
from rookery.model.evaluation.bits import text_bits
from rookery.model.evaluation.estimate import MODEL, ScoredTexts, summarize
from rookery.model.tokenizer import load_tokenizer, prefix, training_texts
from rookery.model.training.measure import scale_for_minutes
from rookery.model.training.notes import METRICS
from rookery.model.training.run import best_precision

PARTS = (8, 4, 2, 1)
MEGABYTE = 1_000_000
PPMD_ORDER, PPMD_MEMORY_BYTES = 8, 2000 << 20
BARS = "The bars on two cores: at most 2.40 after 10 minutes, the aim 2.30; below PPMd within 60."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    home = opened_home(arguments.work)
    corpus = later_tweets(home, arguments.data, Context())
    judged = later_texts(corpus)
    points = [point(home, corpus, judged, arguments.minutes / part) for part in PARTS]
    beside = baselines(home, corpus, [text for text, _ in judged], points[-1]["bytes_seen"])
    text = body(corpus, judged, points, beside)
    print(
        write_result(
            theme(), "What minutes of training buy", ["torch"], text, machine()
        ).read_text()
    )


def theme() -> str:
    return "model_gpu" if torch.cuda.is_available() else f"model_{bf16_unit()}"


def machine() -> str:
    """Return the name of the GPU, or nothing for a machine without one."""
    return f"one {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""


def later_texts(corpus: Artifact) -> list[tuple[str, str]]:
    """Return the texts for evaluation, each with its author, in the order of time."""
    rows: list[dict] = []
    for batch in read_documents(corpus, "validation", ["text", "author_ids", "created", "id"]):
        rows += batch.to_pylist()
    rows.sort(key=lambda row: (row["created"], row["id"]))
    return [(row["text"], row["author_ids"][0]) for row in rows]


def once(home: Home, name: str, make: Callable[[], Any]) -> Any:
    """Return a value that is made once and read from its file after a restart."""
    path = home.path / "bench" / f"{name}.json"
    if not path.exists():
        progress(name.replace("_", " "))
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, json.dumps(make()).encode())
    return json.loads(path.read_text())


def point(
    home: Home, corpus: Artifact, judged: Sequence[tuple[str, str]], minutes: float
) -> dict[str, Any]:
    """Return one point of the curve: train at the scale for these minutes, and evaluate."""
    scale = once(home, f"scale_for_{minutes:g}_minutes", lambda: scale_for_minutes(minutes))
    return once(home, f"trained_{minutes:g}_minutes", lambda: trained(home, scale, judged)) | {
        "minutes": minutes
    }


def trained(home: Home, scale: float, judged: Sequence[tuple[str, str]]) -> dict[str, Any]:
    measured = rookery(home.path, "model", "train", "--scale", scale)
    made = next(
        c for c in find_artifacts(home.artifacts, "checkpoint") if c.key == measured.output["key"]
    )
    shape, facts = load_shape(made), made.manifest.metrics
    seconds = json.loads((made.path / "notes" / METRICS).read_text().splitlines()[-1])[
        "seconds_per_step"
    ]
    found = judge(made, judged)
    return {
        "scale": scale,
        "shape": f"{shape.vocabulary:,}, {shape.width} × {shape.layers}",
        "parameters": facts["parameters"],
        "tokens": facts["tokens"],
        "took_minutes": seconds * facts["steps"] / 60,
        "load": os.getloadavg()[1],
        "bytes_seen": round(facts["tokens"] * found["bytes_per_token"]),
        "bits_per_byte": found["bits_per_byte"][MODEL],
        "interval": found["interval_95"][MODEL],
    }


def judge(checkpoint: Artifact, judged: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the figures of a checkpoint, and the bytes per token of these texts."""
    texts, authors = zip(*judged, strict=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = load_tokenizer(checkpoint)
    bits = text_bits(load_network(checkpoint, best_precision(device)).to(device), tokenizer, texts)
    sizes = np.array([len(text.encode()) for text in texts])
    tokens = sum(map(len, tokenizer.encode(texts))) + len(texts)
    return summarize(ScoredTexts(sizes, np.array(authors), {MODEL: bits})) | {
        "bytes_per_token": sizes.sum() / tokens
    }


def baselines(
    home: Home, corpus: Artifact, texts: Sequence[str], bytes_seen: int
) -> list[list[object]]:
    """Return the rows of the table: method, bytes learned from, bits per byte, CPU seconds."""
    size = sum(len(text.encode()) for text in texts)
    everything = sum(len(text.encode()) for text in training_texts(corpus))
    equal = min(bytes_seen, everything)
    ways: dict[str, Callable[[list[str]], float]] = {
        "zstd, a dictionary of 1 MB": lambda learned: zstd_bits(learned, texts).sum() / size,
        "n-grams of 8 characters": lambda learned: train_ngram(learned).bits(texts).sum() / size,
    }
    if find_spec("pyppmd"):
        ways["PPMd of order 8, going on learning"] = lambda learned: (
            ppmd_bits(learned, texts) / size
        )
    together = "\n".join(texts).encode()
    xz = once(
        home, "xz", lambda: 8 * len(lzma.compress(together, preset=9 | lzma.PRESET_EXTREME)) / size
    )
    rows: list[list[object]] = [["xz, all together", "none", f"{xz:.3f}", ""]]
    for name, way in ways.items():
        for most in sorted({equal, everything}):
            made = once(
                home,
                f"{name}_{most}",
                lambda way=way, most=most: timed(way, prefixed(corpus, most)),
            )
            rows.append(
                [
                    name,
                    f"{most / MEGABYTE:.0f} MB",
                    f"{made['bits']:.3f}",
                    f"{made['cpu_seconds']:.0f}",
                ]
            )
    return rows


def timed(way: Callable[[list[str]], float], learned: list[str]) -> dict[str, float]:
    began = time.process_time()
    return {"bits": float(way(learned)), "cpu_seconds": time.process_time() - began}


def prefixed(corpus: Artifact, most_bytes: int) -> list[str]:
    return list(prefix(training_texts(corpus), most_bytes))


def ppmd_bits(learned: Sequence[str], texts: Sequence[str]) -> float:
    """Return the bits that PPMd adds for all texts as one stream after what it learned from."""
    import pyppmd

    encoder = pyppmd.Ppmd7Encoder(PPMD_ORDER, PPMD_MEMORY_BYTES)
    encoder.encode("\n".join(learned).encode())
    return 8.0 * (len(encoder.encode("\n".join(texts).encode())) + len(encoder.flush()))


def point_row(point: dict[str, Any]) -> list[str]:
    """Return the row of the table for one point of the curve."""
    return [
        f"{point['minutes']:g}",
        f"{point['took_minutes']:.1f}",
        f"{point['load']:.1f}",
        f"{point['scale']:g}",
        point["shape"],
        f"{point['parameters'] / 1e6:.2f}M",
        f"{point['tokens'] / 1e6:.1f}M",
        f"{point['bytes_seen'] / MEGABYTE:.0f} MB",
        f"{point['tokens'] / point['took_minutes'] / 60:,.0f}",
        f"{point['bits_per_byte']:.3f}",
        "{:.3f} to {:.3f}".format(*point["interval"]),
    ]


def body(corpus: Artifact, judged: Sequence, points: Sequence[dict], beside: Sequence) -> str:
    size = sum(len(text.encode()) for text, _ in judged)
    columns = [
        "minutes asked",
        "trained",
        "load",
        "petaFLOP",
        "vocabulary, width × layers",
        "parameters",
        "tokens",
        "bytes",
        "tokens/s",
        "bits per byte",
        "95%",
    ]
    return (
        f"{len(judged):,} later tweets, {size:,} bytes, whose text occurs neither in the "
        f"{corpus.manifest.metrics['documents_train']:,} texts that are learned from nor twice "
        f"(`later_tweets.py`). {BARS} Each point is a run of its own, decayed to its end; "
        "evaluation is not counted. The interval resamples authors. A load above the number of "
        "cores means that the machine was shared.\n\n"
        + table(columns, [point_row(point) for point in points])
        + "\nOther methods on the same bytes, fed as many bytes of the same posts as the longest "
        "run saw, and all of them. Model, zstd and n-grams code each text alone; PPMd codes them "
        "as one stream in the order of time and goes on learning from it.\n\n"
        + table(["beside", "learned from", "bits per byte", "CPU seconds"], beside)
    )


if __name__ == "__main__":
    main()
