"""Preparation: every post of the lake through the gate, cleaned and described by numbers.

A post becomes its clean, redacted text, its key, the verdict of the quality rules, its language,
and the numbers by which posts are compared later: hashes of its id, author, key, template and links
to other posts, its reactions, and its MinHash signature. Every step looks at one post alone, so the
parts of the lake may be prepared anywhere (`spread.py`). Not here: what takes more than one post,
which is done later on the numbers alone (`prepared.py`, `sieve.py`).

A part is a Parquet file in the stage's scratch folder, whole or absent; parts that a killed run has
finished are not made again. Of the posts that the gate refuses, a second file beside it holds the
hashes of the ids with the reasons, for their fates (`fates.py`).
"""

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rookery.core.atomic import TEMPORARY
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.errors import DataError
from rookery.core.home import Cluster, Policy
from rookery.corpus import control, language, minhash, normalize, privacy, quality
from rookery.corpus.prepared import (
    BAND,
    COUNTED,
    Posts,
    hash_repeated_ids,
    open_posts,
    refused_file,
)
from rookery.corpus.spread import spread
from rookery.posts.lake import Lake
from rookery.posts.post import Use
from rookery.posts.restrictions import Restrictions
from rookery.posts.rights import GATE_COLUMNS, gate

COLUMNS = (
    *("id", "author", "created", "text", "language", "reply_to", "quote_of", "conversation"),
    *("likes", "reposts", "replies", "source"),
)
PART_POSTS = 32_768


@dataclass(frozen=True)
class Part:
    """A part of the lake: row groups of its files, each as (file, group)."""

    number: int
    groups: tuple[tuple[str, int], ...]
    posts: int


@dataclass(frozen=True)
class Preparation:
    """The settings of the preparation: the rights, and whether the text has placeholders.

    Placeholders hide mentions and links in the text only; posts are compared with both.
    """

    restrictions: Restrictions
    policy: Policy
    placeholders: bool = False


def prepare(
    lake: Lake, preparation: Preparation, folder: Path, cluster: Cluster, context: Context
) -> Posts:
    """Prepare every part of the lake in a folder, and open the prepared posts.

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


def as_in_corpus(texts: Sequence[str], placeholders: bool = False) -> list[str]:
    """Return texts as a corpus holds them: clean, and without personal data."""
    column = pa.array(texts, pa.string())
    clean, _ = privacy.redact(normalize.clean(column), pa.nulls(len(column), pa.string()))
    return (normalize.placeholders(clean) if placeholders else clean).to_pylist()


def _parts(lake: Lake) -> Iterator[Part]:
    """Yield the lake's row groups in the order of its files, at least `PART_POSTS` posts a part."""
    number, posts = 0, 0
    groups: list[tuple[str, int]] = []
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
    pa.set_cpu_count(1)  # each core has a process already
    table, refused, counted = _prepared(_read(part), preparation)
    pq.write_table(refused, refused_file(path))  # first: the part itself says that both are whole
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


def _prepared(
    posts: pa.Table, preparation: Preparation
) -> tuple[pa.Table, pa.Table, dict[str, Any]]:
    """Return the posts that pass the gate with their new columns, the others, and the counts.

    The others are hashes with reasons. Counted are the refusals by use and reason, and the posts
    with personal data by kind.
    """
    uses: tuple[Use, ...] = get_args(Use)
    verdicts = {use: gate(posts, use, preparation.policy, preparation.restrictions) for use in uses}
    counts = {use: _counted(reasons) for use, reasons in verdicts.items()}
    reasons = verdicts["training"]
    refused = _refused(posts["id"].filter(pc.is_valid(reasons)), pc.drop_null(reasons))
    posts = posts.select(list(COLUMNS)).filter(pc.is_null(reasons)).combine_chunks()
    column = {name: posts[name].combine_chunks() for name in COLUMNS}
    text, redacted = privacy.redact(normalize.clean(column["text"]), column["language"])
    plain = normalize.plain(text)
    key = normalize.words(plain)
    faults = quality.judge(text, plain, key)
    # Languages are guessed only for posts that no quality rule drops: the others need none.
    language_tags = _with_guesses(column["language"], key, pc.is_null(faults))
    column |= {"text": text, "key": key, "quality": faults.dictionary_encode()}
    column |= {"language": language_tags.dictionary_encode()}
    column |= {"source": column["source"].dictionary_encode()}
    column |= _numbers(column, normalize.template(plain, key))
    if preparation.placeholders:
        column["text"] = normalize.placeholders(text)
    for name in ("reply_to", "quote_of", "conversation", "likes", "reposts", "replies"):
        del column[name]
    return pa.table(column), refused, {"refused": counts, "redacted": redacted}


def _refused(ids: pa.ChunkedArray, reasons: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Return the posts that the gate refuses, as hashes of their ids with the reasons."""
    hashes = pa.array(hash_ids(ids.to_pylist()))
    return pa.table({"id_hash": hashes, "reason": reasons.dictionary_encode()})


def _counted(reasons: pa.Array) -> dict[str, int]:
    return {v["values"]: v["counts"] for v in pc.drop_null(reasons).value_counts().to_pylist()}


def _numbers(column: dict[str, pa.Array], template: pa.Array) -> dict[str, pa.Array]:
    """Return the columns of numbers by which posts are compared; the hash of no link is 0."""
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
        "reactions": pc.fill_null(reactions, control.UNKNOWN),
        "length": pc.binary_length(column["text"]),
    } | {f"{BAND}{number}": band for number, band in enumerate(minhash.bands(hashes))}
    sketches = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(minhash.HASHES), len(hashes), [None, sketch]
    )
    return {name: pa.array(values) for name, values in numbers.items()} | {"sketch": sketches}


def _ends(ids: pa.Array) -> np.ndarray:
    """Return the last eight bytes of each id as a number.

    Ids count up at their ends, whether these are digits or time stamps.
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
    """Return the platform's tags, with guesses for those wanted posts that have no tag."""
    wanted = pc.and_(wanted, pc.is_null(tags))
    return pc.replace_with_mask(tags, wanted, language.guess(keys.filter(wanted)).cast(tags.type))
