"""Measure ingest and corpus with ever more posts: is time linear, does memory stay bounded?

    python benchmarks/bench_scale.py --data tweets.parquet --millions 0.3 1.2 4 12
    python benchmarks/bench_scale.py --data tweets.parquet --only full

The posts are the real ones, repeated in other words each time (`many_posts.py`). Each size gets a
new home; ingest, and the steps from the lake to token shards, are each a process of its own. Needs
about 2 GB of disk per million posts while it runs.

`--only full` measures what a full lake and a long log cost instead (`full_home.py`): ten ingests of
equal size into one home, seven larger ones into another, and a build, counts and an erasure beside
a million forgotten ids.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import full_home
from many_posts import write_posts
from process import Measured, new_home, progress, rookery, step
from record import table, write_result

BAR_GIGABYTES = 4.0
BAR_GROWTH = 1.25  # seconds per post at the largest size over those at 1.2 million or more
MAP = "text=content,author=author_id,created=created_at,id=post_id"
PARTS = ("ingest", "corpus and shards")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--millions", type=float, nargs="+", default=[0.3, 1.2, 4, 12])
    parser.add_argument(
        "--folder", type=Path, help="a folder with enough room; without it, the system's own"
    )
    parser.add_argument("--vocabulary", type=int, default=16_384)
    parser.add_argument("--only", choices=("sizes", "full"), default="sizes")
    arguments = parser.parse_args()
    if arguments.only == "full":
        print(full_home.measure(arguments.data, arguments.folder).read_text())
        return
    sizes = sorted(round(millions * 1e6) for millions in arguments.millions)
    runs: dict[int, tuple[Measured, Measured, int]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        tokenizer = Path(name) / "tokenizer.json"
        for posts in sizes:
            folder = Path(name) / str(posts)
            folder.mkdir()
            runs[posts] = measured_at(
                posts, arguments.data, folder, tokenizer, arguments.vocabulary
            )
            shutil.rmtree(folder)
    path = write_result("scale", "More posts", ["daft", "deltalake", "pyarrow"], body(runs))
    print(path.read_text())


def measured_at(
    posts: int, data: Path, folder: Path, tokenizer: Path, vocabulary: int
) -> tuple[Measured, Measured, int]:
    """Run both parts at one size; return their figures and the bytes of the home after them.

    The first size trains the tokenizer for all.
    """
    progress(f"writing {posts:,} posts")
    write_posts(data, folder / "posts.parquet", posts)
    home = new_home(folder / "home")
    progress(f"ingesting {posts:,} posts")
    taken = rookery(home, "posts", "ingest", folder / "posts.parquet", "--map", MAP)
    (folder / "posts.parquet").unlink()
    if not tokenizer.exists():
        rookery(home, "corpus", "build")
        shutil.copyfile(step("tokenizer", home, vocabulary).output["path"], tokenizer)
        shutil.rmtree(home / "artifacts")
    progress(f"from the lake to shards: {posts:,} posts")
    made = step("corpus", home, tokenizer)
    return taken, made, sum(path.stat().st_size for path in home.rglob("*") if path.is_file())


def body(runs: dict[int, tuple[Measured, Measured, int]]) -> str:
    rows = []
    for posts, (taken, made, disk) in runs.items():
        rest = f"{disk / 1e9:.2f}", f"{made.output['documents']:,}"
        for part, run, more in zip(PARTS, (taken, made), (("", ""), rest), strict=True):
            speed = f"{posts / run.seconds:,.0f}", f"{run.seconds / posts * 1e6:.1f}"
            rows.append([f"{posts:,}", part, f"{run.seconds:.1f}", *speed, run.peak, *more])
    columns = [
        "posts",
        "part",
        "seconds",
        "posts a second",
        "µs a post",
        "peak GB",
        "home GB",
        "documents",
    ]
    return " ".join(verdicts(runs)) + "\n\n" + table(columns, rows)


def verdicts(runs: dict[int, tuple[Measured, Measured, int]]) -> list[str]:
    """Return sentences about memory at the largest size, and about growth of time per post.

    Growth counts from the first size at which fixed costs no longer matter.
    """
    largest = max(runs)
    from_posts = min((posts for posts in runs if posts >= 1e6), default=largest)
    peak = max(run.peak_bytes for run in runs[largest][:2]) / 1e9
    sentences = [
        f"At {largest:,} posts at most {peak:.2f} GB; bar of {BAR_GIGABYTES} GB: "
        f"{_met(peak <= BAR_GIGABYTES)}."
    ]
    for place, part in enumerate(PARTS):
        a, b = (runs[posts][place].seconds / posts for posts in (from_posts, largest))
        sentences.append(
            f"From {from_posts:,} posts on the time of a post in {part} grows {b / a:.2f} times "
            f"(linear is 1; "
            f"bar of {BAR_GROWTH}: {_met(b / a <= BAR_GROWTH)})."
        )
    return sentences


def _met(met: bool) -> str:
    return "met" if met else "NOT met"


if __name__ == "__main__":
    main()
