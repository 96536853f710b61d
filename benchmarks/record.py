"""Write results: a page with date, machine, versions and command above its tables."""

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def write_result(
    theme: str, title: str, packages: Sequence[str], body: str, machine: str = ""
) -> Path:
    """Write `results/<theme>.md` and return its path.

    machine: its description; without one it is described as a machine without a GPU.
    """
    command = " ".join(
        ["python", f"benchmarks/{Path(sys.argv[0]).name}", *map(_shown, sys.argv[1:])]
    )
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    head = [
        f"# {title}",
        "",
        f"- date: {datetime.now(UTC):%Y-%m-%d}",
        f"- machine: {machine or _machine()}",
        f"- versions: Python {platform.python_version()}, {versions}",
        f"- command: `{command}`",
        "",
    ]
    path = RESULTS / f"{theme}.md"
    path.write_text("\n".join([*head, body.rstrip(), ""]))
    return path


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def _shown(word: str) -> str:
    """Return a path as its last two parts, so that results name no machine's folders."""
    return "/".join(Path(word).parts[-2:]) if "/" in word else word


def bf16_unit() -> str:
    """Return the unit that multiplies bfloat16 on this processor.

    Figures of training differ by it several times over.
    """
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return next((name for name in ("amx_bf16", "avx512_bf16") if name in flags), "no_bf16")


def _machine() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} shared cores ({platform.machine()}, {bf16_unit()}), {memory_gib:.0f} GiB, no GPU"
    )
