"""Measure what it costs to judge the columns of a table before a row is taken.

    python benchmarks/bench_tables.py --data tweets.parquet --before CHECKOUT

The same tweets are written as Parquet, CSV with two forms of times, and JSON lines, and each file
is ingested by this checkout and by an earlier one that judges no column, in turn. Measured are the
CPU seconds of the whole command, which a shared machine disturbs less than its time.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from process import IRA_MAP, ROOKERY, new_home, progress
from record import table, write_result

BAR_RATIO = 1.5
COLUMNS = ["post_id", "author_id", "content", "created_at"]
HERE = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--before", type=Path, required=True, help="An earlier checkout.")
    parser.add_argument("--posts", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(arguments.data, Path(folder), arguments.posts)
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in files}
        for number in range(arguments.rounds):
            for name, path in files.items():
                progress(f"round {number + 1} of {arguments.rounds}: {name}")
                seconds[name].append((ingest(path, arguments.before), ingest(path, HERE)))
    print(
        write_result("tables", "Judging a table", ["pyarrow"], body(seconds, arguments)).read_text()
    )


def write_files(data: Path, folder: Path, posts: int) -> dict[str, Path]:
    """Write the first tweets of a Parquet file in each format."""
    tweets = pq.read_table(data, columns=COLUMNS).slice(0, posts)
    place = tweets.schema.get_field_index("created_at")

    def with_times(form: str) -> pa.Table:
        times = pc.strftime(tweets["created_at"], form)
        return tweets.set_column(place, "created_at", times)

    iso, month_first = with_times("%Y-%m-%dT%H:%M:%SZ"), with_times("%m/%d/%Y %H:%M")
    files = {
        "Parquet": folder / "posts.parquet",
        "CSV, ISO 8601": folder / "iso.csv",
        "CSV, month/day/year": folder / "month_first.csv",
        "JSON lines": folder / "posts.jsonl",
    }
    paths = list(files.values())
    pq.write_table(tweets, paths[0])
    pa.csv.write_csv(iso, paths[1])
    pa.csv.write_csv(month_first, paths[2])
    with open(paths[3], "w") as lines:
        for batch in iso.to_batches(10_000):
            lines.writelines(json.dumps(row) + "\n" for row in batch.to_pylist())
    return files


def ingest(path: Path, checkout: Path) -> float:
    """Return the CPU seconds of an ingest of a file into a new home, by a checkout's code."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
        home = new_home(Path(folder) / "home", environment)
        command = [*ROOKERY, "posts", "ingest", str(path), "--map", IRA_MAP, "--home", str(home)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def body(seconds: dict[str, list[tuple[float, float]]], arguments: argparse.Namespace) -> str:
    rows, worst = [], 0.0
    for name, rounds in seconds.items():
        before, here = (statistics.median(part) for part in zip(*rounds, strict=True))
        worst = max(worst, here / before)
        rows.append([name, f"{before:.2f}", f"{here:.2f}", f"{here / before:.2f}"])
    verdict = "met" if worst <= BAR_RATIO else "NOT met"
    return (
        f"{arguments.posts:,} tweets, {arguments.rounds} rounds, alternating; medians of the CPU "
        f"seconds of the whole command. Bar of {BAR_RATIO} times: {verdict}.\n\n"
        + table(["file", "before", "here", "ratio"], rows)
    )


if __name__ == "__main__":
    main()
