"""Generation: a checkpoint as the `Generator` that search and the gateway receive.

A loop over one prompt with a cache of keys and values (`inference/cache.py`). The next token is
drawn by temperature, top-k, top-p and their like from a seeded random generator; text comes in
whole characters and never runs past a stop string (`inference/writing.py`). Not here: serving many
prompts in one batch, and the format of a chat, which `export.py` writes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rookery.core.artifact import Artifact
from rookery.core.errors import UsageError
from rookery.core.protocols import GenerationOptions, Generator, TextChunk
from rookery.core.sampling import sampler
from rookery.corpus.control import KINDS
from rookery.model.checkpoint import load_network
from rookery.model.inference.cache import Cache
from rookery.model.inference.writing import pieces, writable
from rookery.model.network import Network
from rookery.model.tokenizer import Tokenizer, load_tokenizer


def load_generator(checkpoint: Artifact, controls: Sequence[str] = ()) -> Generator:
    """Return the generator of a checkpoint; several threads may use it at once.

    controls: properties that all its texts shall have, such as `language:en`. Raises `UsageError`
    for one that the model never saw.
    """
    tokenizer = load_tokenizer(checkpoint)
    control_tokens = control_ids(tokenizer, controls)
    network = load_network(checkpoint)
    return NetworkGenerator(checkpoint.key, checkpoint.digest, network, tokenizer, control_tokens)


def control_ids(tokenizer: Tokenizer, controls: Sequence[str]) -> tuple[int, ...]:
    """Return the tokens of some controls, in the order that documents have them in (`KINDS`).

    Raises `UsageError` for a control that has no token.
    """
    known = {name[2:-2]: token for name, token in tokenizer.controls.items()}
    for control in controls:
        if control not in known:
            hint = (
                f"Known: {', '.join(known)}"
                if known
                else "Build the corpus with `--set controls=true` and train anew"
            )
            raise UsageError(f"the model does not know the control {control!r}", hint=hint)
    return tuple(
        known[control]
        for control in sorted(controls, key=lambda c: KINDS.index(c.partition(":")[0]))
    )


@dataclass(frozen=True)
class NetworkGenerator:
    """A trained network that continues prompts: a `Generator` of core/protocols.py."""

    name: str
    digest: str
    network: Network
    tokenizer: Tokenizer
    controls: tuple[int, ...] = ()

    @property
    def context_tokens(self) -> int:
        """Return how many tokens the network can see at once."""
        return self.network.shape.context_tokens

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text is."""
        return len(self.tokenizer.encode([text])[0])

    def generate(self, prompt: str, options: GenerationOptions) -> Iterator[TextChunk]:
        """Yield the continuation of a prompt in pieces of whole characters."""
        tokens = self._continuation(prompt, sampler(options, np.random.default_rng(options.seed)))
        yield from pieces(tokens, self.tokenizer, options.max_tokens, options.stop)

    def _continuation(
        self, prompt: str, choose: Callable[[np.ndarray, np.ndarray], int]
    ) -> Iterator[int]:
        """Yield token after token, without end.

        When the context is full, its first quarter is dropped, as if the document began after it;
        the rest is then read anew, since its positions have moved.
        """
        allowed = writable(self.tokenizer)
        history = self.tokenizer.encode([prompt])[0]
        seen = np.zeros(self.tokenizer.vocabulary, dtype=bool)
        seen[history] = True
        opening = [*self.tokenizer.opening, *self.controls]
        if not opening and not history:
            opening = [*self.tokenizer.before_text]
        cache, unread = Cache(self.network.shape, 1), [*opening, *history]
        while True:
            if cache.length + len(unread) > self.context_tokens:
                kept = 3 * self.context_tokens // 4 - len(opening)
                cache = Cache(self.network.shape, 1)
                unread = [*opening, *history[len(history) - kept :]]
            hidden = self.network(torch.tensor([unread]), cache=cache)
            logits = self.network.logits(hidden[0, -1]).double().numpy()
            token = int(allowed[choose(logits[allowed], seen[allowed])])
            yield token
            history.append(token)
            seen[token] = True
            unread = [token]
