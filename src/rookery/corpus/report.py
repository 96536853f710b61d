"""The report: what became of every post, with samples, as JSON, as a page and for the terminal.

`report.json` holds the facts and `report.html` shows them, in one file that loads nothing from
outside. How well a tokenizer compresses is known later than the corpus, so a page with it is made
on demand (`compression`). Samples are redacted, and no sample is of a post that failed the gate.
Each carries the ids of its posts: these are among the artifact's held ids, so that a forgotten post
is traced to its sample too, and `without` removes it. Not here: the data card (`card.py`).
"""

import itertools
import json
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rookery.core.arrays import is_among
from rookery.core.artifact import Artifact
from rookery.core.digest import hash_ids
from rookery.core.home import Home
from rookery.core.verdict import Tally
from rookery.corpus import dedup, mixture, quality, spam, split
from rookery.corpus.document import SPLITS, split_file
from rookery.corpus.prepared import Posts
from rookery.corpus.shards import open_shards
from rookery.corpus.sieve import Sieve
from rookery.posts.lake import find_lake
from rookery.posts.live import live_log

JSON, HTML = "report.json", "report.html"
KEPT = "kept"
HELD_OUT = SPLITS[1]
SAMPLES = 20  # of what is kept, and for each reason
CLUSTERS = 12
SHOWN_CHARACTERS = 400
SHOWN_LANGUAGES = 14
LENGTH_LIMITS_BYTES = (32, 64, 128, 256, 512, 1024, 4096)


class Documents:
    """The counts of all documents, taken table after table; validation comes first."""

    def __init__(self) -> None:
        self.splits: dict[str, dict[str, Any]] = {
            name: {"documents": 0, "posts": 0, "bytes": 0, "first": None, "last": None}
            for name in SPLITS
        }
        self.threads = 0
        self._train_ids: list[np.ndarray] = []
        self.languages: Counter[str] = Counter()
        self.lengths = np.zeros(len(LENGTH_LIMITS_BYTES) + 1, dtype=np.int64)
        self.samples: list[dict[str, Any]] = []
        self._validation_keys: list[pa.Array] = [pa.array([], pa.string())]
        self._overlap: split.Overlap | None = None

    def add(self, name: str, table: pa.Table) -> None:
        """Count a table of documents of one split, as gather.py makes it."""
        sizes, lengths = pc.list_value_length(table["post_ids"]), pc.binary_length(table["text"])
        facts, span = self.splits[name], pc.min_max(table["created"]).as_py()
        facts["documents"] += table.num_rows
        facts["posts"] += pc.sum(sizes).as_py() or 0
        facts["bytes"] += pc.sum(lengths).as_py() or 0
        facts["first"] = min(filter(None, (facts["first"], span["min"])), default=None)
        facts["last"] = max(filter(None, (facts["last"], span["max"])), default=None)
        self.threads += pc.sum(pc.greater(sizes, 1)).as_py() or 0
        self.languages.update(_counts(pc.fill_null(table["language"], "unknown")))
        buckets = np.searchsorted(LENGTH_LIMITS_BYTES, lengths.to_numpy())
        self.lengths += np.bincount(buckets, minlength=len(self.lengths))
        if name == "validation":
            self._validation_keys.append(table["key"].combine_chunks())
            return
        self._train_ids.append(hash_ids(table["id"].to_pylist()))
        self.samples = self.samples or _kept_samples(table)
        if self._overlap is None:
            self._overlap = split.Overlap(pa.concat_arrays(self._validation_keys))
        self._overlap.see(table["key"].combine_chunks())

    def repeated(self) -> int:
        """Count the training documents that are repeats of another."""
        ids = np.sort(np.concatenate([np.empty(0, np.uint64), *self._train_ids]))
        return int((ids[1:] == ids[:-1]).sum())

    def leakage(self) -> dict[str, int]:
        """Count the validation documents that occur in training all the same."""
        overlap = self._overlap or split.Overlap(pa.concat_arrays(self._validation_keys))
        return overlap.counts()


def describe(
    posts: Posts, sieve: Sieve, copies: dict[str, np.ndarray], documents: Documents, tally: Tally
) -> dict[str, Any]:
    """Return the facts of the report.

    copies: (n, 2) rows of each kind of copy: the representative, the copy. tally: counts the posts
    kept, and those dropped for each reason.
    """
    return {
        "posts": posts.in_lake,
        "posts_kept": tally.kept,
        "dropped": tally.to_dict()["dropped"],
        "funnel": _funnel(posts, sieve),
        "refused_by_use": {use: _ranked(counts) for use, counts in posts.refused.items()},
        "splits": {name: _with_iso_times(facts) for name, facts in documents.splits.items()},
        "documents_repeated": documents.repeated(),
        "threads": documents.threads,
        "languages": _ranked(documents.languages),
        "sources": _sources(posts, sieve),
        "redacted": _ranked(posts.redacted),
        "leakage": documents.leakage(),
        "lengths_bytes": _lengths(documents.lengths),
        "months": _months(posts.numbers("created", sieve.rows)),
        "clusters": _clusters(posts, copies),
        "samples": {KEPT: documents.samples} | _dropped_samples(posts, sieve),
    }


def shown(facts: dict[str, Any]) -> list[str]:
    """Return the ids of all posts of which the report shows the text."""
    samples = [*itertools.chain(*facts["samples"].values()), *facts["clusters"]["largest"]]
    return [post for sample in samples for post in sample["ids"]]


def without(facts: dict[str, Any], forgotten: Collection[str]) -> dict[str, Any]:
    """Return the facts without the samples that hold a forgotten post; the counts stay."""
    removed = set(forgotten)

    def left(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [sample for sample in samples if removed.isdisjoint(sample["ids"])]

    clusters = facts["clusters"] | {"largest": left(facts["clusters"]["largest"])}
    return facts | {
        "clusters": clusters,
        "samples": {name: left(of) for name, of in facts["samples"].items()},
    }


def write(folder: Path, facts: dict[str, Any]) -> None:
    """Write the facts as JSON and as a page into the artifact's folder."""
    (folder / JSON).write_text(json.dumps(facts, ensure_ascii=False, indent=1))
    (folder / HTML).write_text(page(facts))


def page(facts: dict[str, Any]) -> str:
    """Return the facts as one HTML file, with all text of people escaped."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_name("report.html.jinja").read_text())
    languages = _with_others(facts["languages"])
    return template.render(
        facts=facts, languages=languages, largest=lambda numbers: max(numbers, default=0) or 1
    )


def read(corpus: Artifact) -> dict[str, Any]:
    """Return the facts of a corpus, as `describe` made them."""
    return json.loads(corpus.file(JSON).read_text())


def visible(home: Home, facts: dict[str, Any], lake_version: int) -> dict[str, Any]:
    """Return the facts without samples of posts that may not be used any more.

    lake_version: of the lake from which the corpus was made.
    """
    authors = dict.fromkeys(shown(facts), "")
    lake, wanted = find_lake(home), frozenset(authors)
    for batch in lake.batches(["id", "author"]) if lake else ():
        found = batch.filter(is_among(batch["id"], wanted))
        authors.update(zip(*(column.to_pylist() for column in found), strict=True))
    with live_log(home) as log:
        restrictions = log.restrictions_among(list(authors.items()))
    hidden = [
        post
        for post, author in authors.items()
        if restrictions.forbids("training", post, author, lake_version)
    ]
    return without(facts, hidden)


def summary(corpus: Artifact) -> dict[str, Any]:
    """Return the facts of a corpus without its samples, flat enough for a terminal."""
    facts = read(corpus)
    train, validation = facts["splits"]["train"], facts["splits"]["validation"]
    return {
        "posts": facts["posts"],
        "posts_kept": facts["posts_kept"],
        "dropped": facts["dropped"],
        "funnel": {step["step"]: step["posts"] for step in facts["funnel"]},
        "documents_train": train["documents"],
        "documents_validation": validation["documents"],
        "bytes_train": train["bytes"],
        "bytes_validation": validation["bytes"],
        "documents_repeated": facts["documents_repeated"],
        "threads": facts["threads"],
        "duplicate_clusters": facts["clusters"]["count"],
        "train_until": train["last"],
        "validation_from": validation["first"],
        "languages": facts["languages"],
        "redacted": facts["redacted"],
        "refused_by_use": facts["refused_by_use"],
        "leakage": facts["leakage"],
        "policy": corpus.manifest.policy,
    }


def compression(corpus: Artifact, shards: Artifact) -> dict[str, float]:
    """Return the bytes of text per token, by language, on the validation documents.

    shards: those of this corpus.
    """
    with pq.ParquetFile(split_file(corpus, HELD_OUT)) as file:
        table = file.read(["text", "language", "controls"])
    is_left = pc.greater(pc.binary_length(table["text"]), 0)
    # The control tokens and the end-of-document token are no text.
    special = 1 + pc.list_value_length(table["controls"]).to_numpy()
    tokens = np.diff(open_shards(shards, HELD_OUT).offsets) - special
    columns = {
        "language": pc.fill_null(table["language"], "unknown"),
        "bytes": pc.binary_length(table["text"]),
        "tokens": pa.array(tokens),
    }
    left = pa.table(columns).filter(is_left)  # an erased document has no text
    sums = left.group_by("language").aggregate([("bytes", "sum"), ("tokens", "sum")]).to_pylist()
    sums.sort(key=lambda row: (-row["bytes_sum"], row["language"]))
    return {
        row["language"]: round(row["bytes_sum"] / row["tokens_sum"], 3)
        for row in sums[:SHOWN_LANGUAGES]
    }


def _funnel(posts: Posts, sieve: Sieve) -> list[dict[str, Any]]:
    """Count the posts that are left after each step."""
    left = len(posts)
    steps = [("are in the lake", posts.in_lake), ("may be trained on", left)]
    names = {
        "pass the quality rules": tuple(quality.RULES),
        "were not posted by a machine": (spam.FASTER_THAN_HUMAN, spam.CLOCKWORK),
        "are no exact duplicate": (dedup.EXACT_DUPLICATE,),
        "are no flood": (dedup.TEMPLATE_FLOOD,),
        "are no near duplicate": (dedup.NEAR_DUPLICATE,),
        "are on one side of the split": (
            split.HELD_OUT_AUTHOR,
            split.AFTER_THE_CUT,
            split.THREAD_IN_TRAIN,
        ),
        "are in the mixture": (mixture.MIXTURE,),
    }
    for name, reasons in names.items():
        left -= sum(len(sieve.dropped.get(reason, ())) for reason in reasons)
        steps.append((name, left))
    return [{"step": name, "posts": count} for name, count in steps]


def _with_iso_times(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a split with its times as ISO 8601 text."""
    return facts | {name: facts[name] and facts[name].isoformat() for name in ("first", "last")}


def _counts(column: pa.Array | pa.ChunkedArray) -> dict[str, int]:
    """Count how often each value occurs."""
    return {v["values"]: v["counts"] for v in pc.value_counts(column).to_pylist()}


def _ranked(counts: Counter[str]) -> dict[str, int]:
    """Return the counts, the largest first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _months(created: np.ndarray) -> dict[str, int]:
    """Count the times in each month; they are in microseconds and ascending."""
    months, counts = np.unique(
        created.view("datetime64[us]").astype("datetime64[M]"), return_counts=True
    )
    return dict(zip(months.astype(str).tolist(), counts.tolist(), strict=True))


def _with_others(counts: dict[str, int]) -> dict[str, int]:
    """Return the largest counts, and the sum of all others as one."""
    shown = dict(list(counts.items())[:SHOWN_LANGUAGES])
    rest = sum(counts.values()) - sum(shown.values())
    return shown | ({"others": rest} if rest else {})


def _lengths(counts: np.ndarray) -> dict[str, int]:
    """Return the counts of documents by the name of their range of bytes."""
    limits = [0, *LENGTH_LIMITS_BYTES]
    names = [f"{low + 1:,}-{high:,}" for low, high in itertools.pairwise(limits)]
    return dict(zip([*names, f"over {limits[-1]:,}"], counts.tolist(), strict=True))


def _sources(posts: Posts, sieve: Sieve) -> dict[str, int]:
    """Count the kept posts of each source."""
    codes, names = posts.coded("source")
    counts = np.bincount(codes[sieve.rows], minlength=len(names))
    return _ranked(Counter({name: int(n) for name, n in zip(names, counts, strict=True) if n}))


def _clusters(posts: Posts, copies: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the number of groups of copies, and the representatives of the largest groups."""
    representative = np.arange(len(posts))
    for pairs in copies.values():
        representative[pairs[:, 1]] = pairs[:, 0]
    # Twice, since the representative of an exact copy may itself be another post's near copy.
    size = np.bincount(representative[representative], minlength=len(posts))
    largest = np.argsort(-size, kind="stable")[:CLUSTERS]
    largest = largest[size[largest] > 1]
    rows = posts.pick(largest, ["id", "text"]).to_pylist()
    shown = [
        {"ids": [row["id"]], "text": _short(row["text"]), "posts": int(size[place])}
        for row, place in zip(rows, largest, strict=True)
    ]
    return {"count": int((size > 1).sum()), "posts": int(size[size > 1].sum()), "largest": shown}


def _kept_samples(train: pa.Table) -> list[dict[str, Any]]:
    """Return the first documents of the shuffled split."""
    rows = train.select(["text", "language", "post_ids"]).slice(0, SAMPLES).to_pylist()
    return [
        {"ids": r["post_ids"], "text": _short(r["text"]), "language": r["language"]} for r in rows
    ]


def _dropped_samples(posts: Posts, sieve: Sieve) -> dict[str, list[dict[str, Any]]]:
    """Return a few posts for each reason, spread evenly over time."""
    chosen = {
        reason: rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLES)).astype(int)]
        for reason, rows in sieve.dropped.items()
        if len(rows)
    }
    rows = np.concatenate([np.empty(0, np.int64), *chosen.values()])
    picked = iter(posts.pick(rows, ["id", "text", "language"]).to_pylist())
    return {reason: [_sample(next(picked)) for _ in rows] for reason, rows in chosen.items()}


def _sample(post: dict[str, Any]) -> dict[str, Any]:
    return {"ids": [post["id"]], "text": _short(post["text"]), "language": post["language"]}


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
