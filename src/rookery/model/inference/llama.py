"""llama.cpp in this process (`xllamacpp`, extra `[llama]`), as another way to write texts.

It reads a GGUF, which is written beside the checkpoint at first use. Prompts, stop strings and the
end of a text are handled as with our own network; llama.cpp computes, and chooses the tokens by the
same options. It tells whole characters and not always their tokens, so a text that it is to go on
with, after a full context or a reader who fell behind, is encoded anew.

Not here: the format of the file (`../layout/gguf.py`), threads and waiting (`engine.py`).
"""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import torch

from rookery.core.artifact import Artifact
from rookery.core.errors import DataError, RookeryError
from rookery.core.locks import exclusive
from rookery.core.protocols import GenerationOptions, TextChunk, TokenLogprob
from rookery.model.checkpoint import load_shape
from rookery.model.generate import EngineGenerator, control_ids
from rookery.model.inference.engine import Engine
from rookery.model.inference.prompts import Prompts, PromptTokens
from rookery.model.inference.text import Window
from rookery.model.inference.writing import Pieces, writable
from rookery.model.layout.gguf import write_gguf
from rookery.model.tokenizer import Tokenizer, load_tokenizer
from rookery.model.tuning.template import load_template

SLOTS = 8
WAIT_SECONDS = 0.05  # for a token; signals of readers are heard in between
SAMPLERS = ("penalties", "temperature", "top_k", "min_p", "top_p")  # in our order


def load_llama(
    checkpoint: Artifact, controls: Sequence[str] = (), slots: int = SLOTS
) -> "LlamaGenerator":
    """Return a generator that runs a checkpoint in llama.cpp, in float32.

    slots: how many texts it writes at once. Raises `DataError` if the tokenizer has a pattern that
    llama.cpp does not know, `BusyError` while another process writes the GGUF.
    """
    tokenizer = load_tokenizer(checkpoint)
    context_tokens = load_shape(checkpoint).context_tokens
    prompts = Prompts(
        tokenizer,
        lambda: load_template(checkpoint),
        context_tokens,
        control_ids(tokenizer, controls),
    )
    server = _server(gguf_beside(checkpoint), slots, context_tokens)
    return LlamaGenerator(checkpoint, tokenizer, prompts, context_tokens, LlamaSlots(server, slots))


def gguf_beside(checkpoint: Artifact) -> Path:
    """Return the GGUF (float32) beside a checkpoint's folder, written if it is not there yet."""
    path = checkpoint.path.with_name(f"{checkpoint.key}.gguf")
    if path.exists():
        return path
    with exclusive(path.with_suffix(".lock"), "the GGUF of a checkpoint"):
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        write_gguf(checkpoint, part)
        os.replace(part, path)
    return path


def _server(path: Path, slots: int, context_tokens: int) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_parallel, params.n_ctx = slots, slots * context_tokens
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = torch.get_num_threads()
    params.fit_params = params.warmup = False
    params.verbosity = 0
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"llama.cpp cannot read this GGUF: {error}",
            where=path,
            hint="Remove it, and it is written again",
        ) from None


class LlamaGenerator(EngineGenerator):
    """A checkpoint in llama.cpp: a `Generator` of core/protocols.py."""

    def __init__(
        self,
        checkpoint: Artifact,
        tokenizer: Tokenizer,
        prompts: Prompts,
        context_tokens: int,
        slots: "LlamaSlots",
    ):
        super().__init__(checkpoint.key, checkpoint.digest, tokenizer, prompts, Engine(slots))
        self.context_tokens = context_tokens
        written = set(writable(tokenizer).tolist())
        self._never = [[n, False] for n in range(tokenizer.vocabulary) if n not in written]

    def _text(self, prompt: PromptTokens, options: GenerationOptions, choice: int) -> "LlamaText":
        """Return one of the texts that continue a prompt, of which nothing is written yet."""
        body = _body(options, choice) | {"logit_bias": self._never}
        if options.schema is not None:
            self._schemas.matcher(options.schema)  # refuses what no text can follow
            schema = {**options.schema, "x-guidance": {"whitespace_flexible": False}}
            body["grammar"] = f"%llguidance {{}}\nstart: %json {json.dumps(schema)}"
        window = Window(self.context_tokens, prompt.opening)
        pieces = Pieces(self.tokenizer, options.max_tokens, options.stop, choice)
        return LlamaText(prompt.tokens, window, self.tokenizer, pieces, body)


def _body(options: GenerationOptions, choice: int) -> dict[str, Any]:
    """Return what llama.cpp's server calls the options of a text."""
    asked: dict[str, Any] = {
        "stream": True,
        "samplers": SAMPLERS,
        "temperature": options.temperature,
        "top_k": max(0, options.top_k),
        "top_p": options.top_p,
        "min_p": options.min_p,
        "repeat_penalty": options.repetition_penalty,
        "repeat_last_n": 2**31 - 1,  # the whole text
        "frequency_penalty": options.frequency_penalty,
        "presence_penalty": options.presence_penalty,
    }
    if options.seed is not None:
        asked["seed"] = (options.seed + choice) % 2**32
    if options.logprobs is not None:
        asked["logprobs"] = max(1, options.logprobs)
    return asked


@dataclass(frozen=True)
class Told:
    """What the server says of a text: characters and their logprobs, or how it ended.

    tokens: how many the run had in all, when it ends.
    """

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    reason: str | None = None
    tokens: int = 0
    error: str | None = None


class LlamaText:
    """One text: what the server is asked for, and what came of it."""

    def __init__(
        self,
        prompt: Sequence[int],
        window: Window,
        tokenizer: Tokenizer,
        pieces: Pieces,
        body: Mapping[str, Any],
    ):
        self._prompt, self._window, self._tokenizer = prompt, window, tokenizer
        self._pieces, self._body = pieces, body
        self._written, self._counted = "", 0

    def request(self) -> dict[str, Any]:
        """Return what to ask for now: to go on after the prompt and what is written so far."""
        self._counted = 0
        window = self._window.of([*self._prompt, *self._tokenizer.encode([self._written])[0]])
        return {**self._body, "prompt": window, "max_tokens": self._pieces.left}

    def take(self, told: Told) -> TextChunk | None:
        """Take what the server says; return the piece that is finished, if there is one."""
        if told.error is not None:
            raise RookeryError(f"llama.cpp: {told.error}")
        self._written += told.text
        tokens = 1 if told.reason is None else told.tokens - self._counted
        self._counted += tokens
        return self._pieces.add_text(told.text, tokens, told.logprobs, is_end=told.reason == "stop")


class _Run:
    """One request to the server, in a thread of its own until it ends or is cancelled."""

    def __init__(self, server: Any, text: LlamaText, heard: "SimpleQueue[tuple[_Run, Told]]"):
        self.text, self._server, self._heard = text, server, heard
        self.is_cancelled = self.has_ended = False
        self._body = text.request()
        self.thread = threading.Thread(target=self._ask, name="llama", daemon=True)
        self.thread.start()

    def _ask(self) -> None:
        try:
            self._server.handle_completions(self._body, self._hear)
        except Exception as error:
            self._heard.put((self, Told(error=f"{type(error).__name__}: {error}", reason="stop")))

    def _hear(self, answer: Mapping[str, Any]) -> bool:
        """Take one answer; return whether the server shall stop."""
        self._heard.put((self, _told(answer)))
        return self.is_cancelled


def _told(answer: Mapping[str, Any]) -> Told:
    if "error" in answer:
        return Told(error=str(answer["error"].get("message")), reason="stop")
    choice = answer["choices"][0]
    found = (choice.get("logprobs") or {}).get("content") or []
    logprobs = tuple(
        TokenLogprob(
            bytes(one["bytes"]),
            one["logprob"],
            tuple(TokenLogprob(bytes(o["bytes"]), o["logprob"]) for o in one["top_logprobs"]),
        )
        for one in found
    )
    tokens = (answer.get("usage") or {}).get("completion_tokens", 0)
    return Told(choice["text"], logprobs, choice["finish_reason"], tokens)


class LlamaSlots:
    """The slots of llama.cpp's server."""

    def __init__(self, server: Any, count: int):
        self._server, self._count = server, count
        self._heard: SimpleQueue[tuple[_Run, Told]] = SimpleQueue()
        self._runs: dict[LlamaText, _Run] = {}

    @property
    def free(self) -> int:
        """Return how many more texts may join."""
        return self._count - len(self._runs)

    def join(self, text: LlamaText) -> None:
        """Begin to write a text, or go on with it."""
        self._runs[text] = _Run(self._server, text, self._heard)

    def leave(self, text: LlamaText) -> None:
        """Stop writing a text."""
        self._runs.pop(text).is_cancelled = True

    def clear(self) -> None:
        """Stop writing all texts, and wait until the server has let go of them."""
        runs = list(self._runs.values())
        for text in list(self._runs):
            self.leave(text)
        for run in runs:
            run.thread.join()

    def step(self) -> list[tuple[LlamaText, Told]]:
        """Return what the server has said since the last step, waiting a little for it."""
        for text, run in list(self._runs.items()):
            if run.has_ended:  # at the end of the context, and not of the text
                self.join(text)
        heard = []
        try:
            heard.append(self._heard.get(timeout=WAIT_SECONDS))
            while True:
                heard.append(self._heard.get_nowait())
        except Empty:
            pass
        current = [(run, told) for run, told in heard if self._runs.get(run.text) is run]
        for run, told in current:
            run.has_ended = run.has_ended or told.reason is not None
        return [(run.text, told) for run, told in current]
