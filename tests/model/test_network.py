"""The network: its laws, on sizes small enough to run in a blink."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from networks import fresh_network
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rookery.model.inference.cache import Cache
from rookery.model.network import (
    IGNORED,
    LOSS_CHUNK_TOKENS,
    SPANS_MULTIPLE,
    Network,
    apply_rotary,
    chunk_loss,
    chunked_loss,
    cu_seqlens,
    document_positions,
    initial_rows,
    summed_loss,
)
from rookery.model.shape import ModelShape, parameters
from rookery.model.training.compiler import OPTIONS

SHAPE = ModelShape(
    vocabulary=97,
    width=32,
    layers=2,
    heads=4,
    kv_heads=2,
    head_size=8,
    hidden=48,
    context_tokens=32,
)


@pytest.fixture
def network() -> Network:
    return made(SHAPE)


def made(shape: ModelShape, seed: int = 1) -> Network:
    """A network in which every matrix says something (a fresh one's layers are the identity)."""
    network = fresh_network(shape, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.05)
    return network


def some_tokens(rows: int, tokens: int, seed: int = 2) -> torch.Tensor:
    return torch.randint(
        SHAPE.vocabulary, (rows, tokens), generator=torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_as_many_as_the_shape_says(tied):
    shape = ModelShape(96, 32, 3, 4, 1, 16, 64, 32, tied=tied)
    assert sum(weight.numel() for weight in Network(shape).parameters()) == parameters(shape)


@pytest.mark.parametrize(("tied", "tolerance"), [(True, 0.1), (False, 1e-5)])
def test_first_loss_is_that_of_a_uniform_guess(tied, tolerance):
    fresh = fresh_network(replace(SHAPE, tied=tied), 0)
    tokens = some_tokens(4, 32)
    loss = summed_loss(fresh, fresh(tokens), tokens.roll(1)) / tokens.numel()
    assert abs(loss.item() - math.log(SHAPE.vocabulary)) < tolerance


@given(st.integers(0, 200), st.integers(0, 200))
def test_some_rows_of_a_weight_are_drawn_as_the_whole_has_them(one, other):
    rows, size = slice(min(one, other), max(one, other)), torch.Size((200, 3))
    whole = initial_rows(5, "model.embed_tokens.weight", size, slice(0, 200))
    assert torch.equal(initial_rows(5, "model.embed_tokens.weight", size, rows), whole[rows])


def test_each_weight_and_each_seed_is_drawn_for_itself():
    size, rows = torch.Size((300, 40)), slice(0, 300)
    drawn = [
        initial_rows(seed, name, size, rows) for seed in (0, 1) for name in ("a.q_proj", "b.q_proj")
    ]
    assert all(abs(one.std().item() * 40**0.5 - 1) < 0.03 for one in drawn)
    parts = torch.cat([one[:256].reshape(4, 64 * 40) for one in drawn])
    likeness = torch.corrcoef(parts) - torch.eye(len(parts))
    assert likeness.abs().max() < 0.1  # of 2,560 numbers each: five deviations


def test_documents_of_one_row_do_not_see_each_other(network):
    documents = torch.tensor([[0] * 10 + [1] * 12 + [2] * 10])
    tokens = some_tokens(1, 32)
    changed = tokens.clone()
    changed[0, :10] = (changed[0, :10] + 1) % SHAPE.vocabulary
    before, after = network(tokens, documents), network(changed, documents)
    assert torch.equal(before[:, 10:], after[:, 10:])
    assert not torch.equal(before[:, :10], after[:, :10])


def test_a_packed_document_is_read_as_if_alone(network):
    documents = torch.tensor([[4] * 10 + [5] * 22])
    tokens = some_tokens(1, 32)
    single_process = network(tokens[:, 10:])
    torch.testing.assert_close(
        network(tokens, documents)[:, 10:], single_process, atol=1e-5, rtol=1e-5
    )


def test_no_token_sees_a_later_one(network):
    tokens = some_tokens(1, 32)
    changed = tokens.clone()
    changed[0, 20:] = 0
    torch.testing.assert_close(network(tokens)[:, :20], network(changed)[:, :20])


def test_positions_begin_anew_in_every_document():
    documents = torch.tensor([[3, 3, 3, 1, 1, 3]])
    assert document_positions(documents, documents).tolist() == [[0, 1, 2, 0, 1, 0]]


@pytest.mark.parametrize("pieces", [[32], [7, 25], [5, 1, 1, 20, 5], [1] * 32])
def test_cache_gives_what_one_pass_gives(network, pieces):
    tokens = some_tokens(2, 32)
    cache = Cache(SHAPE, rows=2)
    parts = [network(part, cache=cache) for part in tokens.split(pieces, dim=1)]
    assert cache.length == 32
    torch.testing.assert_close(torch.cat(parts, dim=1), network(tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chunk_tokens", [1, 5, 64, 1000])
def test_chunked_loss_and_gradients_are_the_plain_ones(network, chunk_tokens):
    tokens, targets = some_tokens(2, 32), some_tokens(2, 32, seed=3)
    targets[0, 5:9] = IGNORED
    weights = list(network.parameters())
    plain = F.cross_entropy(
        network.logits(network(tokens)).flatten(0, 1), targets.flatten(), reduction="sum"
    )
    chunked = summed_loss(network, network(tokens), targets, chunk_tokens)
    torch.testing.assert_close(chunked, plain)
    expected = torch.autograd.grad(plain / 60, weights)
    torch.testing.assert_close(
        torch.autograd.grad(chunked / 60, weights), expected, atol=1e-5, rtol=1e-4
    )


class Largest(TorchDispatchMode):
    """Keeps how many numbers the largest tensor has that is made."""

    numbers = 0

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        made = operation(*arguments, **(named or {}))
        sizes = (leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor))
        self.numbers = max(self.numbers, *sizes, 0)
        return made


@pytest.mark.parametrize("tokens", [4096, 8192])
def test_the_memory_of_the_loss_does_not_grow_with_the_tokens(tokens):
    vocabulary, width = 4096, 4
    hidden, head = (
        torch.randn(1, tokens, width, requires_grad=True),
        torch.randn(vocabulary, width, requires_grad=True),
    )
    with Largest() as largest:
        chunked_loss(hidden, head, torch.zeros(1, tokens, dtype=torch.int64), chunk_loss).backward()
    assert largest.numbers == LOSS_CHUNK_TOKENS["cpu"] * vocabulary


@pytest.mark.parametrize("tied", [True, False])
def test_names_and_arithmetic_are_those_of_qwen3(tied):
    from transformers import Qwen3Config, Qwen3ForCausalLM

    shape = ModelShape(97, 32, 2, 4, 2, 16, 48, 32, rope_theta=5000.0, tied=tied)
    network = made(shape)
    peer = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=97,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            intermediate_size=48,
            rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
            rms_norm_eps=shape.norm_epsilon,
            tie_word_embeddings=tied,
        )
    )
    missing, unexpected = peer.load_state_dict(network.state_dict(), strict=False)
    assert (missing, unexpected) == ((["lm_head.weight"] if tied else []), [])
    peer.tie_weights()
    tokens = some_tokens(2, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            network.logits(network(tokens)), peer(tokens).logits, atol=1e-5, rtol=1e-4
        )


def test_the_places_of_documents_cover_all_rows_and_no_document_goes_over_a_row():
    documents = torch.tensor([[0, 0, 1, 1, 1], [1, 2, 2, -1, -1]])
    spans = cu_seqlens(documents)
    assert spans.starts[:6].tolist() == [0, 2, 5, 6, 8, 10]
    assert (spans.starts[6:] == 10).all()
    assert len(spans.starts) == SPANS_MULTIPLE
    assert spans.longest == 5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_s_kernel_sees_what_the_bias_shows():
    shape = replace(SHAPE, head_size=32)
    network = made(shape).cuda().bfloat16()
    documents = torch.tensor([[0] * 9 + [1] * 15, [0] * 20 + [-1] * 4]).cuda()
    tokens = torch.randint(
        shape.vocabulary, documents.shape, generator=torch.Generator().manual_seed(0)
    ).cuda()
    found = network(tokens, documents)
    reference = network.float()(tokens, documents)
    assert (found.float() - reference).norm() / reference.norm() < 0.03


@pytest.mark.slow
def test_what_the_compiler_makes_of_transposed_bfloat16_is_what_it_is_without():
    generator = torch.Generator().manual_seed(0)
    x, cos, sin = (
        torch.randn(size, generator=generator).bfloat16()
        for size in ((16, 2, 64, 256), (16, 1, 256, 32), (16, 1, 256, 32))
    )

    def turned(x):
        return apply_rotary(x.transpose(2, 3), (cos, sin)).float()

    torch.testing.assert_close(
        torch.compile(turned, options=OPTIONS)(x), turned(x), atol=0.1, rtol=0.02
    )
