"""The chat template: how turns become tokens, for tuning, for chat and for an export alike.

A template is a Jinja program in the file format of Hugging Face, run in a sandbox. It never sees
what people wrote: private-use characters stand in the place of each content, and what the template
puts around them is its markup. In the markup the names of added tokens become those tokens; a
content is encoded as text, so that one which spells a marker stays text. Where the template strips
the blanks around a content, so do we; a template that does more to it, or leaves it out, is
refused.

A model of our own has ChatML, as Qwen has it, or the markers of an earlier release; an adopted one
has its own. Not here: how a reply is written (`../generate.py`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import jinja2
import numpy as np
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rookery.core.artifact import Artifact
from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import Message
from rookery.model.tokenizer import TEMPLATE, Tokenizer, holds, load_tokenizer
from rookery.model.tokens.bpe import TURN

ASSISTANT = "assistant"
CHATML = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
ROLE_MARKERS = (  # of an earlier release, whose tokenizers have a token for each role
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|endofturn|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
# what stands for content n, with a blank on either side that a template may strip
_OPEN, _CLOSE, _BLANK = "\ue000", "\ue001", "\u2005"
_STAND_IN = re.compile(f"({_BLANK}?){_OPEN}(\\d+){_CLOSE}({_BLANK}?)")


@dataclass(frozen=True)
class Chat:
    """Turns as tokens. is_reply: bool (tokens,), true for those that the assistant has to write.

    These are the tokens of its contents, and the one that ends each.
    """

    tokens: list[int]
    is_reply: np.ndarray


@dataclass(frozen=True)
class _Part:
    """A stretch of a rendered chat: markup, or with `message` the content of that message."""

    text: str
    message: int | None = None


class ChatTemplate:
    """A template and the tokenizer that its markers belong to."""

    def __init__(self, source: str, tokenizer: Tokenizer):
        """Compile a template; raise `DataError` for one that is no Jinja."""
        self.source, self.tokenizer = source, tokenizer
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.globals["raise_exception"] = _refuse
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise DataError(f"the chat template is no Jinja: {error}") from None
        markers = sorted(tokenizer.special, key=len, reverse=True)
        self._markers = re.compile("|".join(map(re.escape, markers)) or "(?!)")

    def encode(self, messages: Sequence[Message], reply: bool = False) -> Chat:
        """Return the tokens of some turns, and which of them the assistant wrote.

        reply: end with what comes before the assistant's next turn. Raises `UsageError` for turns
        that the template does not take, and for a template that cannot be followed.
        """
        tokens: list[int] = []
        is_reply: list[bool] = []
        ends_reply = False  # whether the next marker may be the end of a reply
        for part in self._parts(messages, reply):
            if part.message is not None:
                ends_reply = messages[part.message].role == ASSISTANT
                (encoded,) = self.tokenizer.encode([part.text])
                tokens += encoded
                is_reply += [ends_reply] * len(encoded)
                continue
            for encoded, is_marker in self._markup(part.text):
                is_end = ends_reply and is_marker and encoded[0] in self.tokenizer.ends
                tokens += encoded
                is_reply += [is_end] * len(encoded)
                ends_reply = False
        return Chat(tokens, np.array(is_reply, dtype=bool))

    def _markup(self, text: str) -> Iterator[tuple[list[int], bool]]:
        """Yield the tokens of markup: each marker, and the text before it; second, whether it is
        one.
        """
        place = 0
        for found in self._markers.finditer(text):
            if before := text[place : found.start()]:
                yield self.tokenizer.encode([before])[0], False
            yield [self.tokenizer.special[found.group()]], True
            place = found.end()
        if rest := text[place:]:
            yield self.tokenizer.encode([rest])[0], False

    def _parts(self, messages: Sequence[Message], reply: bool) -> Iterator[_Part]:
        rendered, place = self._render(messages, reply), 0
        found = list(_STAND_IN.finditer(rendered))
        if [int(each.group(2)) for each in found] != list(range(len(messages))):
            raise UsageError(
                "the chat template does not show every message once, in its order",
                hint="Give turns as the model was tuned on them, or another template",
            )
        for number, each in enumerate(found):
            content = messages[number].content
            content = content if each.group(1) else content.lstrip()
            yield _Part(rendered[place : each.start()])
            yield _Part(content if each.group(3) else content.rstrip(), number)
            place = each.end()
        yield _Part(rendered[place:])

    def _render(self, messages: Sequence[Message], reply: bool) -> str:
        roles = self.tokenizer.roles
        shown = [
            {"role": message.role, "content": f"{_BLANK}{_OPEN}{number}{_CLOSE}{_BLANK}"}
            for number, message in enumerate(messages)
        ]
        try:
            return self._template.render(
                messages=shown,
                add_generation_prompt=reply,
                bos_token=roles.bos_token,
                eos_token=roles.eos_token,
            )
        except UsageError:
            raise
        except Exception as error:  # a template is a program, and may fail in any way
            raise UsageError(
                f"the chat template does not take these messages: {error}",
                hint="Most take one system message at most, then user and assistant in turn",
            ) from None


def load_template(checkpoint: Artifact) -> ChatTemplate:
    """Return the chat template of a checkpoint: its own, or that of its tokenizer's markers.

    Raises `DataError` if it has changed since it was written, or there is none.
    """
    source = template_source(checkpoint)
    if source is None:
        raise DataError(
            "the model has no chat template, and its tokenizer no markers of turns",
            where=checkpoint.path,
            hint=f"Put a {TEMPLATE} into the folder that the model is adopted from",
        )
    return ChatTemplate(source, load_tokenizer(checkpoint))


def template_source(checkpoint: Artifact) -> str | None:
    """Return the text of a checkpoint's chat template, or None if it has none."""
    if not holds(checkpoint, TEMPLATE):
        return template_of(load_tokenizer(checkpoint))
    checkpoint.verify([TEMPLATE])
    return checkpoint.file(TEMPLATE).read_text(encoding="utf-8")


def template_of(tokenizer: Tokenizer) -> str | None:
    """Return the template that belongs to a tokenizer's markers, or None if it has none."""
    templates = {TURN: CHATML, "<|assistant|>": ROLE_MARKERS}
    return next((templates[name] for name in templates if name in tokenizer.special), None)


def _refuse(reason: str) -> NoReturn:
    """Raise what a template says is wrong with the messages."""
    raise UsageError(f"the chat template refuses these messages: {reason}")
