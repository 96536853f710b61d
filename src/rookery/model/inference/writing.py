"""Writing: which tokens may be written, and how tokens become pieces of text.

The loop that calls the network is in `generate.py`, the choice of a token in `core/sampling.py`.
"""

import codecs
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from rookery.core.protocols import TextChunk
from rookery.model.tokenizer import Tokenizer


def writable(tokenizer: Tokenizer) -> np.ndarray:
    """Return the tokens that may be generated: those of text, and those that end it.

    Unused tokens and the beginnings of others' turns in a chat are not among them.
    """
    return np.array(sorted({*tokenizer.textual, *tokenizer.ends}))


def pieces(
    tokens: Iterable[int], tokenizer: Tokenizer, max_tokens: int, stop: Sequence[str] = ()
) -> Iterator[TextChunk]:
    """Yield pieces of text from tokens, up to an end token, a stop string or `max_tokens`.

    The last piece gives the reason why it ended. A piece ends with a whole character, and never
    with the beginning of a possible stop string; an unfinished character at the very end is left
    out. The pieces' token counts add up to the number of tokens taken.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    held, counted = "", 0
    for taken, token in enumerate(tokens, 1):
        if max_tokens < 1:
            break
        counted += 1
        held += decoder.decode(tokenizer.token_bytes(token))
        at = min((place for s in stop if s and (place := held.find(s)) >= 0), default=None)
        if at is not None or token in tokenizer.ends:
            yield TextChunk(held[:at], counted, "stop")
            return
        if taken >= max_tokens:
            break
        if ready := held[: len(held) - _may_become_stop(held, stop)]:
            yield TextChunk(ready, counted)
            held, counted = held[len(ready) :], 0
    yield TextChunk(held, counted, "length")


def _may_become_stop(text: str, stop: Sequence[str]) -> int:
    """Return the length of the longest suffix of the text that may become a stop string."""
    return max((n for s in stop for n in range(1, len(s)) if text.endswith(s[:n])), default=0)
