"""A text while it is written: the tokens that the network has to see, and how the next is chosen.

Not here: the passes through the network (`slots.py`), and who waits for the pieces (`engine.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rookery.core.errors import RookeryError
from rookery.core.protocols import TextChunk, TokenLogprob
from rookery.core.sampling import Sampler, logprobs_of
from rookery.model.inference.schema import SchemaMatcher
from rookery.model.inference.writing import Pieces
from rookery.model.tokenizer import Tokenizer


@dataclass(frozen=True)
class Window:
    """How much a network sees at once, and the tokens that a text begins with."""

    tokens: int
    opening: tuple[int, ...]

    def of(self, tokens: Sequence[int]) -> list[int]:
        """Return what the network sees of a text: all of it if it fits, else its end.

        A text that does not fit any more loses so much that a quarter of the context is free
        again, as if the document began after it; its positions have moved, so it is read anew.
        """
        whole = [*self.opening, *tokens]
        if len(whole) <= self.tokens:
            return whole
        kept = max(1, 3 * self.tokens // 4 - len(self.opening))
        return [*self.opening, *tokens[len(tokens) - kept :]]


class Text:
    """One text: what the network has to see of it, and what is chosen next.

    window: the tokens to see, of which the last one's logits choose the next token.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        window: Window,
        tokenizer: Tokenizer,
        sampler: Sampler,
        pieces: Pieces,
        logprobs: int | None = None,
        matcher: SchemaMatcher | None = None,
    ):
        self.window = window.of(prompt)
        self._sight, self._tokenizer = window, tokenizer
        self._sampler, self._pieces, self._logprobs = sampler, pieces, logprobs
        self._matcher, self._ends = matcher, list(tokenizer.ends)

    def take(self, logits: np.ndarray) -> TextChunk | None:
        """Choose the next token from its logits (V,); return the piece that is finished, if any."""
        token = self._sampler.choose(self._within_schema(logits))
        told = None if self._logprobs is None else self._told(logits, token)
        piece = self._pieces.add(token, told)
        if self._matcher is not None and (piece is None or piece.finish_reason is None):
            self._matcher.take(token)
            if self._matcher.is_complete:
                piece = _joined(piece, self._pieces.end("stop"))
        self.window.append(token)
        if len(self.window) > self._sight.tokens:
            self.window = self._sight.of(self.window[len(self._sight.opening) :])
        return piece

    def _within_schema(self, logits: np.ndarray) -> np.ndarray:
        if self._matcher is None:
            return logits
        may = self._matcher.allowed()[: len(logits)]
        may[self._ends] = may[self._ends].any()
        if not may.any():
            raise RookeryError(f"the schema ends in the middle: {self._matcher.problem()}")
        return np.where(may, logits, -np.inf)

    def _told(self, logits: np.ndarray, token: int) -> TokenLogprob:
        own, top = logprobs_of(logits, token, self._logprobs or 0)
        bytes_of = self._tokenizer.token_bytes
        likeliest = tuple(TokenLogprob(bytes_of(other), p) for other, p in top)
        return TokenLogprob(bytes_of(token), own, likeliest)


def _joined(piece: TextChunk | None, last: TextChunk) -> TextChunk:
    """Return one piece of two that follow each other."""
    if piece is None:
        return last
    text, tokens = piece.text + last.text, piece.tokens + last.tokens
    return TextChunk(text, tokens, last.finish_reason, last.choice, piece.logprobs + last.logprobs)
