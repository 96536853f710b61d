"""The texts of a file, each with an id: of posts in any format, or of a plain table.

For work on texts that need not become posts of the lake (embedding, say). A table is read as posts
if its columns show what they hold; else, or where a column is named, only its texts are read, and
an id is a column's value or the number of the row. Not here: what a format means (`sources/`), and
who may use the texts, which is the business of the person who has the file.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.errors import DataError, UsageError
from rookery.posts.inputs import Bundle, find_inputs
from rookery.posts.sources import formats, tabular
from rookery.posts.sources.files import Read
from rookery.posts.sources.tables.readers import no_column

TEXT = "text"


def read_texts(
    path: Path, text: str | None = None, identity: str | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the texts of a file in its order, as columns id, author and text (strings).

    text: the column of a table that holds them; None reads posts. identity: the column with the
    ids; None numbers the rows from 1. author is null where the file does not say. Rows without a
    text are left out. Raises `UsageError` or `DataError` for a file that is neither.
    """
    if not path.exists():
        raise UsageError("there is no such file", where=path)
    if text is None and identity is None and (posts := _posts(path)) is not None:
        for batch, _ in posts:
            yield batch.select(["id", "author", "text"])
    else:
        yield from _of_table(path, text or TEXT, identity)


def _posts(path: Path) -> Read | None:
    """Return the posts of a file, or None for a table that lacks a post's fields."""
    inputs, _ = find_inputs([path])
    if len(inputs) > 1:
        raise UsageError(f"there are {len(inputs)} files here", where=path, hint="Name one of them")
    if isinstance(bundle := inputs[0], Bundle):
        return bundle.read()
    if source := formats.source_to_read(bundle, False):
        return source.read(bundle)
    try:
        table = tabular.open_table(bundle)
        table.check()
    except (UsageError, DataError):
        if TEXT in tabular.columns_of(bundle):
            return None
        raise
    return table.read()


def _of_table(path: Path, text: str, identity: str | None) -> Iterator[pa.RecordBatch]:
    columns = tabular.columns_of(path)
    wanted = [text] if identity in (None, text) else [text, identity]
    for column in filter(None, wanted):
        if column not in columns:
            raise no_column(path, column, columns)
    for raw in tabular.read_raw(path, [name for name in wanted if name]):
        texts = raw.rows[text].cast(pa.string())
        ids = raw.rows[identity].cast(pa.string()) if identity else pa.array(map(str, raw.places))
        authors = pa.nulls(len(texts), pa.string())
        batch = pa.RecordBatch.from_arrays(
            [pc.fill_null(ids, ""), authors, texts], names=["id", "author", "text"]
        )
        yield batch.filter(pc.is_valid(texts))
