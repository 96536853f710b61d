"""Mutants of a Python file: single changes of meaning, each as the file's text after the change.

A change turns or shifts a comparison, moves a number, swaps + and -, * and /, & and |, `and` and
`or`, negates a boolean that is returned, or drops a condition. Docstrings, type hints, f-strings,
`raise` statements and `__all__` are left alone. Not here: which tests catch a mutant
(`bench_mutants.py`).
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True)
class Mutant:
    """A changed file. before, after: the changed expression, on one line each."""

    line: int
    before: str
    after: str
    text: str


def sites(text: str) -> list[list[Mutant]]:
    """Return the places of a file at which its meaning can be changed, each with its mutants."""
    found = [
        [_mutant(text, node, changed) for changed in _changes(node, parent)]
        for node, parent in _expressions(ast.parse(text))
    ]
    return [mutants for mutants in found if mutants]


def _expressions(
    node: ast.AST, parent: ast.AST | None = None
) -> Iterator[tuple[ast.expr, ast.AST]]:
    """Yield the expressions that count, each with the node around it, in the order of the text."""
    if isinstance(node, ast.Raise | ast.JoinedStr) or _is_all(node):
        return
    if isinstance(node, ast.expr) and parent is not None:
        yield node, parent
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _expressions(child, node)


def _is_all(node: ast.AST) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _changes(node: ast.expr, parent: ast.AST) -> Iterator[ast.expr]:
    """Yield what can take the place of an expression."""
    match node:
        case ast.Compare(ops=operators):
            for place, operator in enumerate(operators):
                for other in _COMPARISONS[type(operator)]:
                    yield _with(node, ops=[*operators[:place], other(), *operators[place + 1 :]])
        case ast.Constant(value=bool()):
            if isinstance(parent, ast.Return):
                yield ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield from (ast.Constant(node.value + step) for step in (1, -1))
        case ast.Constant(value=float()):
            steps = (1.1, 0.9) if node.value else (0.1,)
            yield from (ast.Constant(node.value * s if node.value else s) for s in steps)
        case ast.BinOp(op=operator) if type(operator) in _OPERATORS and not _is_type(node):
            yield _with(node, op=_OPERATORS[type(operator)]())
        case ast.BoolOp(op=operator, values=values):
            yield _with(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
            for place in range(len(values)):
                left = values[:place] + values[place + 1 :]
                yield left[0] if len(left) == 1 else _with(node, values=left)
    if isinstance(parent, ast.Return) and _is_boolean(node):
        yield ast.UnaryOp(ast.Not(), node)
    if isinstance(parent, ast.If | ast.IfExp) and node is parent.test:
        yield from (ast.Constant(True), ast.Constant(False))
    if isinstance(parent, ast.comprehension) and node in parent.ifs:
        yield ast.Constant(True)


def _with(node: ast.expr, **fields: object) -> ast.expr:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _is_boolean(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare | ast.BoolOp) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )


def _is_type(node: ast.BinOp) -> bool:
    """Return whether an expression is a union of types, such as `Keep | Drop`."""
    sides = (node.left, node.right)
    return isinstance(node.op, ast.BitOr) and any(
        (isinstance(side, ast.Name) and side.id[:1].isupper() and not side.id.isupper())
        or (isinstance(side, ast.Constant) and side.value is None)
        or (isinstance(side, ast.BinOp) and _is_type(side))
        for side in sides
    )


def _mutant(text: str, node: ast.expr, changed: ast.expr) -> Mutant:
    """Return the file with one expression replaced; brackets keep its place among operators."""
    after = ast.unparse(changed)
    lines = text.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    start = starts[node.lineno - 1] + node.col_offset
    end = starts[node.end_lineno - 1] + node.end_col_offset
    data = text.encode()
    replaced = data[:start] + f"({after})".encode() + data[end:]
    return Mutant(node.lineno, ast.unparse(node), after, replaced.decode())
