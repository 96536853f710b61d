"""GGUF: what llama.cpp reads is the same model, to the id and to the greedy token."""

import json
import shutil
import urllib.request

import numpy as np
import pytest
from foreign_models import save_model

from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import GenerationOptions
from rookery.core.stage import Stage, run_stage
from rookery.model.adopt import adopt
from rookery.model.checkpoint import load_network, save_network
from rookery.model.export import export
from rookery.model.generate import load_generator
from rookery.model.inference.writing import writable
from rookery.model.layout.gguf import CONTROL, NORMAL, UNUSED, USER_DEFINED, write_gguf
from rookery.model.tokenizer import load_tokenizer
from tests.model.conftest import TINY, random_network
from tests.model.test_tokenizer import GOLDEN
from tests.support.tensors import held

gguf = pytest.importorskip("gguf")
TEXTS = [
    "the rooks came back to the elms 🦜, 1234 of them! I'LL see",
    "грачи вернулись домой:  да",
    "الغربان عادت إلى الشجر",
    "आज सुबह कौवे लौट आए। नि्",
    "ミヤマガラスが戻ってきた\r\n\r\n  x",
    "say <|im_end|> and <|im_start|>system",
    " " * 40 + "\n \n" + "!" * 30,
    "",
]


class LlamaServer:
    """llama.cpp with one model, asked through its own server; its cache is float32 as ours is."""

    def __init__(self, path):
        xllamacpp = pytest.importorskip("xllamacpp")
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx, parameters.n_parallel, parameters.warmup = 0, 1, False
        parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        flash = xllamacpp.llama_flash_attn_type
        parameters.flash_attn_type = flash.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.server = xllamacpp.Server(parameters)

    def ask(self, path, **body):
        request = urllib.request.Request(
            self.server.listening_address + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def ids(self, text, parse_special=False):
        body = {"content": text, "add_special": True, "parse_special": parse_special}
        return self.ask("/tokenize", **body)["tokens"]

    def continuation(self, prompt, tokenizer, count=12):
        """Write greedily, without the tokens that ours never writes: weights here are random."""
        never = set(range(tokenizer.vocabulary)) - set(writable(tokenizer).tolist())
        options = {"n_predict": count, "temperature": 0, "top_k": 1, "return_tokens": True}
        options["logit_bias"] = [[token, False] for token in sorted(never)]
        return tokenizer.decode(self.ask("/completion", prompt=prompt, **options)["tokens"])


def fields(path):
    reader = gguf.GGUFReader(path)
    return {name: field.contents() for name, field in reader.fields.items()}, reader


@pytest.fixture
def adopted(home, tmp_path):
    return lambda kind: adopt(home, save_model(tmp_path / kind, kind), Context())


def test_ids_and_greedy_texts_are_those_of_llama_cpp(checkpoint, tmp_path):
    write_gguf(checkpoint, tmp_path / "model.gguf")
    server, generator = LlamaServer(tmp_path / "model.gguf"), load_generator(checkpoint)
    tokenizer = generator.tokenizer
    for text, tokens in zip(TEXTS, tokenizer.encode(TEXTS), strict=True):
        assert server.ids(text) == [*tokenizer.opening, *tokens]
    for prompt in ("the rooks", "грачи", "hello elms"):
        options = GenerationOptions(max_tokens=12, temperature=0)
        ours = "".join(piece.text for piece in generator.generate(prompt, options))
        theirs = server.continuation(prompt, tokenizer)
        assert theirs.rstrip("\ufffd") == ours.rstrip("\ufffd")


@pytest.mark.parametrize("kind", ["Qwen3", "Llama"])
def test_an_adopted_model_is_the_same_in_llama_cpp(adopted, tmp_path, kind):
    made = adopted(kind)
    write_gguf(made, tmp_path / "model.gguf")
    server, generator = LlamaServer(tmp_path / "model.gguf"), load_generator(made)
    tokenizer = generator.tokenizer
    for text in TEXTS[:2]:
        assert server.ids(text) == [*tokenizer.opening, *tokenizer.encode([text])[0]]
    options = GenerationOptions(max_tokens=12, temperature=0)
    ours = "".join(piece.text for piece in generator.generate("the rooks", options))
    theirs = server.continuation("the rooks", tokenizer)
    assert theirs.rstrip("\ufffd") == ours.rstrip("\ufffd")


@pytest.mark.parametrize(("precision", "number"), [("f32", 0), ("f16", 1), ("q8_0", 7)])
def test_the_weights_are_ours_in_the_precision_that_the_file_states(
    checkpoint, tmp_path, precision, number
):
    write_gguf(checkpoint, tmp_path / "model.gguf", precision)
    stated, reader = fields(tmp_path / "model.gguf")
    assert stated["general.file_type"] == number
    ours = load_network(checkpoint).state_dict()
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert len(tensors) == len(ours)
    for theirs, name in (
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight"),
        ("output_norm.weight", "model.norm.weight"),
    ):
        found = gguf.quants.dequantize(tensors[theirs].data, tensors[theirs].tensor_type)
        expected = ours[name].numpy()
        assert found.shape == expected.shape
        tolerance = {"f32": 0, "f16": 1e-3, "q8_0": 1 / 127}[precision] * abs(expected).max()
        assert np.abs(found - expected).max() <= tolerance


def test_tokens_that_no_text_becomes_are_marked(adopted, tmp_path):
    made = adopted("Qwen3")
    write_gguf(made, tmp_path / "model.gguf")
    stated, _ = fields(tmp_path / "model.gguf")
    kinds, special = stated["tokenizer.ggml.token_type"], load_tokenizer(made).special
    assert len(kinds) == len(stated["tokenizer.ggml.tokens"]) == 640
    assert [kinds[special[name]] for name in ("<|im_end|>", "<think>")] == [CONTROL, USER_DEFINED]
    assert (kinds[0], kinds[639]) == (NORMAL, UNUSED)
    assert stated["tokenizer.ggml.add_bos_token"] is False
    assert stated["general.name"] == "Qwen3"
    assert "<|begin|>" in stated["tokenizer.chat_template"]


def test_a_tokenizer_that_llama_cpp_cannot_follow_is_refused(home, tmp_path):
    """A tokenizer of an earlier release took two digits together; llama.cpp has no such pattern."""

    def write(workspace):
        shutil.copyfile(GOLDEN / "two_digits.json", workspace.path / "tokenizer.json")
        save_network(workspace.path, TINY, held(random_network(TINY, 0).state_dict()))
        return {}

    made = run_stage(home, Stage("checkpoint", 1, {"old": True}, {}), write, Context())
    with pytest.raises(DataError, match=r"llama\.cpp cannot cut text"):
        export(made, tmp_path / "exported", "gguf")
    assert list(tmp_path.glob("*exported*")) == []
    export(made, tmp_path / "exported", "hf")
    assert (tmp_path / "exported" / "config.json").exists()


def test_openvino_genai_loads_it(checkpoint, tmp_path):
    openvino_genai = pytest.importorskip("openvino_genai")
    write_gguf(checkpoint, tmp_path / "model.gguf", "f16")  # it reads no file of float32
    pipeline = openvino_genai.LLMPipeline(str(tmp_path / "model.gguf"), "CPU")
    assert isinstance(str(pipeline.generate("the rooks", max_new_tokens=4)), str)


def test_an_unknown_precision_is_refused(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="f32, f16, q8_0"):
        write_gguf(checkpoint, tmp_path / "model.gguf", "q2")
    assert not (tmp_path / "model.gguf").exists()
