"""Prompts: how a text or a chat becomes the tokens that a model goes on from.

Not here: what a chat looks like (`../tuning/template.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from rookery.core.errors import UsageError
from rookery.core.protocols import Message, Prompt
from rookery.model.tokenizer import Tokenizer
from rookery.model.tuning.template import ChatTemplate


@dataclass(frozen=True)
class PromptTokens:
    """The tokens of a prompt. opening: those before it, which stay when a long text is cut."""

    opening: tuple[int, ...]
    tokens: list[int]


class Prompts:
    """What encodes the prompts of one model."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        template: Callable[[], ChatTemplate],
        context_tokens: int,
        controls: Sequence[int] = (),
    ):
        """Prepare to encode; the template is asked for when a chat comes."""
        self._tokenizer, self._make_template = tokenizer, template
        self._context_tokens, self._controls = context_tokens, controls

    @cached_property
    def _template(self) -> ChatTemplate:
        return self._make_template()

    def count(self, prompt: Prompt) -> int:
        """Return the number of tokens of a text, or of a chat with its markers."""
        return len(self._whole(prompt).tokens)

    def encode(self, prompt: Prompt, max_tokens: int) -> PromptTokens:
        """Return the tokens of a prompt.

        Of a chat that leaves less than `max_tokens` of the context free, or less than a quarter if
        more are asked for, the oldest turns are left out; what the system says stays.
        """
        if isinstance(prompt, str):
            return self._whole(prompt)
        free = min(max_tokens, self._context_tokens // 4)
        messages, found = list(prompt), self._whole(prompt)
        while len(found.tokens) + free > self._context_tokens:
            shorter = _without_oldest(messages)
            if len(shorter) == len(messages):
                break
            messages = shorter
            found = self._whole(messages)
        return found

    def _whole(self, prompt: Prompt) -> PromptTokens:
        if not isinstance(prompt, str):
            if not prompt:
                raise UsageError("a chat has at least one message")
            return PromptTokens((), self._template.encode(prompt, reply=True).tokens)
        (tokens,) = self._tokenizer.encode([prompt])
        opening = (*self._tokenizer.opening, *self._controls)
        if not opening and not tokens:
            opening = self._tokenizer.before_text
        return PromptTokens(opening, tokens)


def _without_oldest(messages: Sequence[Message]) -> list[Message]:
    """Return a chat without its oldest question and answer; as it is if it has only one."""
    spoken = [n for n, message in enumerate(messages) if message.role == "user"]
    if len(spoken) < 2:
        return list(messages)
    return [*messages[: spoken[0]], *messages[spoken[1] :]]
