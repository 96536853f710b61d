"""Adopting: another maker's model computes here what it computes there, and goes out unchanged."""

import json
import shutil

import numpy as np
import pytest
import torch
from foreign_models import save_model, save_smollm2

from rookery.core.artifact import find_artifacts
from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.core.protocols import GenerationOptions, Message
from rookery.model.adopt import AdoptConfig, adopt
from rookery.model.checkpoint import load_network, load_shape
from rookery.model.embed import load_embedder
from rookery.model.evaluation.bits import text_bits
from rookery.model.export import export
from rookery.model.generate import load_generator
from rookery.model.tokenizer import load_tokenizer
from rookery.model.tuning.template import load_template

transformers = pytest.importorskip("transformers")
TOKENS = torch.randint(0, 600, (3, 64), generator=torch.Generator().manual_seed(0))


def theirs(folder):
    found = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return found.eval()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a function that gives a fresh copy of a saved model."""
    made = {}

    def copy(kind, to):
        if kind not in made:
            made[kind] = save_model(tmp_path_factory.mktemp("models") / kind, kind)
        return shutil.copytree(made[kind], to)

    return copy


@pytest.mark.parametrize("kind", ["Qwen3", "Llama"])
@pytest.mark.parametrize(
    ("tied", "dtype", "shard"),
    [(True, "float32", "5GB"), (False, "float32", "40KB"), (True, "bfloat16", "40KB")],
)
def test_logits_are_those_of_transformers_and_again_after_export(
    home, tmp_path, kind, tied, dtype, shard
):
    folder = save_model(tmp_path / "model", kind, dtype, shard, tie_word_embeddings=tied)
    assert (len(list(folder.glob("*.safetensors"))) > 1) == (shard == "40KB")
    made = adopt(home, folder, Context())
    export(made, tmp_path / "exported")
    ours, again = load_network(made), theirs(tmp_path / "exported")
    assert ours.shape.normed == (kind == "Qwen3")
    assert type(again).__name__ == f"{kind}ForCausalLM"
    with torch.no_grad():
        expected = theirs(folder)(TOKENS).logits
        assert (ours.logits(ours(TOKENS)) - expected).abs().max() < 1e-4
        assert (again(TOKENS).logits - expected).abs().max() < 1e-4


@pytest.mark.parametrize("kind", ["Qwen3", "Llama"])
def test_tokens_prompts_and_chats_are_its_own(home, tmp_path, saved, kind):
    folder = saved(kind, tmp_path / "model")
    made = adopt(home, folder, Context())
    ours, fast = load_tokenizer(made), transformers.AutoTokenizer.from_pretrained(folder)
    export(made, tmp_path / "exported")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "exported")
    for text in ("the rooks came back 🦜", "грачи 12", "e\u0301tude\n\n  x", ""):
        expected = fast(text)["input_ids"]
        assert [*ours.opening, *ours.encode([text])[0]] == expected
        assert again(text)["input_ids"] == expected
    turns = [Message("user", "hello"), Message("assistant", "hi"), Message("user", "and?")]
    plain = [{"role": turn.role, "content": turn.content} for turn in turns]
    for asker in (fast, again):
        ids = asker.apply_chat_template(plain, add_generation_prompt=True)["input_ids"]
        assert load_template(made).encode(turns, reply=True).tokens == ids
    assert ours.vocabulary == 640
    assert set(ours.ends) == {ours.special["<|im_end|>"], ours.special["<|endoftext|>"]}


@pytest.mark.parametrize("kind", ["Qwen3", "Llama"])
@pytest.mark.parametrize("prompt", ["the rooks", ""])
def test_it_writes_what_transformers_writes(home, tmp_path, saved, kind, prompt):
    folder = saved(kind, tmp_path / "model")
    generator = load_generator(adopt(home, folder, Context()))
    tokenizer = generator.tokenizer
    begun = [*tokenizer.opening, *tokenizer.encode([prompt])[0]] or [tokenizer.end_of_document]
    never = sorted(set(range(640)) - {*tokenizer.textual, *tokenizer.ends})
    made = theirs(folder).generate(
        torch.tensor([begun]), max_new_tokens=12, do_sample=False, suppress_tokens=never,
        attention_mask=torch.ones(1, len(begun), dtype=torch.long), pad_token_id=0,
        eos_token_id=list(tokenizer.ends),
    )  # fmt: skip
    expected = tokenizer.decode(made[0, len(begun) :].tolist())
    pieces = generator.generate(prompt, GenerationOptions(max_tokens=12, temperature=0))
    assert "".join(p.text for p in pieces).rstrip("\ufffd") == expected.rstrip("\ufffd")


def test_a_home_of_its_own_can_judge_and_search_with_it(home, tmp_path, saved):
    made = adopt(home, saved("Qwen3", tmp_path / "model"), Context(), AdoptConfig(48))
    assert load_shape(made).context_tokens == 48
    bits = text_bits(load_network(made), load_tokenizer(made), ["the rooks", "hello " * 90])
    assert np.isfinite(bits).all()
    assert (bits > 0).all()
    vectors = load_embedder(made).embed(["the rooks came", "rooks came", ""])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0])


def test_the_manifest_names_what_was_adopted(home, tmp_path, saved):
    folder = saved("Llama", tmp_path / "open-bird")
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# Open bird\n")
    made = adopt(home, folder, Context())
    adopted = made.manifest.metrics["adopted"]
    assert (adopted["name"], adopted["licence"]) == ("open-bird", "apache-2.0")
    assert adopted["source"] == made.manifest.inputs["source"]
    assert adopt(home, folder, Context()).digest == made.digest  # does nothing again
    (folder / "README.md").unlink()
    assert adopt(home, folder, Context()).manifest.metrics["adopted"]["licence"] == "not stated"


def test_the_context_is_never_longer_than_its_own(home, tmp_path, saved):
    made = adopt(home, saved("Qwen3", tmp_path / "model"), Context(), AdoptConfig(1 << 20))
    assert load_shape(made).context_tokens == 96


@pytest.mark.slow
def test_an_open_model_of_135_million_parameters_is_adopted(home, tmp_path):
    folder = save_smollm2(tmp_path / "smollm2")
    made = adopt(home, folder, Context())
    ours, tokenizer = load_network(made), load_tokenizer(made)
    fast = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["The capital of France is Paris, and people there speak", "I can't! 1234 ok? грачи"]
    assert tokenizer.encode(texts) == [fast(text)["input_ids"] for text in texts]
    tokens = torch.tensor(tokenizer.encode(texts[:1]))
    with torch.no_grad():
        expected, got = theirs(folder)(tokens).logits, ours.logits(ours(tokens))
    assert torch.equal(got.argmax(-1), expected.argmax(-1))
    turns = [Message("user", "hello")]
    ids = fast.apply_chat_template([{"role": "user", "content": "hello"}])["input_ids"]
    assert load_template(made).encode(turns).tokens == ids


def changed(name, **values):
    def change(folder):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def cut(name):
    def change(folder):
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return change


def removed(name):
    return lambda folder: (folder / name).unlink()


def without_weight(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights.pop("model.norm.weight")
    save_file(weights, folder / "model.safetensors")


REFUSED = {
    "another architecture": (changed("config.json", architectures=["GPT2"]), "architectures is"),
    "no architecture": (changed("config.json", architectures=None), "architectures is None"),
    "biases": (changed("config.json", attention_bias=True), "attention_bias is True"),
    "biases of the SwiGLU": (changed("config.json", mlp_bias=True), "mlp_bias is True"),
    "another activation": (changed("config.json", hidden_act="gelu"), "hidden_act is 'gelu'"),
    "scaled positions": (
        changed("config.json", rope_parameters={"rope_type": "yarn", "factor": 4.0}),
        "rope_parameters is",
    ),
    "scaled positions, old name": (
        changed("config.json", rope_scaling={"type": "linear", "factor": 2.0}),
        "rope_scaling is",
    ),
    "half of the head rotated": (
        changed("config.json", rope_parameters={"partial_rotary_factor": 0.5}),
        "rope_parameters is",
    ),
    "a sliding window": (
        changed("config.json", use_sliding_window=True, sliding_window=64),
        "sliding_window is",
    ),
    "layers with a window": (
        changed("config.json", layer_types=["full_attention", "sliding_attention"]),
        "layer_types is",
    ),
    "experts": (changed("config.json", num_experts=8), "num_experts is 8"),
    "code of its own": (changed("config.json", auto_map={"AutoModel": "x.Y"}), "auto_map is"),
    "quantised": (changed("config.json", quantization_config={"bits": 4}), "quantization_config"),
    "an unknown key": (changed("config.json", logit_scale=0.5), "logit_scale is 0.5"),
    "no size": (changed("config.json", hidden_size=None), "hidden_size is None"),
    "a size that is no number": (changed("config.json", hidden_size="32"), "hidden_size is '32'"),
    "another size": (changed("config.json", hidden_size=64), "has the size"),
    "too few outputs": (changed("config.json", vocab_size=320), "the size|vocab_size is 320"),
    "one layer more": (changed("config.json", num_hidden_layers=3), "model.layers.2.* is missing"),
    "one layer less": (changed("config.json", num_hidden_layers=1), "no weight model.layers.1"),
    "a weight less": (without_weight, "model.norm.weight is missing"),
    "weights cut short": (cut("model.safetensors"), "weights cannot be read"),
    "no weights": (removed("model.safetensors"), "no file ends in .safetensors"),
    "no config": (removed("config.json"), "there is no config.json"),
    "config cut short": (cut("config.json"), "cannot be read"),
    "no tokenizer": (removed("tokenizer.json"), "there is no tokenizer.json"),
    "tokenizer cut short": (cut("tokenizer.json"), "cannot be read"),
    "a tokenizer of another kind": (
        changed("tokenizer.json", decoder={"type": "Metaspace"}),
        "decoder is",
    ),
    "a template that is no Jinja": (
        lambda folder: (folder / "chat_template.jinja").write_text("{% for %}"),
        "no Jinja",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_adopted_is_refused_by_its_key_and_nothing_is_written(
    home, tmp_path, saved, name
):
    folder, (change, named) = saved("Qwen3", tmp_path / "model"), REFUSED[name]
    change(folder)
    with pytest.raises(DataError, match=named) as refused:
        adopt(home, folder, Context())
    assert str(folder) in refused.value.line()
    assert list(find_artifacts(home.artifacts)) == []
    assert not list(home.artifacts.glob("checkpoint/*"))
