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
from rookery.corpus import dedup, normalize, quality, split
from rookery.corpus.admit import Admitted
from rookery.corpus.sieve import Sieve

JSON, HTML = "report.json", "report.html"
SAMPLES_KEPT, SAMPLES_DROPPED = 12, 4
SHOWN_CHARACTERS = 400
SHOWN_LANGUAGES = 14
LENGTH_LIMITS_BYTES = (32, 64, 128, 256, 512, 1024, 4096)


def describe(
    admitted: Admitted, sieve: Sieve, documents: dict[str, pa.Table], tally: Tally
) -> tuple[dict[str, Any], list[str]]:
    """All that the report says, and the ids of the dropped posts that it shows.

    `documents` are the two splits, `tally` counts all reasons.
    """
    samples, shown = _dropped_samples(admitted, sieve)
    both = pa.concat_tables(documents.values())
    keys = {name: normalize.key(table["text"].combine_chunks()) for name, table in documents.items()}
    facts = {
        "posts": admitted.in_lake,
        "posts_kept": tally.kept,
        "dropped": tally.to_dict()["dropped"],
        "funnel": _funnel(admitted, sieve),
        "splits": {name: _split_facts(table) for name, table in documents.items()},
        "threads": int(pc.sum(pc.greater(pc.list_value_length(both["post_ids"]), 1)).as_py() or 0),
        "languages": _counts(pc.fill_null(both["language"], "unknown")),
        "redacted": dict(admitted.redacted.most_common()),
        "leakage": split.shared_text(keys["train"], keys["validation"]),
        "lengths_bytes": _lengths(pc.binary_length(both["text"]).to_numpy()),
        "months": dict(sorted(_counts(pc.strftime(admitted.posts["created"].filter(sieve.mask), "%Y-%m")).items())),
        "samples": {"kept": _kept_samples(documents["train"]), "dropped": samples},
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


def _funnel(admitted: Admitted, sieve: Sieve) -> list[dict[str, Any]]:
    """How many posts are left after each step."""
    left = admitted.posts.num_rows
    steps = [("are in the lake", admitted.in_lake), ("may be trained on", left)]
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
    return [{"step": name, "posts": posts} for name, posts in steps]


def _split_facts(table: pa.Table) -> dict[str, Any]:
    span = pc.min_max(table["created"]).as_py()
    return {
        "documents": table.num_rows,
        "posts": int(pc.sum(pc.list_value_length(table["post_ids"])).as_py() or 0),
        "bytes": int(pc.sum(pc.binary_length(table["text"])).as_py() or 0),
        "first": span["min"] and span["min"].isoformat(),
        "last": span["max"] and span["max"].isoformat(),
    }


def _counts(column) -> dict[str, int]:
    """How often each value occurs, the most frequent first."""
    counts = Counter({v["values"]: v["counts"] for v in pc.value_counts(column).to_pylist()})
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _with_others(counts: dict[str, int]) -> dict[str, int]:
    """The most frequent ones, and the rest as one."""
    shown = dict(list(counts.items())[:SHOWN_LANGUAGES])
    rest = sum(counts.values()) - sum(shown.values())
    return shown | ({"others": rest} if rest else {})


def _lengths(bytes_each: np.ndarray) -> dict[str, int]:
    """How many documents are of up to so many bytes."""
    limits = [0, *LENGTH_LIMITS_BYTES]
    counts = np.bincount(np.searchsorted(LENGTH_LIMITS_BYTES, bytes_each), minlength=len(limits))
    names = [f"{low + 1:,}-{high:,}" for low, high in pairwise(limits)]
    return dict(zip([*names, f"over {limits[-1]:,}"], counts.tolist(), strict=True))


def _kept_samples(train: pa.Table) -> list[dict[str, Any]]:
    """The first documents of the shuffled split."""
    rows = train.select(["text", "language", "post_ids"]).slice(0, SAMPLES_KEPT).to_pylist()
    return [{"text": _short(r["text"]), "language": r["language"], "posts": len(r["post_ids"])} for r in rows]


def _dropped_samples(admitted: Admitted, sieve: Sieve) -> tuple[dict[str, list[str]], list[str]]:
    """A few texts for each reason, spread evenly over time, and the ids of those posts."""
    samples, shown = {}, []
    for reason, rows in sieve.dropped.items():
        chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLES_DROPPED)).astype(int)]
        posts = admitted.posts.select(["id", "text"]).take(pa.array(chosen)).to_pylist()
        samples[reason] = [_short(post["text"]) for post in posts]
        shown += [post["id"] for post in posts]
    return {reason: texts for reason, texts in samples.items() if texts}, shown


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
