"""How much disk an installation takes, with and without the language model.

    python benchmarks/bench_install.py --torch torch==2.13.0

Each is a new virtual environment with the pinned versions. `--torch` installs that requirement
first, as a person without a GPU does with PyTorch's CPU build, which is much smaller than the GPU
build.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from record import table, write_result

ROOT = Path(__file__).parents[1]
BAR_SHARE = 0.55


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", default="torch")
    torch = parser.parse_args().torch
    without = _megabytes([str(ROOT)])
    whole = _megabytes([torch, f"{ROOT}[model]"])
    share = without / whole
    body = f"Without the model {share:.0%} of the whole; bar of {BAR_SHARE:.0%}: "
    body += f"{'met' if share <= BAR_SHARE else 'missed'}.\n\n"
    rows = [["rookery", f"{without:,.0f}"], ["rookery[model]", f"{whole:,.0f}"]]
    body += table(["installation", "MB"], rows)
    print(write_result("install", "What an installation takes", ["torch"], body).read_text())


def _megabytes(requirements: list[str]) -> float:
    """Return the size of a new environment with these requirements, its own pip left out."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        empty = _size(Path(folder))
        install = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--constraint"]
        for requirement in requirements:  # in order, so that the first one's build is kept
            subprocess.run([*install, ROOT / "constraints.txt", requirement], check=True)
        return (_size(Path(folder)) - empty) / 1e6


def _size(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files)


if __name__ == "__main__":
    main()
