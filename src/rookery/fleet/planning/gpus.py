"""The hardware catalogue: speed, memory, links, power and assumed price of each accelerator.

Peaks and links are from the makers' data sheets (dense bf16, SXM boards in servers of eight);
memory is what the driver reports, so 85.5e9 bytes for the 80 GB of an H100. `sustained` is
measured, not promised: the share of the peak that wide matmuls reach in a whole training step when
nothing waits for a network. It is fitted so that the plan agrees with the published runs named
beside it. Prices are assumptions of November 2026, not offers. What a cluster of them does is in
`layout.py`.
"""

from dataclasses import dataclass

from rookery.core.errors import UsageError

GPUS_PER_NODE = 8


@dataclass(frozen=True)
class Gpu:
    """One accelerator.

    Bandwidths are in bytes per second, in one direction, per GPU: `link` within a node, `network`
    between nodes. sustained: the share of the peak that a training step reaches.
    """

    name: str
    peak_flops: float
    memory_bytes: float
    link_bytes_per_second: float
    network_bytes_per_second: float
    power_watts: float
    price_per_hour: float
    sustained: float
    sustained_source: str


CATALOGUE: tuple[Gpu, ...] = (
    Gpu("a100", 312e12, 85.9e9, 300e9, 25e9, 400, 1.80, 0.74, "MPT on A100-80GB, 45-64% MFU"),
    Gpu(
        "h100",
        989.4e12,
        85.5e9,
        450e9,
        50e9,
        700,
        3.00,
        0.57,
        "Megatron-LM, MPT and Llama 3 405B on H100, 38-49% MFU",
    ),
    Gpu(
        "h200", 989.4e12, 150.7e9, 450e9, 50e9, 700, 3.80, 0.57, "taken from h100: the same compute"
    ),
    Gpu("b200", 2250e12, 192e9, 900e9, 50e9, 1000, 6.00, 0.50, "assumed: few published bf16 runs"),
)
"""All accelerators, the slowest first.

The price of the h100 is that of nanochat's README (about 24 dollars an hour for eight).
"""


def find_gpu(name: str) -> Gpu:
    """Return the accelerator of a name; raise `UsageError` for a name not in the catalogue."""
    for gpu in CATALOGUE:
        if gpu.name == name.lower():
            return gpu
    known = ", ".join(gpu.name for gpu in CATALOGUE)
    raise UsageError(f"there is no GPU {name!r} in the catalogue", hint=f"Known: {known}")
