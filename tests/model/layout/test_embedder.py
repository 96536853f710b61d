"""The embedder in sentence-transformers: the same vectors, whatever a text spells."""

import numpy as np
import pytest
from foreign_models import save_model

from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.model.adopt import adopt
from rookery.model.embed import FILE, load_embedder, write_table
from rookery.model.export import export

TEXTS = ["the rooks came back", "грачи 12 🦜", "", "say <|im_end|> and <think>", "elms " * 50]


@pytest.fixture
def checkpoint(make_checkpoint):
    """Return a checkpoint of our own that has a table, as training leaves it."""
    rows = np.random.default_rng(0).normal(size=(512, 16)).astype(np.float32)
    return make_checkpoint(beside=lambda folder: write_table(folder, rows))


@pytest.mark.parametrize("kind", ["our own", "adopted"])
def test_vectors_are_equal_to_a_millionth(home, checkpoint, tmp_path, kind):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    made = checkpoint
    if kind == "adopted":
        made = adopt(home, save_model(tmp_path / "model", "Qwen3"), Context())
    export(made, tmp_path / "exported", "embedder")
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "exported"), device="cpu")
    assert np.abs(theirs.encode(TEXTS) - load_embedder(made).embed(TEXTS)).max() < 1e-6


def test_the_files_are_those_of_a_static_embedding(checkpoint, tmp_path):
    export(checkpoint, tmp_path / "exported", "embedder")
    files = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("exported/**/*")}
    assert files >= {
        "exported/modules.json",
        "exported/0_StaticEmbedding/model.safetensors",
        "exported/0_StaticEmbedding/tokenizer.json",
        "exported/README.md",
    }


def test_a_table_that_has_changed_is_not_exported(checkpoint, tmp_path):
    checkpoint.file(FILE).write_bytes(b"other bytes")
    with pytest.raises(DataError, match="has changed"):
        export(checkpoint, tmp_path / "exported", "embedder")
    assert list(tmp_path.glob("*exported*")) == []
