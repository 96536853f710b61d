"""Every package that an installation brings is pinned, and is the one that was tested."""

import re
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PINNED_BY_TORCH = (
    "nvidia-",
    "cuda-",
    "triton",
)  # of its GPU build, which names exact versions itself


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def closure(name: str, extra: str = "") -> set[str]:
    """The names of all packages that installing one brings, itself left out."""
    found: set[str] = set()
    waiting = [(name, extra)]
    while waiting:
        parent, extra = waiting.pop()
        for requirement in map(Requirement, requires(parent) or ()):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            child = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if child not in found and not child.startswith(PINNED_BY_TORCH):
                found.add(child)
                waiting += [(child, wanted) for wanted in ("", *requirement.extras)]
    return found - {"rookery"}  # an extra of its own that names its other extras


def test_all_that_an_installation_brings_is_pinned_and_nothing_else():
    assert closure("rookery", "dev") == set(pinned())


def test_what_is_installed_is_what_was_pinned():
    assert {name: version(name).partition("+")[0] for name in pinned()} == pinned()
