"""The command line: quick help, exit codes, one line for each error, completion, version."""

import os
import shlex
import subprocess
import sys

import pytest

from rookery import __version__
from rookery.cli.demo import program_name

ROOKERY = [sys.executable, "-m", "rookery.cli.main"]
NO_DETECTION = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
"""Lets a test name the shell, which typer otherwise takes from the processes above it."""
HEAVY = (
    "torch",
    "daft",
    "deltalake",
    "pyarrow",
    "numpy",
    "fastapi",
    "sqlalchemy",
    "tantivy",
)


def rookery(*words: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run([*ROOKERY, *map(str, words)], capture_output=True, text=True, **options)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["--show-completion", "bash"]])
def test_help_imports_nothing_heavy(words):
    script = (
        "import sys, rookery.cli.main as cli\n"
        "try: cli.main()\n"
        f"finally: print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *words],
        env=os.environ | NO_DETECTION,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr.strip() == "[]"
    assert "rookery" in result.stdout


def test_the_version_is_one_line():
    result = rookery("--version")
    assert (result.returncode, result.stdout) == (0, f"rookery {__version__}\n")


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [
        ("rookery po", ["posts"]),
        ("rookery posts in", ["ingest"]),
        ("rookery fleet plan --to", ["--tokens"]),
    ],
)
def test_an_installed_completion_proposes_verbs_and_options(tmp_path, typed, proposed):
    """Install it for bash into an empty home folder, and ask bash what it completes to."""
    program = tmp_path / "rookery"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(ROOKERY)} "$@"\n')
    program.chmod(0o755)
    environment = os.environ | NO_DETECTION | {"HOME": str(tmp_path)}
    environment["PATH"] = f"{tmp_path}{os.pathsep}{environment['PATH']}"
    installed = rookery("--install-completion", "bash", env=environment)
    assert installed.returncode == 0, installed.stderr
    assert ".bash_completions/rookery.sh" in (tmp_path / ".bashrc").read_text()
    script = (
        f"source {tmp_path}/.bash_completions/rookery.sh\n"
        f"COMP_WORDS=({typed}) COMP_CWORD=$(({len(typed.split())} - 1))\n"
        '_rookery_completion rookery\necho "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True
    )
    assert (done.stdout.split(), done.stderr) == (proposed, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["posts", "stat"], "No such command 'stat'"),
        (["posts", "stats", "--hme", "x"], "No such option: --hme"),
        (["fleet", "plan", "--tokens", "many"], "'many' is not a number such as"),
        (["posts", "ingest"], "Missing argument 'paths'"),
        (["posts", "stats", "--home", "{nowhere}"], "there is no Rookery home here"),
        (
            ["init", "--home", "{nowhere}", "--policy", "everything"],
            "--policy takes public or opt-in, not 'everything'",
        ),
        (
            ["demo", "--home", "{nowhere}", "--minutes", "1", "--scale", "1"],
            "--scale and --minutes both set how long a run is",
        ),
        (
            ["model", "train", "--home", "{nowhere}", "--minutes", "1", "--scale", "1"],
            "--scale and --minutes both set how long a run is",
        ),
        (
            ["model", "train", "--home", "{nowhere}", "--minutes", "1", "--set", "steps=9"],
            "--set steps=… and --minutes both set how long a run is",
        ),
        (["demo", "--home", "{nowhere}", "--posts", "{nowhere}.csv"], "there is no such file"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(tmp_path, words, message):
    result = rookery(*[word.replace("{nowhere}", str(tmp_path / "nowhere")) for word in words])
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "nowhere").exists()


def test_the_home_may_be_named_before_the_verb_and_the_one_after_it_holds(tmp_path):
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    assert rookery("--home", one, "init").returncode == 0
    assert rookery("--home", one, "posts", "state", "--help").returncode == 0
    environment = os.environ | {"ROOKERY_HOME": str(three)}
    for words in (
        ["--home", one, "runs"],
        ["runs", "--home", one],
        ["--home", two, "runs", "--home", one],
    ):
        shown = rookery(*words, "--json", env=environment)
        assert (shown.returncode, shown.stdout) == (0, '{\n "runs": []\n}\n'), shown.stderr
    wrong = rookery("--home", two, "runs", env=environment)
    assert wrong.returncode == 2
    assert str(two) in wrong.stderr
    assert sorted(tmp_path.iterdir()) == [one]


def test_a_new_home_says_its_policy_and_keeps_its_settings(tmp_path):
    home = tmp_path / "home"
    assert "'public'" in rookery("init", "--home", home).stdout
    settings = (home / "rookery.toml").read_text()
    assert "public posts may be searched" in settings
    assert rookery("init", "--home", home, "--policy", "opt-in").returncode == 0
    assert (home / "rookery.toml").read_text() == settings


def test_a_wrong_setting_is_named_with_its_file(tmp_path):
    home = tmp_path / "home"
    rookery("init", "--home", home)
    (home / "rookery.toml").write_text('[rights]\npolicy = "publc"\n')
    result = rookery("posts", "stats", "--home", home)
    assert result.returncode == 2
    assert "rights.policy must be one of public, opt-in" in result.stderr
    assert "rookery.toml" in result.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    rookery("init", "--home", tmp_path / "home")
    command = f"{' '.join(ROOKERY)} runs --home {tmp_path / 'home'} --json | true"
    assert (
        subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True).stderr == b""
    )


def test_a_demo_ends_with_a_command_that_can_be_typed(tmp_path, monkeypatch):
    program = tmp_path / "rookery"
    program.touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    assert program_name() == str(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program_name() == "rookery"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "main.py"), "demo"])
    assert program_name() == "rookery"
