"""The API of OpenAI: `/v1/models`, `/v1/completions` and `/v1/chat/completions`, streamed or not.

What the client sends and expects was captured from OpenAI's own client. A parameter that would
change the text and is not supported here (tools, log probabilities, several choices), or that is
not known, is refused with 400 and its name, never ignored. The model was trained on plain posts: a
chat becomes a thread, one message per line. The texts come from a `Generator`, before which
requests wait in a `Line`; how a generator is made is not decided here.
"""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

import anyio
from fastapi import APIRouter
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from rookery.core.context import Clock
from rookery.core.errors import RookeryError
from rookery.core.protocols import GenerationOptions, Generator, TextChunk
from rookery.gateway.api.line import Line

log = logging.getLogger("rookery.gateway")

LEGACY_MAX_TOKENS = 16  # the default of OpenAI's /v1/completions
MAX_TOKENS = 256


class ApiError(Exception):
    """An error with an HTTP status and a body in OpenAI's envelope.

    The envelope is `{"error": {"message", "type", "param", "code"}}`.
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
    """Return the error as a response."""
    return JSONResponse(error.body, error.status)


class StreamOptions(BaseModel):
    """The options of a stream: what it holds beside the text."""

    include_usage: bool = False


class _Request(BaseModel):
    """The fields that both kinds of request share.

    top_k, min_p and repetition_penalty are vLLM's; a top_k of 0 or -1 takes all tokens.
    """

    model_config = ConfigDict(extra="allow")

    model: StrictStr
    max_tokens: StrictInt | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: StrictInt | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=2)
    seed: StrictInt | None = Field(None, ge=0)
    stop: StrictStr | list[StrictStr] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def stops(self) -> tuple[str, ...]:
        """Return the strings at which the text ends."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def wants_usage(self) -> bool:
        """Return whether a stream ends with the counts of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage


class CompletionRequest(_Request):
    """The body of a request to `/v1/completions`."""

    prompt: StrictStr | list[StrictStr]


class TextPart(BaseModel):
    """A part of a message that is text; other kinds of parts are refused."""

    type: Literal["text"]
    text: StrictStr


class ChatMessage(BaseModel):
    """One message of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: StrictStr | list[TextPart]

    def text(self) -> str:
        """Return the whole text of the message."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class ChatRequest(_Request):
    """The body of a request to `/v1/chat/completions`."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: StrictInt | None = Field(None, ge=1)


_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
}
"""Parameters that would change the text, with the values beside null that change nothing."""

_HARMLESS = frozenset(
    "user metadata store service_tier safety_identifier prompt_cache_key prompt_cache_retention "
    "parallel_tool_calls prediction".split()
)
"""Parameters that never change the text: accounting, caching, what holds for tools alone."""


@dataclass(frozen=True)
class _Format:
    """The form of one endpoint's choices.

    whole: the choice of an answer in one piece. opening, piece, closing: the choice in the first
    chunk of a stream (None: there is none), in a chunk of text, and in the last chunk.
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
    """Return the routes that serve one generator; `new_id` names each completion."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI API"])
    line = Line(generator)
    card = {
        "id": generator.name,
        "object": "model",
        "created": _unix_seconds(clock),
        "owned_by": "rookery",
    }

    @routes.get("/models")
    async def models() -> dict[str, Any]:
        """List the one model that serves."""
        return {"object": "list", "data": [card]}

    @routes.get("/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        """Describe the model that serves; 404 for another name."""
        _check_model(name, generator)
        return card

    @routes.post("/completions", response_model=None)
    async def completions(request: CompletionRequest) -> JSONResponse | StreamingResponse:
        """Continue a text."""
        prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt
        if len(prompts) != 1:
            raise ApiError(
                400, "prompt must be one string; send one request for each", param="prompt"
            )
        return await respond(request, prompts[0], request.max_tokens, LEGACY_MAX_TOKENS, _TEXT)

    @routes.post("/chat/completions", response_model=None)
    async def chat(request: ChatRequest) -> JSONResponse | StreamingResponse:
        """Continue a conversation."""
        thread = "".join(f"{message.text()}\n" for message in request.messages)
        wanted = request.max_completion_tokens or request.max_tokens
        return await respond(request, thread, wanted, MAX_TOKENS, _CHAT)

    async def respond(
        request: _Request, prompt: str, wanted: int | None, usual: int, form: _Format
    ) -> JSONResponse | StreamingResponse:
        _check_model(request.model, generator)
        _check_supported(request)
        prompt_tokens = await anyio.to_thread.run_sync(generator.count_tokens, prompt)
        options = _options(request, _max_tokens(generator, prompt_tokens, wanted, usual))
        head = {
            "id": form.id_prefix + new_id(),
            "created": _unix_seconds(clock),
            "model": generator.name,
        }
        pieces = line.pieces(prompt, options)
        if request.stream:
            events = _stream(pieces, prompt_tokens, head, form, request.wants_usage())
            return StreamingResponse(
                events, media_type="text/event-stream", headers={"cache-control": "no-cache"}
            )
        return JSONResponse(await _whole(pieces, prompt_tokens, head, form))

    return routes


def _check_model(name: str, generator: Generator) -> None:
    if name != generator.name:
        raise ApiError(
            404,
            f"there is no model {name!r} here; the model here is {generator.name!r}",
            param="model",
            code="model_not_found",
        )


def _check_supported(request: _Request) -> None:
    if request.stream_options is not None and not request.stream:
        raise ApiError(400, "stream_options needs stream to be true", param="stream_options")
    for name, value in (request.model_extra or {}).items():
        if value is None or name in _HARMLESS or value in _UNSUPPORTED.get(name, ()):
            continue
        known = "supported" if name in _UNSUPPORTED else "known"
        raise ApiError(400, f"{name} is not {known} here", param=name, code="unsupported_parameter")
    if len(request.stops()) > 4 or "" in request.stops():
        raise ApiError(400, "stop takes up to 4 strings, none of them empty", param="stop")


def _max_tokens(generator: Generator, prompt_tokens: int, wanted: int | None, usual: int) -> int:
    """Return how many tokens to write at most: as wanted, else as usual or as the context allows.

    Raises `ApiError` if the wanted tokens, or a single one, do not fit into the context.
    """
    left = generator.context_tokens - prompt_tokens
    if (wanted or 1) > left:
        raise ApiError(
            400,
            f"the prompt has {prompt_tokens} tokens; with {wanted or 1} to write this is more "
            f"than the {generator.context_tokens} tokens of this model's context",
            param="max_tokens",
            code="context_length_exceeded",
        )
    return wanted or min(usual, left)


def _options(request: _Request, max_tokens: int) -> GenerationOptions:
    names = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
    given = {name: value for name in names if (value := getattr(request, name)) is not None}
    return GenerationOptions(
        max_tokens=max_tokens, seed=request.seed, stop=request.stops(), **given
    )


async def _whole(
    written: AsyncGenerator[TextChunk],
    prompt_tokens: int,
    head: dict[str, Any],
    form: _Format,
) -> dict[str, Any]:
    async with aclosing(written):
        pieces = [piece async for piece in written]
    choice = {
        "index": 0,
        **form.whole("".join(p.text for p in pieces)),
        "finish_reason": _finish_reason(pieces),
    }
    usage = _usage(prompt_tokens, sum(p.tokens for p in pieces))
    return head | {"object": form.whole_object, "choices": [choice], "usage": usage}


async def _stream(
    pieces: AsyncGenerator[TextChunk],
    prompt_tokens: int,
    head: dict[str, Any],
    form: _Format,
    include_usage: bool,
) -> AsyncIterator[str]:
    """Yield server-sent events: the role, the text in pieces, why it ended, usage, `[DONE]`.

    A failure of the generator ends the stream with an error instead.
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
        async with aclosing(pieces):
            async for piece in pieces:
                written += piece.tokens
                ended = piece.finish_reason or ended
                if piece.text:
                    yield chunk(form.piece(piece.text))
    except Exception as error:
        log.exception("generation failed in the middle of a stream")
        what = (
            error.line()
            if isinstance(error, RookeryError)
            else "generation failed; the log of the server has the details"
        )
        yield _event(ApiError(500, what, kind="server_error").body)
        return
    yield chunk(form.closing, ended)
    if include_usage:
        yield _event(head | {"choices": [], "usage": _usage(prompt_tokens, written)})
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _finish_reason(pieces: Sequence[TextChunk]) -> str:
    return (pieces[-1].finish_reason if pieces else None) or "stop"


def _usage(prompt_tokens: int, written: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": written,
        "total_tokens": prompt_tokens + written,
    }


def _unix_seconds(clock: Clock) -> int:
    return int(clock.now().timestamp())
