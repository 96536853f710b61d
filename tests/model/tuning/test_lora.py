"""Adapters: an adapted network computes what its merged weights compute."""

from dataclasses import replace

import pytest
import torch

from rookery.model.layout.tensors import Stored
from rookery.model.network import Network
from rookery.model.shape import ModelShape
from rookery.model.tuning.lora import adapt, is_adapter, merged
from tests.model.conftest import TINY, random_network

TOKENS = torch.arange(12)[None]


def adapted(seed: int, shape: ModelShape = TINY) -> Network:
    network = random_network(shape, seed)
    adapt(network, 3)
    for name, weight in network.named_parameters():
        if is_adapter(name):
            torch.nn.init.normal_(weight, std=0.2)
    return network


@pytest.mark.parametrize("tied", [True, False])
def test_merged_weights_compute_what_the_adapted_network_does(tied):
    shape = replace(TINY, tied=tied)
    network = adapted(0, shape)
    state = dict(network.state_dict())
    base = {name: weight for name, weight in state.items() if not is_adapter(name)}
    adapters = {name: weight for name, weight in state.items() if is_adapter(name)}
    whole = merged(*(stored(one) for one in (base, adapters)))
    plain = Network(shape)
    plain.load_state_dict(whole.read(list(whole.bytes_of)))
    assert not torch.allclose(plain(TOKENS), random_network(shape, 0)(TOKENS), atol=1e-2)
    ours, theirs = (one.logits(one(TOKENS)) for one in (plain, network))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_only_adapters_learn_and_every_matrix_of_a_layer_has_one():
    network = adapted(0)
    learning = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert learning == {name for name, _ in network.named_parameters() if is_adapter(name)}
    assert len(learning) == 2 * 7 * TINY.layers
    untied = adapted(0, replace(TINY, tied=False))
    assert {"lm_head.lora_a", "lm_head.lora_b"} < {name for name, _ in untied.named_parameters()}


def stored(tensors) -> Stored:
    sizes = {name: tensor.nbytes for name, tensor in tensors.items()}
    return Stored(sizes, lambda names: {name: tensors[name].detach() for name in names})
