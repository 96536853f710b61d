"""The way in: the lake read through the gate, batch by batch, and each post made ready to be compared.

Here a post becomes its clean, redacted text, its key, its template and what the quality rules say, with the
site that it links to. Every step looks at one post at a time; what takes more than one comes after
(`build.py`).
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.core.home import Policy
from rookery.core.verdict import Tally
from rookery.corpus import normalize, privacy, quality, spam
from rookery.posts.lake import Lake
from rookery.posts.live import Standing
from rookery.posts.post import USES
from rookery.posts.rights import GATE_COLUMNS, gate

COLUMNS = (
    *("id", "author", "created", "text", "language", "reply_to", "quote_of", "conversation"),
    *("likes", "reposts", "replies", "source"),
)
THREADS = 2  # the column functions release Python's lock
BATCHES_AHEAD = 4


@dataclass(frozen=True)
class Admitted:
    """Posts that passed the gate, sorted by time.

    posts: `COLUMNS` (text clean and redacted) with key, template, quality, domain.
    refused: for each use of posts, how many it may not be made of, by reason; training's are also in the tally.
    """

    posts: pa.Table
    redacted: Counter[str]
    refused: dict[str, Counter[str]]
    in_lake: int

    def column(self, name: str) -> pa.Array:
        return self.posts[name].combine_chunks()


def admit(lake: Lake, standing: Standing, policy: Policy, hide_names: bool, tally: Tally, context: Context) -> Admitted:
    """Read the lake through the gate, batch by batch, and prepare what passes; refusals go to the tally.

    hide_names: mentions and links become placeholders, in the text only; what is compared keeps them.

    Raises `DataError` if the lake is empty.
    """
    redacted: Counter[str] = Counter()
    refused: dict[str, Counter[str]] = {use: Counter() for use in USES}
    prepared = []
    posts = lake.count()
    if not posts:
        raise DataError("the lake holds no posts", mend="Run `rookery posts ingest` first")
    with context.progress.task("cleaning posts", posts, "posts") as task, ThreadPoolExecutor(THREADS) as pool:
        columns = list(dict.fromkeys([*GATE_COLUMNS, *COLUMNS]))
        work = functools.partial(_prepare, standing, policy, hide_names)
        for rows, of_batch, held in _ahead(pool, work, lake.batches(columns)):
            for use, counts in of_batch.items():
                refused[use] += counts
            redacted += held
            prepared.append(rows)
            task.advance(rows.num_rows + of_batch["training"].total())
    tally.dropped += refused["training"]
    return Admitted(_sorted(pa.Table.from_batches(prepared)), redacted, refused, posts)


def _prepare(
    standing: Standing, policy: Policy, hide_names: bool, batch: pa.RecordBatch
) -> tuple[pa.RecordBatch, dict[str, Counter[str]], Counter[str]]:
    """One batch: what passes the gate, with its new columns; refusals by use and reason; personal data by kind."""
    verdicts = {use: gate(batch, use, policy, standing) for use in USES}
    refused = {use: _counted(reasons) for use, reasons in verdicts.items()}
    reasons = verdicts["training"]
    batch = batch.select(list(COLUMNS)).filter(pc.is_null(reasons))
    text, held = privacy.redact(normalize.clean(batch["text"]))
    key = normalize.key(text)
    shown = normalize.placeholders(text) if hide_names else text
    batch = batch.set_column(batch.schema.get_field_index("text"), "text", shown)
    batch = batch.append_column("key", key).append_column("template", normalize.template(text, key))
    batch = batch.append_column("domain", pa.array(spam.domains(text)))
    return batch.append_column("quality", quality.judge(text, key).dictionary_encode()), refused, held


def _counted(reasons: pa.Array) -> Counter[str]:
    return Counter({v["values"]: v["counts"] for v in reasons.drop_null().value_counts().to_pylist()})


def _ahead(pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Iterable) -> Iterator:
    """The results in order, with at most a few items in work, so that memory stays bounded."""
    waiting = []
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) == BATCHES_AHEAD:
            yield waiting.pop(0).result()
    yield from (future.result() for future in waiting)


def _sorted(posts: pa.Table) -> pa.Table:
    """By time, then id. Text columns of a large lake pass two gigabytes, so offsets are wide here."""
    wide = [pa.field(f.name, pa.large_string()) if f.type == pa.string() else f for f in posts.schema]
    posts = posts.unify_dictionaries().cast(pa.schema(wide)).combine_chunks()
    return posts.take(pc.sort_indices(posts, [("created", "ascending"), ("id", "ascending")])).combine_chunks()
