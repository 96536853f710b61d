"""Sampling: how the next token is chosen, and how tokens become pieces of text.

The loop that calls the network is in `generate.py`.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from rookery.core.protocols import GenerationOptions, TextChunk
from rookery.model.tokenizer import END_OF_DOCUMENT, END_OF_TURN, Tokenizer


def ends(tokenizer: Tokenizer) -> list[int]:
    """Return the tokens that end a continuation."""
    return [tokenizer.special[END_OF_DOCUMENT], tokenizer.special[END_OF_TURN]]


def writable(tokenizer: Tokenizer) -> np.ndarray:
    """Return the tokens that may be generated: those of text, and those that end it.

    Unused tokens and the beginnings of others' turns in a chat are not among them.
    """
    return np.array(sorted([*tokenizer.textual, *ends(tokenizer)]))


def sampler(options: GenerationOptions) -> Callable[[np.ndarray], int]:
    """Return a function from logits (V,) to the place of the chosen one.

    With a seed, equal options make equal choices.
    """
    if options.temperature <= 0:
        return lambda logits: int(np.argmax(logits))
    random = np.random.default_rng(options.seed)
    return lambda logits: int(random.choice(len(logits), p=probabilities(logits, options)))


def probabilities(logits: np.ndarray, options: GenerationOptions) -> np.ndarray:
    """Return the probabilities (V,) that the options derive from logits (V,).

    First the temperature applies, then top-k, then top-p: the fewest tokens that together have at
    least that probability.
    """
    order = np.argsort(-logits, kind="stable")
    if options.top_k > 0:
        order = order[: options.top_k]
    scaled = (logits[order] - logits[order[0]]) / options.temperature
    p = np.exp(scaled) / np.exp(scaled).sum()
    p[1:][np.cumsum(p)[:-1] >= options.top_p] = 0.0  # the likeliest token always stays
    result = np.zeros(len(logits))
    result[order] = p / p.sum()
    return result


def pieces(
    tokens: Iterable[int], tokenizer: Tokenizer, max_tokens: int, stop: Sequence[str] = ()
) -> Iterator[TextChunk]:
    """Yield pieces of text from tokens, up to an end token, a stop string or `max_tokens`.

    The last piece gives the reason why it ended. A piece ends with a whole character, and never
    with the beginning of a possible stop string; an unfinished character at the very end is left
    out. The pieces' token counts add up to the number of tokens taken.
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
    """Return the length of the longest suffix of the text that may become a stop string."""
    return max((n for s in stop for n in range(1, len(s)) if text.endswith(s[:n])), default=0)
