"""Export: what transformers loads is the same model, to the token and to the digit."""

import fcntl
import json
import os

import pytest
import torch

from rookery.core.context import Context
from rookery.core.errors import BusyError, StorageError, UsageError
from rookery.core.protocols import GenerationOptions, Message
from rookery.model.checkpoint import load_network
from rookery.model.export import export, export_stage
from rookery.model.generate import load_generator
from rookery.model.layout import tensors
from rookery.model.tokenizer import load_tokenizer
from rookery.model.tuning.template import load_template

TEXTS = ["the rooks came back 🦜", "грачи, hello!", "", "two\nlines  and 1234"]


@pytest.fixture
def exported(checkpoint, tmp_path):
    folder = tmp_path / "exported"
    export(checkpoint, folder)
    return folder


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers")


def test_transformers_gives_equal_logits(exported, checkpoint, transformers):
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        exported, local_files_only=True
    ).eval()
    ours = load_network(checkpoint)
    tokens = torch.randint(
        0, ours.shape.vocabulary, (3, 24), generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        difference = theirs(tokens).logits - ours.logits(ours(tokens))
    assert theirs.dtype == torch.float32
    assert difference.abs().max() < 1e-4


@pytest.mark.parametrize(("precision", "name"), [("f16", "float16"), ("bf16", "bfloat16")])
def test_weights_can_be_written_in_half_the_bytes(
    checkpoint, tmp_path, transformers, precision, name
):
    export(checkpoint, tmp_path / "half", "hf", precision)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "half")
    assert theirs.dtype == getattr(torch, name)
    ours = load_network(checkpoint, theirs.dtype).state_dict()
    assert all(torch.equal(theirs.state_dict()[key], weight) for key, weight in ours.items())


@pytest.mark.parametrize(
    ("form", "precision", "named"),
    [("onnx", "f32", "hf, gguf, embedder"), ("hf", "q8_0", "f32, f16, bf16")],
)
def test_a_format_or_precision_that_does_not_exist_is_refused(
    checkpoint, tmp_path, form, precision, named
):
    with pytest.raises(UsageError, match=named):
        export(checkpoint, tmp_path / "exported", form, precision)
    assert list(tmp_path.glob("*exported*")) == []


@pytest.mark.parametrize("form", ["hf", "gguf", "embedder"])
def test_a_folder_that_exists_is_refused_in_every_format(checkpoint, tmp_path, form):
    with pytest.raises(UsageError, match="exists already"):
        export(checkpoint, tmp_path, form)


def test_transformers_reads_weights_that_lie_in_several_files(
    make_checkpoint, tmp_path, transformers, monkeypatch
):
    monkeypatch.setattr(tensors, "FILE_BYTES", 20_000)
    checkpoint, folder = make_checkpoint(), tmp_path / "several"
    export(checkpoint, folder)
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True
    ).state_dict()
    ours = load_network(checkpoint).state_dict()
    assert all(torch.equal(theirs[name], weight) for name, weight in ours.items())


def test_transformers_gives_the_same_token_ids(exported, checkpoint, transformers):
    theirs = transformers.AutoTokenizer.from_pretrained(exported, local_files_only=True)
    ours = load_tokenizer(checkpoint)
    begun = [[*ours.opening, *tokens] for tokens in ours.encode(TEXTS)]
    assert [theirs(t)["input_ids"] for t in TEXTS] == begun
    assert [theirs(t, add_special_tokens=False)["input_ids"] for t in TEXTS] == ours.encode(TEXTS)
    assert [theirs.decode(ids) for ids in ours.encode(TEXTS)] == TEXTS
    assert len(theirs) == ours.vocabulary


def test_transformers_generates_the_same_greedy_text(exported, checkpoint, transformers):
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        exported, local_files_only=True
    ).eval()
    generator = load_generator(checkpoint)
    tokens = torch.tensor(
        [[generator.tokenizer.end_of_document, *generator.tokenizer.encode(["the rooks"])[0]]]
    )
    made = theirs.generate(
        tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=10, do_sample=False
    )
    ours = "".join(
        p.text
        for p in generator.generate("the rooks", GenerationOptions(max_tokens=10, temperature=0))
    )
    theirs_text = generator.tokenizer.decode(made[0, tokens.shape[1] :].tolist())
    assert theirs_text.rstrip("\ufffd") == ours.rstrip("\ufffd")  # ours ends in whole characters


def test_a_plain_prompt_in_a_pipeline_writes_what_ours_writes(exported, checkpoint, transformers):
    write = transformers.pipeline("text-generation", model=str(exported), device="cpu")
    (made,) = write("the rooks", max_new_tokens=10, do_sample=False, return_full_text=False)
    options = GenerationOptions(max_tokens=10, temperature=0)
    ours = "".join(p.text for p in load_generator(checkpoint).generate("the rooks", options))
    assert made["generated_text"].rstrip("\ufffd") == ours.rstrip("\ufffd")


def test_the_chat_template_gives_the_tokens_of_ours(exported, checkpoint, transformers):
    theirs = transformers.AutoTokenizer.from_pretrained(exported, local_files_only=True)
    turns = [Message("system", "be brief"), Message("user", "hello")]
    plain = [{"role": turn.role, "content": turn.content} for turn in turns]
    ids = theirs.apply_chat_template(plain, add_generation_prompt=True)["input_ids"]
    assert ids == load_template(checkpoint).encode(turns, reply=True).tokens


def test_a_reader_that_knows_only_old_names_finds_them(exported):
    config = json.loads((exported / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 500.0
    assert config["torch_dtype"] == config["dtype"] == "float32"


def test_a_folder_that_exists_is_left_as_it_is(checkpoint, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        export(checkpoint, tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["file"]


def test_a_failed_export_leaves_nothing_behind(checkpoint, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(StorageError, match="No space left"):
        export(checkpoint, tmp_path / "out" / "exported")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_export_left_is_removed_by_the_next_one(checkpoint, tmp_path, exported):
    left = tmp_path / "out" / ".again.part.tmp"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half of it")
    (left / "of an earlier release").write_bytes(b"")
    (left / "folder").mkdir()
    export(checkpoint, tmp_path / "out" / "again")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["again"]
    for path in exported.iterdir():
        assert (tmp_path / "out" / "again" / path.name).read_bytes() == path.read_bytes()


def test_of_two_exports_to_one_place_the_second_is_refused_and_disturbs_nothing(
    checkpoint, tmp_path
):
    others = tmp_path / ".mine.part.tmp"
    others.mkdir()
    (others / "model.safetensors").write_bytes(b"half of it")
    held = os.open(others, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(BusyError, match="another process is writing this export"):
        export(checkpoint, tmp_path / "mine")
    os.close(held)
    assert (others / "model.safetensors").read_bytes() == b"half of it"


def test_the_stage_makes_the_same_files(home, checkpoint, exported):
    made = export_stage(home, checkpoint, Context())
    for path in exported.iterdir():
        if path.name != "README.md":  # it tells what was measured since
            assert path.read_bytes() == made.file(path.name).read_bytes()
