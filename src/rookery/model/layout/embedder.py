"""The embedder as sentence-transformers has it: a `StaticEmbedding`, then a `Normalize`.

A text's vector there is the mean of its tokens' rows, scaled to length 1, which is what ours is.
The tokenizer that goes with it knows no added token, so that a text which spells one is text there
too. A tuned embedder reads texts without case, links and signs (`embed.fold`); there, normalisers
of its tokenizer do that.
"""

import json
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from rookery.core.artifact import Artifact
from rookery.corpus.normalize import LINK, MARKS, MENTION, REPOST_MARK
from rookery.model.embed import TableEmbedder, load_embedder
from rookery.model.tokens.encoding import text_only

TABLE_FOLDER, NORM_FOLDER = "0_StaticEmbedding", "1_Normalize"
_WORD, _BLANK = "0-9A-Za-z_", r"[\t\n\f\r ]"
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
    if embedder.folded:
        file["normalizer"] = {"type": "Sequence", "normalizers": _folding()}
    _write(folder / TABLE_FOLDER / "tokenizer.json", file)
    _write(folder / NORM_FOLDER / "config.json", {})
    _write(folder / "modules.json", _MODULES)
    _write(folder / "config_sentence_transformers.json", _CONFIG)


def _folding() -> list[dict[str, Any]]:
    """Return the normalisers that do what `embed.fold` does.

    Folded case is lower case but for two letters in use, and for some that no language uses today.
    """
    return [
        _replace(f"(?:(?:{_ascii(REPOST_MARK)}|{_ascii(LINK)}|{_ascii(MENTION)}){_BLANK}*)+", " "),
        {"type": "NFKC"},
        {"type": "Lowercase"},
        _replace("ς", "σ"),
        _replace("ß", "ss"),
        _replace(MARKS, " "),
        {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Prepend", "prepend": " "},
    ]


def _replace(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def _ascii(pattern: str) -> str:
    """Return a pattern of Arrow's, whose classes are those of ASCII, for a library of Unicode."""
    for ours, theirs in (
        (r"\b", f"(?<![{_WORD}])"),
        (r"[\w", f"[{_WORD}"),
        (r"\w", f"[{_WORD}]"),
        (r"\S", _BLANK.replace("[", "[^")),
    ):
        pattern = pattern.replace(ours, theirs)
    return pattern


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
