"""Clicks: a deep click predictor, DCNv2, which learns what pairs of features mean together.

Cross layers (Wang et al. 2021) multiply what is known of a view with itself, and a small network
runs beside them. It is a `ClickPredictor` (core/protocols.py) and learns online as the others do,
in the order of the views, by Adagrad. The first columns of a view are fields, with an embedding
each; what stands in further columns, such as the words of a text, is added up to one more. A linear
predictor that needs no torch is in `ads/predict/ftrl.py`.
"""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from rookery.core.protocols import FEATURE_BUCKETS, NO_FEATURE, ClickPredictor

RATES = (0.02, 0.05, 0.1)  # worth trying on a log
_PREDICTED_AT_ONCE = 4096


@dataclass(frozen=True)
class ClickShape:
    """The shape of a predictor, and how it learns.

    fields: columns with an embedding of their own; five begin every view of the ad server.
    prior_ctr: the prediction before anything is learned, nearly.
    """

    fields: int = 5
    dimensions: int = 8
    crosses: int = 2
    hidden: tuple[int, ...] = (64, 32)
    rate: float = 0.05
    rows_at_once: int = 256
    prior_ctr: float = 0.02
    seed: int = 0


class CrossNetwork(nn.Module):
    """DCNv2 in parallel: cross layers beside a small network, from the embeddings of a view."""

    def __init__(self, shape: ClickShape) -> None:
        super().__init__()
        width = (shape.fields + 1) * shape.dimensions
        self.fields = shape.fields
        # one place more than there are buckets: that of no feature, which stays 0
        self.embedding = nn.Embedding(FEATURE_BUCKETS + 1, shape.dimensions, sparse=True)
        self.crosses = nn.ModuleList(nn.Linear(width, width) for _ in range(shape.crosses))
        layers: list[nn.Module] = []
        for inner, outer in zip((width, *shape.hidden), shape.hidden, strict=False):
            layers += [nn.Linear(inner, outer), nn.ReLU()]
        self.deep = nn.Sequential(*layers)
        self.last = nn.Linear(width + (shape.hidden or (width,))[-1], 1)

    def forward(self, buckets: Tensor) -> Tensor:
        """Return the logits of views (views, columns) as (views,)."""
        embedded = self.embedding(buckets)
        fields, others = embedded[:, : self.fields], embedded[:, self.fields :].sum(1, keepdim=True)
        first = torch.cat([fields, others], dim=1).flatten(1)
        crossed = first
        for cross in self.crosses:
            crossed = first * cross(crossed) + crossed
        return self.last(torch.cat([crossed, self.deep(first)], dim=1)).squeeze(1)


class DeepPredictor:
    """A click predictor that is a `CrossNetwork`, and its Adagrad state."""

    name = "dcnv2"

    def __init__(self, shape: ClickShape | None = None) -> None:
        self.shape = shape or ClickShape()
        self._network = _initial(self.shape)
        self._optimizer = torch.optim.Adagrad(self._network.parameters(), lr=self.shape.rate)

    def predict(self, buckets: np.ndarray) -> np.ndarray:
        """Return the probability of a click on each view, in (0, 1)."""
        parts = [
            self._logits(buckets[start : start + _PREDICTED_AT_ONCE])
            for start in range(0, len(buckets), _PREDICTED_AT_ONCE)
        ]
        logits = np.concatenate([np.empty(0), *parts])
        return 1.0 / (1.0 + np.exp(-np.clip(logits, -35.0, 35.0)))

    def learn(self, buckets: np.ndarray, clicked: np.ndarray) -> None:
        """Learn from views in this order, in steps of `rows_at_once`."""
        for start in range(0, len(buckets), self.shape.rows_at_once):
            rows = slice(start, start + self.shape.rows_at_once)
            self._step(_places(self._wide(buckets[rows])), torch.from_numpy(clicked[rows]))

    def _step(self, places: Tensor, clicked: Tensor) -> None:
        logits = self._network(places)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, clicked.to(logits.dtype))
        self._optimizer.zero_grad()
        loss.backward()
        with torch.sparse.check_sparse_tensor_invariants(enable=False):  # said once, or torch warns
            self._optimizer.step()
        with torch.no_grad():
            self._network.embedding.weight[FEATURE_BUCKETS] = 0.0

    @torch.no_grad()
    def _logits(self, buckets: np.ndarray) -> np.ndarray:
        return self._network(_places(self._wide(buckets))).numpy().astype(np.float64)

    def _wide(self, buckets: np.ndarray) -> np.ndarray:
        """Return views with at least the columns that are fields."""
        missing = max(0, self.shape.fields - buckets.shape[1])
        return np.pad(buckets, ((0, 0), (0, missing)), constant_values=NO_FEATURE)

    def to_bytes(self) -> bytes:
        """Return the state: weights and sums of squares, of the embeddings only what was touched.

        The others follow from the seed.
        """
        tensors = {}
        for name, weights in self._network.named_parameters():
            sums = self._optimizer.state[weights]["sum"]
            places: Tensor | slice = slice(None)
            if name == "embedding.weight":
                places = tensors["touched"] = torch.nonzero(sums.sum(dim=1)).squeeze(1)
            tensors[name] = weights.detach()[places].contiguous()
            tensors[f"{name} sum"] = sums[places].contiguous()
        return save(tensors, {"shape": json.dumps(asdict(self.shape))})

    def from_bytes(self, state: bytes) -> "DeepPredictor":
        """Return a new predictor with a state, and the shape, that `to_bytes` returned."""
        predictor, tensors = type(self)(_shape_of(state)), load(state)
        for name, weights in predictor._network.named_parameters():
            sums = predictor._optimizer.state[weights]["sum"]
            places = tensors["touched"] if name == "embedding.weight" else slice(None)
            with torch.no_grad():
                weights[places] = tensors[name]
                sums[places] = tensors[f"{name} sum"]
        return predictor


def _initial(shape: ClickShape) -> CrossNetwork:
    """Return a network with random weights of a seed, which touches no other random numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(shape.seed)
        network = CrossNetwork(shape)
        nn.init.normal_(network.embedding.weight, std=0.1)
    with torch.no_grad():
        network.embedding.weight[FEATURE_BUCKETS] = 0.0
        network.last.bias.fill_(float(np.log(shape.prior_ctr / (1 - shape.prior_ctr))))
    return network


def _places(buckets: np.ndarray) -> Tensor:
    """Return the rows of the embeddings that buckets have."""
    return torch.from_numpy(np.where(buckets == NO_FEATURE, FEATURE_BUCKETS, buckets))


def _shape_of(state: bytes) -> ClickShape:
    length = int.from_bytes(state[:8], "little")
    shape = json.loads(json.loads(state[8 : 8 + length])["__metadata__"]["shape"])
    return ClickShape(**shape | {"hidden": tuple(shape["hidden"])})


if TYPE_CHECKING:  # mypy checks here that it has what the protocol asks for
    _PREDICTOR: ClickPredictor = DeepPredictor()
