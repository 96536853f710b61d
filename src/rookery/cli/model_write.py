"""`rookery model generate` and `rookery model chat`: let a model continue a text, or answer.

Not here: how texts are written (`model/generate.py`), and the verbs that make a model (`model.py`).
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rookery.cli.model import app
from rookery.cli.options import DEFAULT_HOME, HomeOption, JsonOption, ModelOption, opened
from rookery.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from rookery.core.protocols import (
        GenerationOptions,
        Generator,
        Message,
        TextChunk,
        TokenLogprob,
    )

MaxTokensOption = Annotated[int, typer.Option(help="Write at most this many tokens.", min=1)]
TemperatureOption = Annotated[
    float,
    typer.Option(
        help="How much chance there is in the choice of each token; 0 always takes the likeliest.",
        min=0.0,
    ),
]
TopKOption = Annotated[
    int, typer.Option(help="Choose among this many of the likeliest tokens; 0 for all.", min=0)
]
TopPOption = Annotated[
    float,
    typer.Option(
        help="Choose among the fewest tokens that together have this probability.", min=0, max=1
    ),
]
MinPOption = Annotated[
    float,
    typer.Option(
        help="Leave out tokens less probable than this share of the likeliest's.", min=0, max=1
    ),
]
RepetitionOption = Annotated[
    float, typer.Option(help="Above 1: what the text and its prompt have comes back less often.")
]
FrequencyOption = Annotated[
    float, typer.Option(help="Taken from a token's logit for each time that the text has it.")
]
PresenceOption = Annotated[
    float, typer.Option(help="Taken from a token's logit if the text has it at all.")
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        help="The same seed gives the same text. Without it: another text each time.", min=0
    ),
]
StopOption = Annotated[
    list[str], typer.Option(help="End the text before this string. May be repeated.")
]
SchemaOption = Annotated[
    Path | None,
    typer.Option(
        help="A file with a JSON schema: the text is JSON that follows it, and printed alone."
    ),
]

EngineOption = Annotated[
    str,
    typer.Option(
        help="What computes: own, or llama for llama.cpp (pip install 'rookery\\[llama]'), which "
        "writes a single text faster."
    ),
]


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(help="The beginning of the text.")],
    max_tokens: MaxTokensOption = 64,
    temperature: TemperatureOption = 0.8,
    top_k: TopKOption = 50,
    top_p: TopPOption = 1.0,
    min_p: MinPOption = 0.0,
    repetition_penalty: RepetitionOption = 1.0,
    frequency_penalty: FrequencyOption = 0.0,
    presence_penalty: PresenceOption = 0.0,
    seed: SeedOption = None,
    stop: StopOption = [],  # noqa: B006
    n: Annotated[int, typer.Option("-n", "--n", help="Write this many texts.", min=1)] = 1,
    logprobs: Annotated[
        int | None,
        typer.Option(
            help="With --json: tell the logarithm of each token's probability, and of this many "
            "likeliest tokens at its place.",
            min=0,
        ),
    ] = None,
    schema: SchemaOption = None,
    control: Annotated[
        list[str],
        typer.Option(
            help="A control token for the text, such as language:en; the corpus must have been "
            "built with --set controls=true. May be repeated."
        ),
    ] = [],  # noqa: B006
    engine: EngineOption = "own",
    model: ModelOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Continue a text with a model, on standard output."""
    from rookery.core.protocols import GenerationOptions

    if logprobs is not None and not as_json:
        raise UsageError("--logprobs needs --json")
    options = GenerationOptions(
        max_tokens,
        temperature,
        top_k,
        top_p,
        min_p,
        repetition_penalty,
        seed,
        tuple(stop),
        frequency_penalty,
        presence_penalty,
        n,
        logprobs,
        _read_schema(schema),
    )
    generator, prompt = _generator(home, model, engine, control), _whole_characters(prompt)
    if as_json:
        _show_json(generator, prompt, options)
    elif n > 1:
        _show_several(generator, prompt, options)
    else:
        begin = "" if schema else prompt
        _stream(generator, begin, prompt, options)


@app.command()
def chat(
    system: Annotated[
        str | None, typer.Option(help="What the system says before the conversation.")
    ] = None,
    max_tokens: MaxTokensOption = 256,
    temperature: TemperatureOption = 0.8,
    top_k: TopKOption = 50,
    top_p: TopPOption = 1.0,
    min_p: MinPOption = 0.0,
    repetition_penalty: RepetitionOption = 1.0,
    frequency_penalty: FrequencyOption = 0.0,
    presence_penalty: PresenceOption = 0.0,
    seed: SeedOption = None,
    schema: SchemaOption = None,
    engine: EngineOption = "own",
    model: ModelOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Talk with a model; `rookery model tune chat` teaches one to reply.

    On a terminal: a conversation, until end of file (Ctrl-D). Otherwise standard input is one
    message, and the reply is written to standard output. With --json, standard input is a chat: a
    JSON list of messages, each with "role" and "content".
    """
    from rookery.core.protocols import GenerationOptions, Message

    options = GenerationOptions(
        max_tokens,
        temperature,
        top_k,
        top_p,
        min_p,
        repetition_penalty,
        seed,
        (),
        frequency_penalty,
        presence_penalty,
        schema=_read_schema(schema),
    )
    messages = [] if system is None else [Message("system", _whole_characters(system))]
    if as_json:
        messages += _read_messages(sys.stdin.read())
        return _show_json(_generator(home, model, engine), messages, options)
    if not sys.stdin.isatty():
        messages.append(Message("user", _whole_characters(sys.stdin.read()).strip()))
        _stream(_generator(home, model, engine), "", messages, options)
        return None
    return _converse(_generator(home, model, engine), messages, options)


def _converse(
    generator: "Generator", messages: list["Message"], options: "GenerationOptions"
) -> None:
    """Read a message and write a reply, in turn, until the end of standard input."""
    from rookery.core.protocols import Message

    while True:
        try:
            said = _whole_characters(input("> ")).strip()
        except EOFError:
            print()
            return
        if not said:
            continue
        messages.append(Message("user", said))
        reply = _stream(generator, "", messages, options)
        messages.append(Message("assistant", reply))


def _generator(
    home: Path, model: str | None, engine: str, controls: Sequence[str] = ()
) -> "Generator":
    from rookery.core.extras import require_model
    from rookery.workflows.models import need_checkpoint

    require_model()
    from rookery.model.generate import load_generator

    return load_generator(need_checkpoint(opened(home), model), controls, engine)


def _stream(
    generator: "Generator", begin: str, prompt: "str | list[Message]", options: "GenerationOptions"
) -> str:
    """Print a text while it is written, and return it; say so if its schema was cut short."""
    pieces, reason = [], None
    written = generator.generate(prompt, options)
    print(begin, end="", flush=True)
    for piece in written:
        pieces.append(piece.text)
        reason = piece.finish_reason
        print(piece.text, end="", flush=True)
    print()
    if options.schema is not None and reason == "length":
        print(
            f"rookery: the JSON is cut: it has more than {options.max_tokens} tokens. "
            "Give more with --max-tokens",
            file=sys.stderr,
        )
    return "".join(pieces)


def _show_several(generator: "Generator", prompt: str, options: "GenerationOptions") -> None:
    """Print each of several texts under its number."""
    begin = "" if options.schema else prompt
    for number, pieces in enumerate(_choices(generator.generate(prompt, options), options.n), 1):
        print(f"[{number}] {begin}{''.join(piece.text for piece in pieces)}")


def _show_json(
    generator: "Generator", prompt: "str | list[Message]", options: "GenerationOptions"
) -> None:
    from rookery.cli.show import show_json

    choices = _choices(generator.generate(prompt, options), options.n)
    show_json(
        {
            "model": generator.name,
            "prompt_tokens": generator.count_tokens(prompt),
            "choices": [_choice(pieces, options.logprobs is not None) for pieces in choices],
        }
    )


def _choices(pieces: Iterable["TextChunk"], count: int) -> list[list["TextChunk"]]:
    """Return the pieces of each text."""
    choices: list[list[TextChunk]] = [[] for _ in range(count)]
    for piece in pieces:
        choices[piece.choice].append(piece)
    return choices


def _choice(pieces: Sequence["TextChunk"], has_logprobs: bool) -> dict[str, Any]:
    choice = {
        "text": "".join(piece.text for piece in pieces),
        "tokens": sum(piece.tokens for piece in pieces),
        "finish_reason": pieces[-1].finish_reason,
    }
    if has_logprobs:
        choice["logprobs"] = [_logprob(one) for piece in pieces for one in piece.logprobs]
    return choice


def _logprob(one: "TokenLogprob") -> dict[str, Any]:
    """Return a token with its probability, and the likeliest ones if it tells of them."""
    told = {
        "token": one.bytes.decode("utf-8", "replace"),
        "bytes": list(one.bytes),
        "logprob": one.logprob,
    }
    return told | ({"top": [_logprob(other) for other in one.top]} if one.top else {})


def _read_schema(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the schema cannot be read: {error.strerror}", where=path) from None
    except ValueError as error:
        raise DataError(f"the schema is not JSON: {error}", where=path) from None
    if not isinstance(schema, dict):
        raise DataError("a JSON schema is an object", where=path)
    return schema


def _read_messages(text: str) -> list["Message"]:
    """Return the messages of a chat in JSON; raise `DataError` for anything else."""
    from rookery.core.protocols import Message

    hint = 'Example: [{"role": "user", "content": "Hello"}]'
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DataError(f"standard input is not JSON: {error}", hint=hint) from None
    if not isinstance(found, list) or not found:
        raise DataError("a chat is a list of messages", hint=hint)
    for number, message in enumerate(found, 1):
        fields = message if isinstance(message, dict) else {}
        if not all(isinstance(fields.get(name), str) for name in ("role", "content")):
            raise DataError(f"message {number} has no role and content that are text", hint=hint)
    return [Message(m["role"], _whole_characters(m["content"])) for m in found]


def _whole_characters(text: str) -> str:
    """Return a text in which half a surrogate pair, which nothing can print, is U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
