"""A mutant differs from its file in one expression that means something."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "mutants.py"
spec = importlib.util.spec_from_file_location("mutants", FILE)
mutants = importlib.util.module_from_spec(spec)
sys.modules["mutants"] = mutants  # its dataclass asks for the module by name
spec.loader.exec_module(mutants)


def changes(text: str) -> list[tuple[str, str]]:
    return [(m.before, m.after) for place in mutants.sites(text) for m in place]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b", [("a < b", "a <= b"), ("a < b", "a >= b")]),
        ("a not in b", [("a not in b", "a in b")]),
        ("n = 7", [("7", "8"), ("7", "6")]),
        ("n = 2.0", [("2.0", "2.2"), ("2.0", "1.8")]),
        ("n = 0.0", [("0.0", "0.1")]),
        ("a + b", [("a + b", "a - b")]),
        ("a and b", [("a and b", "a or b"), ("a and b", "b"), ("a and b", "a")]),
        ("def f():\n    return True", [("True", "False")]),
        ("a if b else c", [("b", "True"), ("b", "False")]),
        ("[a for a in b if c]", [("c", "True")]),
    ],
)
def test_an_expression_is_changed_in_every_way_that_it_allows(text, expected):
    assert changes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"""A docstring of 3 words."""',
        "def f(a: Literal[3] | None) -> tuple[int, 3]: pass",
        "raise ValueError(1 + 2)",
        "x = f'{1 + 2}'",
        "__all__ = [1]",
        "Verdict = Keep | Drop",
        "@decorated(3)\nclass A: pass",
        "done = True",
    ],
)
def test_words_types_and_messages_are_left_alone(text):
    assert changes(text) == []


def test_every_mutant_of_a_file_is_another_program_and_differs_at_its_line_alone():
    text = FILE.read_text()
    found = [mutant for place in mutants.sites(text) for mutant in place]
    assert len(found) > 50
    same = ast.dump(ast.parse(text))
    assert all(ast.dump(ast.parse(mutant.text)) != same for mutant in found)
    before = text.splitlines()
    for mutant in found:
        assert mutant.text.splitlines()[: mutant.line - 1] == before[: mutant.line - 1]


def test_characters_of_several_bytes_do_not_shift_the_change():
    ((mutant, _),) = mutants.sites("a = 'é…'; b = 'ö' < c")
    assert mutant.text == "a = 'é…'; b = ('ö' <= c)"
