"""Every name that a benchmark imports from Rookery exists, since no test runs most benchmarks."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_name_that_is_imported_from_rookery_exists(script):
    missing = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(script.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rookery")
        for alias in node.names
        if not exists(node.module, alias.name)
    ]
    assert missing == []


def exists(module: str, name: str) -> bool:
    imported = importlib.import_module(module)
    if hasattr(imported, name):
        return True
    is_package = hasattr(imported, "__path__")
    return is_package and importlib.util.find_spec(f"{module}.{name}") is not None
