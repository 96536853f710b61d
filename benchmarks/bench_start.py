"""How long a person waits for `rookery --help` and for `import rookery`.

    python benchmarks/bench_start.py [--before CHECKOUT]

Beside them: Python itself, the two libraries that draw the help, and, with `--before`, the help
of an earlier checkout. The commands alternate.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from record import table, write_result

ROUNDS = 20
PYTHON, HELP, IMPORT = "python, nothing", "rookery --help", "import rookery"
COMMANDS = {
    PYTHON: ["-c", "pass"],
    "python, typer and rich": ["-c", "import typer, rich.console, rich.table"],
    HELP: ["-m", "rookery.cli.main", "--help"],
    IMPORT: ["-c", "import rookery"],
}
BEFORE = "rookery --help, earlier"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path)
    before = parser.parse_args().before
    commands = {name: (command, os.environ) for name, command in COMMANDS.items()}
    if before:
        earlier = os.environ | {"PYTHONPATH": str(before / "src")}
        commands[BEFORE] = (COMMANDS[HELP], earlier)
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, (command, environment) in commands.items():
            started = time.monotonic()
            subprocess.run(
                [sys.executable, *command],
                env=environment,
                stdout=subprocess.DEVNULL,
                check=True,
            )
            seconds[name].append(time.monotonic() - started)
    print(write_result("start", "Starting", ["typer", "rich"], _body(seconds)).read_text())


def _body(seconds: dict[str, list[float]]) -> str:
    median = {name: statistics.median(values) for name, values in seconds.items()}
    lines = [f"{ROUNDS} rounds, alternating."]
    lines += [f"`import rookery` takes {median[IMPORT] / median[PYTHON]:.2f} times bare Python."]
    if BEFORE in median:
        ratio = median[HELP] / median[BEFORE]
        lines += [f"`rookery --help` takes {ratio:.2f} times that of the earlier checkout."]
    rows = [
        [name, f"{median[name]:.3f}", f"{min(values):.3f}", f"{max(values):.3f}"]
        for name, values in seconds.items()
    ]
    return " ".join(lines) + "\n\n" + table(["what", "median seconds", "least", "most"], rows)


if __name__ == "__main__":
    main()
