"""Generation: a checkpoint as the `Generator` that search and the gateway are given.

A loop over one prompt with a cache of keys and values; the next token is drawn by temperature,
top-k and top-p with a seeded generator. Text leaves in whole characters, and never runs past a stop
string. Serving many prompts in one batch is not here, nor is the shape of a chat (`export.py`
writes it).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rookery.core.artifact import Artifact
from rookery.core.errors import UsageError
from rookery.core.protocols import GenerationOptions, Generator, TextChunk
from rookery.corpus.control import KINDS
from rookery.model.checkpoint import load_network
from rookery.model.inference.cache import Cache
from rookery.model.inference.sampling import pieces, sampler, writable
from rookery.model.network import Network
from rookery.model.tokenizer import Tokenizer, load_tokenizer


def load_generator(checkpoint: Artifact, controls: Sequence[str] = ()) -> Generator:
    """The generator of a checkpoint; safe to use from several threads.

    controls: what all its texts shall be, such as `language:en`. Raises `UsageError` for one the
    model never saw.
    """
    tokenizer = load_tokenizer(checkpoint)
    said = control_ids(tokenizer, controls)
    return NetworkGenerator(
        checkpoint.key, checkpoint.digest, load_network(checkpoint), tokenizer, said
    )


def control_ids(tokenizer: Tokenizer, controls: Sequence[str]) -> tuple[int, ...]:
    """The tokens of some controls, in the order in which documents have them: that of their
    kinds.
    """
    known = {name[2:-2]: token for name, token in tokenizer.special.items() if ":" in name}
    for control in controls:
        if control not in known:
            hint = (
                f"Known: {', '.join(known)}"
                if known
                else "Build the corpus with `--set controls=true` and train anew"
            )
            raise UsageError(f"the model knows no control {control!r}", hint=hint)
    return tuple(
        known[control]
        for control in sorted(controls, key=lambda c: KINDS.index(c.partition(":")[0]))
    )


@dataclass(frozen=True)
class NetworkGenerator:
    """A trained network that continues prompts; `Generator` in core/protocols.py says what it
    promises.
    """

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

    def generate(self, prompt: str, options: GenerationOptions) -> Iterator[TextChunk]:
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
