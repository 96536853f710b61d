"""What there is to read at the paths of a command: files, and what archives and folders hold.

An archive or a folder is the export of one account (X, Mastodon), or it holds files that are read
one by one; what else is in it is named, and not read. All X archives of one account are one input.
What a file means is in `sources/`.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from rookery.core.digest import digest_file, digest_value
from rookery.core.errors import DataError, UsageError
from rookery.posts.sources import archives, mastodon, tabular, x_archive
from rookery.posts.sources.files import COMPRESSIONS, File, Read, SetAside, clear_errors
from rookery.posts.sources.formats import (
    description_of,
    name_of,
    source_of,
    source_of_dump,
    source_of_export,
)
from rookery.posts.sources.tables import columns

_DUMP_SUFFIXES = (".json", ".jsonl", ".ndjson", ".car", *COMPRESSIONS)


@dataclass(frozen=True)
class Bundle:
    """Files that are read as one: the export of an account, or an archive of dumps.

    how: the format, and how it is read. places: archives and folders. wanted: which of the files in
    a folder are read. unvouched: returns what to say if nobody has said who may read some posts.
    """

    how: dict[str, object]
    places: tuple[Path, ...]
    read: Callable[[], Read]
    wanted: archives.Wanted
    unvouched: Callable[[], str | None] = lambda: None

    @property
    def name(self) -> str:
        """Return the name of the first place."""
        return self.places[0].absolute().name

    def digest(self) -> str:
        """Return the digest of the files that are read; of a single archive, the archive's own."""
        digests = [
            self._of_folder(place) if place.is_dir() else digest_file(place)
            for place in self.places
        ]
        return digests[0] if len(digests) == 1 else digest_value(digests)

    def _of_folder(self, folder: Path) -> str:
        with archives.members(folder, self.wanted) as files:
            return digest_value(
                [[str(file.path), digest_file(folder / file.path)] for file in files]
            )


Input = Path | Bundle


def find_inputs(
    paths: Iterable[Path], mapping: Mapping[str, str] | None = None, no_circles: bool = False
) -> tuple[list[Input], list[str]]:
    """Return what there is to read at some paths, and the files that are in no known format.

    Only what lies in archives and folders is left out so; a file that is named itself is an input
    whatever it is. no_circles: as in `x_archive.read`. Raises `DataError` if an archive is damaged,
    `UsageError` if there is nothing to read in one.
    """
    found: list[Input] = []
    unknown: list[str] = []
    for path in paths:
        names: list[str] = []
        inputs = list(_in_folder(path, mapping, names)) if path.is_dir() else []
        if path.is_dir() and not inputs:
            raise UsageError("no file of a known format in this folder", where=path)
        found += inputs or [_of_file(path, names)]
        unknown += [name.removeprefix(f"{path.parent}/") for name in names]
    return _by_account(found, no_circles), unknown


def _in_folder(
    folder: Path, mapping: Mapping[str, str] | None, unknown: list[str]
) -> Iterator[Input]:
    """Yield what there is to read in a folder, and note the names of the other files."""
    if mapping is None and x_archive.is_unpacked(folder):
        yield _export(x_archive, folder)
        return
    if mapping is None and (folder / "outbox.json").is_file():
        yield _export(mastodon, folder)
        return
    for path in sorted(folder.iterdir()):
        if archives.is_hidden(Path(path.name)):
            continue
        if path.is_symlink():
            unknown.append(str(path))
        elif path.is_dir():
            yield from _in_folder(path, mapping, unknown)
        elif _is_known(path, mapping):
            yield _of_file(path, unknown)
        else:
            unknown.append(str(path))


def _is_known(path: Path, mapping: Mapping[str, str] | None) -> bool:
    """Return whether a file in a folder is in a known format; raises `DataError` if it is damaged.

    A table is known if its columns show what they hold, or if there is a mapping.
    """
    kind = tabular.kind_of(path)
    if path.stat().st_size == 0 or mapping is not None:
        return bool(kind and path.stat().st_size)
    if archives.is_archive(path):
        holds_dumps = any(source for _, source in _dumps_in(path))
        return bool(source_of_export(path)) or holds_dumps or kind is not None
    if kind is None:
        return _source_of_dump(path) is not None
    try:
        if source_of(path) is None:
            columns.resolve(path, tabular.columns_of(path), None)
    except UsageError:
        return False
    return True


def _of_file(path: Path, unknown: list[str]) -> Input:
    """Return a file as what is read of it, and note what is not read in an archive."""
    if x_archive.is_loose(path):  # the files beside it say whose it is, and what is not public
        return _export(x_archive, path.parent)
    if not path.is_file() or not archives.is_archive(path):
        return path
    if source := source_of_export(path):
        return _export(source, path)
    dumps = _dumps_in(path)
    formats = sorted({name_of(source) for _, source in dumps if source})
    if formats:
        unknown += [f"{path}: {name}" for name, source in dumps if source is None]
        read = functools.partial(_read_dumps, path)
        return Bundle({"format": ", ".join(formats)}, (path,), read, lambda _: True)
    if any(tabular.kind_of(Path(name)) for name, _ in dumps):
        return path
    hint = f"It holds {', '.join(name for name, _ in dumps[:3]) or 'nothing'}"
    raise UsageError("an archive in which nothing is in a known format", where=path, hint=hint)


def _export(source: ModuleType, *places: Path, **options: bool) -> Bundle:
    read = functools.partial(source.read, *places, **options)
    return Bundle(description_of(source), places, read, source.wanted)


def _of_account(places: Sequence[Path], no_circles: bool) -> Bundle:
    bundle = _export(x_archive, *places, no_circles=no_circles)
    if no_circles:
        return bundle
    return replace(bundle, unvouched=functools.partial(x_archive.unvouched, *places))


def _by_account(inputs: Sequence[Input], no_circles: bool) -> list[Input]:
    """Return the inputs, in which all X archives of one account are one, in the place of the first.

    A part that names no account (it holds media alone) belongs to the only account there is.
    """
    places = list(dict.fromkeys(filter(None, map(_place_of_x, inputs))))
    accounts = {place: x_archive.account_id(place) if len(places) > 1 else "" for place in places}
    named = set(accounts.values()) - {""}
    only = next(iter(named)) if len(named) == 1 else ""
    groups: dict[str, list[Path]] = {}
    for place, account in accounts.items():
        groups.setdefault(account or only or str(place), []).append(place)
    bundles = {group[0]: _of_account(group, no_circles) for group in groups.values()}
    found = ((_place_of_x(one), one) for one in inputs)
    return [bundles.pop(p) if p else one for p, one in found if p is None or p in bundles]


def _place_of_x(one: Input) -> Path | None:
    if isinstance(one, Bundle) and one.how["format"] == name_of(x_archive):
        return one.places[0]
    return None


def _dumps_in(archive: Path) -> list[tuple[str, ModuleType | None]]:
    """Return the names of the files in an archive, each with the module that reads it, if any."""
    with archives.members(archive) as files:
        return [
            (str(file.path), _source_of_dump(file) if file.size_bytes else None) for file in files
        ]


def _source_of_dump(file: File) -> ModuleType | None:
    """Return the module that reads a file in an archive or a folder, None if it is no dump.

    A file that cannot be read is refused only if its name says that it is one: others may be
    anything, a note in UTF-16 for example.
    """
    try:
        with clear_errors(file):
            return source_of_dump(file)
    except DataError:
        if file.suffix.lower() in _DUMP_SUFFIXES:
            raise
        return None


def _read_dumps(archive: Path) -> Read:
    """Yield the posts of all files in an archive that a source reads, one after the other."""
    with archives.members(archive) as files:
        for file in files:
            if file.size_bytes and (source := _source_of_dump(file)):
                for batch, beside in source.read(file):
                    yield (
                        batch,
                        [
                            replace(item, where=f"{file.path}, {item.where}")
                            if isinstance(item, SetAside)
                            else item
                            for item in beside
                        ],
                    )
