"""What a full lake and a long log cost: the part of `bench_scale.py` that grows one home.

CPU seconds of a process and its descendants, in one run, each command with one thread for numbers.
An ingest is compared with the same one into an empty lake; a build, counts and an erasure with the
same in a home whose log holds nothing.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
from many_posts import write_posts
from process import IRA_MAP, Measured, fresh, new_home, progress, rookery
from record import table, write_result

from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.posts.lake import open_lake
from rookery.posts.live import live_log

SERIES = ((150_000, 10, 4, 1.6), (400_000, 7, 6, 2.0))
"""Posts of an ingest, how many ingests, which of them is compared with the first (from 0), and how
much more it may cost.
"""
FORGOTTEN, LOG_POSTS = 1_000_000, 240_000
BARS = {"corpus build": 1.5, "posts stats": 8.0, "posts erase, one post": 4.0}
FIRST_ERASURE = "posts erase, the first"


def measure(data: Path, folder: Path | None) -> Path:
    """Measure all, write the page of results and return its path."""
    os.environ |= {"OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        grown = [_grown(data, Path(name), posts, times) for posts, times, _, _ in SERIES]
        logs = _beside_logs(data, Path(name))
    return write_result(
        "scale_full", "A full lake, a long log", ["deltalake", "pyarrow"], _body(grown, logs)
    )


def _grown(data: Path, folder: Path, posts: int, times: int) -> list[float]:
    """Ingest files of equal size into one home, and return the CPU seconds of each."""
    home, seconds = new_home(folder / f"home-{posts}"), []
    for number, path in enumerate(_files(data, folder, posts, times)):
        progress(f"ingesting {posts:,} posts into {number * posts:,}")
        seconds.append(rookery(home, "posts", "ingest", path, "--map", IRA_MAP).cpu_seconds)
    shutil.rmtree(home)
    return seconds


def _files(data: Path, folder: Path, posts: int, times: int) -> Iterator[Path]:
    """Yield files with so many posts each, no post twice; each is removed afterwards."""
    every, part = folder / "every.parquet", folder / "part.parquet"
    write_posts(data, every, posts * times)
    with pq.ParquetFile(every) as file:
        rest = file.read()
    for number in range(times):
        pq.write_table(rest.slice(number * posts, posts), part)
        yield part
    every.unlink()
    part.unlink()


def _beside_logs(data: Path, folder: Path) -> dict[str, dict[str, Measured]]:
    """Run the same commands in a home whose log is empty and in one whose log is long."""
    template = new_home(folder / "template")
    for path in _files(data, folder, LOG_POSTS, 1):
        rookery(template, "posts", "ingest", path, "--map", IRA_MAP)
    return {
        name: _commands(template, folder / name, count)
        for name, count in (("empty", 0), ("long", FORGOTTEN))
    }


def _commands(template: Path, folder: Path, forgotten: int) -> dict[str, Measured]:
    fresh(template, folder)
    home = open_home(folder)
    one = next(open_lake(home).batches(["id"]))["id"][0].as_py()
    with live_log(home) as log:
        log.append(
            "forget_post", (f"gone-{n * 7919:018d}" for n in range(forgotten)), Context().clock, ""
        )
    progress(f"commands beside {forgotten:,} forgotten ids")
    figures = {name: rookery(folder, *name.split()) for name in ("corpus build", "posts stats")}
    figures[FIRST_ERASURE] = rookery(folder, "posts", "erase")
    rookery(folder, "posts", "forget", one)
    figures["posts erase, one post"] = rookery(folder, "posts", "erase")
    shutil.rmtree(folder)
    return figures


def _body(grown: list[list[float]], logs: dict[str, dict[str, Measured]]) -> str:
    sentences, tables = [], []
    for (posts, _, compared, bar), seconds in zip(SERIES, grown, strict=True):
        ratio = seconds[compared] / seconds[0]
        sentences.append(
            f"An ingest of {posts:,} posts into {compared * posts:,} takes {ratio:.2f} times the "
            f"CPU of one into an empty lake; bar of {bar:g}: {_met(ratio <= bar)}."
        )
        rows = [
            [f"{n * posts:,}", f"{s:.2f}", f"{s / seconds[0]:.2f}"] for n, s in enumerate(seconds)
        ]
        columns = [f"{posts:,} posts into", "CPU seconds", "times the first"]
        tables.append(table(columns, rows))
    rows = []
    for name, beside in logs["long"].items():
        without, with_log = logs["empty"][name].cpu_seconds, beside.cpu_seconds
        ratio = with_log / without
        rows.append([name, f"{without:.2f}", f"{with_log:.2f}", f"{ratio:.2f}"])
        if name in BARS:
            sentences.append(
                f"Beside {FORGOTTEN:,} forgotten ids `{name}` takes {ratio:.2f} times the CPU; bar "
                f"of {BARS[name]:g}: {_met(ratio <= BARS[name])}."
            )
    head = f"{LOG_POSTS:,} posts"
    tables.append(table([head, "empty log", f"{FORGOTTEN:,} forgotten", "times"], rows))
    return " ".join(sentences) + "\n\n" + "\n".join(tables)


def _met(met: bool) -> str:
    return "met" if met else "NOT met"
