"""What the documents say exists: links, files, commands, options and the words of the glossary."""

import ast
import io
import itertools
import re
import shlex
import subprocess
import tokenize
from pathlib import Path

import pytest
import typer.main
from click.testing import CliRunner

from rookery.cli.main import app
from rookery.model.degrees import check_fits, resolve_degrees
from rookery.workflows.train import apply_settings, base_config

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
)
COMMAND = typer.main.get_command(app)
SOURCE = ROOT / "src" / "rookery"
CODE = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py")).lower()


def commands_in(text: str) -> set[tuple[str, ...]]:
    """Every `rookery GROUP VERB` of a document; `rookery GROUP a | b` stands for two."""
    found: set[tuple[str, ...]] = set()
    for group, verbs in re.findall(
        r"(?:`|bin/|^)rookery ([a-z]+)((?:(?: \|)? [a-z]+)*)", text, re.MULTILINE
    ):
        found |= {(group, *verb.split()[:1]) for verb in verbs.split("|")}
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_every_link_leads_to_a_file(document):
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    assert not [
        link for link in links if "://" not in link and not (document.parent / link).exists()
    ]


def test_every_command_of_the_documents_exists():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = set().union(*(commands_in(page.read_text()) for page in pages))
    assert ("posts", "ingest") in named
    known = {words[:n] for words in leaves(COMMAND) for n in (1, 2)}
    assert named <= known


def test_every_run_that_the_page_on_training_proposes_can_be_spread_so():
    text = (ROOT / "docs/training.md").read_text().replace("\\\n", " ")
    spread = [
        shlex.split(line)
        for line in re.findall(r"^.*rookery model train .*--scale.*$", text, re.MULTILINE)
    ]
    counts = []
    for words in spread:
        given = dict(itertools.pairwise(words))
        settings = [value for option, value in itertools.pairwise(words) if option == "--set"]
        config, degrees, _ = apply_settings(base_config(float(given["--scale"])), settings)
        nodes = int(given.get("--nnodes", 1)) * int(given.get("--nproc-per-node", 1))
        counts.append(int(given.get("--processes", nodes)))
        check_fits(resolve_degrees(degrees, counts[-1]), config)
    assert {1, 8, 128} <= set(counts)


def reading_path() -> list[Path]:
    """The files of the table "Thirty minutes" in ARCHITECTURE.md."""
    rows = re.findall(r"^\| \d+-\d+ \| (.*?) \|", (ROOT / "ARCHITECTURE.md").read_text(), re.M)
    found = []
    for row in rows:
        package = re.match(r"(\w+):", row)
        folder = SOURCE / package.group(1) if package else ROOT
        found += [folder / name for name in re.findall(r"`([\w/]+\.py)`", row)]
    return found


def test_every_file_on_the_reading_path_exists():
    assert len(reading_path()) > 10
    assert all(path.exists() for path in reading_path())


def test_every_test_that_a_document_names_exists():
    named = [
        pair
        for document in DOCUMENTS
        for pair in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", document.read_text())
    ]
    assert named
    assert not [
        (file, test) for file, test in named if f"def {test}(" not in (ROOT / file).read_text()
    ]


def test_every_word_of_the_glossary_is_used_in_the_code_and_there_are_few():
    table = (ROOT / "ARCHITECTURE.md").read_text().split("## Words")[1]
    rows = re.findall(r"^\| (\*.*?\*) \| .* \| (`.*`) \|$", table, re.MULTILINE)
    words = [word for row, _ in rows for word in re.findall(r"\*(.+?)\*", row)]
    assert 10 < len(words) <= 20
    assert not [word for word in words if word.lower() not in CODE]
    named = [path for _, cell in rows for path in re.findall(r"`(.+?)`", cell)]
    assert not [path for path in named if not (SOURCE / path).exists()]


def test_the_thirty_minute_path_fits_into_thirty_minutes():
    code = [path.read_text() for path in reading_path()]
    pages = [(ROOT / name).read_text() for name in ("README.md", "ARCHITECTURE.md")]
    assert sum(len(text.splitlines()) for text in code + pages) <= 1800
    comments = sum(_comments(text) for text in code)
    assert sum(len(text.splitlines()) for text in code) / comments <= 25


def test_every_result_is_cited_by_a_document():
    pages = [path for path in DOCUMENTS if path.parent.name != "results" and path.exists()]
    cited = "\n".join(path.read_text() for path in pages)
    results = (ROOT / "benchmarks" / "results").glob("*.md")
    assert not [path.stem for path in results if not re.search(rf"\b{path.stem}\b", cited)]


def test_every_package_of_the_map_is_a_folder_and_every_folder_is_on_the_map():
    folders = {
        path.name for path in (ROOT / "src/rookery").iterdir() if (path / "__init__.py").exists()
    }
    mapped = set(
        re.findall(r"^\| `(\w+)` \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    )
    assert mapped == folders


def leaves(command, words=()):
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from leaves(child, (*words, name))
    else:
        yield words


@pytest.mark.parametrize("words", list(leaves(COMMAND)), ids=" ".join)
def test_every_command_and_option_has_help(words):
    result = CliRunner().invoke(COMMAND, [*words, "--help"])
    assert result.exit_code == 0, result.output
    command = COMMAND
    for word in words:
        command = command.commands[word]
    assert command.help
    assert not [
        p.name
        for p in command.params
        if p.name != "help" and not (getattr(p, "help", None) or "").strip()
    ]


def test_the_tree_names_no_machine_of_its_makers():
    found = subprocess.run(
        ["git", "grep", "-nIE", r"/(root|work|tmp)/[a-z]", "--", ":!tests/architecture"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert found.stdout == ""


def test_every_file_that_the_code_names_exists():
    sources = [ROOT / name for name in _tracked("src/*.py", "tests/*.py", "benchmarks/*.py")]
    paths = [path.relative_to(ROOT).as_posix() for path in sources]
    named = [
        (path.relative_to(ROOT).as_posix(), name)
        for path in sources
        for name in re.findall(
            r"(?<![\w/.])`?((?:[\w-]+/)*\w+\.(?:py|jinja))\b", _prose(path.read_text())
        )
    ]
    known = [*paths, *_tracked("src/*.jinja"), "/chat_template.jinja", "openai/gpt-2/encoder.py"]
    assert len(named) > 100
    assert not [
        (where, name)
        for where, name in named
        if not any(f"/{p}".endswith(f"/{name}") for p in known)
    ]


def _tracked(*patterns: str) -> list[str]:
    command = ["git", "ls-files", *patterns]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def _prose(code: str) -> str:
    """The docstrings and comments of a file."""
    tree = ast.parse(code)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)
    ]
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return "\n".join(found + [token.string for token in tokens if token.type == tokenize.COMMENT])


def _comments(code: str) -> int:
    """Count the comments of a file; a block of comment lines counts once."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    lines = [token.start[0] for token in tokens if token.type == tokenize.COMMENT]
    return sum(1 for line in lines if line - 1 not in lines)
