"""Configuration: frozen dataclasses, made from plain dicts strictly and changed only by copying.

`to_plain` and `from_plain` are inverse to each other. An unknown key, a missing key or a value of
the wrong type is refused with the dotted name of the field. No YAML, no registry, no environment.
"""

import contextlib
import dataclasses
import difflib
import json
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rookery.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")


def to_plain(config: Any) -> Any:
    """Return a frozen dataclass as dicts, lists and scalars that JSON can hold."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {f.name: to_plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, tuple | list):
        return [to_plain(item) for item in config]
    if isinstance(config, Mapping):
        return {str(key): to_plain(value) for key, value in config.items()}
    return config


def from_plain(kind: type[C], plain: Any, where: str = "") -> C:
    """Build a dataclass of type `kind` from a plain dict.

    Raises `DataError` with the dotted name of the field that is unknown, missing or of a wrong
    type.
    """
    if not isinstance(plain, Mapping):
        raise DataError(f"{where or kind.__name__} must be a table, not {plain!r}")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in plain:
        if key not in fields:
            raise DataError(f"unknown setting {_join(where, key)}", hint=_did_you_mean(key, fields))
    for name, field in fields.items():
        if (
            name not in plain
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        ):
            raise DataError(f"setting {_join(where, name)} is missing")
    return kind(
        **{key: _convert(hints[key], value, _join(where, key)) for key, value in plain.items()}
    )


def load_toml(kind: type[C], path: Path) -> C:
    """Read a TOML file into a dataclass; raises `DataError` with the file and the field or line."""
    try:
        with open(path, "rb") as file:
            plain = tomllib.load(file)
        return from_plain(kind, plain)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not valid TOML: {error}", where=path) from None
    except DataError as error:
        raise DataError(error.what, where=path, hint=error.hint) from None


def with_settings(config: C, settings: Iterable[str], where: str = "") -> C:
    """Return a copy of `config` with changes such as `steps=100` or `shape.width=256`.

    Values are read as JSON. `where` is the config's own name, which error messages put before the
    field. Raises `UsageError` for a field that does not exist.
    """
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not sign:
            raise UsageError(f"--set takes NAME=VALUE, not {setting!r}")
        plain = to_plain(config)
        *parents, leaf = name.strip().split(".")
        table: Any = plain
        owner: Any = config
        for parent in parents:
            table = table.get(parent) if isinstance(table, dict) else None
            owner = getattr(owner, parent, None)
        # a mapping of the config's own takes new keys; a dataclass has the fields it has
        if not isinstance(table, dict) or not (leaf in table or isinstance(owner, Mapping)):
            known = table if isinstance(table, dict) else plain
            raise UsageError(
                f"there is no setting {_join(where, name)!r}", hint=_did_you_mean(leaf, known)
            )
        table[leaf] = _read_value(text)
        config = from_plain(type(config), plain, where)
    return config


def diff(old: Any, new: Any) -> list[str]:
    """Return what differs between two configs, as lines `name: old -> new`."""
    before, after = dict(_flatten(to_plain(old))), dict(_flatten(to_plain(new)))
    names = sorted(before.keys() | after.keys())
    missing = object()
    pairs = [(n, before.get(n, missing), after.get(n, missing)) for n in names]
    show = lambda value: "(none)" if value is missing else json.dumps(value)  # noqa: E731
    return [f"{name}: {show(a)} -> {show(b)}" for name, a, b in pairs if a != b]


def _flatten(plain: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield from _flatten(value, _join(name, key))
    else:
        yield name, plain


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else str(name)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {close[0]}?" if close else f"Known: {', '.join(sorted(known))}"


def _read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Return `value` as the annotated type; refuse a conversion that loses meaning (str or float to
    int).
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert_to_one_of([a for a in arguments if a is not type(None)], value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise DataError(
                f"{where} must be one of {', '.join(map(str, arguments))}, not {value!r}"
            )
        return value
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return from_plain(hint, value, where)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        if len(kinds) != len(value):
            raise DataError(f"{where} must be {len(kinds)} values, not {value!r}")
        items = enumerate(zip(kinds, value, strict=True))
        return tuple(_convert(kind, item, f"{where}[{i}]") for i, (kind, item) in items)
    if origin in (dict, Mapping, typing.get_origin(Mapping[str, str])) and isinstance(
        value, Mapping
    ):
        return {key: _convert(arguments[1], item, _join(where, key)) for key, item in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if (
        isinstance(hint, type)
        and isinstance(value, hint)
        and (hint is bool or not isinstance(value, bool))
    ):
        return value
    raise DataError(f"{where} must be {getattr(hint, '__name__', hint)}, not {value!r}")


def _convert_to_one_of(hints: list[Any], value: Any, where: str) -> Any:
    """Return `value` as the first type that accepts it; else raise the last type's error."""
    *others, last = hints
    for hint in others:
        with contextlib.suppress(DataError):
            return _convert(hint, value, where)
    return _convert(last, value, where)
