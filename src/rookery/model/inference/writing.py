"""Writing: which tokens may be written, and how tokens become pieces of text.

The passes through the network are in `slots.py`, the choice of a token is in `core/sampling.py`.
"""

import codecs
from collections.abc import Sequence

import numpy as np

from rookery.core.protocols import TextChunk, TokenLogprob
from rookery.model.tokenizer import Tokenizer


def writable(tokenizer: Tokenizer) -> np.ndarray:
    """Return the tokens that may be generated: those of text, and those that end it.

    Unused tokens and the beginnings of others' turns in a chat are not among them.
    """
    return np.array(sorted({*tokenizer.textual, *tokenizer.ends}))


class Pieces:
    """The pieces of one text, made of its tokens one after another.

    A piece ends with a whole character, and never with the beginning of a possible stop string; an
    unfinished character at the very end is left out. The text ends at an end token, a stop string,
    or after `max_tokens`, and its last piece gives the reason. The pieces' token counts add up to
    the number of tokens taken. left: how many more tokens may come.
    """

    def __init__(
        self, tokenizer: Tokenizer, max_tokens: int, stop: Sequence[str] = (), choice: int = 0
    ):
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._bytes_of, self._ends = tokenizer.token_bytes, frozenset(tokenizer.ends)
        self.left, self._stop, self._choice = max_tokens, tuple(s for s in stop if s), choice
        self._held, self._counted = "", 0
        self._logprobs: list[TokenLogprob] = []

    def add(self, token: int, logprob: TokenLogprob | None = None) -> TextChunk | None:
        """Take one more token, and return the piece that is now finished, if there is one."""
        text = self._decoder.decode(self._bytes_of(token))
        told = () if logprob is None else (logprob,)
        return self.add_text(text, 1, told, is_end=token in self._ends)

    def add_text(
        self, text: str, tokens: int, logprobs: Sequence[TokenLogprob] = (), is_end: bool = False
    ) -> TextChunk | None:
        """Take the whole characters of some tokens, of which the last may be one that ends it."""
        self.left -= tokens
        self._counted += tokens
        self._held += text
        self._logprobs += logprobs
        at = self._first_stop()
        if at is not None or is_end:
            return self._piece(len(self._held) if at is None else at, "stop")
        if self.left < 1:
            return self.end("length")
        ready = len(self._held) - self._may_become_stop()
        return self._piece(ready, None) if ready else None

    def end(self, reason: str) -> TextChunk:
        """Return the last piece of a text that ends here."""
        return self._piece(len(self._held), reason)

    def _piece(self, characters: int, reason: str | None) -> TextChunk:
        piece = TextChunk(
            self._held[:characters], self._counted, reason, self._choice, tuple(self._logprobs)
        )
        self._held, self._counted, self._logprobs = self._held[characters:], 0, []
        return piece

    def _first_stop(self) -> int | None:
        """Return where the first stop string begins in the text that is held back."""
        places = (place for s in self._stop if (place := self._held.find(s)) >= 0)
        return min(places, default=None)

    def _may_become_stop(self) -> int:
        """Return the length of the longest end of the text that may become a stop string."""
        return max(
            (n for s in self._stop for n in range(1, len(s)) if self._held.endswith(s[:n])),
            default=0,
        )
