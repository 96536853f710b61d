"""The embedder as sentence-transformers has it: a `StaticEmbedding`, then a `Normalize`.

A text's vector there is the mean of its tokens' rows, scaled to length 1, which is what ours is.
The tokenizer that goes with it knows no added token, so that a text which spells one is text there
too.
"""

import json
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from rookery.core.artifact import Artifact
from rookery.model.embed import TableEmbedder, load_embedder
from rookery.model.tokens.encoding import text_only

TABLE_FOLDER, NORM_FOLDER = "0_StaticEmbedding", "1_Normalize"
_MODULES = [
    {"idx": idx, "name": str(idx), "path": path, "type": f"sentence_transformers.models.{kind}"}
    for idx, (path, kind) in enumerate(
        [(TABLE_FOLDER, "StaticEmbedding"), (NORM_FOLDER, "Normalize")]
    )
]
_CONFIG: dict[str, Any] = {
    "prompts": {},
    "default_prompt_name": None,
    "similarity_fn_name": "cosine",
}


def write_embedder(checkpoint: Artifact, folder: Path) -> None:
    """Write the embedder of a checkpoint, or a tuned one, into a folder.

    Raises `DataError` if it has changed since it was written.
    """
    embedder = load_embedder(checkpoint)
    assert isinstance(embedder, TableEmbedder)
    for name in (TABLE_FOLDER, NORM_FOLDER):
        (folder / name).mkdir()
    save_file({"embedding.weight": embedder.table}, folder / TABLE_FOLDER / "model.safetensors")
    file = text_only(json.loads(embedder.tokenizer.file_text))
    _write(folder / TABLE_FOLDER / "tokenizer.json", file)
    _write(folder / NORM_FOLDER / "config.json", {})
    _write(folder / "modules.json", _MODULES)
    _write(folder / "config_sentence_transformers.json", _CONFIG)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
