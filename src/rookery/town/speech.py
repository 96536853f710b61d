"""The sentences of the built-in town's people: patterns with slots, filled at random.

The patterns are in `words/LANGUAGE.txt`. Who writes, when and to whom is in `posts.py`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TypeVar

import numpy as np

LANGUAGES: tuple[str, ...] = ("en", "de", "es", "fr")

_SECTION = re.compile(r"\[(\w+)\]")
_SLOT_LINE = re.compile(r"(\w+) = (.+)")
_SLOT = re.compile(r"\{(\w+)\}")

T = TypeVar("T")


@dataclass(frozen=True)
class Section:
    """Patterns of sentences about one thing, and the fillings of their slots."""

    sentences: tuple[str, ...]
    slots: Mapping[str, tuple[str, ...]]


def read_speech(language: str) -> dict[str, Section]:
    """Return the sections of a language, by topic, and `openers`, `closers` and `replies`."""
    file = resources.files("rookery.town") / "words" / f"{language}.txt"
    lines = file.read_text(encoding="utf-8")
    sentences: dict[str, list[str]] = {}
    slots: dict[str, dict[str, tuple[str, ...]]] = {}
    for line in lines.splitlines():
        if found := _SECTION.fullmatch(line):
            name = found[1]
            sentences[name], slots[name] = [], {}
        elif found := _SLOT_LINE.fullmatch(line):
            slots[name][found[1]] = tuple(found[2].split(" | "))
        elif line and not line.startswith("#"):
            sentences[name].append(line)
    shared = slots.pop("all")
    return {name: Section(tuple(sentences[name]), shared | own) for name, own in slots.items()}


def say(section: Section, random: np.random.Generator) -> str:
    """Return one sentence with its slots filled; a filling may have slots of its own."""
    return say_some(section, 1, random)[0]


def say_some(section: Section, n: int, random: np.random.Generator) -> list[str]:
    """Return several sentences, no two from the same pattern."""
    places = random.permutation(len(section.sentences))[:n]
    return [_filled(section.sentences[place], section, random) for place in places]


def _filled(text: str, section: Section, random: np.random.Generator) -> str:
    while "{" in text:
        text = _SLOT.sub(lambda found: pick(random, section.slots[found[1]]), text)
    return text[0].upper() + text[1:]


def pick(random: np.random.Generator, choices: Sequence[T]) -> T:
    """Return one of the choices, all equally likely."""
    return choices[int(random.random() * len(choices))]
