"""Generation: a checkpoint as the `Generator` that search and the gateway receive.

Texts of all callers are written together by one engine (`inference/engine.py`). The next token is
drawn by temperature, top-k, top-p and their like from a seeded random generator; text comes in
whole characters, never runs past a stop string (`inference/writing.py`) and follows a JSON schema
where one is given (`inference/schema.py`).
"""

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np

from rookery.core.artifact import Artifact
from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import (
    Continuation,
    GenerationOptions,
    Generator,
    Prompt,
    TextChunk,
)
from rookery.core.sampling import Sampler
from rookery.corpus.control import KINDS
from rookery.model.checkpoint import load_network
from rookery.model.inference.engine import Engine, Writing
from rookery.model.inference.prompts import Prompts, PromptTokens
from rookery.model.inference.schema import SchemaCompiler
from rookery.model.inference.slots import Slots
from rookery.model.inference.text import Text, Window
from rookery.model.inference.writing import Pieces, writable
from rookery.model.network import Network
from rookery.model.tokenizer import Tokenizer, load_tokenizer
from rookery.model.tuning.template import ChatTemplate, load_template, template_of

ENGINES = ("own", "llama")


def load_generator(
    checkpoint: Artifact, controls: Sequence[str] = (), engine: str = "own"
) -> Generator:
    """Return the generator of a checkpoint; several threads may use it at once.

    controls: properties that all its texts shall have, such as `language:en`. engine: `own`, or
    `llama` for llama.cpp (extra `[llama]`). Raises `UsageError` for a control that the model never
    saw, and for another engine.
    """
    if engine == "llama":
        from rookery.model.inference.llama import load_llama

        return load_llama(checkpoint, controls)
    if engine != "own":
        raise UsageError(f"an engine is called {' or '.join(ENGINES)}, not {engine!r}")
    tokenizer = load_tokenizer(checkpoint)
    control_tokens = control_ids(tokenizer, controls)
    network = load_network(checkpoint)
    template = partial(load_template, checkpoint)
    return NetworkGenerator(
        checkpoint.key, checkpoint.digest, network, tokenizer, control_tokens, template
    )


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


class EngineGenerator(ABC):
    """A model and the engine that writes with it: a `Generator`, but for how a text is chosen."""

    context_tokens: int

    def __init__(
        self, name: str, digest: str, tokenizer: Tokenizer, prompts: Prompts, engine: Engine
    ):
        self.name, self.digest, self.tokenizer = name, digest, tokenizer
        self._prompts, self._engine = prompts, engine
        # at the latest when nobody can call it any more, or when the program ends
        weakref.finalize(self, engine.close)

    def count_tokens(self, prompt: Prompt) -> int:
        """Return how many tokens a prompt is."""
        return self._prompts.count(prompt)

    def generate(self, prompt: Prompt, options: GenerationOptions) -> Continuation:
        """Return the continuation of a prompt in pieces of whole characters.

        When the context is full, its first quarter is dropped (`inference/text.py`).
        """
        tokens = self._prompts.encode(prompt, options.max_tokens)
        texts = [self._text(tokens, options, choice) for choice in range(options.n)]
        if options.max_tokens < 1:
            return (TextChunk("", 0, "length", choice) for choice in range(options.n))
        return self._engine.submit(texts, self)

    def close(self) -> None:
        """End all texts that are being written, and write no more."""
        self._engine.close()

    @cached_property
    def _schemas(self) -> SchemaCompiler:
        """Return what reads schemas; it takes its time, so it is made when one is given."""
        tokenizer = self.tokenizer
        return SchemaCompiler(tokenizer.file_text, tokenizer.end_of_document, tokenizer.vocabulary)

    @abstractmethod
    def _text(self, prompt: PromptTokens, options: GenerationOptions, choice: int) -> Writing:
        """Return one of the texts that continue a prompt, of which nothing is written yet."""


class NetworkGenerator(EngineGenerator):
    """A trained network that continues prompts: a `Generator` of core/protocols.py."""

    def __init__(
        self,
        name: str,
        digest: str,
        network: Network,
        tokenizer: Tokenizer,
        controls: Sequence[int] = (),
        template: Callable[[], ChatTemplate] | None = None,
        slots: int | None = None,
    ):
        """Prepare to write with a network.

        template: gives the chat template, when one is needed; without it, that of the tokenizer's
        markers. slots: how many texts share a pass at most.
        """
        template = template or partial(_template_by_markers, tokenizer)
        self.network, self.context_tokens = network, network.shape.context_tokens
        prompts = Prompts(tokenizer, template, self.context_tokens, controls)
        engine = Engine(Slots(network, writable(tokenizer), slots))
        super().__init__(name, digest, tokenizer, prompts, engine)

    def _text(self, prompt: PromptTokens, options: GenerationOptions, choice: int) -> Text:
        """Return one of the texts that continue a prompt, of which nothing is written yet."""
        seed = None if options.seed is None else [options.seed, choice]
        sampler = Sampler(options, np.random.default_rng(seed), prompt.tokens)
        pieces = Pieces(self.tokenizer, options.max_tokens, options.stop, choice)
        matcher = None if options.schema is None else self._schemas.matcher(options.schema)
        window = Window(self.context_tokens, prompt.opening)
        return Text(
            prompt.tokens, window, self.tokenizer, sampler, pieces, options.logprobs, matcher
        )


def _template_by_markers(tokenizer: Tokenizer) -> ChatTemplate:
    source = template_of(tokenizer)
    if source is None:
        raise DataError("the tokenizer has no markers of turns, so it cannot encode a chat")
    return ChatTemplate(source, tokenizer)
