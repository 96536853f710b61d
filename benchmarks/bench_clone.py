"""Measure how long a newcomer waits, from `git clone` to the end of `make demo`.

Everything happens in a new folder, downloads included.
"""

import subprocess
import tempfile
import time
from pathlib import Path

from record import table, write_result

ROOT = Path(__file__).parents[1]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "rookery"
        steps = {
            "git clone": ["git", "clone", "--quiet", str(ROOT), str(clone)],
            "make .venv/installed": ["make", "--directory", str(clone), ".venv/installed"],
            "make demo": ["make", "--directory", str(clone), "demo", "ARGS=--no-serve"],
        }
        seconds = {}
        for name, command in steps.items():
            started = time.monotonic()
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            seconds[name] = time.monotonic() - started
    rows = [
        [name, f"{spent:.0f}"] for name, spent in (seconds | {"all": sum(seconds.values())}).items()
    ]
    body = (
        table(["step", "seconds"], rows)
        + f"\nThe demo's own table:\n\n```\n{stages(done.stdout)}\n```\n"
    )
    path = write_result("clone", "From a clone to the page", ["torch"], body)
    print(path.read_text())


def stages(printed: str) -> str:
    """Return the lines of the table that a demo prints."""
    lines = [line.rstrip() for line in printed.splitlines()]
    start = next(n for n, line in enumerate(lines) if line.startswith("stage"))
    return "\n".join(lines[start : lines.index("", start)])


if __name__ == "__main__":
    main()
