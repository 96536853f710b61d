"""Generation: a checkpoint as the `Generator` that search and the gateway are given.

A loop over one prompt with a cache of keys and values; the next token is drawn by temperature, top-k
and top-p with a seeded generator. Text leaves in whole characters, and never runs past a stop string.
Serving many prompts in one batch is not here, nor is the shape of a chat (`export.py` writes it).
"""

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rookery.core.artifact import Artifact
from rookery.core.errors import UsageError
from rookery.core.protocols import GenerationOptions, Generator, Piece
from rookery.corpus.control import KINDS
from rookery.model.checkpoint import load_network
from rookery.model.network import Cache, Network
from rookery.model.tokenizer import END_OF_DOCUMENT, END_OF_TURN, Tokenizer, load_tokenizer


def load_generator(checkpoint: Artifact, controls: Sequence[str] = ()) -> Generator:
    """The generator of a checkpoint; safe to use from several threads.

    controls: what all its texts shall be, such as `language:en`. Raises `UsageError` for one the model never saw.
    """
    tokenizer = load_tokenizer(checkpoint)
    said = control_ids(tokenizer, controls)
    return NetworkGenerator(checkpoint.key, checkpoint.digest, load_network(checkpoint), tokenizer, said)


def control_ids(tokenizer: Tokenizer, controls: Sequence[str]) -> tuple[int, ...]:
    """The tokens of some controls, in the order in which documents have them: that of their kinds."""
    known = {name[2:-2]: token for name, token in tokenizer.special.items() if ":" in name}
    for control in controls:
        if control not in known:
            mend = (
                f"Known: {', '.join(known)}" if known else "Build the corpus with `--set controls=true` and train anew"
            )
            raise UsageError(f"the model knows no control {control!r}", mend=mend)
    return tuple(known[control] for control in sorted(controls, key=lambda c: KINDS.index(c.partition(":")[0])))


@dataclass(frozen=True)
class NetworkGenerator:
    """A trained network that continues prompts; `Generator` in core/protocols.py says what it promises."""

    name: str
    digest: str
    network: Network
    tokenizer: Tokenizer
    controls: tuple[int, ...] = ()

    @property
    def context_tokens(self) -> int:
        return self.network.shape.context_tokens

    def count_tokens(self, text: str) -> int:
        return len(self.tokenizer.encode([text])[0])

    def generate(self, prompt: str, options: GenerationOptions) -> Iterator[Piece]:
        tokens = self._continuation(prompt, sampler(options))
        yield from pieces(tokens, self.tokenizer, options.max_tokens, options.stop)

    def _continuation(self, prompt: str, choose: Callable[[np.ndarray], int]) -> Iterator[int]:
        """Token after token, without end.

        What no longer fits the context is forgotten from the front, a quarter of the context at a
        time, as if the document began there; the rest is then read anew, since positions moved.
        """
        allowed = writable(self.tokenizer)
        history = self.tokenizer.encode([prompt])[0]
        opening = [self.tokenizer.end_of_document, *self.controls]
        cache, unread = Cache(self.network.shape, 1), [*opening, *history]
        while True:
            if cache.length + len(unread) > self.context_tokens:
                kept = 3 * self.context_tokens // 4 - len(opening)
                cache = Cache(self.network.shape, 1)
                unread = [*opening, *history[len(history) - kept :]]
            hidden = self.network(torch.tensor([unread]), cache=cache)
            logits = self.network.logits(hidden[0, -1]).double().numpy()
            token = int(allowed[choose(logits[allowed])])
            yield token
            history.append(token)
            unread = [token]


def ends(tokenizer: Tokenizer) -> list[int]:
    """The tokens at which a continuation is over."""
    return [tokenizer.special[END_OF_DOCUMENT], tokenizer.special[END_OF_TURN]]


def writable(tokenizer: Tokenizer) -> np.ndarray:
    """The tokens that may be generated: those of text, and the ends. Never an unused one or another's turn."""
    return np.array(sorted([*tokenizer.textual, *ends(tokenizer)]))


def sampler(options: GenerationOptions) -> Callable[[np.ndarray], int]:
    """A function from logits (V,) to a choice; equal options with a seed choose equally."""
    if options.temperature <= 0:
        return lambda logits: int(np.argmax(logits))
    random = np.random.default_rng(options.seed)
    return lambda logits: int(random.choice(len(logits), p=probabilities(logits, options)))


def probabilities(logits: np.ndarray, options: GenerationOptions) -> np.ndarray:
    """What the options make of logits (V,): tempered, then cut to the top k, then to the fewest that hold top p."""
    order = np.argsort(-logits, kind="stable")
    if options.top_k > 0:
        order = order[: options.top_k]
    scaled = (logits[order] - logits[order[0]]) / options.temperature
    p = np.exp(scaled) / np.exp(scaled).sum()
    p[1:][np.cumsum(p)[:-1] >= options.top_p] = 0.0  # the likeliest always stays
    result = np.zeros(len(logits))
    result[order] = p / p.sum()
    return result


def pieces(tokens: Iterable[int], tokenizer: Tokenizer, max_tokens: int, stop: Sequence[str] = ()) -> Iterator[Piece]:
    """Tokens as pieces of text, up to an end token, a stop string or `max_tokens`; the last piece says why.

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
            yield Piece(held[:at], counted, "stop")
            return
        if taken >= max_tokens:
            break
        if ready := held[: len(held) - _may_become_stop(held, stop)]:
            yield Piece(ready, counted)
            held, counted = held[len(ready) :], 0
    yield Piece(held, counted, "length")


def _may_become_stop(text: str, stop: Sequence[str]) -> int:
    """The length of the longest end of the text that is the beginning of a stop string."""
    return max((n for s in stop for n in range(1, len(s)) if text.endswith(s[:n])), default=0)
