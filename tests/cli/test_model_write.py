"""`rookery model generate` and `chat`: what is printed, and what is refused."""

import json
import os
import pty
import subprocess
import sys

import pytest
from typer.testing import CliRunner
from writing import SCHEMA, random_checkpoint

from rookery.cli.main import app
from rookery.core.errors import DataError, UsageError

CHAT = [{"role": "user", "content": "hello rooks"}]


@pytest.fixture
def run(home):
    """Return a function that runs a verb of `rookery model` on a home with a small model."""
    random_checkpoint(home)

    def verb(*words, stdin=""):
        result = CliRunner().invoke(app, ["model", *words, "--home", str(home.path)], input=stdin)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return verb


def test_a_text_is_continued_and_a_seed_gives_it_again(run):
    first, again, other = (
        run("generate", "the rooks", "--seed", seed, "--temperature", "2") for seed in "112"
    )
    assert first.stdout.startswith("the rooks")
    assert first.stdout == again.stdout != other.stdout


def test_json_tells_of_every_choice_and_token(run):
    words = ("generate", "the rooks", "-n", "3", "--logprobs", "2", "--max-tokens", "5", "--json")
    found = json.loads(run(*words).stdout)
    assert len(found["choices"]) == 3
    for choice in found["choices"]:
        assert len(choice["logprobs"]) == choice["tokens"] <= 5
        assert all(len(one["top"]) == 2 for one in choice["logprobs"])
        assert choice["finish_reason"] in ("stop", "length")
    assert found["prompt_tokens"] > 0


def test_several_texts_are_numbered(run):
    lines = run("generate", "the rooks", "-n", "2", "--seed", "1").stdout
    assert "[1] the rooks" in lines
    assert "[2] the rooks" in lines


def test_a_schema_gives_json_alone_and_says_when_it_is_cut(run, tmp_path):
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(SCHEMA))
    whole = run("generate", "a bird:", "--schema", str(file), "--max-tokens", "200", "--seed", "3")
    found = json.loads(whole.stdout)
    assert set(found) == {"bird", "count"}
    cut = run("generate", "a bird:", "--schema", str(file), "--max-tokens", "3")
    assert "--max-tokens" in cut.stderr
    answered = run("chat", "--schema", str(file), "--seed", "3", stdin="a bird, please")
    assert json.loads(answered.stdout)["bird"] in ("rook", "crow")


def test_one_message_on_standard_input_gets_one_reply(run):
    reply = run("chat", "--max-tokens", "9", "--temperature", "0", stdin="hello rooks\n").stdout
    as_json = run(
        "chat", "--max-tokens", "9", "--temperature", "0", "--json", stdin=json.dumps(CHAT)
    )
    assert json.loads(as_json.stdout)["choices"][0]["text"] == reply.removesuffix("\n")
    with_system = run(
        "chat", "--max-tokens", "9", "--temperature", "0", "--system", "грачи", stdin="hello rooks"
    )
    assert with_system.stdout != reply


@pytest.mark.parametrize(
    ("words", "stdin", "error", "says"),
    [
        (["generate", "x", "--logprobs", "1"], "", UsageError, "needs --json"),
        (["generate", "x", "--repetition-penalty", "0"], "", UsageError, "repetition_penalty"),
        (["generate", "x", "--schema", "nowhere.json"], "", UsageError, "nowhere.json"),
        (["chat", "--json"], "hello", DataError, "not JSON"),
        (["chat", "--json"], "[]", DataError, "list of messages"),
        (["chat", "--json"], '[{"role": "user"}]', DataError, "message 1"),
    ],
)
def test_what_makes_no_sense_is_refused(run, words, stdin, error, says):
    with pytest.raises(error, match=says):
        run(*words, stdin=stdin)


@pytest.mark.parametrize(
    ("schema", "error", "says"),
    [
        ("{", DataError, "not JSON"),
        ("[]", DataError, "an object"),
        ('{"type": "strin"}', UsageError, "strin"),
        ('{"type": "integer", "minimum": 5, "maximum": 3}', UsageError, "greater than maximum"),
    ],
)
def test_a_schema_that_is_wrong_is_refused_with_the_reason(run, tmp_path, schema, error, says):
    file = tmp_path / "schema.json"
    file.write_text(schema)
    with pytest.raises(error, match=says):
        run("generate", "x", "--schema", str(file))


def test_half_a_surrogate_is_no_obstacle(run):
    assert run("generate", "the \udc80", "--max-tokens", "2").stdout.startswith("the \ufffd")


def test_a_conversation_on_a_terminal(home):
    """Speak twice with a real process on a real terminal, and leave by end of file."""
    random_checkpoint(home)
    ours, theirs = pty.openpty()
    words = ["model", "chat", "--home", str(home.path), "--max-tokens", "4"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rookery.cli.main", *words],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(ours, b"hello rooks\n\nand again\n\x04")
    shown, errors = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, errors) == (0, "")
    assert shown.count("> ") == 4


def test_llama_cpp_writes_the_same_when_it_is_asked_to(run):
    pytest.importorskip("xllamacpp", reason="the extra [llama] is not installed")
    words = ("generate", "the rooks", "--temperature", "0", "--max-tokens", "5")
    own, llama = run(*words).stdout, run(*words, "--engine", "llama").stdout
    assert own.startswith(llama.rstrip("\ufffd\n"))  # it leaves out bytes that make no character
    with pytest.raises(UsageError, match="own or llama"):
        run(*words, "--engine", "other")
