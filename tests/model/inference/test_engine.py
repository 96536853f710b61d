"""The engine: many callers, cancelled and stalled ones, errors, forks and the end."""

import gc
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from writing import random_generator, written

from rookery.core.errors import RookeryError, UsageError
from rookery.core.protocols import GenerationOptions, Message
from rookery.model.inference.text import Text

PROMPTS = ["", "the rooks came back", "x", "hello " * 40, "грачи", "the rooks", "\ud83d", "🦜🦜"]


@pytest.fixture
def generator():
    made = random_generator()
    yield made
    made.close()


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def has_no_slot_taken(generator):
    engine = generator._engine
    return engine._slots.free == 4 and not engine._requests and not engine._stalled


def never_ending(generator, **options):
    """Return a reader of texts that no end token ends."""
    generator._engine._slots._bias[list(generator.tokenizer.ends)] = -np.inf
    return generator.generate("x", GenerationOptions(**{"max_tokens": 10**9, **options}))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_texts_of_many_threads_are_what_they_are_alone(generator, temperature):
    options = {"max_tokens": 40, "temperature": temperature, "seed": 5}
    alone = [written(generator, prompt, **options) for prompt in PROMPTS]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda p: written(generator, p, **options), PROMPTS))
    assert together == alone
    assert has_no_slot_taken(generator)


def test_texts_are_written_before_they_are_read(generator):
    readers = [generator.generate(p, GenerationOptions(8, 0.0)) for p in PROMPTS]
    wait_until(lambda: has_no_slot_taken(generator) and not generator._engine._waiting)
    for reader in readers:
        assert [p.finish_reason for p in reader][-1] in ("stop", "length")


def test_n_texts_of_one_prompt_differ_and_the_first_is_the_one_made_alone(generator):
    options = {"max_tokens": 12, "temperature": 1.5, "top_k": 0, "seed": 7}
    pieces = list(generator.generate("the rooks", GenerationOptions(n=6, **options)))
    texts = ["".join(p.text for p in pieces if p.choice == c) for c in range(6)]
    assert texts[0] == written(generator, "the rooks", **options)
    assert len(set(texts)) > 3
    assert sum(p.finish_reason is not None for p in pieces) == 6


def test_logprobs_tell_of_each_token_and_sum_to_no_more_than_one(generator):
    options = GenerationOptions(12, 0.0, logprobs=20, stop=("elms",))
    pieces = list(generator.generate("the rooks", options))
    told = [one for p in pieces for one in p.logprobs]
    assert len(told) == sum(p.tokens for p in pieces) == 12
    for one in told:
        assert one.top[0].logprob == pytest.approx(one.logprob)  # greedy takes the likeliest
        assert sum(np.exp(other.logprob) for other in one.top) <= 1 + 1e-6
    assert (
        b"".join(one.bytes for one in told)
        .decode("utf-8", "replace")
        .startswith("".join(p.text for p in pieces))
    )


def test_a_stop_string_across_tokens_ends_a_text_before_it(generator):
    options = {"max_tokens": 20, "temperature": 0.0}
    whole = written(generator, "the rooks", **options)
    stop = whole[4:10]
    cut = list(generator.generate("the rooks", GenerationOptions(stop=(stop,), **options)))
    assert "".join(p.text for p in cut) == whole[: whole.index(stop)]
    assert cut[-1].finish_reason == "stop"


@pytest.mark.parametrize("leave", ["close", "forget"])
def test_a_reader_that_leaves_frees_its_slot_at_once(generator, leave):
    reader = never_ending(generator, n=4)
    next(reader)
    assert generator._engine._slots.free == 0
    if leave == "close":
        reader.close()
        assert list(reader) == []
    else:
        del reader
        gc.collect()
    wait_until(lambda: has_no_slot_taken(generator))
    assert written(generator, "x", max_tokens=3)


def test_a_reader_that_leaves_before_its_turn_is_forgotten(generator):
    first = never_ending(generator, n=4)
    next(first)
    second = never_ending(generator, n=100)
    second.close()
    wait_until(lambda: not generator._engine._waiting)
    first.close()
    wait_until(lambda: has_no_slot_taken(generator))


def test_a_stalled_reader_holds_its_own_buffer_and_nobody_up(generator):
    generator._engine._most_pieces = 16
    stalled = [never_ending(generator, temperature=0.0) for _ in range(8)]
    engine = generator._engine
    wait_until(lambda: len(engine._stalled) == 8)
    assert has_no_slot_taken(generator) or engine._slots.free == 4
    assert all(reader._request.pieces.qsize() == 16 for reader in stalled)
    others = written(generator, "the rooks", max_tokens=20, temperature=0.0)
    assert others
    read = ["".join(next(reader).text for _ in range(100)) for reader in stalled]
    for reader in stalled:
        reader.close()
    assert len(set(read)) == 1  # each went on where it was, as if nothing had held it up
    wait_until(lambda: has_no_slot_taken(generator))


def test_an_error_in_a_pass_ends_its_requests_and_not_the_engine(generator, monkeypatch):
    expected = written(generator, "the rooks", max_tokens=10, temperature=0.0)
    forward = generator.network.forward

    def failing(tokens_BT, **named):
        if failing.countdown == 0:
            failing.countdown = -1
            raise RuntimeError("out of luck")
        failing.countdown -= 1
        return forward(tokens_BT, **named)

    failing.countdown = 5
    monkeypatch.setattr(generator.network, "forward", failing)
    readers = [never_ending(generator) for _ in range(9)]
    for reader in readers[:4]:
        with pytest.raises(RookeryError, match="out of luck"):
            list(reader)
        assert list(reader) == []
    for reader in readers[4:]:
        next(reader)  # those that waited are served
        reader.close()
    assert written(generator, "the rooks", max_tokens=10, temperature=0.0) == expected
    wait_until(lambda: has_no_slot_taken(generator))


def test_an_error_in_one_text_ends_its_request_alone(generator, monkeypatch):
    take = Text.take

    def failing(text, logits):
        if text._logprobs == 3:
            raise ValueError("no token")
        return take(text, logits)

    monkeypatch.setattr(Text, "take", failing)
    beside = never_ending(generator)
    with pytest.raises(RookeryError, match="no token"):
        list(generator.generate("the rooks", GenerationOptions(10, n=2, logprobs=3)))
    next(beside)
    beside.close()
    wait_until(lambda: has_no_slot_taken(generator))


def test_close_ends_what_is_written_and_refuses_what_comes_later(generator):
    readers = [never_ending(generator) for _ in range(6)]
    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(list, readers[0])
        generator.close()
        generator.close()
        assert isinstance(blocked.exception(10), UsageError)
    for reader in readers[1:]:
        with pytest.raises(UsageError, match="was closed"):
            list(reader)
    with pytest.raises(UsageError, match="was closed"):
        generator.generate("x", GenerationOptions())
    assert not generator._engine._thread.is_alive()


def test_a_generator_that_nobody_holds_ends_its_thread():
    generator = random_generator()
    reader = generator.generate("x", GenerationOptions(3, 0.0))
    thread = generator._engine._thread
    del generator
    gc.collect()
    assert [p.finish_reason for p in reader][-1] == "length"  # the reader holds it
    del reader
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_process_is_told_to_load_its_own(generator):
    reader = never_ending(generator)
    next(reader)
    child = os.fork()
    if child == 0:
        refused = 0
        for attempt in (lambda: next(reader), lambda: generator.generate("x", GenerationOptions())):
            try:
                attempt()
            except UsageError as error:
                refused += "another process" in str(error)
        reader.close()
        generator.close()
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    next(reader)  # the parent goes on
    reader.close()


def test_a_program_ends_in_the_middle_of_a_text(tmp_path):
    """Run a program that leaves a text unfinished: it exits with 0, quickly and in silence."""
    program = (
        "from writing import random_generator\n"
        "from rookery.core.protocols import GenerationOptions\n"
        "reader = random_generator().generate('x', GenerationOptions(10**9, stop=('\\0',)))\n"
        "next(reader)\n"
    )
    paths = os.pathsep.join(["tests/support", *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_a_chat_is_answered(generator):
    chat = [Message("user", "hello rooks"), Message("assistant", "hello"), Message("user", "elms?")]
    assert generator.count_tokens(chat) > generator.count_tokens("hello rookshelloelms?")
    pieces = list(generator.generate(chat, GenerationOptions(8, 0.0)))
    assert pieces[-1].finish_reason in ("stop", "length")


@pytest.mark.slow
def test_ten_thousand_requests_lose_no_slot_and_little_memory(generator):
    """Mix lengths, choices, cancelled, stalled and refused requests from eight threads."""
    generator._engine._most_pieces = 8

    def ask(seed):
        random = np.random.default_rng(seed)
        options = GenerationOptions(
            max_tokens=int(random.integers(1, 24)), n=int(random.integers(1, 4)), seed=seed
        )
        reader = generator.generate(PROMPTS[seed % len(PROMPTS)], options)
        kind = random.integers(4)
        if kind == 0:
            return reader.close()
        if kind == 1:
            next(reader)
            return None
        ended = sum(p.finish_reason is not None for p in reader)
        assert ended == options.n
        return None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(2_500)))
        before = resident_kib()
        list(pool.map(ask, range(2_500, 10_000)))
        grown_kib = resident_kib() - before
    wait_until(lambda: has_no_slot_taken(generator) and not generator._engine._waiting)
    print(f"grown by {grown_kib} KiB in the last 7,500")
    assert grown_kib < 8 * 1024


def resident_kib():
    """Return the memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
