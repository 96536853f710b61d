"""The embedder: unit vectors that depend on the text alone, closer if texts share rare tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.core.stage import Stage, run_stage
from rookery.model.embed import FILE, TableEmbedder, load_embedder, make_table, row_sums
from rookery.model.tokenizer import Tokenizer, train_bpe

TEXTS = [
    f"the {bird} sat on the {place}"
    for bird in ("rook", "crow", "owl", "wren")
    for place in ("elm", "roof", "wall")
]
TOKENIZER = Tokenizer(train_bpe(TEXTS * 5, 384))


def made(texts=TEXTS, dimensions=16, shared=0.0):
    """Return an embedder of random token embeddings, all shifted by the same vector, `shared`."""
    embedding = (
        np.random.default_rng(0)
        .standard_normal((TOKENIZER.vocabulary, dimensions))
        .astype(np.float32)
    )
    return TableEmbedder(
        "0",
        make_table(embedding + np.float32(shared), list(map(np.array, TOKENIZER.encode(texts)))),
        TOKENIZER,
    )


EMBEDDER = made()


@given(st.lists(st.one_of(st.sampled_from(TEXTS), st.text(max_size=20)), max_size=8))
def test_rows_are_unit_or_zero_and_do_not_depend_on_their_company(texts):
    vectors = EMBEDDER.embed(texts)
    assert vectors.shape == (len(texts), EMBEDDER.dimensions)
    assert vectors.dtype == np.float32
    lengths = np.linalg.norm(vectors, axis=1)
    assert all(length == 0 or length == pytest.approx(1, abs=1e-5) for length in lengths)
    for text, vector in zip(texts, vectors, strict=True):
        assert (EMBEDDER.embed([text])[0] == vector).all()


def test_a_text_without_content_is_the_zero_vector():
    assert not EMBEDDER.embed(["", "\U0001f99c"]).any()


def test_what_is_rare_counts_more_than_what_all_texts_have():
    owl, wren, plain = EMBEDDER.embed(
        ["the owl sat on the elm", "the wren sat on the roof", "an owl, an elm"]
    )
    assert owl @ plain > owl @ wren


def test_a_direction_that_all_tokens_share_does_not_make_unlike_texts_alike():
    texts = ["the owl sat on the elm", "the wren sat on the roof"]
    shifted = made(shared=3.0)
    one, other = shifted.embed(texts)
    assert one @ other < 0.9
    assert one @ other == pytest.approx(np.dot(*EMBEDDER.embed(texts)), abs=0.4)


@pytest.mark.parametrize("documents", [[], [[]], [[7]], [[7], [7]]])
def test_hardly_any_documents_still_make_a_table(documents):
    embedding = np.ones((TOKENIZER.vocabulary, 4), np.float32)
    table = make_table(embedding, [np.array(d, np.int64) for d in documents])
    assert np.isfinite(table).all()


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6))
def test_row_sums_are_sums_of_rows(texts):
    table = np.arange(30, dtype=np.float32).reshape(10, 3)
    sums = row_sums(
        table,
        np.array([t for text in texts for t in text], np.int64),
        np.cumsum([0, *map(len, texts)]),
    )
    assert sums.tolist() == [table[np.array(text, int)].sum(axis=0).tolist() for text in texts]


def test_a_checkpoint_without_its_table_is_refused_by_name(checkpoint):
    with pytest.raises(DataError, match=r"embedding\.safetensors"):
        load_embedder(checkpoint)


def test_a_table_that_has_changed_is_refused(home):
    """A table with a flipped bit would still rank posts, only wrongly, and nobody would notice."""

    def make(workspace):
        (workspace.path / FILE).write_bytes(save({"table": np.ones((384, 4), np.float32)}))
        (workspace.path / "tokenizer.json").write_text(train_bpe(TEXTS * 5, 384), encoding="utf-8")
        return {}

    checkpoint = run_stage(home, Stage("checkpoint", 1, {}, {}), make, Context())
    assert load_embedder(checkpoint).dimensions == 4
    data = bytearray(checkpoint.file(FILE).read_bytes())
    data[-1] ^= 1
    checkpoint.file(FILE).write_bytes(data)
    with pytest.raises(DataError, match=r"has changed.*embedding\.safetensors"):
        load_embedder(checkpoint)
