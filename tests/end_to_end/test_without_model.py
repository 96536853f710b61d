"""The wheel in a fresh environment without PyTorch: all but the language model works."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.golden.make_home import write_posts

ROOT = Path(__file__).parents[2]
MISSING = "this needs the package torch, which is not installed. Run: pip install 'rookery[model]'"
SCRIPT = """
import rookery
home = rookery.open_home("home")
rookery.build_index(home)
index = rookery.open_index(home)
hits = rookery.search_posts(index, "today").hits
print(len(hits), len(rookery.ask(index, hits[0].text).sources))
print(rookery.plan(tokens=10**11).value("gpus used"))
try:
    rookery.train(home)
except rookery.UsageError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*command, folder, ROOT], check=True)
    return next(folder.glob("rookery-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The programs of a new environment with nothing but the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--constraint"]
    subprocess.run([*pip, ROOT / "constraints.txt", wheel], check=True)
    return folder / "bin"


@pytest.mark.slow
def test_the_wheel_holds_types_templates_words_and_no_test(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "rookery/py.typed",
        "rookery/gateway/pages/templates/search.html",
        "rookery/gateway/pages/static/rookery.css",
        "rookery/model/pages/report.html.jinja",
        "rookery/corpus/card.md.jinja",
        "rookery/town/words/en.txt",
    } <= names
    assert not [name for name in names if not name.startswith("rookery")]


@pytest.mark.slow
def test_all_but_the_model_works_and_the_model_says_what_is_missing(installed, tmp_path):
    def rookery(*words: str) -> subprocess.CompletedProcess[str]:
        command = [installed / "rookery", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    write_posts(tmp_path / "posts.csv")
    assert rookery("--version").stdout == "rookery 0.1.0\n"
    assert rookery("init", "--home", "home").returncode == 0
    taken = rookery(
        "posts", "ingest", "posts.csv", "--visibility", "public", "--json", "--home", "home"
    )
    assert json.loads(taken.stdout)["added"] == 500
    assert rookery("corpus", "build", "--home", "home").returncode == 0
    script = [installed / "python", "-c", SCRIPT]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True)
    found, gpus, missing = done.stdout.splitlines()
    assert [int(n) > 0 for n in found.split()] == [True, True]
    assert int(gpus) == 8
    assert missing == MISSING
    for words in (["model", "train"], ["model", "generate", "a"], ["demo", "--no-serve"]):
        refused = rookery(*words, "--home", "home")
        assert (refused.returncode, refused.stderr) == (2, f"rookery: {MISSING}\n"), words
    assert "torch" not in {path.name for path in installed.parent.rglob("site-packages/*")}
