"""The report: what became of every post, with samples, for the terminal, for programs and as a page.

`report.json` holds the facts and `report.html` shows them, in one file without anything from
outside. Samples are redacted, and never of posts that failed the gate; the ids of all posts shown are
among the artifact's held ids, so that a forgotten one is traced to here too.
"""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.artifact import Artifact
from rookery.core.verdict import Tally
from rookery.corpus import dedup, quality, split
from rookery.corpus.document import SPLITS
from rookery.corpus.prepared import Posts
from rookery.corpus.sieve import Sieve

JSON, HTML = "report.json", "report.html"
SAMPLES_KEPT, SAMPLES_DROPPED = 12, 4
SHOWN_CHARACTERS = 400
SHOWN_LANGUAGES = 14
LENGTH_LIMITS_BYTES = (32, 64, 128, 256, 512, 1024, 4096)


class Documents:
    """What is counted of the documents while they pass by, table after table; validation passes first."""

    def __init__(self):
        self.splits = {name: {"documents": 0, "posts": 0, "bytes": 0, "first": None, "last": None} for name in SPLITS}
        self.threads = 0
        self.languages: Counter[str] = Counter()
        self.lengths = np.zeros(len(LENGTH_LIMITS_BYTES) + 1, dtype=np.int64)
        self.samples: list[dict[str, Any]] = []
        self._validation_keys: list[pa.Array] = [pa.array([], pa.string())]
        self._overlap: split.Overlap | None = None

    def add(self, name: str, table: pa.Table) -> None:
        """Documents of one split, as gather.py makes them."""
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
        self.samples = self.samples or _kept_samples(table)
        if self._overlap is None:
            self._overlap = split.Overlap(pa.concat_arrays(self._validation_keys))
        self._overlap.see(table["key"].combine_chunks())

    def leakage(self) -> dict[str, int]:
        """How much the two splits share all the same."""
        overlap = self._overlap or split.Overlap(pa.concat_arrays(self._validation_keys))
        return overlap.counts()


def describe(posts: Posts, sieve: Sieve, documents: Documents, tally: Tally) -> tuple[dict[str, Any], list[str]]:
    """All that the report says, and the ids of the dropped posts that it shows; `tally` counts all reasons."""
    samples, shown = _dropped_samples(posts, sieve)
    facts = {
        "posts": posts.in_lake,
        "posts_kept": tally.kept,
        "dropped": tally.to_dict()["dropped"],
        "funnel": _funnel(posts, sieve),
        "splits": {name: _said(split_facts) for name, split_facts in documents.splits.items()},
        "threads": documents.threads,
        "languages": _ranked(documents.languages),
        "redacted": _ranked(posts.redacted),
        "leakage": documents.leakage(),
        "lengths_bytes": _lengths(documents.lengths),
        "months": _months(posts.numbers("created", sieve.rows)),
        "samples": {"kept": documents.samples, "dropped": samples},
    }
    return facts, shown


def write(folder: Path, facts: dict[str, Any]) -> None:
    """Write both forms into the artifact's folder."""
    (folder / JSON).write_text(json.dumps(facts, ensure_ascii=False, indent=1))
    (folder / HTML).write_text(page(facts))


def page(facts: dict[str, Any]) -> str:
    """The facts as one HTML file; whatever people wrote is escaped."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_name("report.html.jinja").read_text())
    languages = _with_others(facts["languages"])
    return template.render(facts=facts, languages=languages, largest=lambda numbers: max(numbers, default=0) or 1)


def summary(corpus: Artifact) -> dict[str, Any]:
    """The facts of a corpus without its samples, flat enough for a terminal."""
    facts = json.loads(corpus.file(JSON).read_text())
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
        "threads": facts["threads"],
        "train_until": train["last"],
        "validation_from": validation["first"],
        "languages": facts["languages"],
        "redacted": facts["redacted"],
        "leakage": facts["leakage"],
        "policy": corpus.manifest.policy,
    }


def _funnel(posts: Posts, sieve: Sieve) -> list[dict[str, Any]]:
    """How many posts are left after each step."""
    left = len(posts)
    steps = [("are in the lake", posts.in_lake), ("may be trained on", left)]
    names = {
        "pass the quality rules": tuple(quality.RULES),
        "are no exact duplicate": (dedup.EXACT_DUPLICATE,),
        "are no flood": (dedup.TEMPLATE_FLOOD,),
        "are no near duplicate": (dedup.NEAR_DUPLICATE,),
        "are on one side of the split": (split.THREAD_IN_TRAIN,),
    }
    for name, reasons in names.items():
        left -= sum(len(sieve.dropped[reason]) for reason in reasons)
        steps.append((name, left))
    return [{"step": name, "posts": count} for name, count in steps]


def _said(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of a split with its times as text."""
    return facts | {name: facts[name] and facts[name].isoformat() for name in ("first", "last")}


def _counts(column) -> dict[str, int]:
    """How often each value occurs."""
    return {v["values"]: v["counts"] for v in pc.value_counts(column).to_pylist()}


def _ranked(counts: Counter[str]) -> dict[str, int]:
    """The most frequent first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _months(created: np.ndarray) -> dict[str, int]:
    """How many of some times, in microseconds and rising, lie in each month."""
    months, counts = np.unique(created.view("datetime64[us]").astype("datetime64[M]"), return_counts=True)
    return dict(zip(months.astype(str).tolist(), counts.tolist(), strict=True))


def _with_others(counts: dict[str, int]) -> dict[str, int]:
    """The most frequent ones, and the rest as one."""
    shown = dict(list(counts.items())[:SHOWN_LANGUAGES])
    rest = sum(counts.values()) - sum(shown.values())
    return shown | ({"others": rest} if rest else {})


def _lengths(counts: np.ndarray) -> dict[str, int]:
    """How many documents are of up to so many bytes, by name."""
    limits = [0, *LENGTH_LIMITS_BYTES]
    names = [f"{low + 1:,}-{high:,}" for low, high in pairwise(limits)]
    return dict(zip([*names, f"over {limits[-1]:,}"], counts.tolist(), strict=True))


def _kept_samples(train: pa.Table) -> list[dict[str, Any]]:
    """The first documents of the shuffled split."""
    rows = train.select(["text", "language", "post_ids"]).slice(0, SAMPLES_KEPT).to_pylist()
    return [{"text": _short(r["text"]), "language": r["language"], "posts": len(r["post_ids"])} for r in rows]


def _dropped_samples(posts: Posts, sieve: Sieve) -> tuple[dict[str, list[str]], list[str]]:
    """A few texts for each reason, spread evenly over time, and the ids of those posts."""
    chosen = {
        reason: rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLES_DROPPED)).astype(int)]
        for reason, rows in sieve.dropped.items()
        if len(rows)
    }
    rows = np.concatenate([np.empty(0, np.int64), *chosen.values()])
    shown = posts.pick(rows, ["id", "text"])
    texts = iter(shown["text"].to_pylist())
    return {reason: [_short(next(texts)) for _ in rows] for reason, rows in chosen.items()}, shown["id"].to_pylist()


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
