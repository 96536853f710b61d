"""Measure posts per second into the lake, beside the least that any such program must do.

    python benchmarks/bench_ingest.py --data tweets.parquet

Measured is the whole `rookery posts ingest`. The limit reads the same columns with pyarrow, gives
them the lake's types and months, and lets deltalake write them as they come: it checks no id
against the lake, looks at no row and sets nothing aside.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from process import IRA_MAP, measured, new_home, progress, rookery
from record import table, write_result

BAR_POSTS_PER_SECOND = 150_000
LIMIT = """
import sys
import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq
from deltalake import write_deltalake
source, target = sys.argv[1:]
file = pq.ParquetFile(source)
def batches():
    for b in file.iter_batches(65_536, columns=["post_id", "author_id", "content", "created_at"]):
        made = b["created_at"].cast(pa.timestamp("us", "UTC"))
        yield pa.record_batch([b["post_id"].cast(pa.string()), b["author_id"].cast(pa.string()),
            b["content"].cast(pa.string()), made, pc.strftime(made, format="%Y-%m")], names=NAMES)
NAMES = ["id", "author", "text", "created", "month"]
schema = pa.schema([("id", pa.string()), ("author", pa.string()), ("text", pa.string()),
    ("created", pa.timestamp("us", "UTC")), ("month", pa.string())])
reader = pa.RecordBatchReader.from_batches(schema, batches())
write_deltalake(target, reader, partition_by=["month"])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    runs: dict[str, list] = {"rookery posts ingest": [], "pyarrow and deltalake alone": []}
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            progress(f"round {number + 1} of {arguments.rounds}")
            ours = rookery(
                new_home(Path(folder) / "home"), "posts", "ingest", arguments.data, "--map", IRA_MAP
            )
            limit = measured([sys.executable, "-c", LIMIT, str(arguments.data), f"{folder}/limit"])
        for name, run in zip(runs, (ours, limit), strict=True):
            runs[name].append(run)
    posts = ours.output["added"]
    print(
        write_result(
            "ingest", "Posts into the lake", ["pyarrow", "deltalake"], body(runs, posts)
        ).read_text()
    )


def body(runs: dict, posts: int) -> str:
    ours, limit = ([run.seconds for run in part] for part in runs.values())
    ratio = statistics.median(a / b for a, b in zip(ours, limit, strict=True))
    rows = [
        [
            name,
            f"{statistics.median(seconds):.2f}",
            f"{min(seconds):.2f}",
            f"{max(seconds):.2f}",
            f"{posts / statistics.median(seconds):,.0f}",
            f"{max(run.peak_bytes for run in part) / 1e9:.2f}",
        ]
        for name, part in runs.items()
        for seconds in [[run.seconds for run in part]]
    ]
    rate = posts / statistics.median(ours)
    verdict = "met" if rate >= BAR_POSTS_PER_SECOND else "NOT met"
    return (
        f"{posts:,} posts, {len(ours)} rounds, alternating; each run is a new process, its start "
        f"included. "
        f"Bar of {BAR_POSTS_PER_SECOND:,} posts a second: {verdict}. Ours takes {ratio:.2f} "
        f"times the limit's time.\n\n"
        + table(["what", "median seconds", "least", "most", "posts a second", "peak GB"], rows)
    )


if __name__ == "__main__":
    main()
