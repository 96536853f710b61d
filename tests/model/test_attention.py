"""Attention: positions, cu_seqlens, and the GPU's and the compiler's code against plain code."""

from dataclasses import replace

import pytest
import torch
from networks import SHAPE, effective_network

from rookery.model.attention import (
    SPANS_MULTIPLE,
    apply_rotary,
    cu_seqlens,
    document_positions,
)
from rookery.model.training.compiler import OPTIONS


def test_positions_begin_anew_in_every_document():
    documents = torch.tensor([[3, 3, 3, 1, 1, 3]])
    assert document_positions(documents, documents).tolist() == [[0, 1, 2, 0, 1, 0]]


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
    network = effective_network(shape).cuda().bfloat16()
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
