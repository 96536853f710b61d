"""Measure how long `rookery --help` takes, beside Python itself and the two libraries it uses."""

import statistics
import subprocess
import sys
import time

from record import table, write_result

ROUNDS = 20
COMMANDS = {
    "python, nothing": ["-c", "pass"],
    "python, typer and rich": ["-c", "import typer, rich.console, rich.table"],
    "rookery --help": ["-m", "rookery.cli.main", "--help"],
}


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            started = time.monotonic()
            subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.monotonic() - started)
    rows = [
        [name, f"{statistics.median(s):.3f}", f"{min(s):.3f}", f"{max(s):.3f}"]
        for name, s in seconds.items()
    ]
    body = f"{ROUNDS} rounds, alternating.\n\n" + table(
        ["what", "median seconds", "least", "most"], rows
    )
    print(write_result("start", "Starting the command", ["typer", "rich"], body).read_text())


if __name__ == "__main__":
    main()
