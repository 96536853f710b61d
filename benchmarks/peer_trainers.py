"""Run a few training steps with another trainer: Hugging Face's `Trainer`, or litgpt's `pretrain`.

Runs in a virtual environment of its own:

    python -m venv peers
    peers/bin/pip install torch==2.13.0 transformers accelerate litgpt
    peers/bin/pip install --no-deps litgpt==0.5.13 litdata "numpy>=2"
    peers/bin/python benchmarks/peer_trainers.py trainer|litgpt SHAPE.json --precision bf16-mixed …

The third line leaves out litgpt's own pins, which exclude the newest transformers. `bench_train.py`
calls this script. SHAPE.json holds the sizes of a `ModelShape`. Both get rows of random tokens and
the AdamW that is their default; `--precision` sets the peer's own bf16 switch. Prints the seconds
of each step, and the peer's version, as a JSON document on the last line.
"""

import argparse
import itertools
import json
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import torch
from torch.utils.data import DataLoader, Dataset

PRECISIONS = {
    "trainer": ("fp32", "bf16-mixed", "bf16-true"),
    "litgpt": ("fp32", "bf16-mixed", "bf16-true"),
}


class RandomTokens(Dataset):
    """Rows of random tokens, the same each time."""

    def __init__(self, rows: int, tokens: int, vocabulary: int):
        self.rows = torch.randint(
            vocabulary, (rows, tokens), generator=torch.Generator().manual_seed(0)
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> torch.Tensor:
        return self.rows[number]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=tuple(PRECISIONS))
    parser.add_argument("shape", type=Path)
    parser.add_argument("--precision", choices=PRECISIONS["trainer"], required=True)
    parser.add_argument("--micro-rows", type=int, required=True)
    parser.add_argument("--micro-batches", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    arguments = parser.parse_args()
    shape = SimpleNamespace(**json.loads(arguments.shape.read_text()))
    with tempfile.TemporaryDirectory() as folder:
        run = with_trainer if arguments.peer == "trainer" else with_litgpt
        seconds = run(shape, arguments, folder)
    package = {"trainer": "transformers", "litgpt": "litgpt"}[arguments.peer]
    print(json.dumps({"seconds": seconds, "version": f"{package} {version(package)}"}))


def with_trainer(shape: SimpleNamespace, arguments: argparse.Namespace, folder: str) -> list[float]:
    """Train the Qwen3 model of transformers in its `Trainer`; return the seconds of each step."""
    from transformers import (
        Qwen3Config,
        Qwen3ForCausalLM,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    moments = [time.monotonic()]

    class Watch(TrainerCallback):
        def on_step_end(self, *_, **__) -> None:
            moments.append(time.monotonic())

    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            intermediate_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            head_dim=shape.head_size,
            max_position_embeddings=shape.context_tokens,
            tie_word_embeddings=shape.tied,
            use_cache=False,
        )
    )
    if arguments.precision == "bf16-true":
        model = model.bfloat16()
    settings = TrainingArguments(
        folder,
        use_cpu=True,
        bf16=arguments.precision == "bf16-mixed",
        per_device_train_batch_size=arguments.micro_rows,
        gradient_accumulation_steps=arguments.micro_batches,
        max_steps=arguments.steps,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    rows = RandomTokens(
        arguments.micro_rows * arguments.micro_batches * 2, shape.context_tokens, shape.vocabulary
    )

    def together(picked: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        tokens = torch.stack(picked)
        return {"input_ids": tokens, "labels": tokens}

    Trainer(
        model, settings, data_collator=together, train_dataset=rows, callbacks=[Watch()]
    ).train()
    return [after - before for before, after in itertools.pairwise(moments)]


def with_litgpt(shape: SimpleNamespace, arguments: argparse.Namespace, folder: str) -> list[float]:
    """Train with litgpt's own `pretrain`, which compiles the model.

    Returns the seconds between the lines it prints, one per step.
    """
    from lightning.fabric import Fabric
    from litgpt import Config, pretrain
    from litgpt.args import EvalArgs, LogArgs, TrainArgs
    from litgpt.data import DataModule

    rows = RandomTokens(
        arguments.micro_rows * arguments.micro_batches * 2,
        shape.context_tokens + 1,
        shape.vocabulary,
    )

    class Data(DataModule):
        def connect(self, **_) -> None:
            pass

        def train_dataloader(self) -> DataLoader:
            return DataLoader(rows, batch_size=arguments.micro_rows)

        val_dataloader = train_dataloader

    moments = [time.monotonic()]

    def note(_, *words: object, **__: object) -> None:
        if "iter time" in " ".join(map(str, words)):
            moments.append(time.monotonic())

    Fabric.print = note
    # the original reads the command line of litgpt's own program
    pretrain.save_hyperparameters = lambda *_: None
    micro = arguments.micro_rows * shape.context_tokens
    pretrain.setup(
        "shape",
        model_config=Config(
            name="shape",
            block_size=shape.context_tokens,
            vocab_size=shape.vocabulary,
            padded_vocab_size=shape.vocabulary,
            n_layer=shape.layers,
            n_head=shape.heads,
            n_query_groups=shape.kv_heads,
            head_size=shape.head_size,
            n_embd=shape.width,
            intermediate_size=shape.hidden,
            rotary_percentage=1.0,
            parallel_residual=False,
            bias=False,
            norm_class_name="RMSNorm",
            norm_qk=True,
            mlp_class_name="LLaMAMLP",
        ),
        out_dir=Path(folder),
        precision={"fp32": "32-true"}.get(arguments.precision, arguments.precision),
        data=Data(),
        train=TrainArgs(
            save_interval=None,
            log_interval=1,
            global_batch_size=arguments.micro_rows * arguments.micro_batches,
            micro_batch_size=arguments.micro_rows,
            max_tokens=micro * arguments.micro_batches * arguments.steps,
            max_norm=1.0,
            lr_warmup_steps=2,
            tie_embeddings=shape.tied,
        ),
        eval=EvalArgs(interval=10**9, max_iters=1, final_validation=False),
        log=LogArgs(),
        devices=1,
        logger_name="csv",
    )
    return [after - before for before, after in itertools.pairwise(moments)]


if __name__ == "__main__":
    main()
