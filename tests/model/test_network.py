"""The network: what it may see, its cache, and Qwen3 and Llama as transformers has them; small."""

import pytest
import torch
from networks import SHAPE, effective_network, some_tokens

from rookery.model.inference.cache import Cache
from rookery.model.network import Network
from rookery.model.shape import ModelShape, parameters


@pytest.fixture
def network() -> Network:
    return effective_network(SHAPE)


@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_as_many_as_the_shape_says(tied, normed):
    shape = ModelShape(96, 32, 3, 4, 1, 16, 64, 32, tied=tied, normed=normed)
    assert sum(weight.numel() for weight in Network(shape).parameters()) == parameters(shape)


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


@pytest.mark.parametrize("pieces", [[32], [7, 25], [5, 1, 1, 20, 5], [1] * 32])
def test_cache_gives_what_one_pass_gives(network, pieces):
    tokens = some_tokens(2, 32)
    cache = Cache(SHAPE, rows=2)
    parts = [network(part, cache=cache) for part in tokens.split(pieces, dim=1)]
    assert cache.lengths == [32, 32]
    torch.testing.assert_close(torch.cat(parts, dim=1), network(tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rows", [[0, 1, 2], [3, 0, 2]])
def test_rows_of_different_lengths_are_read_as_if_alone(network, rows):
    """Read beginnings of three lengths in one filled-up pass, then two tokens more at once."""
    tokens, lengths = some_tokens(3, 32), [5, 20, 11]
    cache = Cache(SHAPE, rows=4)
    padded = tokens[:, :20].clone()
    for row, length in enumerate(lengths):
        padded[row, length:] = 0
    begun = network(padded, cache=cache.select(rows, [0, 0, 0]))
    follow = torch.stack([tokens[row, end : end + 2] for row, end in enumerate(lengths)])
    hidden = network(follow, cache=cache.select(rows, lengths))
    for row, length in enumerate(lengths):
        alone = network(tokens[row : row + 1, : length + 2])[0]
        torch.testing.assert_close(begun[row, :length], alone[:-2], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(hidden[row], alone[-2:], atol=1e-5, rtol=1e-5)


def test_a_row_takes_the_beginning_of_another_one(network):
    tokens, cache = some_tokens(2, 32), Cache(SHAPE, rows=3)
    network(tokens[:1, :20], cache=cache.select([2], [0]))
    cache.copy(2, 0, 0, 12)
    tokens[1, :12] = tokens[0, :12]
    hidden = network(tokens[1:, 12:], cache=cache.select([0], [12]))
    torch.testing.assert_close(hidden, network(tokens[1:])[:, 12:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("peers", ["Qwen3", "Llama"])
@pytest.mark.parametrize("tied", [True, False])
def test_names_and_arithmetic_are_those_of_transformers(tied, peers):
    import transformers

    normed = peers == "Qwen3"
    shape = ModelShape(97, 32, 2, 4, 2, 16, 48, 32, rope_theta=5000.0, tied=tied, normed=normed)
    network = effective_network(shape)
    peer = getattr(transformers, f"{peers}ForCausalLM")(
        getattr(transformers, f"{peers}Config")(
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
