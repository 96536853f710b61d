"""Sampling: which token comes next, and how tokens become pieces of text."""

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from rookery.core.protocols import GenerationOptions, TextChunk
from rookery.model.tokenizer import END_OF_DOCUMENT, END_OF_TURN, Tokenizer


def ends(tokenizer: Tokenizer) -> list[int]:
    """The tokens at which a continuation is over."""
    return [tokenizer.special[END_OF_DOCUMENT], tokenizer.special[END_OF_TURN]]


def writable(tokenizer: Tokenizer) -> np.ndarray:
    """The tokens that may be generated: those of text, and the ends. Never an unused one or
    another's turn.
    """
    return np.array(sorted([*tokenizer.textual, *ends(tokenizer)]))


def sampler(options: GenerationOptions) -> Callable[[np.ndarray], int]:
    """A function from logits (V,) to a choice; equal options with a seed choose equally."""
    if options.temperature <= 0:
        return lambda logits: int(np.argmax(logits))
    random = np.random.default_rng(options.seed)
    return lambda logits: int(random.choice(len(logits), p=probabilities(logits, options)))


def probabilities(logits: np.ndarray, options: GenerationOptions) -> np.ndarray:
    """What the options make of logits (V,): tempered, then cut to the top k, then to the fewest
    that hold top p.
    """
    order = np.argsort(-logits, kind="stable")
    if options.top_k > 0:
        order = order[: options.top_k]
    scaled = (logits[order] - logits[order[0]]) / options.temperature
    p = np.exp(scaled) / np.exp(scaled).sum()
    p[1:][np.cumsum(p)[:-1] >= options.top_p] = 0.0  # the likeliest always stays
    result = np.zeros(len(logits))
    result[order] = p / p.sum()
    return result


def pieces(
    tokens: Iterable[int], tokenizer: Tokenizer, max_tokens: int, stop: Sequence[str] = ()
) -> Iterator[TextChunk]:
    """Tokens as pieces of text, up to an end token, a stop string or `max_tokens`; the last piece
    says why.

    A piece ends with a whole character and never with what may become a stop string; an unfinished
    character at the very end is left out. The pieces' token counts add up to the tokens taken.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    final, held, counted = ends(tokenizer), "", 0
    for taken, token in enumerate(tokens, 1):
        if max_tokens < 1:
            break
        counted += 1
        held += decoder.decode(tokenizer.token_bytes(token))
        at = min((place for s in stop if s and (place := held.find(s)) >= 0), default=None)
        if at is not None or token in final:
            yield TextChunk(held[:at], counted, "stop")
            return
        if taken >= max_tokens:
            break
        if ready := held[: len(held) - _may_become_stop(held, stop)]:
            yield TextChunk(ready, counted)
            held, counted = held[len(ready) :], 0
    yield TextChunk(held, counted, "length")


def _may_become_stop(text: str, stop: Sequence[str]) -> int:
    """The length of the longest end of the text that is the beginning of a stop string."""
    return max((n for s in stop for n in range(1, len(s)) if text.endswith(s[:n])), default=0)
