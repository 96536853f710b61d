"""The command as a person meets it: quick help, exit codes, and one line for what went wrong."""

import subprocess
import sys

import pytest

from rookery.cli.demo import program_name

ROOKERY = [sys.executable, "-m", "rookery.cli.main"]


def rookery(*words: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run([*ROOKERY, *map(str, words)], capture_output=True, text=True, **options)


def test_help_imports_nothing_heavy():
    heavy = [
        "torch",
        "daft",
        "deltalake",
        "pyarrow",
        "numpy",
        "fastapi",
        "sqlalchemy",
        "tantivy",
        "faiss",
    ]
    script = f"import sys, rookery.cli.main; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
    assert rookery("--help").returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["posts", "stat"], "No such command 'stat'"),
        (["posts", "stats", "--hme", "x"], "No such option: --hme"),
        (["fleet", "plan", "--tokens", "many"], "'many' is no number such as"),
        (["posts", "ingest"], "Missing argument 'paths'"),
        (["posts", "stats", "--home", "{nowhere}"], "there is no Rookery home here"),
        (
            ["init", "--home", "{nowhere}", "--policy", "everything"],
            "there is no policy 'everything'",
        ),
        (
            ["demo", "--home", "{nowhere}", "--minutes", "1", "--scale", "1"],
            "two ways to say the same",
        ),
        (
            ["model", "train", "--home", "{nowhere}", "--minutes", "1", "--scale", "1"],
            "two ways to say the same",
        ),
        (
            ["model", "train", "--home", "{nowhere}", "--minutes", "1", "--set", "steps=9"],
            "two ways to say the same",
        ),
        (["demo", "--home", "{nowhere}", "--posts", "{nowhere}.csv"], "there is no such file"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(tmp_path, words, said):
    result = rookery(*[word.replace("{nowhere}", str(tmp_path / "nowhere")) for word in words])
    assert result.returncode == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "nowhere").exists()


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
