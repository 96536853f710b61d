"""Matrix products in eight bits, for the layers' matrices on GPUs that multiply them natively.

Each tensor is scaled as a whole so that its largest value is the largest of the format, anew at
each product (dynamic, tensorwise scaling): e4m3 for activations and weights, e5m2 for gradients, as
in arXiv:2209.05433. The forward product may add up in fewer bits than float32 has, where a GPU is
quicker so; gradients add up in float32 (torchao's choice, too). Weights stay what they are; only
the products change, so a checkpoint does not know of it. Without torch.compile the scaling costs
more than the products gain.
"""

import torch
from torch import Tensor, nn

from rookery.model.network import Network

MULTIPLE = 16  # the products take only sizes that are multiples of it


class _Product(torch.autograd.Function):
    """x @ weight.T of (N, I) and (O, I), and both gradients, each as one scaled product."""

    @staticmethod
    def forward(ctx, x_NI: Tensor, weight_OI: Tensor) -> Tensor:
        x, x_scale = _scaled(x_NI, torch.float8_e4m3fn)
        weight, weight_scale = _scaled(weight_OI, torch.float8_e4m3fn)
        ctx.save_for_backward(x, x_scale, weight, weight_scale)
        ctx.dtype = x_NI.dtype
        return torch._scaled_mm(
            x, weight.t(), x_scale, weight_scale, out_dtype=x_NI.dtype, use_fast_accum=True
        )

    @staticmethod
    def backward(ctx, grad_NO: Tensor) -> tuple[Tensor, Tensor]:
        x, x_scale, weight, weight_scale = ctx.saved_tensors
        grad, grad_scale = _scaled(grad_NO, torch.float8_e5m2)
        along_x = torch._scaled_mm(
            grad, _by_columns(weight), grad_scale, weight_scale, out_dtype=ctx.dtype
        )
        along_weight = torch._scaled_mm(
            grad.t().contiguous(), _by_columns(x), grad_scale, x_scale, out_dtype=ctx.dtype
        )
        return along_x, along_weight


class Float8Linear(nn.Linear):
    """A linear layer without bias whose products are in eight bits."""

    def forward(self, x: Tensor) -> Tensor:
        return _Product.apply(x.reshape(-1, x.shape[-1]), self.weight).view(*x.shape[:-1], -1)


def use_float8(network: Network) -> None:
    """Let the matrices inside the layers multiply in eight bits; those of odd sizes stay as they
    are.
    """
    for layer in network.model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name, linear in list(part.named_children()):
                if isinstance(linear, nn.Linear) and not any(
                    size % MULTIPLE for size in linear.weight.shape
                ):
                    setattr(part, name, _eight_bit(linear))


def _eight_bit(linear: nn.Linear) -> Float8Linear:
    with torch.device("meta"):
        made = Float8Linear(linear.in_features, linear.out_features, bias=False)
    made.weight = linear.weight
    return made


def _scaled(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The tensor in eight bits, by rows in memory, and what it must be multiplied with to be itself
    again.
    """
    scale = torch.finfo(dtype).max / x.abs().amax().float().clamp(min=1e-12)
    return (x.float() * scale).to(dtype).contiguous(), scale.reciprocal()


def _by_columns(x: Tensor) -> Tensor:
    """The same matrix laid out by columns, as the second factor has to be."""
    return x.t().contiguous().t()
