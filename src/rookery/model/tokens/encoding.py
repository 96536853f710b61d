"""Encoding: a `tokenizer.json` obeyed as it stands, by tiktoken where that gives the same ids.

Pattern, normaliser, merges and added tokens are the file's own, so that a change of what new
tokenizers are like leaves every older one as it is. tiktoken encodes for files of our own making:
their pattern is one that both libraries were compared on, and all pairs of tokens that join are
listed (`bpe.py`). Every other file, and a very long text, is encoded by `tokenizers`, several times
slower. The network needs the bytes of each token, so a file must be byte-level BPE.

No text is encoded as an added token, however it looks: neither library is told of them. Not here:
which tokens end a text or begin a prompt (`roles.py`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import tiktoken
from tokenizers import Tokenizer as HfTokenizer

from rookery.core.errors import DataError
from rookery.model.tokens.bpe import PIECES, all_merges

# that of tokenizers of an earlier release, which took two digits together
TWO_DIGITS = "|".join(
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
COMPARED_PATTERNS = (PIECES, TWO_DIGITS)
# characters; a million blanks would overflow the stack of tiktoken's regular expressions
LONGEST_FOR_TIKTOKEN = 100_000


class TextEncoder(Protocol):
    """A way from texts to ids, of text alone."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text; half a surrogate pair becomes U+FFFD."""


def encoder_of(file: Mapping[str, Any]) -> TextEncoder:
    """Return the fastest encoder that gives the ids of a parsed `tokenizer.json`.

    Raises `DataError` with the key of what is not byte-level BPE.
    """
    _check_byte_level(file)
    pattern = _pattern_of_ours(file)
    return LibraryEncoder(file) if pattern is None else TiktokenEncoder(file, pattern)


class LibraryEncoder:
    """The `tokenizers` library, told of no added token."""

    def __init__(self, file: Mapping[str, Any]):
        try:
            self._hf = HfTokenizer.from_str(json.dumps(text_only(file)))
        except Exception as error:  # the library raises nothing more special
            raise DataError(f"the library tokenizers refuses it: {error}") from None

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        whole = [
            text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts
        ]
        return [one.ids for one in self._hf.encode_batch_fast(whole, add_special_tokens=False)]


class TiktokenEncoder:
    """tiktoken, for the files of our own making."""

    def __init__(self, file: Mapping[str, Any], pattern: str):
        self._file = file
        ranks = {data: token for token, data in text_bytes(file).items()}
        self._encoding = tiktoken.Encoding(
            "rookery", pat_str=pattern, mergeable_ranks=ranks, special_tokens={}
        )

    @cached_property
    def _for_long_texts(self) -> LibraryEncoder:
        return LibraryEncoder(self._file)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [
            self._encoding.encode_ordinary(text)
            if len(text) <= LONGEST_FOR_TIKTOKEN
            else self._for_long_texts.encode([text])[0]
            for text in texts
        ]


def text_only(file: Mapping[str, Any]) -> dict[str, Any]:
    """Return a `tokenizer.json` that encodes text as we do: it knows no added token."""
    model = dict(file["model"])
    if model.get("ignore_merges"):  # else a piece that spells an added token would become it
        added = added_tokens(file)
        model["vocab"] = {k: v for k, v in model["vocab"].items() if k not in added}
    without: dict[str, Any] = {
        "added_tokens": [],
        "post_processor": None,
        "truncation": None,
        "padding": None,
    }
    return {**file, **without, "model": model}


def added_tokens(file: Mapping[str, Any]) -> dict[str, int]:
    """Return the ids of a file's added tokens, by name."""
    return {token["content"]: token["id"] for token in file["added_tokens"]}


def text_bytes(file: Mapping[str, Any]) -> dict[int, bytes]:
    """Return the bytes of every token that text may become.

    Those of the vocabulary are written in GPT-2's characters; one that is not stands for no text.
    """
    byte_of, added = _byte_of_character(), added_tokens(file)
    return {
        token: bytes(map(byte_of.__getitem__, text))
        for text, token in file["model"]["vocab"].items()
        if text not in added and byte_of.keys() >= set(text)
    }


def written_bytes(file: Mapping[str, Any]) -> dict[int, bytes]:
    """Return the bytes of every token that a model may write as text.

    Besides those that text may become, they are the added tokens that the file does not call
    special, such as the marks around what a model thinks.
    """
    plain = {t["id"]: t["content"].encode() for t in file["added_tokens"] if not t["special"]}
    return text_bytes(file) | plain


def split_patterns(file: Mapping[str, Any]) -> tuple[str, ...]:
    """Return how a file cuts text: patterns, and the names of steps that have one of their own."""
    found = []
    for step in _steps(file.get("pre_tokenizer"), "pretokenizers"):
        if step["type"] == "Split":
            found.append(step["pattern"].get("Regex", "a string"))
        elif step["type"] != "ByteLevel" or step.get("use_regex", True):
            found.append(step["type"])
    return tuple(found)


def _check_byte_level(file: Mapping[str, Any]) -> None:
    """Raise `DataError` with the key unless a file's tokens are bytes of the text itself."""
    model, steps = file["model"], list(_steps(file.get("pre_tokenizer"), "pretokenizers"))
    kinds = [step["type"] for step in steps]
    decoders = [step["type"] for step in _steps(file.get("decoder"), "decoders")]
    for key, value, holds in (
        ("model.type", model.get("type"), model.get("type") == "BPE"),
        ("model.dropout", model.get("dropout"), not model.get("dropout")),
        ("pre_tokenizer", kinds, "ByteLevel" in kinds),
        ("decoder", decoders, decoders == ["ByteLevel"]),
        ("add_prefix_space", True, not any(step.get("add_prefix_space") for step in steps)),
    ):
        if not holds:
            raise DataError(f"not byte-level BPE: {key} is {value!r}")


def _steps(part: Mapping[str, Any] | None, of: str) -> Iterable[Mapping[str, Any]]:
    """Return the steps of a normaliser, pre-tokenizer or decoder: one, or those of a sequence."""
    if part is None:
        return []
    return part[of] if part["type"] == "Sequence" else [part]


def _pattern_of_ours(file: Mapping[str, Any]) -> str | None:
    """Return the pattern of a file for which tiktoken gives the same ids; None for another."""
    steps = list(_steps(file.get("pre_tokenizer"), "pretokenizers"))
    if [step["type"] for step in steps] != ["Split", "ByteLevel"] or steps[1].get("use_regex"):
        return None
    split, model = steps[0], file["model"]
    pattern = split["pattern"].get("Regex")
    alike = (
        pattern in COMPARED_PATTERNS
        and (split["behavior"], split["invert"]) == ("Isolated", False)
        and file.get("normalizer") is None
        and model.get("ignore_merges")
    )
    return pattern if alike and _lists_all_merges(file) else None


def _lists_all_merges(file: Mapping[str, Any]) -> bool:
    byte_of, added = _byte_of_character(), added_tokens(file)
    vocabulary = {
        text: token
        for text, token in file["model"]["vocab"].items()
        if text not in added and byte_of.keys() >= set(text)
    }
    merges = [tuple(pair) for pair in file["model"]["merges"]]
    return byte_of.keys() <= vocabulary.keys() and merges == all_merges(vocabulary)


def _byte_of_character() -> dict[str, int]:
    """Return the byte that each printable character of a `tokenizer.json` stands for.

    This is GPT-2's table (openai/gpt-2 encoder.py): bytes that are printable Latin-1 stand for
    themselves; the 68 others are written as the characters from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + n): b for n, b in enumerate(others)}
