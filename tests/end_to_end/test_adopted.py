"""An adopted model in a home of an earlier release: every verb takes it as it takes our own."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from foreign_models import save_model

GOLDEN = Path(__file__).parents[1] / "golden" / "home.tar.xz"


@pytest.fixture
def rookery(tmp_path):
    """Return a function that runs a verb in a home with posts, a corpus and a model of its own."""
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(tmp_path, filter="data")

    def run(*words: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "rookery", *words, "--home", str(tmp_path / "home")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


@pytest.mark.slow
def test_an_adopted_model_is_judged_searched_with_traced_and_exported(rookery, tmp_path):
    pytest.importorskip("transformers")
    folder = save_model(tmp_path / "open-bird", "Llama")
    made = json.loads(rookery("model", "adopt", str(folder), "--json"))
    assert made["adopted"]["name"] == "open-bird"
    judged = json.loads(rookery("model", "evaluate", "--json"))
    assert judged["bits_per_byte"]["model"] > 0
    assert any("adopted" in remark for remark in judged["remarks"])
    rookery("search", "index")
    assert "author" in rookery("search", "query", "today near")
    assert rookery("model", "generate", "today", "--seed", "1").startswith("today")
    rookery("model", "export", str(tmp_path / "exported"))
    assert "LlamaForCausalLM" in (tmp_path / "exported" / "config.json").read_text()
    for form in ("gguf", "embedder"):
        rookery("model", "export", str(tmp_path / form), "--format", form, "--model", made["key"])
        assert "It began as open-bird" in (tmp_path / form / "README.md").read_text()
    rookery("posts", "forget", "1000")
    assert f"checkpoint {made['key']}" in rookery("trace", "1000")  # its table counted the post
    refusal = rookery("model", "train", "--from", made["key"], code=2)
    assert "was not trained here" in refusal
    assert refusal.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--format", "onnx"], "there is no format 'onnx'"),
        (["--dtype", "q8_0"], "the format hf is not written as q8_0"),
        (["--model", "no-such-key"], "no-such-key"),
    ],
)
def test_an_export_that_cannot_be_is_one_line_and_nothing_is_written(
    rookery, tmp_path, words, named
):
    refusal = rookery("model", "export", str(tmp_path / "exported"), *words, code=2)
    assert named in refusal
    assert refusal.count("\n") == 1
    assert not (tmp_path / "exported").exists()


def test_a_folder_that_is_no_model_is_one_line(rookery, tmp_path):
    refusal = rookery("model", "adopt", str(tmp_path / "nothing"), code=2)
    assert "there is no config.json" in refusal
    assert refusal.count("\n") == 1
