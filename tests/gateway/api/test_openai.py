"""The API, called by OpenAI's own client over a real socket."""

import httpx2
import openai
import pytest

from rookery.core.context import SystemClock
from rookery.core.errors import RookeryError
from rookery.core.protocols import SeededGenerator, TextChunk
from rookery.gateway.app import create_app
from rookery.gateway.parts import Parts

ASKED = {"model": "untrained", "messages": [{"role": "user", "content": "rooks and crows"}]}


def only(generator) -> Parts:
    """Return the parts of a gateway that only generates text."""
    return Parts(None, None, None, None, None, None, generator=generator)


@pytest.fixture(scope="module")
def address(served):
    with served(create_app(only(SeededGenerator()), SystemClock())) as found:
        yield found


@pytest.fixture(scope="module")
def client(address):
    with openai.OpenAI(base_url=f"{address}v1", api_key="none", max_retries=0) as client:
        yield client


def test_the_one_model_is_listed_and_the_untrained_twin_says_what_it_is(client):
    assert [model.id for model in client.models.list()] == ["untrained"]
    assert client.models.retrieve("untrained").object == "model"


def test_a_completion_continues_the_prompt_and_counts_its_tokens(client):
    made = client.completions.create(
        model="untrained", prompt="rooks and crows", max_tokens=5, seed=1
    )
    assert len(made.choices[0].text.split()) == 5
    assert set(made.choices[0].text.split()) <= {"rooks", "and", "crows"}
    assert made.choices[0].finish_reason == "length"
    assert (made.usage.prompt_tokens, made.usage.completion_tokens, made.usage.total_tokens) == (
        3,
        5,
        8,
    )


def test_a_chat_answers_as_the_assistant(client):
    made = client.chat.completions.create(**ASKED, max_completion_tokens=4, seed=1)
    assert made.object == "chat.completion"
    assert made.choices[0].message.role == "assistant"
    assert len(made.choices[0].message.content.split()) == 4


def test_message_parts_are_read_as_their_text(client):
    parts = [{"type": "text", "text": "rooks "}, {"type": "text", "text": "only"}]
    made = client.chat.completions.create(
        model="untrained", messages=[{"role": "user", "content": parts}], max_tokens=3
    )
    assert made.usage.prompt_tokens == 2


def test_a_streamed_chat_is_the_same_text_role_first_and_reason_last(client):
    whole = client.chat.completions.create(**ASKED, max_tokens=6, seed=7)
    chunks = list(client.chat.completions.create(**ASKED, max_tokens=6, seed=7, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks] == [None] * (len(chunks) - 1) + ["length"]
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert text == whole.choices[0].message.content
    assert len({c.id for c in chunks}) == 1
    assert all(c.usage is None for c in chunks)


def test_a_streamed_completion_is_the_same_text(client):
    asked = {"model": "untrained", "prompt": "rooks and crows", "max_tokens": 6, "seed": 7}
    whole = client.completions.create(**asked)
    chunks = list(client.completions.create(**asked, stream=True))
    assert "".join(c.choices[0].text for c in chunks) == whole.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "length"


def test_usage_comes_last_in_a_stream_that_wants_it(client):
    chunks = list(
        client.chat.completions.create(
            **ASKED, max_tokens=4, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 4
    assert all(c.usage is None for c in chunks[:-1])


def test_a_stream_is_events_that_end_with_done(address):
    asked = {**ASKED, "max_tokens": 2, "stream": True}
    with httpx2.stream("POST", f"{address}v1/chat/completions", json=asked) as response:
        lines = [line for line in response.iter_lines() if line]
        assert response.headers["content-type"].startswith("text/event-stream")
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"


def test_another_model_is_not_found_with_its_code_and_a_request_id(client):
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(**(ASKED | {"model": "gpt-5"}))
    assert refused.value.code == "model_not_found"
    assert refused.value.param == "model"
    assert refused.value.request_id.startswith("req_")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": 100_000}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"seed": -1}, "seed"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": ""}, "stop"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"extra_body": {"top_k": 1.5}}, "top_k"),
        ({"extra_body": {"min_p": 2}}, "min_p"),
        ({"extra_body": {"repetition_penalty": 0}}, "repetition_penalty"),
        ({"extra_body": {"typical_p": 0.5}}, "typical_p"),
        ({"extra_body": {"repeat_penalty": 1.1}}, "repeat_penalty"),
        ({"extra_body": {"prompt": "rooks"}}, "prompt"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    ],
)
def test_what_cannot_be_done_is_refused_in_the_envelope(client, change, param):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**(ASKED | change))
    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    "harmless",
    [
        {"n": 1},
        {"presence_penalty": 0.0},
        {"user": "ada"},
        {"logprobs": False},
        {"extra_body": {"typical_p": None}},
    ],
)
def test_parameters_that_change_nothing_are_let_pass(client, harmless):
    assert client.chat.completions.create(**ASKED, max_tokens=1, **harmless).choices


def test_too_long_a_prompt_is_refused_with_the_limit(client):
    with pytest.raises(openai.BadRequestError, match="256") as refused:
        client.completions.create(model="untrained", prompt="rook " * 300)
    assert refused.value.code == "context_length_exceeded"


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"text"', b"", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused_in_the_envelope(address, body):
    response = httpx2.post(
        f"{address}v1/completions", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_an_unknown_path_is_not_found_in_the_envelope(address):
    response = httpx2.get(f"{address}v1/nothing")
    assert response.status_code == 404
    assert response.json()["error"]["message"]


class Heard(SeededGenerator):
    """A generator that writes the options that it got."""

    def generate(self, prompt, options):
        yield TextChunk(f"{options.top_k} {options.min_p} {options.repetition_penalty}")


def test_parameters_of_sampling_reach_the_generator(served):
    extra = {"top_k": 3, "min_p": 0.1, "repetition_penalty": 1.2}
    with served(create_app(only(Heard()), SystemClock())) as address:
        with openai.OpenAI(base_url=f"{address}v1", api_key="none", max_retries=0) as client:
            made = client.completions.create(model="untrained", prompt="rooks", extra_body=extra)
    assert made.choices[0].text == "3 0.1 1.2"


class Failing(SeededGenerator):
    """A generator that writes two pieces and then fails."""

    def generate(self, prompt, options):
        yield TextChunk(" one")
        yield TextChunk(" two")
        raise RookeryError("the model is not there")


def test_a_failure_in_a_stream_reaches_the_client_as_an_error(served):
    with served(create_app(only(Failing()), SystemClock())) as address:
        with openai.OpenAI(base_url=f"{address}v1", api_key="none", max_retries=0) as client:
            with pytest.raises(openai.APIError, match="the model is not there"):
                list(client.chat.completions.create(**ASKED, stream=True))
            with pytest.raises(openai.InternalServerError, match="the model is not there"):
                client.chat.completions.create(**ASKED)
