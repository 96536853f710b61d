"""The map: every post of the lake through the gate, made ready to be compared; parts in, parts out.

Here a post becomes its clean, redacted text, its key, what the quality rules say, its language, and
the numbers by which posts are compared later: hashes of its id, author, key, template, links and
site, its reactions, and its MinHash. Every step looks at one post at a time, so the parts may be
prepared anywhere (`spread.py`); what takes more than one post comes after, on the numbers alone
(`prepared.py`, `build.py`).

A part is a Parquet file in the stage's scratch folder, there whole or not at all; those that a
killed run has finished are not made again.
"""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rookery.core.artifact import TEMPORARY
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.errors import DataError
from rookery.core.home import Cluster, Policy
from rookery.corpus import control, language, minhash, normalize, privacy, quality, spam
from rookery.corpus.prepared import BAND, COUNTED, Posts, hash_repeated_ids, open_posts
from rookery.corpus.spread import spread
from rookery.posts.lake import Lake
from rookery.posts.post import USES
from rookery.posts.restrictions import Restrictions
from rookery.posts.rights import GATE_COLUMNS, gate

COLUMNS = (
    *("id", "author", "created", "text", "language", "reply_to", "quote_of", "conversation"),
    *("likes", "reposts", "replies", "source"),
)
PART_POSTS = 32_768


@dataclass(frozen=True)
class Part:
    """A piece of the lake: row groups of its files, each as (file, group)."""

    number: int
    groups: tuple[tuple[str, int], ...]
    posts: int


@dataclass(frozen=True)
class Preparation:
    """How posts are prepared: by which rights, and whether mentions and links are hidden in the
    text.

    What is compared among posts keeps them.
    """

    restrictions: Restrictions
    policy: Policy
    placeholders: bool = False


def prepare(
    lake: Lake, preparation: Preparation, folder: Path, cluster: Cluster, context: Context
) -> Posts:
    """Prepare every part of the lake in a folder, and open what is there then.

    Raises `DataError` if the lake is empty.
    """
    parts = list(_parts(lake))
    if not parts:
        raise DataError("the lake holds no posts", hint="Run `rookery posts ingest` first")
    folder.mkdir(exist_ok=True)
    with context.progress.task(
        "cleaning posts", sum(part.posts for part in parts), "posts"
    ) as task:
        work = functools.partial(_prepare_part, folder, preparation)
        for part, _ in zip(parts, spread(work, parts, cluster), strict=True):
            task.advance(part.posts)
    return open_posts([_path(folder, part) for part in parts])


def _parts(lake: Lake) -> Iterator[Part]:
    """The lake's row groups in the order of its files, some thousand posts a part."""
    number, groups, posts = 0, [], 0
    for file in map(str, lake.paths()):
        metadata = pq.read_metadata(file)
        for group in range(metadata.num_row_groups):
            groups.append((file, group))
            posts += metadata.row_group(group).num_rows
            if posts >= PART_POSTS:
                yield Part(number, tuple(groups), posts)
                number, groups, posts = number + 1, [], 0
    if posts:
        yield Part(number, tuple(groups), posts)


def _path(folder: Path, part: Part) -> Path:
    return folder / f"{part.number:06d}.parquet"


def _prepare_part(folder: Path, preparation: Preparation, part: Part) -> None:
    path = _path(folder, part)
    if path.exists():
        return
    pa.set_cpu_count(1)  # there is a process for each core already
    table, counted = _prepared(_read(part), preparation)
    table = table.replace_schema_metadata({COUNTED: json.dumps(counted | {"in_lake": part.posts})})
    unfinished = path.with_name(f".{path.name}{TEMPORARY}")
    packed = {
        name: "lz4" if pa.types.is_string(table[name].type) else "none"
        for name in table.column_names
    }
    pq.write_table(
        table,
        unfinished,
        compression=packed,
        use_dictionary=["author", "source"],
        write_statistics=False,
    )
    unfinished.rename(path)


def _read(part: Part) -> pa.Table:
    columns = list(dict.fromkeys([*GATE_COLUMNS, *COLUMNS]))
    tables = [
        pq.ParquetFile(file).read_row_group(group, columns=columns) for file, group in part.groups
    ]
    return pa.concat_tables(tables).combine_chunks()


def _prepared(posts: pa.Table, preparation: Preparation) -> tuple[pa.Table, dict[str, Any]]:
    """What passes the gate, with its new columns; refusals by use and reason, and posts with
    personal data by kind.
    """
    verdicts = {use: gate(posts, use, preparation.policy, preparation.restrictions) for use in USES}
    refused = {use: _counted(reasons) for use, reasons in verdicts.items()}
    posts = posts.select(list(COLUMNS)).filter(pc.is_null(verdicts["training"])).combine_chunks()
    column = {name: posts[name].combine_chunks() for name in COLUMNS}
    text, redacted = privacy.redact(normalize.clean(column["text"]))
    plain = normalize.plain(text)
    key = normalize.words(plain)
    says_no = quality.judge(text, plain, key)
    column |= {"text": text, "key": key, "quality": says_no.dictionary_encode()}
    column["language"] = _with_guesses(
        column["language"], key, pc.is_null(says_no)
    ).dictionary_encode()
    column |= {"source": column["source"].dictionary_encode()}
    column |= _numbers(column, normalize.template(plain, key))
    if preparation.placeholders:
        column["text"] = normalize.placeholders(text)
    for name in ("reply_to", "quote_of", "conversation", "likes", "reposts", "replies"):
        del column[name]
    return pa.table(column), {"refused": refused, "redacted": redacted}


def _counted(reasons: pa.Array) -> dict[str, int]:
    return {v["values"]: v["counts"] for v in pc.drop_null(reasons).value_counts().to_pylist()}


def _numbers(column: dict[str, pa.Array], template: pa.Array) -> dict[str, pa.Array]:
    """The fixed-size columns: what is compared among posts. A link to nothing is 0."""
    reactions = control.reactions(column["likes"], column["reposts"], column["replies"])
    keys = column["key"].dictionary_encode()  # equal keys have equal signatures
    hashes = minhash.signatures(keys.dictionary)[keys.indices.to_numpy()]
    sketch = pa.py_buffer(np.ascontiguousarray(minhash.sketches(hashes)))
    numbers = {
        "id_hash": hash_ids(column["id"].to_pylist()),
        "id_end": _ends(column["id"]),
        "author_hash": hash_repeated_ids(column["author"]),
        "reply_hash": hash_repeated_ids(column["reply_to"]),
        "quote_hash": hash_repeated_ids(column["quote_of"]),
        "conversation_hash": hash_repeated_ids(column["conversation"]),
        "key_hash": minhash.text_hashes(column["key"]),
        "template_hash": minhash.text_hashes(template),
        "domain_hash": spam.domains(column["text"]),
        "reactions": pc.fill_null(reactions, control.UNKNOWN),
        "length": pc.binary_length(column["text"]),
    } | {f"{BAND}{number}": band for number, band in enumerate(minhash.bands(hashes))}
    sketches = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(minhash.HASHES), len(hashes), [None, sketch]
    )
    return {name: pa.array(values) for name, values in numbers.items()} | {"sketch": sketches}


def _ends(ids: pa.Array) -> np.ndarray:
    """The last eight bytes of each id as a number: ids count up at their ends, whether digits or
    time stamps.
    """
    offsets = np.frombuffer(ids.buffers()[1], np.int32)[
        ids.offset : ids.offset + len(ids) + 1
    ].astype(np.int64)
    data = np.frombuffer(ids.buffers()[2] or b"", np.uint8)
    ends = np.zeros(len(ids), np.uint64)
    for back in range(8, 0, -1):
        place = offsets[1:] - back
        inside = place >= offsets[:-1]
        ends = ends << np.uint64(8)
        ends[inside] |= data[place[inside]]
    return ends


def _with_guesses(tags: pa.Array, keys: pa.Array, wanted: pa.Array) -> pa.Array:
    """The platform's tags, and guesses for those among the wanted that have none."""
    wanted = pc.and_(wanted, pc.is_null(tags))
    return pc.replace_with_mask(tags, wanted, language.guess(keys.filter(wanted)).cast(tags.type))
