"""A schema: every text that ends by itself follows it, and none is asked for what cannot be."""

import json
import re

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from writing import random_generator

from rookery.core.errors import UsageError
from rookery.core.protocols import GenerationOptions

GENERATOR = random_generator()
LEAVES = st.sampled_from(
    [
        {"type": "boolean"},
        {"type": "integer", "minimum": -3, "maximum": 12},
        {"type": "string", "maxLength": 6},
        {"enum": ["news", "sport 🦜", None]},
        {"type": "null"},
    ]
)


def grown(schemas):
    """Return schemas of objects and lists of schemas."""
    objects = st.dictionaries(st.sampled_from("abc"), schemas, max_size=3).map(
        lambda parts: {
            "type": "object",
            "properties": parts,
            "required": list(parts),
            "additionalProperties": False,
        }
    )
    return objects | schemas.map(lambda s: {"type": "array", "items": s, "maxItems": 2})


def made(schema, **options):
    pieces = list(GENERATOR.generate("x", GenerationOptions(schema=schema, **options)))
    return "".join(p.text for p in pieces), pieces[-1].finish_reason


@settings(max_examples=40, deadline=None)
@given(st.recursive(LEAVES, grown, max_leaves=4), st.integers(0, 99))
def test_a_text_that_is_not_cut_follows_its_schema_and_has_no_free_space(schema, seed):
    text, reason = made(schema, max_tokens=400, seed=seed, temperature=1.5)
    assert reason in ("stop", "length")
    if reason == "stop":
        found = json.loads(text)
        jsonschema.validate(found, schema)
        outside_strings = re.sub(r'"(\\.|[^"\\])*"', "", text)
        assert not re.search(r"\s", outside_strings)


def test_a_text_that_is_cut_says_so():
    assert made({"type": "string", "minLength": 50}, max_tokens=5)[1] == "length"


def test_a_schema_works_beside_penalties_choices_and_logprobs():
    schema = {"enum": ["rooks", "crows"]}
    options = GenerationOptions(
        schema=schema, n=3, logprobs=1, presence_penalty=1.0, repetition_penalty=1.3, seed=1
    )
    pieces = list(GENERATOR.generate("x", options))
    for choice in range(3):
        text = "".join(p.text for p in pieces if p.choice == choice)
        assert json.loads(text) in schema["enum"]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "strin"}, "strin"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "incompatible"),
        ({"enum": []}, "empty"),
        ({"type": "array", "minItems": 3, "maxItems": 1}, "minItems"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "unsatisfiable"),
        ({"$ref": "#/nowhere"}, "nowhere"),
        ({"type": "string", "pattern": "("}, "unclosed"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"const": float("nan")}, "JSON"),
        ({"const": {1, 2}}, "set"),
    ],
)
def test_a_schema_that_is_wrong_or_that_nothing_meets_is_refused_with_the_reason(schema, reason):
    with pytest.raises(UsageError, match=reason):
        GENERATOR.generate("x", GenerationOptions(schema=schema))
