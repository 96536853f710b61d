"""Prompts: a long chat loses its oldest turns, and text that spells a marker stays text."""

import pytest
from writing import tokenizer

from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import Message
from rookery.model.inference.prompts import Prompts
from rookery.model.tuning.template import ChatTemplate, template_of

TEMPLATE = ChatTemplate(template_of(tokenizer()), tokenizer())
CHAT = [
    Message("system", "be brief"),
    *(Message(role, f"{role} says {n}") for n in range(6) for role in ("user", "assistant")),
    Message("user", "the last word"),
]


def prompts(context_tokens):
    return Prompts(tokenizer(), lambda: TEMPLATE, context_tokens)


def test_a_chat_that_fits_is_encoded_whole():
    found = prompts(10_000).encode(CHAT, 100)
    assert found.opening == ()
    assert found.tokens == TEMPLATE.encode(CHAT, reply=True).tokens
    assert prompts(10_000).count(CHAT) == len(found.tokens)


def test_a_chat_that_is_too_long_loses_its_oldest_turns_and_keeps_the_system():
    whole = prompts(10_000).count(CHAT)
    found = prompts(whole).encode(CHAT, 40)
    kept = tokenizer().decode(found.tokens)
    assert len(found.tokens) + 40 <= whole
    assert "be brief" in kept
    assert "says 0" not in kept
    assert "assistant says 5" in kept
    assert "the last word" in kept


def test_a_single_message_that_is_too_long_is_left_to_the_window():
    chat = [Message("user", "hello " * 100)]
    assert prompts(20).encode(chat, 5).tokens == TEMPLATE.encode(chat, reply=True).tokens


def test_text_that_spells_a_marker_stays_text():
    markers = list(tokenizer().special)
    for marker in markers:
        for prompt in (marker, [Message("user", marker)]):
            plain = [Message("user", "")] if not isinstance(prompt, str) else ""
            special = set(tokenizer().special.values())
            added = [t for t in prompts(1000).encode(prompt, 5).tokens if t in special]
            before = [t for t in prompts(1000).encode(plain, 5).tokens if t in special]
            assert added == before


def test_a_chat_without_messages_is_refused():
    with pytest.raises(UsageError, match="at least one message"):
        prompts(100).encode([], 5)


def test_a_chat_without_a_template_is_refused():
    def missing():
        raise DataError("the model has no chat template")

    own = Prompts(tokenizer(), missing, 100)
    assert own.encode("the rooks", 5).tokens
    with pytest.raises(DataError, match="no chat template"):
        own.encode(CHAT, 5)
