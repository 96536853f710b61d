"""`rookery fleet plan`: from GPUs and tokens to a model, its layout, time, memory and money.

The plan is analytic: every number has its formula, and a list at the end names what it does not
account for. It is only arithmetic and starts nothing. The parts are in `planning/`: `sizing.py`
(model and batch), `layout.py` (degrees, memory, step time), `goodput.py` (failures) and `gpus.py`
(the hardware).
"""

from dataclasses import dataclass

from rookery.core.errors import UsageError
from rookery.fleet.planning.goodput import RESTART_SECONDS, Goodput, goodput_of
from rookery.fleet.planning.gpus import GPUS_PER_NODE, Gpu, find_gpu
from rookery.fleet.planning.layout import (
    GRADIENT_BYTES,
    HALF_SPEED_WIDTH,
    MEMORY_SHARE,
    OPTIMIZER_BYTES,
    WEIGHT_BYTES,
    Layout,
    Memory,
    StepTime,
    best_layout,
    memory_of,
    time_of,
)
from rookery.fleet.planning.sizing import (
    CONTEXT_TOKENS,
    TOKENS_PER_PARAMETER,
    sequences_per_step,
    shape_for_parameters,
)
from rookery.model import config
from rookery.model.shape import ModelShape, training_flops_per_token
from rookery.model.shape import parameters as parameters_of
from rookery.model.training.thresholds import warnings

SMALLEST_MODEL = 10_000_000
LARGEST_MODEL = 100_000_000_000_000
POWER_FACTOR = 1.5
"""Watts of the whole hall (hosts, network, cooling) for each watt of GPU. An assumption."""

WEAKNESSES = (
    "The plan was fitted to published bf16 runs of dense models on A100 and H100: half of them "
    "within an eighth, all within a third. Nothing newer, no fp8 and no mixture of experts has "
    "been checked.",
    "Each link is one bandwidth: no latency, no congestion, no oversubscribed spine, no slow node "
    "among good ones.",
    "How much communication hides behind compute is one number, not a schedule.",
    "Activations are counted on the safe side; a tuned run may fit what is refused here.",
    "The planned model uses its embedding as output matrix, has contexts of "
    f"{CONTEXT_TOKENS:,} tokens and is trained by Adam. `rookery model train` gives it an output "
    f"matrix of its own and contexts of {config.CONTEXT_TOKENS}, and its Muon keeps 8 bytes per "
    f"parameter of the layers' matrices, not {OPTIMIZER_BYTES}.",
    "Tensor, pipeline and data parallelism are planned, but no context parallelism, so long "
    "contexts are out of reach.",
    "The batch follows from the tokens alone; whether the data is worth training on that many "
    "tokens is not considered.",
    "Prices are assumptions of November 2026, without storage, network traffic, staff and failed "
    "attempts.",
)


@dataclass(frozen=True)
class PlanRequest:
    """A request for a plan; without `parameters`, the model has one for every 20 tokens."""

    gpus: int
    gpu: str
    tokens: int
    parameters: int | None = None


@dataclass(frozen=True)
class Quantity:
    """One number of a plan, with its unit and its formula."""

    name: str
    value: float | int | str
    unit: str
    formula: str


@dataclass(frozen=True)
class Plan:
    """A plan: a model, its layout, and the numbers that follow.

    duties: the laws whose threshold of compute the run passes. weaknesses: what the plan does not
    account for.
    """

    request: PlanRequest
    shape: ModelShape
    layout: Layout
    quantities: tuple[Quantity, ...]
    duties: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = WEAKNESSES

    def value(self, name: str) -> float | int | str:
        """Return the value of the quantity of a name."""
        return next(q.value for q in self.quantities if q.name == name)


def plan(*, tokens: int, gpus: int = 8, gpu: str = "h100", parameters: int | None = None) -> Plan:
    """Plan a training run on so many tokens; without `parameters`, one for every 20 tokens.

    Raises `UsageError` for an unknown GPU, for numbers out of range, or if no layout fits.
    """
    request = PlanRequest(gpus, gpu, tokens, parameters)
    hardware = find_gpu(request.gpu)
    wanted = _checked_parameters(request)
    shape = shape_for_parameters(wanted)
    sequences = sequences_per_step(request.tokens)
    layout = best_layout(shape, sequences, request.gpus, hardware)
    if layout is None:
        each = WEIGHT_BYTES + GRADIENT_BYTES + OPTIMIZER_BYTES
        raise UsageError(
            f"{parameters_of(shape) / 1e9:,.1f}B parameters do not fit on "
            f"{request.gpus:,} {hardware.name}",
            hint="Take more GPUs or fewer parameters: each parameter needs "
            f"{each} bytes before any activation, and a GPU has {hardware.memory_bytes / 1e9:g} GB",
        )
    memory, time = memory_of(shape, layout), time_of(shape, layout, hardware)
    goodput = goodput_of(parameters_of(shape), layout.gpus)
    quantities = (
        *_of_model(request, shape),
        *_of_layout(request, shape, layout),
        *_of_memory(memory, layout, hardware),
        *_of_time(shape, layout, time, hardware),
        *_of_run(request, shape, layout, time, goodput, hardware),
    )
    duties = warnings(training_flops_per_token(shape) * request.tokens)
    return Plan(request, shape, layout, quantities, tuple(duties))


def _checked_parameters(request: PlanRequest) -> int:
    if request.gpus < 1:
        raise UsageError(
            f"a plan needs at least one GPU, not {request.gpus}", hint="Give --gpus 1 or more"
        )
    if request.tokens < 1:
        raise UsageError(
            f"a plan needs tokens to train on, not {request.tokens}",
            hint="Give --tokens such as 15T",
        )
    wanted = request.parameters
    if wanted is None:
        wanted = max(SMALLEST_MODEL, request.tokens // TOKENS_PER_PARAMETER)
    if not SMALLEST_MODEL <= wanted <= LARGEST_MODEL:
        raise UsageError(
            f"a model of {wanted:,} parameters is out of the range of this plan",
            hint="Give --parameters between 10M and 100T",
        )
    return wanted


def _of_model(request: PlanRequest, shape: ModelShape) -> list[Quantity]:
    rule = (
        "as asked, to a whole head"
        if request.parameters
        else f"tokens / {TOKENS_PER_PARAMETER}, to a whole head"
    )
    sizes = (
        f"{shape.layers} layers, width {shape.width}, hidden {shape.hidden}, {shape.heads} "
        f"heads of "
    )
    return [
        Quantity("parameters", parameters_of(shape), "", rule),
        Quantity(
            "shape",
            f"{sizes}{shape.head_size}",
            "",
            "width / layers = 128, hidden = 3.5 width, 8 key-value heads",
        ),
        Quantity("tokens", request.tokens, "tokens", "as asked"),
        Quantity(
            "compute",
            training_flops_per_token(shape) * request.tokens / 1e21,
            "zettaFLOP",
            "tokens × (6 matrix parameters + 12 layers × width × context)",
        ),
    ]


def _of_layout(request: PlanRequest, shape: ModelShape, layout: Layout) -> list[Quantity]:
    shard = "weights, gradients, optimizer" if layout.sharded else "optimizer"
    batch_tokens = layout.sequences * shape.context_tokens
    quickest = "quickest that fits"
    return [
        Quantity("gpus used", layout.gpus, f"of {request.gpus:,}", "tensor × pipeline × data"),
        Quantity(
            "tensor", layout.degrees.tensor, "GPUs", f"{quickest}; within a node of {GPUS_PER_NODE}"
        ),
        Quantity(
            "pipeline",
            layout.degrees.pipeline,
            f"stages of {layout.degrees.groups_per_stage} layer groups",
            quickest,
        ),
        Quantity("data", layout.degrees.data, "replicas", f"{quickest}; spread over them: {shard}"),
        Quantity("recompute", layout.degrees.recompute, "of the layers", quickest),
        Quantity("micro-batch", layout.micro_batch, f"× {layout.micro_batches:,} a step", quickest),
        Quantity(
            "batch",
            batch_tokens,
            "tokens",
            "16.8M × (tokens / 15.6T)^0.383, to data × micro-batch × context whole",
        ),
        Quantity("steps", -(-request.tokens // batch_tokens), "", "tokens / batch"),
    ]


def _of_memory(memory: Memory, layout: Layout, gpu: Gpu) -> list[Quantity]:
    spread = " / data" if layout.sharded else ""
    parts = (
        (
            "weights",
            memory.weights,
            f"{WEIGHT_BYTES} bytes × parameters / (tensor × pipeline){spread}",
        ),
        (
            "gradients",
            memory.gradients,
            f"{GRADIENT_BYTES} bytes × parameters / (tensor × pipeline){spread}",
        ),
        (
            "optimizer",
            memory.optimizer,
            f"{OPTIMIZER_BYTES} bytes × parameters / (tensor × pipeline × data)",
        ),
        (
            "activations",
            memory.activations,
            "micro-batch × context × (layers in flight × bytes a layer + 6 vocabulary) / tensor",
        ),
    )
    whole = f"of {gpu.memory_bytes / 1e9:g} GB; the sum, at most {MEMORY_SHARE:.0%} of them"
    return [
        *(
            Quantity(f"memory: {name}", size / 1e9, "GB a GPU", formula)
            for name, size, formula in parts
        ),
        Quantity("memory", memory.total / 1e9, "GB a GPU", whole),
    ]


def _of_time(shape: ModelShape, layout: Layout, time: StepTime, gpu: Gpu) -> list[Quantity]:
    step_tokens = layout.sequences * shape.context_tokens
    achieved = step_tokens * training_flops_per_token(shape) / time.total / layout.gpus
    speed = f"{gpu.sustained:.2f} × peak × width / (width + {HALF_SPEED_WIDTH})"
    return [
        Quantity(
            "time: compute",
            time.compute,
            "s a step",
            f"FLOP of a step / (GPUs × {speed}): {gpu.sustained_source}",
        ),
        Quantity("time: tensor wait", time.tensor_wait, "s a step", "4 all-reduces a layer / link"),
        Quantity(
            "time: bubble",
            time.bubble,
            "s a step",
            "(pipeline − 1) / (groups × micro-batches) of the above",
        ),
        Quantity(
            "time: pipeline wait",
            time.pipeline_wait,
            "s a step",
            "2 × groups × residual stream / network",
        ),
        Quantity(
            "time: data wait",
            time.data_wait,
            "s a step",
            "gradients and weights / network, less what overlaps",
        ),
        Quantity("step time", time.total, "s", "the sum"),
        Quantity("throughput", step_tokens / time.total, "tokens/s", "batch / step time"),
        Quantity(
            "per GPU", achieved / 1e12, "TFLOP/s", "compute / (time × GPUs used), attention in full"
        ),
        Quantity(
            "MFU", achieved / gpu.peak_flops, "of peak", f"TFLOP/s / {gpu.peak_flops / 1e12:g}"
        ),
    ]


def _of_run(
    request: PlanRequest,
    shape: ModelShape,
    layout: Layout,
    time: StepTime,
    goodput: Goodput,
    gpu: Gpu,
) -> list[Quantity]:
    steps = -(-request.tokens // (layout.sequences * shape.context_tokens))
    hours = steps * time.total / goodput.share / 3600
    return [
        Quantity(
            "between interruptions",
            goodput.between_interruptions_seconds / 3600,
            "h",
            "16,384 × 54 days / 466 / GPUs used (Llama 3 405B)",
        ),
        Quantity(
            "checkpoint",
            goodput.checkpoint_seconds,
            "s to write",
            "14 bytes × parameters / min(200 GB/s, 2 GB/s a node)",
        ),
        Quantity(
            "checkpoint every",
            goodput.interval_seconds / 60,
            "min",
            "√(2 × write × between interruptions) (Young 1974, Daly 2006)",
        ),
        Quantity(
            "goodput",
            goodput.share,
            "of the time",
            f"1 / (1 + write / interval + (interval / 2 + {RESTART_SECONDS} s restart) / between "
            f"interruptions)",
        ),
        Quantity("days", hours / 24, "days", "steps × step time / goodput"),
        Quantity("GPU hours", hours * request.gpus, "h", "days × 24 × GPUs"),
        Quantity(
            "cost",
            hours * request.gpus * gpu.price_per_hour,
            "US$",
            f"GPU hours × ${gpu.price_per_hour:.2f} (assumed, November 2026)",
        ),
        Quantity(
            "energy",
            hours * request.gpus * gpu.power_watts * POWER_FACTOR / 1e6,
            "MWh",
            f"GPU hours × {gpu.power_watts:g} W × {POWER_FACTOR:g} for hosts and cooling (assumed)",
        ),
    ]
