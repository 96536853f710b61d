"""Measure training on one GPU: tokens per second, share of the card's matmul rate, memory.

    python benchmarks/gpu_train.py          at most eight minutes on one H100, offline;
                                            writes results/gpu_train.md
    python benchmarks/gpu_train.py --toy    the same steps at toy size on any machine;
                                            writes nothing

Training is in bf16, on rows of synthetic tokens, each packed with `DOCUMENTS_PER_ROW` documents;
loss and optimizer are the product's own, and so are the layers, compiled. Unlike in a run of
`rookery model train`, rows are of 1,024 tokens, micro-batches of 32,768, and the output matrix is
the embedding. A share counts the arithmetic that must be done (a token attends to what went before
it in its document, and to nothing else) over the rate of large bf16 matmuls, measured first.
"""

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from record import table, write_result

from rookery.model.config import TrainConfig
from rookery.model.data.batches import Rows, Step
from rookery.model.shape import ModelShape, parameters, training_flops_per_token
from rookery.model.training.rate import matrix_flops_per_second
from rookery.model.training.run import Run

BAR_SHARE, BAR_FROM_PARAMETERS = 0.5, 300_000_000
BUDGET_SECONDS = 450
CONTEXT_TOKENS, DOCUMENTS_PER_ROW, BATCH_TOKENS = 1024, 4, 1 << 17
WARM_STEPS, TIMED_STEPS = 2, 5
SIZES = {
    "124M": (14, 768, 12),
    "350M": (28, 1024, 16),
    "1.5B": (32, 2048, 16),
}  # layers, width, heads
TOY = {"toy": (2, 64, 4)}
TOY_CONTEXT_TOKENS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true")
    toy = parser.parse_args().toy
    if not toy and not torch.cuda.is_available():
        parser.error("there is no GPU here; --toy shows that the script works")
    torch.set_float32_matmul_precision("high")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rate = matrix_flops_per_second(device, torch.bfloat16, size=256 if toy else None)
    rows = []
    for row in measured(TOY if toy else SIZES, device, toy):
        rows.append(row)
        if not toy:  # after each size, so that a run that is cut short leaves what it has
            title, machine = "Training on one GPU", f"one {torch.cuda.get_device_name()}"
            write_result("gpu_train", title, ["torch"], described(rate, rows), machine)
    print(described(rate, rows))


@dataclass(frozen=True)
class Measured:
    """The figures of one size.

    step_seconds: the median step; first_seconds: the first one; memory_gb: the most memory held.
    """

    name: str
    shape: ModelShape
    micro_batch_tokens: int
    batch_tokens: int
    step_seconds: float
    first_seconds: float
    memory_gb: float

    @property
    def tokens_per_second(self) -> float:
        """Return the tokens per second of the median step."""
        return self.batch_tokens / self.step_seconds

    @property
    def flops_per_second(self) -> float:
        """Return the FLOP per second that must be done at this speed."""
        seen = (self.shape.context_tokens // DOCUMENTS_PER_ROW + 1) / 2
        return training_flops_per_token(self.shape, seen) * self.tokens_per_second


def measured(sizes: dict, device: torch.device, toy: bool) -> Iterator[Measured]:
    """Yield the figures of all sizes, as long as the time lasts."""
    began = time.monotonic()
    for name, (layers, width, heads) in sizes.items():
        context = TOY_CONTEXT_TOKENS if toy else CONTEXT_TOKENS
        shape = shape_of(layers, width, heads, 512 if toy else 50_304, context)
        if time.monotonic() - began > BUDGET_SECONDS:
            print(f"{name}: left out, {BUDGET_SECONDS} s are used up", flush=True)
            continue
        batch = context * 2 if toy else BATCH_TOKENS
        micro = context if toy else 32 * context
        made = fitting(name, shape, device, micro, batch)
        print(f"{name}: {made.tokens_per_second:,.0f} tokens/s", flush=True)
        yield made


def shape_of(
    layers: int, width: int, heads: int, vocabulary: int, context_tokens: int
) -> ModelShape:
    """Return a shape of these sizes.

    It has a quarter as many key-value heads as heads, and a SwiGLU whose hidden size is 8/3 of the
    width.
    """
    hidden = -(-width * 8 // 3 // 64) * 64
    kv_heads = max(1, heads // 4)
    return ModelShape(
        vocabulary, width, layers, heads, kv_heads, width // heads, hidden, context_tokens
    )


def fitting(
    name: str,
    shape: ModelShape,
    device: torch.device,
    micro_tokens: int,
    batch_tokens: int,
) -> Measured:
    """Measure with the largest micro-batch that fits into the memory.

    The micro-batch is halved each time it does not fit.
    """
    while True:
        try:
            return timed(name, shape, device, micro_tokens, batch_tokens)
        except torch.OutOfMemoryError:
            if micro_tokens <= shape.context_tokens:
                raise
            micro_tokens //= 2
        torch.cuda.empty_cache()


def timed(
    name: str,
    shape: ModelShape,
    device: torch.device,
    micro_tokens: int,
    batch_tokens: int,
) -> Measured:
    """Measure the median of some steps after the first ones, which compile."""
    torch.compiler.reset()
    # compiled layers hold themselves, and their weights would count as memory of this size
    gc.collect()
    step = training_step(shape, device, micro_tokens, batch_tokens)
    seconds = [seconds_of(step, device) for _ in range(WARM_STEPS + TIMED_STEPS)]
    memory = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else 0.0
    median = sorted(seconds[WARM_STEPS:])[TIMED_STEPS // 2]
    return Measured(name, shape, micro_tokens, batch_tokens, median, seconds[0], memory)


def training_step(
    shape: ModelShape, device: torch.device, micro_tokens: int, batch_tokens: int
) -> Callable[[], object]:
    """Return a step of the product's own loop on synthetic tokens."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    run = Run.begin(
        TrainConfig(0.0, shape, 1, batch_tokens, micro_tokens, compiled=False),
        precision=torch.bfloat16,
    )
    # without the check that compiled code is right, which would take minutes for all sizes
    run.placed.compile()
    context = shape.context_tokens
    rows = micro_tokens // context
    tokens = np.random.default_rng(0).integers(shape.vocabulary, size=(rows, context + 1))
    documents = np.broadcast_to(
        np.arange(context) * DOCUMENTS_PER_ROW // context, (rows, context)
    ).copy()
    synthetic = Rows(tokens[:, :-1].copy(), tokens[:, 1:].copy(), documents)
    step = Step((synthetic,) * (batch_tokens // micro_tokens), batch_tokens)
    return lambda: run.learn(step, 0.1)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds until the work is really done."""
    began = time.monotonic()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.monotonic() - began


def described(rate: float, rows: list[Measured]) -> str:
    """Return the table, and whether the bar is met."""
    large = [m for m in rows if parameters(m.shape) >= BAR_FROM_PARAMETERS]
    lowest = min((m.flops_per_second / rate for m in large), default=None)
    met = (
        "not tried"
        if lowest is None
        else f"{lowest:.0%}: {'met' if lowest >= BAR_SHARE else 'NOT met'}"
    )
    head = (
        f"Large bf16 matmuls: {rate / 1e12:,.1f} TFLOP/s. Bar: {BAR_SHARE:.0%} of that at 350M "
        f"parameters and above: {met}.\n\n"
    )
    columns = [
        "size",
        "parameters",
        "micro-batch",
        "tokens/s",
        "TFLOP/s",
        "of the bf16 rate",
        "GB",
        "first step s",
    ]
    lines = [
        [
            m.name,
            f"{parameters(m.shape):,}",
            f"{m.micro_batch_tokens:,}",
            f"{m.tokens_per_second:,.0f}",
            f"{m.flops_per_second / 1e12:,.2f}",
            f"{m.flops_per_second / rate:.0%}",
            f"{m.memory_gb:.1f}",
            f"{m.first_seconds:.0f}",
        ]
        for m in rows
    ]
    return head + table(columns, lines)


if __name__ == "__main__":
    main()
