"""The API that OpenAI's clients speak: `/v1/models`, `/v1/completions`, `/v1/chat/completions`,
streamed or not.

What the client sends and expects was captured from it. What would change the meaning of a request
and is not done here (tools, log probabilities, several choices) is refused with 400, never ignored.
The model is one of plain posts: a chat is read to it as a thread, one message after the other. The
texts come from a `Generator`.
"""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from rookery.core.context import Clock
from rookery.core.errors import RookeryError
from rookery.core.protocols import GenerationOptions, Generator

log = logging.getLogger("rookery.gateway")

LEGACY_MAX_TOKENS = 16  # what OpenAI's /v1/completions takes where nothing is said
MAX_TOKENS = 256


class ApiError(Exception):
    """An answer in the envelope `{"error": {"message", "type", "param", "code"}}` with an HTTP
    status.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
    ):
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def api_error_response(error: ApiError) -> JSONResponse:
    """The error as a response."""
    return JSONResponse(error.body, error.status)


class StreamOptions(BaseModel):
    include_usage: bool = False


class _Asked(BaseModel):
    """What both kinds of request have in common. Unknown fields are let pass, as OpenAI does."""

    model_config = ConfigDict(extra="allow")

    model: StrictStr
    max_tokens: StrictInt | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: StrictInt | None = Field(None, ge=0)
    stop: StrictStr | list[StrictStr] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class CompletionRequest(_Asked):
    prompt: StrictStr | list[StrictStr]


class TextPart(BaseModel):
    type: Literal["text"]
    text: StrictStr


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: StrictStr | list[TextPart]

    def text(self) -> str:
        return (
            self.content
            if isinstance(self.content, str)
            else "".join(part.text for part in self.content)
        )


class ChatRequest(_Asked):
    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: StrictInt | None = Field(None, ge=1)


_NOT_DONE: dict[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "best_of": (None, 1),
    "echo": (None, False),
    "suffix": (None, ""),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "tools": (None, []),
    "functions": (None, []),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
    "audio": (None,),
}
"""Parameters that would change the meaning of a request, with the values at which they would
not.
"""


@dataclass(frozen=True)
class _Format:
    """How one kind of endpoint writes its choices: whole, as the first chunk, as a chunk of text,
    as the last.
    """

    id_prefix: str
    whole_object: str
    chunk_object: str
    whole: Callable[[str], dict[str, Any]]
    opening: dict[str, Any] | None
    piece: Callable[[str], dict[str, Any]]
    closing: dict[str, Any]


_TEXT = _Format(
    "cmpl-",
    "text_completion",
    "text_completion",
    whole=lambda text: {"text": text, "logprobs": None},
    opening=None,
    piece=lambda text: {"text": text, "logprobs": None},
    closing={"text": "", "logprobs": None},
)
_CHAT = _Format(
    "chatcmpl-",
    "chat.completion",
    "chat.completion.chunk",
    whole=lambda text: {
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": None,
    },
    opening={"delta": {"role": "assistant", "content": ""}, "logprobs": None},
    piece=lambda text: {"delta": {"content": text}, "logprobs": None},
    closing={"delta": {}, "logprobs": None},
)


def openai_routes(generator: Generator, clock: Clock, new_id: Callable[[], str]) -> APIRouter:
    """The routes that serve one generator."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI API"])
    card = {
        "id": generator.name,
        "object": "model",
        "created": _unix_seconds(clock),
        "owned_by": "rookery",
    }

    @routes.get("/models")
    def models() -> dict[str, Any]:
        """The one model that serves."""
        return {"object": "list", "data": [card]}

    @routes.get("/models/{name:path}")
    def model(name: str) -> dict[str, Any]:
        """One model."""
        _check_model(name, generator)
        return card

    @routes.post("/completions", response_model=None)
    def completions(asked: CompletionRequest) -> JSONResponse | StreamingResponse:
        """Continue a text."""
        prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
        if len(prompts) != 1:
            raise ApiError(
                400, "prompt must be one string; send one request for each", param="prompt"
            )
        return respond(asked, prompts[0], asked.max_tokens, LEGACY_MAX_TOKENS, _TEXT)

    @routes.post("/chat/completions", response_model=None)
    def chat(asked: ChatRequest) -> JSONResponse | StreamingResponse:
        """Continue a conversation."""
        thread = "".join(f"{message.text()}\n" for message in asked.messages)
        return respond(
            asked, thread, asked.max_completion_tokens or asked.max_tokens, MAX_TOKENS, _CHAT
        )

    def respond(asked: _Asked, prompt: str, wanted: int | None, usual: int, form: _Format):
        _check_model(asked.model, generator)
        _check_done(asked)
        prompt_tokens = generator.count_tokens(prompt)
        options = _options(asked, _room(generator, prompt_tokens, wanted, usual))
        head = {
            "id": form.id_prefix + new_id(),
            "created": _unix_seconds(clock),
            "model": generator.name,
        }
        if asked.stream:
            events = _stream(
                generator, prompt, options, prompt_tokens, head, form, asked.wants_usage()
            )
            return StreamingResponse(
                events, media_type="text/event-stream", headers={"cache-control": "no-cache"}
            )
        return JSONResponse(_whole(generator, prompt, options, prompt_tokens, head, form))

    return routes


def _check_model(name: str, generator: Generator) -> None:
    if name != generator.name:
        raise ApiError(
            404,
            f"there is no model {name!r} here; {generator.name!r} serves",
            param="model",
            code="model_not_found",
        )


def _check_done(asked: _Asked) -> None:
    if asked.stream_options is not None and not asked.stream:
        raise ApiError(400, "stream_options goes only with stream", param="stream_options")
    for name, harmless in _NOT_DONE.items():
        value = (asked.model_extra or {}).get(name)
        if value not in harmless:
            raise ApiError(
                400, f"{name} is not supported here", param=name, code="unsupported_parameter"
            )
    if len(asked.stops()) > 4 or "" in asked.stops():
        raise ApiError(400, "stop takes up to 4 strings, none of them empty", param="stop")


def _room(generator: Generator, prompt_tokens: int, wanted: int | None, usual: int) -> int:
    """How many tokens to write: as many as wanted if they fit, or as many as are usual and fit."""
    left = generator.context_tokens - prompt_tokens
    if (wanted or 1) > left:
        what = (
            f"{prompt_tokens} tokens of prompt and {wanted or 1} to write are more than the "
            f"{generator.context_tokens}"
        )
        raise ApiError(
            400,
            f"{what} of this model's context",
            param="max_tokens",
            code="context_length_exceeded",
        )
    return wanted or min(usual, left)


def _options(asked: _Asked, max_tokens: int) -> GenerationOptions:
    usual = GenerationOptions()
    return GenerationOptions(
        max_tokens=max_tokens,
        temperature=usual.temperature if asked.temperature is None else asked.temperature,
        top_p=usual.top_p if asked.top_p is None else asked.top_p,
        seed=asked.seed,
        stop=asked.stops(),
    )


def _whole(
    generator, prompt, options, prompt_tokens: int, head: dict, form: _Format
) -> dict[str, Any]:
    pieces = list(generator.generate(prompt, options))
    choice = {
        "index": 0,
        **form.whole("".join(p.text for p in pieces)),
        "finish_reason": _why_ended(pieces),
    }
    usage = _usage(prompt_tokens, sum(p.tokens for p in pieces))
    return head | {"object": form.whole_object, "choices": [choice], "usage": usage}


def _stream(
    generator, prompt, options, prompt_tokens: int, head: dict, form: _Format, include_usage: bool
) -> Iterator[str]:
    """Server-sent events: the role, the pieces, why it ended, the usage if wanted, `[DONE]`; or an
    error in between.
    """
    head = head | {"object": form.chunk_object}
    no_usage = {"usage": None} if include_usage else {}

    def chunk(content: dict[str, Any], finish_reason: str | None = None) -> str:
        return _event(
            head | {"choices": [{"index": 0, **content, "finish_reason": finish_reason}]} | no_usage
        )

    written, ended = 0, "stop"
    if form.opening is not None:
        yield chunk(form.opening)
    try:
        for piece in generator.generate(prompt, options):
            written += piece.tokens
            ended = piece.finish_reason or ended
            if piece.text:
                yield chunk(form.piece(piece.text))
    except Exception as error:
        log.exception("generation failed in the middle of a stream")
        what = (
            error.line()
            if isinstance(error, RookeryError)
            else "generation failed; the log says why"
        )
        yield _event(ApiError(500, what, kind="server_error").body)
        return
    yield chunk(form.closing, ended)
    if include_usage:
        yield _event(head | {"choices": [], "usage": _usage(prompt_tokens, written)})
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _why_ended(pieces) -> str:
    return (pieces[-1].finish_reason if pieces else None) or "stop"


def _usage(prompt_tokens: int, written: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": written,
        "total_tokens": prompt_tokens + written,
    }


def _unix_seconds(clock: Clock) -> int:
    return int(clock.now().timestamp())
