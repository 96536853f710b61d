"""llama.cpp as an engine: the same protocol, the same greedy texts, the same faults."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from writing import SCHEMA, random_checkpoint, written

from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import GenerationOptions, Message
from rookery.model.generate import load_generator

pytest.importorskip("xllamacpp", reason="the extra [llama] is not installed")
from rookery.model.inference.llama import gguf_beside, load_llama

PROMPTS = ["", "the rooks came back", "x", "hello " * 60, "грачи", "the \ud83d", "🦜🦜"]


@pytest.fixture
def checkpoint(home):
    return random_checkpoint(home)


@pytest.fixture
def llama(checkpoint):
    made = load_llama(checkpoint, slots=3)
    yield made
    made.close()


def test_greedy_texts_are_those_of_our_own_network(checkpoint, llama):
    own = load_generator(checkpoint)
    options = {"max_tokens": 16, "temperature": 0.0}
    expected = [written(own, prompt, **options) for prompt in PROMPTS]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda p: written(llama, p, **options), PROMPTS))
    # bytes that make no character come as U+FFFD, at the very end of a text only from our own
    assert [text.rstrip("\ufffd") for text in found] == [t.rstrip("\ufffd") for t in expected]
    assert llama._engine._slots.free == 3
    chat = [Message("user", "hello rooks")]
    answers = [written(generator, chat, **options) for generator in (llama, own)]
    assert answers[0].rstrip("\ufffd") == answers[1].rstrip("\ufffd")
    assert llama.count_tokens(chat) == own.count_tokens(chat)


def test_a_text_goes_on_past_the_end_of_the_context(llama):
    options = GenerationOptions(3 * llama.context_tokens, 1.5, top_k=0, seed=5)
    for prompt in PROMPTS:
        pieces = list(llama.generate(prompt, options))
        assert pieces[-1].finish_reason in ("stop", "length")
        if pieces[-1].finish_reason == "length":
            assert sum(p.tokens for p in pieces) == options.max_tokens


def test_options_of_sampling_stop_and_logprobs_are_followed(llama):
    options = {"max_tokens": 12, "temperature": 1.5, "seed": 3}
    pieces = list(llama.generate("the rooks", GenerationOptions(n=3, logprobs=2, **options)))
    texts = ["".join(p.text for p in pieces if p.choice == c) for c in range(3)]
    assert len(set(texts)) == 3
    assert texts[0] == written(llama, "the rooks", **options)
    assert all(len(one.top) == 2 for p in pieces for one in p.logprobs)
    stop = texts[0][2:4]
    cut = list(llama.generate("the rooks", GenerationOptions(stop=(stop,), **options)))
    assert "".join(p.text for p in cut) == texts[0][: texts[0].index(stop)]
    assert cut[-1].finish_reason == "stop"
    assert written(llama, "the rooks", max_tokens=0) == ""


def test_a_schema_is_followed_or_refused_or_cut(llama):
    text = written(llama, "a bird: ", max_tokens=300, seed=1, schema=SCHEMA)
    assert set(json.loads(text)) == {"bird", "count"}
    assert " " not in text
    (*_, last) = llama.generate("a bird: ", GenerationOptions(3, seed=1, schema=SCHEMA))
    assert last.finish_reason == "length"
    with pytest.raises(UsageError, match="strin"):
        llama.generate("x", GenerationOptions(schema={"type": "strin"}))


def test_readers_that_leave_or_stall_hold_nobody_up(llama):
    llama._engine._most_pieces = 4
    endless = GenerationOptions(10**6, 1.0, top_k=0)
    readers = [llama.generate("the rooks", endless) for _ in range(6)]
    for reader in readers:
        next(reader, None)
    assert len(list(llama.generate("x", GenerationOptions(3, 0.0)))) <= 3
    for reader in readers[3:]:
        for _ in range(10):
            next(reader, None)
    for reader in readers:
        reader.close()
    assert list(llama.generate("the rooks", GenerationOptions(3)))[-1].finish_reason


def test_the_gguf_is_written_once_beside_the_checkpoint(checkpoint):
    path = gguf_beside(checkpoint)
    assert path.parent == checkpoint.path.parent
    path.with_suffix(".part").write_bytes(b"left by a killed process")
    before = path.stat().st_mtime_ns
    assert gguf_beside(checkpoint).stat().st_mtime_ns == before
    path.unlink()
    assert gguf_beside(checkpoint).stat().st_size > 1000


def test_a_gguf_cut_short_is_refused(checkpoint):
    path = gguf_beside(checkpoint)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="cannot read"):
        load_llama(checkpoint)


def test_an_unknown_engine_is_refused(checkpoint):
    with pytest.raises(UsageError, match="own or llama"):
        load_generator(checkpoint, engine="vllm")
