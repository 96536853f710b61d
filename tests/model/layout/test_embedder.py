"""The embedder in sentence-transformers: the same vectors, whatever a text spells."""

import numpy as np
import pytest
from foreign_models import save_model
from tokenizers import Tokenizer as HfTokenizer

from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.core.stage import Stage, run_stage
from rookery.model.adopt import adopt
from rookery.model.embed import FILE, TUNED, fold, load_embedder, write_table
from rookery.model.export import export
from rookery.model.tokenizer import load_tokenizer, train_bpe

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


def test_a_tuned_embedder_reads_there_what_it_reads_here(home, tmp_path):
    """It leaves out links, mentions, case and signs; there, its tokenizer does."""
    texts = [
        "RT @ada: The ROOKS, they came BACK!! https://example.org/a?b=1 www.rooks.org now",
        "rt @ada @bob.c hi",
        "ΓΡΑΧΙ ΟΔΟΣ οδός Грачи ВЕРНУЛИСЬ #Вязы",
        "Größe ÄRGER",
        "ÄRGER ½ ﬁne Ａｂｃ ①",
        "ミヤマガラスが　戻った！",
        "mail me@example.org, 10:30",
        "x😂❤️y \u200d z",
        "https://t.co/only",
        "",
    ]

    def tune(workspace):
        tokenizer = train_bpe(fold(texts) * 9, 384)
        (workspace.path / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
        rows = np.random.default_rng(0).normal(size=(384, 16)).astype(np.float32)
        write_table(workspace.path, rows)
        return {"pairs": {"reply": 70, "crop": 50}, "vocabulary": 384, "dimensions": 16}

    made = run_stage(home, Stage(TUNED, 1, {}, {}), tune, Context())
    export(made, tmp_path / "exported", "embedder")
    there = HfTokenizer.from_file(str(tmp_path / "exported/0_StaticEmbedding/tokenizer.json"))
    ids = [one.ids for one in there.encode_batch(texts, add_special_tokens=False)]
    assert ids == load_tokenizer(made).encode(fold(texts))
    assert "120 pairs" in " ".join((tmp_path / "exported/README.md").read_text().split())


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
