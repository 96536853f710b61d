"""Measure the whole loop on real posts: seconds, peak memory, and bits per byte beside baselines.

    python benchmarks/bench_demo.py POSTS.parquet --map text=…,author=…,created=… --limit 200000 \\
        --minutes 10

The baselines are zstd and an n-gram model on the same bytes.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import table, write_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("posts", type=Path)
    parser.add_argument("--map", required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--theme", default="demo")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result, seconds = run(arguments, Path(folder) / "home")
    gibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    stages = [[s["name"], f"{s['seconds']:.1f}", s["made"]] for s in result["stages"]]
    bits = [[name, f"{value:.3f}"] for name, value in result["bits_per_byte"].items()]
    body = (
        f"Whole: {seconds:.0f} seconds; peak memory {gibibytes:.2f} GiB; scale "
        f"{result['scale']:g} petaFLOP.\n\n"
        + table(["stage", "seconds", "made"], stages)
        + "\nBits per UTF-8 byte on posts later than all that were trained on, the same bytes "
        "for each:\n\n" + table(["model", "bits per byte"], bits)
    )
    path = write_result(
        arguments.theme, "The whole loop on real posts", ["torch", "daft", "tantivy"], body
    )
    print(path.read_text())


def run(arguments: argparse.Namespace, home: Path) -> tuple[dict, float]:
    command = [
        sys.executable,
        "-m",
        "rookery.cli.main",
        "demo",
        "--json",
        "--no-serve",
        "--home",
        str(home),
    ]
    command += [
        "--posts",
        str(arguments.posts),
        "--map",
        arguments.map,
        "--minutes",
        str(arguments.minutes),
    ]
    command += ["--limit", str(arguments.limit)] if arguments.limit else []
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout), time.monotonic() - started


if __name__ == "__main__":
    main()
