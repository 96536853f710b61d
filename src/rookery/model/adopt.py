"""Adopting: a local folder of Hugging Face becomes a checkpoint like any other.

It is read once, strictly (`layout/`): what the network does not compute is refused by its key.
Weights become float32 under the names that they have already; tokenizer, end tokens and chat
template stay as their maker made them. The embedder's table is that of the model's output matrix,
with the token frequencies of the home's newest corpus if it has one; else it is the matrix itself,
centred. Nothing is downloaded. Not here: learning from posts afterwards (`tuning/`).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rookery.core.artifact import Artifact
from rookery.core.atomic import write_atomically
from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.digest import digest_file, digest_value
from rookery.core.errors import DataError
from rookery.core.home import Home
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.document import LAKE_VERSION, read_documents
from rookery.model.checkpoint import save_network
from rookery.model.embed import MOST_DOCUMENTS, make_table, write_table
from rookery.model.layout.config import shape_of
from rookery.model.layout.roles import read_roles
from rookery.model.layout.tensors import Stored
from rookery.model.layout.weights import stored_weights, weight_files
from rookery.model.network import head_name
from rookery.model.shape import ModelShape, parameters
from rookery.model.tokenizer import FILE, ROLES, TEMPLATE, Tokenizer
from rookery.model.tokens.roles import Roles
from rookery.model.tuning.template import ChatTemplate
from rookery.posts.live import live_log
from rookery.posts.restrictions import Restrictions

STAGE_VERSION = 1
CONTEXT_TOKENS = 1024
ENCODED_TOGETHER = 1024  # documents
_CONFIGS = ("config.json", "tokenizer_config.json", "generation_config.json")
_LICENCE = re.compile(r"^license:\s*(\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class AdoptConfig:
    """The settings of an adoption. context_tokens: how many tokens the model shall see at once."""

    context_tokens: int = CONTEXT_TOKENS


@dataclass(frozen=True)
class Source:
    """A folder of Hugging Face, read and found usable.

    digest: of all files that were read. licence: as the model's own card states it; empty where
    none is stated.
    """

    name: str
    licence: str
    digest: str
    architecture: str
    shape: ModelShape
    weights: Stored
    file_text: str
    roles: Roles
    template: str | None


def adopt(
    home: Home, folder: Path, context: Context, config: AdoptConfig | None = None
) -> Artifact:
    """Make a checkpoint of a local folder of Hugging Face, and return it.

    Raises `DataError` for a folder that is not whole, or that asks for more than the network
    computes; then nothing is written.
    """
    config = config or AdoptConfig()
    source, corpus = read_source(folder, config.context_tokens), home.newest("corpus")
    with live_log(home) as log:
        restrictions = log.restrictions()
    inputs = {"source": source.digest}
    if corpus is not None:
        inputs |= {"corpus": corpus.digest, "standing": restrictions.digest}
    stage = Stage("checkpoint", STAGE_VERSION, config, inputs)

    def make(workspace: Workspace) -> dict[str, Any]:
        save_network(workspace.path, source.shape, source.weights)
        tokenizer = _save_tokenizer(workspace.path, source)
        head = head_name(source.shape)
        rows_VD = source.weights.read([head])[head].numpy()
        table = _table(rows_VD, tokenizer, corpus, restrictions)
        write_table(workspace.path, table)
        return _metrics(source)

    return run_stage(home, stage, make, context)


def read_source(folder: Path, context_tokens: int = CONTEXT_TOKENS) -> Source:
    """Read a folder of Hugging Face, all but its weights, and check that it can be adopted.

    Raises `DataError` with the file and the key of what is missing or cannot be.
    """
    configs = {name: _json(folder / name, name == _CONFIGS[0]) for name in _CONFIGS}
    config, tokenizer_config, generation_config = configs.values()
    try:
        shape = shape_of(config, context_tokens)
    except DataError as error:
        raise DataError(error.what, where=folder / _CONFIGS[0], hint=error.hint) from None
    weights = stored_weights(folder, shape)
    file = _json(folder / FILE, True)
    file_text = (folder / FILE).read_text(encoding="utf-8")
    template = _template(folder, tokenizer_config)
    try:
        roles = read_roles(file, config, tokenizer_config, generation_config)
        tokenizer = Tokenizer(file_text, roles)
        if template is not None:
            ChatTemplate(template, tokenizer)
    except DataError as error:
        raise DataError(error.what, where=folder / FILE, hint=error.hint) from None
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a tokenizer: {error!r}", where=folder / FILE) from None
    return Source(
        name=folder.resolve().name,
        licence=_licence(folder),
        digest=_digest(folder),
        architecture=config["architectures"][0],
        shape=shape,
        weights=weights,
        file_text=file_text,
        roles=roles,
        template=template,
    )


def _json(path: Path, needed: bool) -> dict[str, Any]:
    """Return a parsed file; an empty table for one that is not there and not needed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not needed:
            return {}
        raise DataError(
            f"there is no {path.name}",
            where=path.parent,
            hint="Give the folder of a model, as transformers saves it",
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"it cannot be read: {error}", where=path, hint="Copy it again") from None
    if not isinstance(found, dict):
        raise DataError("it is no JSON object", where=path)
    return found


def _template(folder: Path, tokenizer_config: Mapping[str, Any]) -> str | None:
    """Return the model's own chat template: a file of its own, or in tokenizer_config.json."""
    if (path := folder / TEMPLATE).exists():
        return path.read_text(encoding="utf-8")
    given = tokenizer_config.get("chat_template")
    if isinstance(given, list):  # several, of which one is for plain chat
        given = next((one["template"] for one in given if one.get("name") == "default"), None)
    return given


def _licence(folder: Path) -> str:
    """Return the licence that the head of a model card names; empty where none is named."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.exists() else ""
    head = text.split("---", 2)[1] if text.startswith("---") and text.count("---") > 1 else ""
    found = _LICENCE.search(head)
    return found.group(1).strip("'\"") if found else ""


def _digest(folder: Path) -> str:
    """Return the digest of all files that an adoption reads."""
    names = (*_CONFIGS, FILE, TEMPLATE, "README.md")
    files = [*weight_files(folder), *(folder / name for name in names)]
    return digest_value({path.name: digest_file(path) for path in files if path.exists()})


def _save_tokenizer(folder: Path, source: Source) -> Tokenizer:
    write_atomically(folder / FILE, source.file_text.encode())
    write_atomically(folder / ROLES, json.dumps(to_plain(source.roles), indent=1).encode())
    if source.template is not None:
        write_atomically(folder / TEMPLATE, source.template.encode())
    return Tokenizer(source.file_text, source.roles)


def _table(
    rows_VD: np.ndarray, tokenizer: Tokenizer, corpus: Artifact | None, restrictions: Restrictions
) -> np.ndarray:
    """Return the embedder's table (V, D, float32) of an output matrix."""
    if corpus is None:
        return rows_VD - rows_VD.mean(axis=0)
    texts = list(_texts(corpus, restrictions))
    documents = [
        np.array(tokens, np.int64)
        for start in range(0, len(texts), ENCODED_TOGETHER)
        for tokens in tokenizer.encode(texts[start : start + ENCODED_TOGETHER])
    ]
    return make_table(rows_VD, documents)


def _texts(corpus: Artifact, restrictions: Restrictions) -> Iterator[str]:
    """Yield the first training documents of a corpus, without those that may not be learned now."""
    version, left = corpus.manifest.metrics[LAKE_VERSION], MOST_DOCUMENTS
    for batch in read_documents(corpus, "train", ["text", "post_ids", "author_ids"]):
        for row in batch.to_pylist():
            posts = zip(row["post_ids"], row["author_ids"], strict=True)
            if not any(restrictions.forbids("training", *post, version) for post in posts):
                yield row["text"]
                left -= 1
            if not left:
                return


def _metrics(source: Source) -> dict[str, Any]:
    return {
        "parameters": parameters(source.shape),
        "adopted": {
            "name": source.name,
            "licence": source.licence or "not stated",
            "architecture": source.architecture,
            "source": source.digest,
        },
        "context_tokens": source.shape.context_tokens,
    }
