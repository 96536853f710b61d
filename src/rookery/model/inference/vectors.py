"""Vectors of a file: each of its texts with its vector, as a Parquet file.

    id      string
    vector  a list of float32, all of one length; zeros for a text without known tokens

The rows are written in parts, each whole or absent, in a folder beside the result; a run that was
killed goes on with the first part that is missing, if file and model are still the same. At the end
the parts become one file and the folder is removed. Posts that are forgotten in the home get no
vector. Not here: how a file is read (`posts/texts.py`), and how a vector is made (`embed.py`,
`pooling.py`).
"""

import json
import os
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rookery.core.atomic import TEMPORARY, sync, write_atomically
from rookery.core.context import Context
from rookery.core.digest import digest_file
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.core.locks import exclusive
from rookery.core.protocols import Embedder
from rookery.posts.live import live_log
from rookery.posts.texts import read_texts

PART_TEXTS = 8_192
PLAN = "plan.json"


def embed_file(
    home: Home,
    source: Path,
    target: Path,
    embedder: Embedder,
    context: Context,
    text: str | None = None,
    identity: str | None = None,
) -> dict[str, Any]:
    """Write the vectors of a file's texts, and return `{"texts", "dimensions", "forgotten"}`.

    text, identity: columns, as in `read_texts`. Raises `UsageError` if the target exists, or its
    folder does not; whatever `read_texts` raises leaves nothing behind.
    """
    _check_target(target)
    columns = {"text": text, "id": identity}
    parts = target.with_name(f".{target.name}.parts")
    first = next(texts := _sliced(read_texts(source, text, identity)), None)
    if first is None:
        raise UsageError("the file holds no text", where=source)
    plan = {"file": digest_file(source) if source.is_file() else str(source), **columns}
    with exclusive(parts.with_name(f"{parts.name}.lock"), f"the vectors of {source.name}"):
        done = _begin(parts, plan | {"embedder": embedder.digest}, context)
        counts = _write_parts(home, parts, chain([first], texts), embedder, done, context)
        _join(parts, target, embedder.dimensions)
    parts.with_name(f"{parts.name}.lock").unlink(missing_ok=True)
    return counts | {"dimensions": embedder.dimensions}


def _check_target(target: Path) -> None:
    if target.exists():
        raise UsageError("the file exists already", where=target, hint="Name another with --to")
    if not target.absolute().parent.is_dir():
        raise UsageError("there is no such folder", where=target.absolute().parent)


def _sliced(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the same rows, `PART_TEXTS` at a time."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        while rows >= PART_TEXTS:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, PART_TEXTS)
            waiting, rows = table.slice(PART_TEXTS).to_batches(), rows - PART_TEXTS
    if rows:
        yield pa.Table.from_batches(waiting)


def _begin(parts: Path, plan: dict[str, Any], context: Context) -> int:
    """Return how many parts an earlier run of the same plan has finished; remove any other's."""
    note = parts / PLAN
    if not note.exists() or json.loads(note.read_text()) != plan:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        write_atomically(note, json.dumps(plan).encode())
    done = 0
    while _part(parts, done).exists():
        done += 1
    if done:
        context.progress.say(f"Going on after {done * PART_TEXTS:,} texts.")
    return done


def _part(parts: Path, number: int) -> Path:
    return parts / f"{number:06d}.parquet"


def _write_parts(
    home: Home,
    parts: Path,
    texts: Iterator[pa.Table],
    embedder: Embedder,
    done: int,
    context: Context,
) -> dict[str, int]:
    """Write the parts that are missing, and count the texts with a vector and those without."""
    kept = forgotten = 0
    with live_log(home) as log, context.progress.task("embedding", None, "texts") as task:
        restrictions = log.restrictions()
        for number, table in enumerate(texts):
            if log.watermark() != restrictions.watermark:
                restrictions = log.restrictions()
            names = zip(table["id"].to_pylist(), table["author"].to_pylist(), strict=True)
            seen = np.array([not restrictions.hides(post, author or "") for post, author in names])
            table = table.filter(pa.array(seen))
            part = _part(parts, number)
            # an earlier run's part may hold a post that was forgotten since
            if number >= done or pq.read_metadata(part).num_rows != table.num_rows:
                _write_part(part, table, embedder)
            kept, forgotten = kept + table.num_rows, forgotten + int((~seen).sum())
            task.advance(len(seen))
    return {"texts": kept, "forgotten": forgotten}


def _write_part(path: Path, texts: pa.Table, embedder: Embedder) -> None:
    vectors = embedder.embed(texts["text"].to_pylist())
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel(), pa.float32())
    table = pa.table(
        [texts["id"], pa.FixedSizeListArray.from_arrays(flat, embedder.dimensions)],
        ["id", "vector"],
    )
    unfinished = path.with_name(f".{path.name}{TEMPORARY}")
    pq.write_table(table, unfinished, compression="none", use_dictionary=False)
    sync(unfinished)
    os.replace(unfinished, path)


def _join(parts: Path, target: Path, dimensions: int) -> None:
    """Make one file of all parts, and remove them."""
    schema = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32(), dimensions))])
    unfinished = target.with_name(f".{target.name}{TEMPORARY}")
    with pq.ParquetWriter(unfinished, schema, compression="none", use_dictionary=False) as writer:
        for path in sorted(parts.glob("*.parquet")):
            writer.write_table(pq.read_table(path).cast(schema))
    sync(unfinished)
    os.replace(unfinished, target)
    shutil.rmtree(parts)
