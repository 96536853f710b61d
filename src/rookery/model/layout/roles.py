"""The roles of a tokenizer's tokens in the files of Hugging Face, read and written.

They are spread over tokenizer_config.json, generation_config.json, config.json and the
post-processor of `tokenizer.json`. What they come to for us is in `../tokens/roles.py`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rookery.core.errors import DataError
from rookery.model.inference.writing import writable
from rookery.model.shape import ModelShape
from rookery.model.tokenizer import Tokenizer
from rookery.model.tokens.encoding import added_tokens
from rookery.model.tokens.roles import ENDS_OF_DOCUMENT, ENDS_OF_TURN, Roles, opening_of


def read_roles(
    file: Mapping[str, Any],
    config: Mapping[str, Any],
    tokenizer_config: Mapping[str, Any],
    generation_config: Mapping[str, Any],
) -> Roles:
    """Return the roles that the parsed files of a folder state.

    file: the `tokenizer.json`. A continuation ends at every token that one of them calls an end,
    and at those whose names say so. Raises `DataError` if nothing ends a text, or a token has no
    output in the network.
    """
    added = added_tokens(file)
    tokens = added | file["model"]["vocab"]
    begin, end = (_name(tokenizer_config.get(role)) for role in ("bos_token", "eos_token"))
    by_name = [added[name] for name in (*ENDS_OF_DOCUMENT, *ENDS_OF_TURN) if name in added]
    stated = [*_ids(generation_config), *_ids(config), *([tokens[end]] if end in tokens else [])]
    ends = list(dict.fromkeys([*stated, *by_name]))
    vocabulary = config["vocab_size"]
    if not ends:
        raise DataError("eos_token_id is stated nowhere, and no token's name says that it ends one")
    if beyond := [token for token in (*ends, *tokens.values()) if token >= vocabulary]:
        raise DataError(f"vocab_size is {vocabulary}, and the tokenizer has a token {max(beyond)}")
    opening = opening_of(file)
    if not opening and tokenizer_config.get("add_bos_token") and begin in tokens:
        opening = (tokens[begin],)
    documents = [added[name] for name in ENDS_OF_DOCUMENT if name in added]
    return Roles(vocabulary, (documents or ends)[0], tuple(ends), opening, begin, end)


def _ids(config: Mapping[str, Any]) -> Iterator[int]:
    """Yield the end tokens of a config: none, one or several."""
    found = config.get("eos_token_id")
    yield from found if isinstance(found, list) else [] if found is None else [found]


def _name(token: Any) -> str:
    """Return the name of a token that is given by name or as a table; empty for none."""
    return (token.get("content") if isinstance(token, Mapping) else token) or ""


def tokenizer_config(shape: ModelShape, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the content of tokenizer_config.json: the roles of the special tokens."""
    names = {token: name for name, token in tokenizer.special.items()}
    roles = tokenizer.roles
    named = {"bos_token": roles.bos_token, "eos_token": roles.eos_token}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{role: name for role, name in named.items() if name},
        "pad_token": names.get(tokenizer.end_of_document, roles.eos_token),
        "model_max_length": shape.context_tokens,
        "clean_up_tokenization_spaces": False,
    }


def generation_config(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the content of generation_config.json: the end tokens, and those never written."""
    never = sorted(set(range(tokenizer.vocabulary)) - set(writable(tokenizer).tolist()))
    return {
        "bos_token_id": tokenizer.before_text[0],
        "eos_token_id": list(tokenizer.ends),
        "pad_token_id": tokenizer.end_of_document,
        "suppress_tokens": never,
    }


def beginning_file(tokenizer: Tokenizer) -> str:
    """Return a tokenizer's file with a post-processor that begins a text with its opening.

    Who reads an exported model knows this file alone. One that says so already is returned as it
    is.
    """
    file = json.loads(tokenizer.file_text)
    if opening_of(file) == tokenizer.opening:
        return tokenizer.file_text
    names = {token: name for name, token in tokenizer.special.items()}
    before = [{"SpecialToken": {"id": names[t], "type_id": 0}} for t in tokenizer.opening]
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    file["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [*before, first],
        "pair": [*before, first, *before, second],
        "special_tokens": {
            names[t]: {"id": names[t], "ids": [t], "tokens": [names[t]]} for t in tokenizer.opening
        },
    }
    return json.dumps(file, ensure_ascii=False, indent=1)
