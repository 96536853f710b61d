"""The tokenizer: byte-level BPE, trained on the corpus or adopted with a model.

It is a `tokenizer.json`, in the format that transformers reads, and it obeys that file
(`tokens/encoding.py`). No text is ever encoded as a special token, however it looks: those are
added by id only. Of our own tokenizers the special tokens have the first ids; for a corpus made
with control tokens (corpus/control.py), those that it holds are reserved after them.

Beside the file of an adopted tokenizer lie its roles (`tokens/roles.py`) and its chat template
(`tuning/template.py`); who copies a tokenizer copies all three (`copy_tokenizer`). Not here: how
merges are learned (`tokens/bpe.py`), and the shards of tokens (`corpus/shards.py`, whose `Encoder`
a `Tokenizer` is).
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from rookery.core.artifact import Artifact
from rookery.core.atomic import write_atomically
from rookery.core.config import from_plain
from rookery.core.context import Context, Task
from rookery.core.digest import digest_bytes
from rookery.core.errors import DataError
from rookery.core.home import Home
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.control import KINDS
from rookery.corpus.document import MORE_IS_NEEDED, SPLITS, read_documents
from rookery.model.tokens.bpe import PIECES, check_vocabulary, train_bpe
from rookery.model.tokens.encoding import added_tokens, encoder_of, written_bytes
from rookery.model.tokens.roles import FILE as ROLES
from rookery.model.tokens.roles import Roles, roles_by_name

FILE, TEMPLATE = "tokenizer.json", "chat_template.jinja"
STAGE_VERSION = 2
MOST_TRAINING_BYTES = 50_000_000
_HINT = "Remove the folder that should hold it and run the command again"


class Tokenizer:
    """A tokenizer from text to token ids and back; an `Encoder` of corpus/shards.py.

    vocabulary: how many outputs the network has, some of which may be no token. special: the ids of
    the added tokens by name. end_of_document: the token between documents. ends: those that end a
    continuation. opening: those that a plain prompt begins with as in training, possibly none.
    """

    def __init__(self, file_text: str, roles: Roles | None = None):
        """Read the text of a `tokenizer.json`.

        roles: what its tokens mean; without them, what their names say. Raises `DataError` for one
        that is not byte-level BPE.
        """
        file = json.loads(file_text)
        self.file_text = file_text
        self.digest = digest_bytes(file_text.encode())
        self.special: Mapping[str, int] = added_tokens(file)
        self.roles = roles = roles or roles_by_name(file)
        self.vocabulary, self.end_of_document = roles.vocabulary, roles.end_of_document
        self.ends, self.opening = roles.ends, roles.opening
        self._bytes = written_bytes(file)
        self._encoder = encoder_of(file)

    @property
    def before_text(self) -> tuple[int, ...]:
        """Return the tokens that a text's first token is predicted from.

        They are the opening, or the end of the document before where a prompt begins with nothing.
        """
        return self.opening or (self.end_of_document,)

    @property
    def controls(self) -> Mapping[str, int]:
        """Return the control tokens (corpus/control.py) by name."""
        begin = tuple(f"<|{kind}:" for kind in KINDS)
        return {name: token for name, token in self.special.items() if name.startswith(begin)}

    @cached_property
    def textual(self) -> list[int]:
        """Return the ids that stand for text, in rising order: neither special nor unused."""
        return sorted(self._bytes)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, without opening and end.

        Half a surrogate pair becomes U+FFFD.
        """
        return self._encoder.encode(texts)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that a token stands for; none for a special or unused one."""
        return self._bytes.get(token, b"")

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of some tokens; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, tokens)).decode("utf-8", "replace")


def train_tokenizer(home: Home, corpus: Artifact, context: Context, vocabulary: int) -> Artifact:
    """Train a tokenizer on a corpus' training documents, and return its artifact.

    It learns from the first 50 MB of their shuffled order. vocabulary: how many tokens it has,
    exactly, whatever the corpus yields; a multiple of 64. Raises `UsageError` for another number,
    `DataError` if there are no training documents.
    """
    check_vocabulary(vocabulary)
    config = {"vocabulary": vocabulary, "most_bytes": MOST_TRAINING_BYTES, "pieces": PIECES}
    stage = Stage("tokenizer", STAGE_VERSION, config, {"corpus": corpus.digest})

    def make(workspace: Workspace) -> dict[str, Any]:
        texts = list(prefix(training_texts(corpus), MOST_TRAINING_BYTES))
        if not texts:
            raise DataError(
                "the corpus has no training documents to train a tokenizer on",
                where=corpus.path,
                hint=MORE_IS_NEEDED,
            )
        with context.progress.task("tokenizer", len(texts), "documents") as task:
            tokenizer = Tokenizer(
                train_bpe(_advancing(texts, task), vocabulary, control_tokens(corpus))
            )
        write_atomically(workspace.path / FILE, tokenizer.file_text.encode())
        return _metrics(tokenizer, texts)

    return run_stage(home, stage, make, context)


def load_tokenizer(artifact: Artifact) -> Tokenizer:
    """Return the tokenizer of a tokenizer artifact, or of a checkpoint, which holds a copy.

    Raises `DataError` if it has changed since it was written, or is no tokenizer.
    """
    artifact.verify([name for name in (FILE, ROLES) if name == FILE or holds(artifact, name)])
    return read_tokenizer(artifact.file(FILE))


def holds(artifact: Artifact, name: str) -> bool:
    """Return whether a file is one of an artifact's, by its manifest."""
    return any(entry.path == name for entry in artifact.manifest.files)


def copy_tokenizer(artifact: Artifact, folder: Path) -> None:
    """Copy the files of an artifact's tokenizer, with its roles and chat template if it has any."""
    for name in (FILE, ROLES, TEMPLATE):
        if name == FILE or holds(artifact, name):
            shutil.copyfile(artifact.file(name), folder / name)


def read_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer of a file, with the roles that lie beside it.

    Raises `DataError` if it is missing or no tokenizer that a network can have here.
    """
    roles = path.with_name(ROLES)
    try:
        known = from_plain(Roles, json.loads(roles.read_text())) if roles.exists() else None
        return Tokenizer(path.read_text(encoding="utf-8"), known)
    except FileNotFoundError:
        raise DataError("there is no tokenizer.json", where=path, hint=_HINT) from None
    except DataError as error:
        raise DataError(error.what, where=path, hint=error.hint or _HINT) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a tokenizer: {error!r}", where=path, hint=_HINT) from None


def training_texts(corpus: Artifact) -> Iterator[str]:
    """Yield the texts of the corpus' training documents, in their shuffled order."""
    for batch in read_documents(corpus, "train", columns=["text"]):
        yield from batch.column("text").to_pylist()


def control_tokens(corpus: Artifact) -> list[str]:
    """Return all control tokens that documents of the corpus begin with, sorted."""
    found: set[str] = set()
    for split in SPLITS:
        for batch in read_documents(corpus, split, columns=["controls"]):
            found.update(pc.unique(batch.column("controls").flatten()).to_pylist())
    return sorted(found)


def prefix(texts: Iterable[str], most_bytes: int) -> Iterator[str]:
    """Yield the first texts, as many as have at most `most_bytes` bytes together."""
    taken = 0
    for text in texts:
        taken += len(text.encode())
        if taken > most_bytes:
            return
        yield text


def _advancing(texts: Iterable[str], task: Task) -> Iterator[str]:
    for text in texts:
        yield text
        task.advance()


def _metrics(tokenizer: Tokenizer, texts: Sequence[str]) -> dict[str, Any]:
    """Return the metrics of a tokenizer; bytes per token on a sample of its training texts."""
    sample = texts[:2_000]
    tokens = sum(map(len, tokenizer.encode(sample)))
    return {
        "vocabulary": tokenizer.vocabulary,
        "learned": len(tokenizer.textual) - 256,
        "training_bytes": sum(len(t.encode()) for t in texts),
        "bytes_per_token": round(sum(len(t.encode()) for t in sample) / max(tokens, 1), 3),
    }
