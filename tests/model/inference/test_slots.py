"""The batch: every text is what it would be alone, whoever joins, leaves and waits beside it."""

from functools import cache

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from writing import CONTEXT_TOKENS, random_generator, tokenizer

from rookery.core.protocols import GenerationOptions
from rookery.core.sampling import Sampler
from rookery.model.inference.slots import Slots, common
from rookery.model.inference.text import Text, Window
from rookery.model.inference.writing import Pieces, writable

NETWORK = random_generator().network
OPENING = (tokenizer().end_of_document,)
# beginnings in common of any length, texts of their own, and prompts longer than the context
PROMPTS = [
    "",
    "the rooks came back",
    "the rooks came back to the elms",
    "the rooks came back to the elms and the rooks came back to the elms once more",
    "грачи вернулись домой",
    "x",
    "hello " * 60,
]


def text(prompt, tokens, seed=None):
    options = GenerationOptions(temperature=0.0 if seed is None else 1.0)
    return Text(
        tokenizer().encode([prompt])[0],
        Window(CONTEXT_TOKENS, OPENING),
        tokenizer(),
        Sampler(options, np.random.default_rng(seed)),
        Pieces(tokenizer(), tokens),
    )


def slots(count):
    return Slots(NETWORK, writable(tokenizer()), count)


@torch.inference_mode()
def advance(batch, made):
    """Take one step; add to what each text has written, and let those that have ended leave."""
    for one, logits in batch.step():
        piece = one.take(logits)
        if piece is not None:
            made[one] = made.get(one, "") + piece.text
            if piece.finish_reason:
                batch.leave(one)


@cache
def alone(prompt, tokens, seed=None):
    batch, one, made = slots(1), text(prompt, tokens, seed), {}
    batch.join(one)
    while batch.texts():
        advance(batch, made)
    return made.get(one, "")


ASKED = st.tuples(st.sampled_from(PROMPTS), st.integers(1, 70), st.sampled_from([None, 1, 2]))
# for each text: how many steps after the one before it is asked for, and after how many it is
# cancelled, if it is
SCHEDULE = st.lists(
    st.tuples(ASKED, st.integers(0, 9), st.none() | st.integers(0, 30)), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(SCHEDULE, st.integers(1, 5))
def test_every_text_is_what_it_is_alone_whatever_the_schedule(schedule, count):
    batch, made, asked, waiting, ends, step = slots(count), {}, {}, [], {}, 0
    due = []
    for wanted, after, cancelled in schedule:
        step += after
        due.append((step, wanted, cancelled))
    step = 0
    while due or waiting or batch.texts():
        while due and due[0][0] <= step:
            _, wanted, cancelled = due.pop(0)
            one = text(*wanted)
            asked[one] = wanted
            waiting.append(one)
            ends[one] = None if cancelled is None else step + cancelled
        for one in [one for one, end in ends.items() if end == step]:
            if one in waiting:
                waiting.remove(one)
            elif one in batch.texts():
                batch.leave(one)
            del asked[one]
        while waiting and batch.free:
            batch.join(waiting.pop(0))
        advance(batch, made)
        step += 1
    assert batch.free == count
    for one, wanted in asked.items():
        assert made.get(one, "") == alone(*wanted)


def tokens_read(monkeypatch, batch, texts, made):
    """Return how many tokens each pass reads, filled up, until the texts have ended."""
    read, forward = [], NETWORK.forward

    def counted(tokens_BT, **named):
        read.append(tokens_BT.numel())
        return forward(tokens_BT, **named)

    monkeypatch.setattr(NETWORK, "forward", counted)
    for one in texts:
        batch.join(one)
    while batch.texts():
        advance(batch, made)
    return read


def test_prompts_that_begin_alike_are_read_once(monkeypatch):
    prompt = "the rooks came back to the elms, hello rooks, hello elms!"
    length = len(tokenizer().encode([prompt])[0]) + 1
    texts = [text(f"{prompt} {n}", 2) for n in range(4)]
    assert sum(tokens_read(monkeypatch, slots(4), texts, {})) < length + 4 * 8


def test_a_text_that_goes_on_reads_only_what_is_new(monkeypatch):
    batch, made = slots(2), {}
    first = text("the rooks came back to the elms", 8)
    tokens_read(monkeypatch, batch, [first], made)
    again = text("the rooks came back to the elms", 1)
    again.window = [*first.window, 300]
    assert sum(tokens_read(monkeypatch, batch, [again], made)) <= 2


def test_texts_that_write_share_a_pass(monkeypatch):
    texts = [text(prompt, 10) for prompt in PROMPTS[:4]]
    read = tokens_read(monkeypatch, slots(4), texts, {})
    assert read.count(4) >= 7


def test_a_long_prompt_is_read_in_parts_while_others_write(monkeypatch):
    monkeypatch.setattr("rookery.model.inference.slots.READ_TOKENS", 8)
    batch, made = slots(2), {}
    short, long = text("x", 30), text(PROMPTS[3], 3)
    batch.join(short)
    advance(batch, made)
    batch.join(long)
    before = len(short.window)
    while long not in made:
        advance(batch, made)
    assert len(short.window) > before + 2  # it went on meanwhile
    while batch.texts():
        advance(batch, made)
    assert made[long] == alone(PROMPTS[3], 3)


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_is_the_longest_beginning_of_both(some, others):
    n = common(some, others)
    assert some[:n] == others[:n]
    assert n == min(len(some), len(others)) or some[n] != others[n]
