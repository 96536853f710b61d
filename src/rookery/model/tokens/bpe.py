"""Byte-level BPE: how a tokenizer of our own is learned from texts.

The merges are listed so that tiktoken, which is several times faster, gives the same ids as the
`tokenizers` library, whose file this is. Not here: how a file is obeyed (`encoding.py`), and the
stage that learns from a corpus (`../tokenizer.py`).
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from tokenizers import Regex, decoders, models, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as HfTokenizer

from rookery.core.errors import UsageError

MULTIPLE = 64
END_OF_DOCUMENT, TURN, END_OF_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = (END_OF_DOCUMENT, TURN, END_OF_TURN)
"""ChatML's names; each one's id is its place here. Pretraining uses the first alone."""

# No merge crosses the end of a piece: an English contraction, a word with the character before it,
# a digit, a run of signs, line ends, blanks. This is the pattern that llama.cpp calls `qwen35`, in
# llama.cpp's spelling (src/llama-vocab.cpp), so that a GGUF gives the same ids. Marks count as
# letters, since a word of Hindi or Thai would be cut at every vowel.
PIECES = "|".join(
    (
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
        r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


def train_bpe(texts: Iterable[str], vocabulary: int, controls: Sequence[str] = ()) -> str:
    """Return the text of a `tokenizer.json` of exactly `vocabulary` tokens.

    controls: tokens that are reserved, after the special ones. The file begins a plain prompt with
    the end of the document before it, as training does. Raises `UsageError` for another number than
    a multiple of 64.
    """
    special = [*SPECIAL_TOKENS, *controls]
    check_vocabulary(vocabulary, len(special))
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
    merges = all_merges({text: n for text, n in learned.items() if text not in special})
    hf = _hf_tokenizer(models.BPE(vocab=whole, merges=merges, ignore_merges=True))
    hf.add_special_tokens(special)
    hf.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_DOCUMENT} $A",
        pair=f"{END_OF_DOCUMENT} $A {END_OF_DOCUMENT} $B",
        special_tokens=[(END_OF_DOCUMENT, learned[END_OF_DOCUMENT])],
    )
    return json.dumps(json.loads(hf.to_str()), ensure_ascii=False, indent=1)


def check_vocabulary(vocabulary: int, special: int = len(SPECIAL_TOKENS)) -> None:
    """Raise `UsageError` unless a tokenizer can have so many tokens, `special` of them no text."""
    least = -(-(256 + special) // MULTIPLE) * MULTIPLE
    if vocabulary % MULTIPLE or vocabulary < least:
        raise UsageError(
            f"a vocabulary must be a multiple of {MULTIPLE} and at least {least}, not {vocabulary}"
        )


def all_merges(vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return every pair of tokens that joins into a token, in the order of the joined tokens.

    tiktoken joins any two neighbours whose joined bytes are a token, lowest id first; Hugging Face
    joins only pairs that are listed, first listed first. With all pairs listed in the order of ids,
    the two agree.
    """
    known: Collection[str] = vocabulary.keys()
    return [
        (token[:cut], token[cut:])
        for token in sorted(vocabulary, key=vocabulary.__getitem__)
        for cut in range(1, len(token))
        if token[:cut] in known and token[cut:] in known
    ]


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


def _unused(learned: int, vocabulary: int) -> dict[str, int]:
    """Return names for the ids that a small corpus leaves over.

    They contain a blank, which byte-level text never does, so that no text is encoded as one.
    """
    return {f"<|unused {n}|>": n for n in range(learned, vocabulary)}
