"""The public names of `rookery`: there, lazy, typed, and clear about what an installation lacks."""

import subprocess
import sys
from pathlib import Path

import pytest

import rookery

USER_SCRIPT = """
from pathlib import Path

import rookery

home = rookery.create_home("home")
reveal_type(home)
reveal_type(rookery.ingest(home, [Path("posts.csv")]))
reveal_type(rookery.train(home, scale=0.01))
index = rookery.open_index(home)
reveal_type(rookery.search_posts(index, "rooks").hits[0].text)
reveal_type(rookery.ask(index, "Where?").sentences)
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


@pytest.mark.parametrize("name", rookery.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(rookery, name).__doc__
    assert name in dir(rookery)


def test_a_name_that_is_none_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        rookery.no_such_name  # noqa: B018


def test_importing_rookery_loads_nothing_else():
    script = "import sys, rookery; print(sorted(m for m in sys.modules if m.startswith('rookery')))"
    assert run(script).stdout == "['rookery', 'rookery.version']\n"


def test_names_for_type_checkers_are_the_public_names():
    text = Path(rookery.__file__).read_text()
    block = text.split("if TYPE_CHECKING:")[1].split("_MODULES")[0]
    listed = [line.split()[1:4:2] for line in block.splitlines() if line.startswith("    from ")]
    assert {name: module.removeprefix("rookery.") for module, name in listed} == rookery._MODULES


@pytest.mark.slow
def test_a_type_checker_sees_what_a_user_s_script_handles(tmp_path):
    (tmp_path / "script.py").write_text(USER_SCRIPT)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), "script.py"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    revealed = [line.split('"')[1] for line in found.splitlines() if "Revealed type" in line]
    assert revealed == [
        "rookery.core.home.Home",
        "rookery.posts.ingest.IngestReport",
        "rookery.core.artifact.Artifact",
        "str",
        "tuple[rookery.search.answers.writers.Sentence, ...]",
    ], found


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("torch", "rookery: this needs the package torch, which is not installed. "
         "Run: pip install 'rookery[model]'\n"),
        ("fcntl", "rookery: this system has no file locks (fcntl). "
         "Rookery runs on Linux, macOS and WSL\n"),
    ],
)  # fmt: skip
def test_a_missing_package_is_one_line_and_exit_code_two(package, said, tmp_path):
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"sys.argv = ['rookery', 'model', 'train', '--home', {str(tmp_path)!r}]\n"
        "from rookery.cli.main import main; main()"
    )
    (tmp_path / "rookery.toml").write_text("")
    done = run(script)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_python_says_so_too_where_the_language_model_is_missing(tmp_path):
    script = (
        "import sys; sys.modules['torch'] = None; import rookery\n"
        f"home = rookery.create_home({str(tmp_path)!r})\n"
        "for work in (lambda: rookery.train(home), lambda: rookery.load_generator):\n"
        "    try: work()\n"
        "    except rookery.UsageError as error: print(error.hint)\n"
    )
    assert run(script).stdout == "Run: pip install 'rookery[model]'\n" * 2
