"""`Document`: a piece of training text with the ids of the posts inside it.

No document is without its posts, since by their ids a forgotten post is found again in training
data. In bulk, documents travel as Arrow batches of `DOCUMENT_SCHEMA`, which this module writes to
Parquet files and reads from them. How documents are made is in `build.py`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rookery.core.artifact import Artifact
from rookery.core.errors import UsageError

SPLITS = ("train", "validation")
LAKE_VERSION = "lake_version"
"""The metric that holds the version of the lake of which a corpus was made."""
ERASED_ID = ""
"""The only post id of an erased document, of which nothing but its place is left (erase.py)."""
MORE_IS_NEEDED = "`rookery corpus report` shows why posts were dropped; ingest more posts"
"""The hint for a corpus that is too small for its purpose."""
BATCH_DOCUMENTS = 16_384
GROUP_DOCUMENTS = 2 * BATCH_DOCUMENTS


@dataclass(frozen=True, slots=True)
class Document:
    """A piece of training text: one post, or a thread.

    author_ids: parallel to `post_ids`. created: the time of the last post. controls: the control
    tokens before the text (control.py), empty unless the corpus was made with them.
    """

    id: str
    text: str
    post_ids: tuple[str, ...]
    author_ids: tuple[str, ...]
    language: str | None
    created: datetime
    controls: tuple[str, ...] = ()


DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("post_ids", pa.list_(pa.string()), nullable=False),
        pa.field("author_ids", pa.list_(pa.string()), nullable=False),
        pa.field("language", pa.string()),
        pa.field("created", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("controls", pa.list_(pa.string()), nullable=False),
    ]
)

_REPEATED = ("author_ids.list.element", "language", "controls.list.element")
"""The columns whose values repeat; for the others a dictionary would be useless work."""


def from_row(row: dict[str, Any]) -> Document:
    """Return a row of such a batch as a `Document`."""
    return Document(
        **(
            row
            | {
                "post_ids": tuple(row["post_ids"]),
                "author_ids": tuple(row["author_ids"]),
                "controls": tuple(row["controls"]),
            }
        )
    )


def write_documents(path: Path, documents: Iterable[pa.Table]) -> None:
    """Write tables of documents to one file, one after another, as `DOCUMENT_SCHEMA`.

    Equal tables give equal bytes.
    """
    with pq.ParquetWriter(
        path, DOCUMENT_SCHEMA, compression="zstd", use_dictionary=list(_REPEATED)
    ) as writer:
        for table in documents:
            writer.write_table(table.cast(DOCUMENT_SCHEMA), row_group_size=GROUP_DOCUMENTS)


def read_documents(
    corpus: Artifact, split: str, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the documents of one split, or some of their columns, in the order of the file.

    That order was shuffled by the seed of the corpus, so that a prefix is a fair sample; it is the
    same on every reading. Raises `UsageError` for a split that does not exist.
    """
    with pq.ParquetFile(split_file(corpus, split)) as file:
        yield from file.iter_batches(
            BATCH_DOCUMENTS, columns=None if columns is None else list(columns)
        )


def count_documents(corpus: Artifact, split: str) -> int:
    """Count the documents of a split."""
    return pq.read_metadata(split_file(corpus, split)).num_rows


def split_file(corpus: Artifact, split: str) -> Path:
    """Return the Parquet file of one split; raises `UsageError` for a split that does not exist."""
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r}", hint=f"Known: {', '.join(SPLITS)}")
    return corpus.file(f"{split}.parquet")
