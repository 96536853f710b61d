"""The tokenizer: byte-level BPE, trained on the corpus and stored as a `tokenizer.json`.

That one file holds everything, in the format that transformers reads. Its merges are listed so that
tiktoken, which is several times faster, gives the same ids; tiktoken does the encoding. The special
tokens have the first ids; no text is ever encoded as one of them, however it looks: they are added
by id only. For a corpus made with control tokens (corpus/control.py), those that it holds are
reserved after the special tokens of every model.

Not here: the chat template, which `export.py` writes, and the shards of tokens (`corpus/shards.py`,
whose `Encoder` a `Tokenizer` is).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import tiktoken
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as HfTokenizer

from rookery.core.artifact import Artifact
from rookery.core.atomic import write_atomically
from rookery.core.context import Context, Task
from rookery.core.digest import digest_bytes
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.document import MORE_IS_NEEDED, SPLITS, read_documents

FILE = "tokenizer.json"
STAGE_VERSION = 1
MULTIPLE = 64
MOST_TRAINING_BYTES = 50_000_000

_HINT = "Remove the folder that should hold it and run the command again"
END_OF_DOCUMENT = "<|endofdocument|>"
SYSTEM, USER, ASSISTANT, END_OF_TURN = "<|system|>", "<|user|>", "<|assistant|>", "<|endofturn|>"
SPECIAL_TOKENS = (END_OF_DOCUMENT, SYSTEM, USER, ASSISTANT, END_OF_TURN)
"""Each one's id is its place here. All but the first are for chat: pretraining never uses them."""

# No merge crosses the end of a piece: an English contraction, a word with the character before it,
# one or two digits, a run of signs, line ends, blanks. This is Qwen2's pattern with three changes.
# Marks count as letters, since a word of Hindi or Thai would be cut at every vowel. Numbers are cut
# after two digits, which nanochat found better for small vocabularies. Runs of blanks are bounded,
# since a million of them would overflow the stack of tiktoken's regular expressions.
PIECES = "|".join(
    (
        r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])",
        r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
        r"\p{N}{1,2}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s{0,128}[\r\n]+",
        r"\s{1,128}(?!\S)",
        r"\s{1,128}",
    )
)


class Tokenizer:
    """A tokenizer from text to token ids and back; an `Encoder` of corpus/shards.py."""

    def __init__(self, file_text: str):
        """Read the text of a `tokenizer.json` that `train_bpe` made."""
        self.file_text = file_text
        self.digest = digest_bytes(file_text.encode())
        file = json.loads(file_text)
        vocabulary = file["model"]["vocab"]
        self.vocabulary = len(vocabulary)
        self.end_of_document = vocabulary[END_OF_DOCUMENT]
        self.special: Mapping[str, int] = {
            token["content"]: vocabulary[token["content"]] for token in file["added_tokens"]
        }
        self._bytes = _bytes_of_tokens(
            {text: token for text, token in vocabulary.items() if text not in self.special}
        )
        ranks = {data: token for token, data in self._bytes.items()}
        self._encoding = tiktoken.Encoding(
            "rookery", pat_str=PIECES, mergeable_ranks=ranks, special_tokens={}
        )

    @cached_property
    def textual(self) -> list[int]:
        """Return the ids that stand for text, in rising order: neither special nor unused."""
        return sorted(self._bytes)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, without an end-of-document token.

        Half a surrogate pair becomes U+FFFD.
        """
        return [self._encoding.encode_ordinary(text) for text in texts]

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
    _check_vocabulary(vocabulary)
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

    Raises `DataError` if it has changed since it was written, or is none of ours.
    """
    artifact.verify([FILE])
    return read_tokenizer(artifact.file(FILE))


def read_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer of a file; raise `DataError` if it is missing or none of ours."""
    try:
        return Tokenizer(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError("there is no tokenizer.json", where=path, hint=_HINT) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"not a tokenizer of Rookery: {error!r}", where=path, hint=_HINT) from None


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


def train_bpe(texts: Iterable[str], vocabulary: int, controls: Sequence[str] = ()) -> str:
    """Return the text of a `tokenizer.json` of exactly `vocabulary` tokens.

    controls: tokens that are reserved, after the special ones.
    """
    special = [*SPECIAL_TOKENS, *controls]
    _check_vocabulary(vocabulary, len(special))
    trained = _hf_tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    learned = trained.get_vocab()
    whole = learned | _unused(len(learned), vocabulary)
    # ignore_merges: a piece that is a token becomes that token at once, as in tiktoken
    hf = _hf_tokenizer(
        models.BPE(vocab=whole, merges=_merges(learned, special), ignore_merges=True)
    )
    hf.add_special_tokens(special)
    return json.dumps(json.loads(hf.to_str()), ensure_ascii=False, indent=1)


def _hf_tokenizer(model: models.BPE) -> HfTokenizer:
    hf = HfTokenizer(model)
    hf.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    hf.decoder = decoders.ByteLevel()
    return hf


def _merges(vocabulary: dict[str, int], special: Sequence[str]) -> list[tuple[str, str]]:
    """Return every pair of tokens that joins into a token, in the order of the joined tokens.

    tiktoken joins any two neighbours whose joined bytes are a token, lowest id first; Hugging Face
    joins only pairs that are listed, first listed first. With all pairs listed in the order of ids,
    the two agree.
    """
    tokens = sorted(vocabulary.keys() - set(special), key=vocabulary.__getitem__)
    known = set(tokens)
    return [
        (token[:cut], token[cut:])
        for token in tokens
        for cut in range(1, len(token))
        if token[:cut] in known and token[cut:] in known
    ]


def _unused(learned: int, vocabulary: int) -> dict[str, int]:
    """Return names for the ids that a small corpus leaves over.

    They contain a blank, which byte-level text never does, so that no text is encoded as one.
    """
    return {f"<|unused {n}|>": n for n in range(learned, vocabulary)}


def _bytes_of_tokens(vocabulary: dict[str, int]) -> dict[int, bytes]:
    """Return the bytes of every token that stands for text."""
    byte_of = _byte_of_character()
    texts = ((token, text) for text, token in vocabulary.items() if " " not in text)
    return {token: bytes(map(byte_of.__getitem__, text)) for token, text in texts}


def _byte_of_character() -> dict[str, int]:
    """Return the byte that each printable character of a `tokenizer.json` stands for.

    This is GPT-2's table (openai/gpt-2 encoder.py): bytes that are printable Latin-1 stand for
    themselves; the 68 others are written as the characters from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + n): b for n, b in enumerate(others)}


def _check_vocabulary(vocabulary: int, special: int = len(SPECIAL_TOKENS)) -> None:
    least = -(-(256 + special) // MULTIPLE) * MULTIPLE
    if vocabulary % MULTIPLE or vocabulary < least:
        raise UsageError(
            f"a vocabulary must be a multiple of {MULTIPLE} and at least {least}, not {vocabulary}"
        )


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
