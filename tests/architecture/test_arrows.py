"""The arrows between the packages are contracts in `pyproject.toml`; here they are run, and shown
to bite.
"""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "rookery"
DRAWERS = {"utils", "helpers", "common", "misc", "base", "manager"}


def lint(root: Path) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
    ]
    environment = {"PYTHONPATH": str(root / "src"), "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
    return subprocess.run(
        [*command, "--no-cache"], cwd=root, env=environment, capture_output=True, text=True
    )


def test_imports_go_only_the_way_of_the_arrows():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


def test_an_arrow_against_the_way_is_found_even_inside_a_function(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        SOURCE, tmp_path / "src" / "rookery", ignore=shutil.ignore_patterns("__pycache__")
    )
    planted = tmp_path / "src" / "rookery" / "posts" / "planted.py"
    planted.write_text("def wrong():\n    import rookery.search\n")
    assert "rookery.posts is not allowed to import rookery.search" in lint(tmp_path).stdout


def test_only_the_model_imports_torch():
    importing = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        for name in _imported(path)
        if name.split(".")[0] in ("torch", "transformers", "safetensors")
    }
    assert all(name.startswith("model/") for name in importing)


def test_what_the_planner_reads_of_the_model_is_free_of_torch():
    script = (
        "import sys, rookery.model.shape, rookery.model.config, rookery.fleet.plan; assert "
        "'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_no_module_is_a_drawer():
    assert not [path for path in SOURCE.rglob("*.py") if path.stem in DRAWERS]


def test_every_module_says_what_it_is_for():
    assert not [
        path for path in SOURCE.rglob("*.py") if not ast.get_docstring(ast.parse(path.read_text()))
    ]


def _imported(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names


def test_no_folder_holds_more_than_can_be_seen_at_a_glance():
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    counts = {
        f.relative_to(SOURCE).as_posix(): sum(1 for p in f.glob("*.py") if p.stem != "__init__")
        for f in folders
    }
    assert max(counts.values()) <= 25
    assert max(counts["posts"], counts["model"]) <= 20


NO_VERBS = {"a", "all", "an", "every", "for", "how", "it", "of", "one", "that", "the", "these"}
NO_VERBS |= {"this", "those", "what", "when", "where", "whether", "which", "who", "whose", "why"}


def test_the_docstring_of_a_function_begins_with_a_verb():
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert not [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, functions)
        and (ast.get_docstring(node) or "Nothing").split()[0].lower() in NO_VERBS
    ]


def test_no_public_class_has_the_name_of_another():
    names = [
        node.name
        for path in SOURCE.rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert sorted(names) == sorted(set(names))


def test_every_public_function_of_a_module_says_what_it_does():
    assert not [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        if "__init__" not in path.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
