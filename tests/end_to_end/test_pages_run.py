"""Every shell and Python block of the README and of docs/ runs, each page in its own folder.

Blocks marked `sh` and `python` run in the order of the page, on a small archive `posts.csv`. A
block after `<!-- not run: reason -->` is left out. Blocks without a mark show output, or commands
that set up this very environment (`make demo`, which `.ci/run` runs).
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.make_home import write_posts

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
BLOCK = re.compile(
    r"(<!-- not run: (?P<why>.+?) -->\n)?```(?P<kind>\w*)\n(?P<code>.*?)^```", re.S | re.M
)
SECONDS = 280


def blocks(page: Path) -> list[tuple[str, str]]:
    """The blocks of a page that run, as kind and code."""
    found = [m.groupdict() for m in BLOCK.finditer(page.read_text())]
    return [(b["kind"], b["code"]) for b in found if b["kind"] in ("sh", "python") and not b["why"]]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.stem)
def test_every_block_of_a_page_runs(page, tmp_path):
    write_posts(tmp_path / "posts.csv")
    for kind, code in blocks(page):
        interpreter = ["bash", "-euo", "pipefail"] if kind == "sh" else [sys.executable]
        run([*interpreter, "-c", code], tmp_path)


def test_every_page_for_a_part_has_commands_and_python():
    parts = ("posts", "corpus", "model", "search", "ads", "fleet")
    for part in parts:
        assert {kind for kind, _ in blocks(ROOT / "docs" / f"{part}.md")} == {"sh", "python"}
    assert [kind for kind, _ in blocks(ROOT / "README.md")] == ["python"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "arguments", "shown"),
    [
        ("archive_to_answer.py", ["posts.csv", "What was seen today?"], "posts in the index"),
        ("own_model.py", ["posts.csv", "0.0001"], "bits per byte"),
        ("day_of_ads.py", [], "the ledger agrees with itself: True"),
    ],
)
def test_every_example_runs(example, arguments, shown, tmp_path):
    assert {path.name for path in EXAMPLES} == {
        "archive_to_answer.py",
        "own_model.py",
        "day_of_ads.py",
    }
    write_posts(tmp_path / "posts.csv")
    done = run([sys.executable, str(ROOT / "examples" / example), *arguments], tmp_path)
    assert shown in done.stdout
    assert done.stderr == "" or "Warning" not in done.stderr
