"""The tokenizer: byte-level BPE trained on the corpus, encoded by tiktoken, stored as Hugging
Face's `tokenizer.json`.

One file holds everything: `tokenizer.json` as transformers reads it. The merges in it are laid out
so that tiktoken, which is several times faster, gives the same ids. The special tokens have the
first ids; no text is ever encoded as one of them, however it looks: they are added by id only. A
corpus made with control tokens (corpus/control.py) reserves those it holds, after the special ones
of every model.

Not here: the chat template, which is written by `export.py`; the shards of tokens, which are
`corpus/shards.py`, to which a `Tokenizer` is the `Encoder`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import tiktoken
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as HfTokenizer

from rookery.core.artifact import Artifact, write_atomically
from rookery.core.context import Context
from rookery.core.digest import digest_bytes
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.document import MORE_IS_NEEDED, SPLITS, read_documents

FILE = "tokenizer.json"
STAGE_VERSION = 1
MULTIPLE = 64
MOST_TRAINING_BYTES = 50_000_000

_MEND = "Remove the folder that it is to lie in and run the command again"
END_OF_DOCUMENT = "<|endofdocument|>"
SYSTEM, USER, ASSISTANT, END_OF_TURN = "<|system|>", "<|user|>", "<|assistant|>", "<|endofturn|>"
SPECIAL_TOKENS = (END_OF_DOCUMENT, SYSTEM, USER, ASSISTANT, END_OF_TURN)
"""Their ids are their places here. All but the first are for chat, and are not seen in
pretraining.
"""

# A piece is what no merge crosses: an English contraction, a word with the character before it, one
# or two digits, a run of signs, line ends, blanks. After Qwen2's pattern; marks count as letters,
# since a word of Hindi or Thai would be cut at every vowel; two digits, as nanochat found better
# for small vocabularies. Runs of blanks are bounded, or a million of them would overflow the stack
# of tiktoken's regular expressions.
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
    """Text to token ids and back; the `Encoder` of corpus/shards.py."""

    def __init__(self, file_text: str):
        """From the text of a `tokenizer.json` that `train_bpe` made."""
        self.file_text = file_text
        self.digest = digest_bytes(file_text.encode())
        file = json.loads(file_text)
        vocabulary = file["model"]["vocab"]
        self.vocabulary = len(vocabulary)
        self.end_of_document = vocabulary[END_OF_DOCUMENT]
        self.special = {
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
        """The ids that stand for text, rising: neither special nor unused."""
        return sorted(self._bytes)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, without an end-of-document token; half a surrogate pair becomes
        U+FFFD.
        """
        return [self._encoding.encode_ordinary(text) for text in texts]

    def token_bytes(self, token: int) -> bytes:
        """What a token stands for; nothing for a special or unused one."""
        return self._bytes.get(token, b"")

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of some tokens; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, tokens)).decode("utf-8", "replace")


def train_tokenizer(home: Home, corpus: Artifact, context: Context, vocabulary: int) -> Artifact:
    """The artifact of a tokenizer trained on the corpus' training documents (the first 50 MB of
    their shuffled order).

    Its vocabulary is exactly the one asked for, whatever the corpus yields; a multiple of 64.
    """
    _check_vocabulary(vocabulary)
    config = {"vocabulary": vocabulary, "most_bytes": MOST_TRAINING_BYTES, "pieces": PIECES}
    stage = Stage("tokenizer", STAGE_VERSION, config, {"corpus": corpus.digest})

    def make(workspace: Workspace) -> dict[str, Any]:
        texts = list(prefix(training_texts(corpus), MOST_TRAINING_BYTES))
        if not texts:
            raise DataError(
                "the corpus has no training documents to make a tokenizer of",
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
    """The tokenizer of a tokenizer artifact, or of a checkpoint, which keeps a copy.

    Raises `DataError` if it is not what was written, or none of ours.
    """
    artifact.verify([FILE])
    return read_tokenizer(artifact.file(FILE))


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a file; raises `DataError` if it is missing or not one of ours."""
    try:
        return Tokenizer(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError("there is no tokenizer.json", where=path, hint=_MEND) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"not a tokenizer of Rookery: {error!r}", where=path, hint=_MEND) from None


def training_texts(corpus: Artifact) -> Iterator[str]:
    """The texts of the corpus' training documents, in their shuffled order."""
    for batch in read_documents(corpus, "train", columns=["text"]):
        yield from batch.column("text").to_pylist()


def control_tokens(corpus: Artifact) -> list[str]:
    """The control tokens that any document of the corpus begins with, sorted."""
    found: set[str] = set()
    for split in SPLITS:
        for batch in read_documents(corpus, split, columns=["controls"]):
            found.update(pc.unique(batch.column("controls").flatten()).to_pylist())
    return sorted(found)


def train_bpe(texts: Iterable[str], vocabulary: int, controls: Sequence[str] = ()) -> str:
    """The text of a `tokenizer.json` of exactly `vocabulary` tokens, of which `controls` are
    reserved.
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
    # ignore_merges: a piece that is a token is that token, as tiktoken has it.
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
    """Every way to put each token together from two others, in the order of the tokens.

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
    """Names for ids that a small corpus left over. They hold a blank, which byte-level text never
    does: none is met.
    """
    return {f"<|unused {n}|>": n for n in range(learned, vocabulary)}


def _bytes_of_tokens(vocabulary: dict[str, int]) -> dict[int, bytes]:
    """The bytes of every token that stands for text."""
    byte_of = _byte_of_character()
    texts = ((token, text) for text, token in vocabulary.items() if " " not in text)
    return {token: bytes(map(byte_of.__getitem__, text)) for token, text in texts}


def _byte_of_character() -> dict[str, int]:
    """The printable character that stands for each byte in a `tokenizer.json` (GPT-2's table,
    openai/gpt-2 encoder.py).

    Bytes that are printable Latin-1 stand for themselves; the 68 others follow from U+0100 on.
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
    """The first texts, up to the one that passes `most_bytes`."""
    taken = 0
    for text in texts:
        taken += len(text.encode())
        if taken > most_bytes:
            return
        yield text


def _advancing(texts: Iterable[str], task) -> Iterator[str]:
    for text in texts:
        yield text
        task.advance()


def _metrics(tokenizer: Tokenizer, texts: Sequence[str]) -> dict[str, Any]:
    """What is worth knowing of a tokenizer; bytes per token on a sample of what it was trained
    on.
    """
    sample = texts[:2_000]
    tokens = sum(map(len, tokenizer.encode(sample)))
    return {
        "vocabulary": tokenizer.vocabulary,
        "learned": len(tokenizer.textual) - 256,
        "training_bytes": sum(len(t.encode()) for t in texts),
        "bytes_per_token": round(sum(len(t.encode()) for t in sample) / max(tokens, 1), 3),
    }
