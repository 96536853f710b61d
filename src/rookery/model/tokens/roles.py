"""Roles: which tokens end a text, end a document, and begin a plain prompt.

A `tokenizer.json` has no place for most of these: it lists added tokens and, in its post-processor,
what a plain prompt begins with. Of our own tokenizers, and of most others, the rest follows from
the tokens' names, as llama.cpp finds it too. An adopted model states it in files of Hugging Face
that differ from release to release; adopting reads them once and keeps the outcome beside the
tokenizer, as `tokenizer_roles.json`. Such a file wins over names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rookery.core.errors import DataError
from rookery.model.tokens.encoding import added_tokens

FILE = "tokenizer_roles.json"
OURS_BEFORE = "<|endofdocument|>"  # the end of a document in tokenizers of an earlier release
ENDS_OF_DOCUMENT = (OURS_BEFORE, "<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>")
ENDS_OF_TURN = ("<|endofturn|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>")


@dataclass(frozen=True)
class Roles:
    """The tokens of a tokenizer that mean more than text, by id.

    vocabulary: how many outputs the network has, which may be more than there are tokens.
    end_of_document: stands between documents. ends: those that end a continuation. opening: those
    that a plain prompt begins with, possibly none. bos_token, eos_token: the names that a chat
    template has for the tokens that begin and end a text; empty where there is none.
    """

    vocabulary: int
    end_of_document: int
    ends: tuple[int, ...]
    opening: tuple[int, ...] = ()
    bos_token: str = ""
    eos_token: str = ""


def roles_by_name(file: Mapping[str, Any]) -> Roles:
    """Return the roles that the names of a parsed `tokenizer.json`'s tokens give.

    Raises `DataError` if no token is known to end a document.
    """
    added = added_tokens(file)
    names = [name for name in ENDS_OF_DOCUMENT if name in added]
    if not names:
        raise DataError(f"no token ends a document: none is called {', '.join(ENDS_OF_DOCUMENT)}")
    opening = opening_of(file)
    if names[0] == OURS_BEFORE and file.get("post_processor") is None:
        opening = (added[OURS_BEFORE],)  # as training did, which those files do not say
    known = {token: name for name, token in added.items()}
    ids = (*file["model"]["vocab"].values(), *added.values())
    turns = [name for name in ENDS_OF_TURN if name in added]
    return Roles(
        vocabulary=max(ids) + 1,
        end_of_document=added[names[0]],
        ends=tuple(added[name] for name in (*names, *turns)),
        opening=opening,
        bos_token=known.get(opening[0], "") if opening else "",
        eos_token=names[0],
    )


def opening_of(file: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the tokens that a file's post-processor puts before a single text."""
    last = file.get("post_processor") or {}
    steps = last["processors"] if last.get("type") == "Sequence" else [last]
    found: list[int] = []
    for step in (step for step in steps if step.get("type") == "TemplateProcessing"):
        for piece in step["single"]:
            if "Sequence" in piece:
                break
            found += step["special_tokens"][piece["SpecialToken"]["id"]]["ids"]
    return tuple(found)
