"""The report: what became of every post, with samples, for the terminal, for programs and as a page.

`report.json` holds the facts and `report.html` shows them, in one file without anything from outside. How
well a tokenizer does is known later than the corpus, so the page with it is made anew on demand
(`compression`). Samples are redacted, and never of posts that failed the gate. Each carries the ids of its
posts: these are among the artifact's held ids, so that a forgotten one is traced to here too, and `without`
takes it out.
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

from rookery.core.artifact import Artifact
from rookery.core.digest import hash_ids
from rookery.core.verdict import Tally
from rookery.corpus import dedup, mixture, normalize, quality, spam, split
from rookery.corpus.admit import Admitted
from rookery.corpus.document import SPLITS, split_file
from rookery.corpus.shards import open_shards
from rookery.corpus.sieve import Sieve

JSON, HTML = "report.json", "report.html"
KEPT = "kept"
HELD_OUT = SPLITS[1]
SAMPLES = 20  # of what is kept, and for each reason
CLUSTERS = 12
SHOWN_CHARACTERS = 400
SHOWN_LANGUAGES = 14
LENGTH_LIMITS_BYTES = (32, 64, 128, 256, 512, 1024, 4096)


def describe(
    admitted: Admitted, sieve: Sieve, representative: np.ndarray, documents: dict[str, pa.Table], tally: Tally
) -> dict[str, Any]:
    """All that the report says.

    `representative` is the place of the post that stands for each, `documents` are the two splits, `tally`
    counts all reasons.
    """
    both = pa.concat_tables(documents.values())
    return {
        "posts": admitted.in_lake,
        "posts_kept": tally.kept,
        "dropped": tally.to_dict()["dropped"],
        "funnel": _funnel(admitted, sieve),
        "refused_by_use": {use: dict(counts.most_common()) for use, counts in admitted.refused.items()},
        "splits": {name: _split_facts(table) for name, table in documents.items()},
        "documents_repeated": documents["train"].num_rows - len(pc.unique(documents["train"]["id"])),
        "threads": int(pc.sum(pc.greater(pc.list_value_length(both["post_ids"]), 1)).as_py() or 0),
        "languages": _counts(pc.fill_null(both["language"], "unknown")),
        "sources": _counts(admitted.posts["source"].filter(sieve.mask)),
        "redacted": dict(admitted.redacted.most_common()),
        "leakage": _leakage(documents["train"], documents["validation"]),
        "lengths_bytes": _lengths(pc.binary_length(both["text"]).to_numpy()),
        "months": dict(sorted(_counts(pc.strftime(admitted.posts["created"].filter(sieve.mask), "%Y-%m")).items())),
        "clusters": _clusters(admitted, representative),
        "samples": {KEPT: _kept_samples(documents["train"])} | _dropped_samples(admitted, sieve),
    }


def shown(facts: dict[str, Any]) -> list[str]:
    """The ids of all posts of which the report shows the text."""
    samples = [*itertools.chain(*facts["samples"].values()), *facts["clusters"]["largest"]]
    return [post for sample in samples for post in sample["ids"]]


def without(facts: dict[str, Any], forgotten: Collection[str]) -> dict[str, Any]:
    """The same facts, without the samples that hold one of the posts given; the counts stay."""
    gone = set(forgotten)
    left = lambda samples: [s for s in samples if gone.isdisjoint(s["ids"])]  # noqa: E731
    clusters = facts["clusters"] | {"largest": left(facts["clusters"]["largest"])}
    return facts | {"clusters": clusters, "samples": {name: left(of) for name, of in facts["samples"].items()}}


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


def read(corpus: Artifact) -> dict[str, Any]:
    """The facts of a corpus, as `describe` made them."""
    return json.loads(corpus.file(JSON).read_text())


def summary(corpus: Artifact) -> dict[str, Any]:
    """The facts of a corpus without its samples, flat enough for a terminal."""
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
    """Bytes of text in a token, by language, on the held-out documents; `shards` must be of this corpus."""
    with pq.ParquetFile(split_file(corpus, HELD_OUT)) as file:
        table = file.read(["text", "language", "controls"])
    said_apart = 1 + pc.list_value_length(table["controls"]).to_numpy()  # and the end of the document
    tokens = np.diff(open_shards(shards, HELD_OUT).offsets) - said_apart
    columns = {
        "language": pc.fill_null(table["language"], "unknown"),
        "bytes": pc.binary_length(table["text"]),
        "tokens": pa.array(tokens),
    }
    sums = pa.table(columns).group_by("language").aggregate([("bytes", "sum"), ("tokens", "sum")]).to_pylist()
    sums.sort(key=lambda row: (-row["bytes_sum"], row["language"]))
    return {row["language"]: round(row["bytes_sum"] / row["tokens_sum"], 3) for row in sums[:SHOWN_LANGUAGES]}


def _funnel(admitted: Admitted, sieve: Sieve) -> list[dict[str, Any]]:
    """How many posts are left after each step."""
    left = admitted.posts.num_rows
    steps = [("are in the lake", admitted.in_lake), ("may be trained on", left)]
    names = {
        "pass the quality rules": tuple(quality.RULES),
        "were not posted by a machine": (spam.FASTER_THAN_HUMAN, spam.CLOCKWORK),
        "are no exact duplicate": (dedup.EXACT_DUPLICATE,),
        "are no flood": (dedup.TEMPLATE_FLOOD,),
        "are no near duplicate": (dedup.NEAR_DUPLICATE,),
        "are of no link farm": (spam.LINK_FARM,),
        "are on one side of the split": (split.HELD_OUT_AUTHOR, split.AFTER_THE_CUT, split.THREAD_IN_TRAIN),
        "are in the mixture": (mixture.MIXTURE,),
    }
    for name, reasons in names.items():
        left -= sum(len(sieve.dropped.get(reason, ())) for reason in reasons)
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
    names = [f"{low + 1:,}-{high:,}" for low, high in itertools.pairwise(limits)]
    return dict(zip([*names, f"over {limits[-1]:,}"], counts.tolist(), strict=True))


def _leakage(train: pa.Table, validation: pa.Table) -> dict[str, int]:
    """What the held-out documents share with what is learned from: texts, runs of words, authors."""
    keys = [normalize.key(table["text"].combine_chunks()) for table in (train, validation)]
    authors = [table["author_ids"].combine_chunks() for table in (train, validation)]
    hashes = [hash_ids(column.flatten().to_pylist()) for column in authors]
    offsets = np.concatenate([[0], np.cumsum(authors[1].value_lengths().to_numpy())])
    return split.shared_text(*keys) | {"an_author": split.shared_authors(*hashes, offsets)}


def _clusters(admitted: Admitted, representative: np.ndarray) -> dict[str, Any]:
    """The posts that stand for the most others."""
    posts = np.bincount(representative, minlength=len(representative))
    order = np.argsort(-posts, kind="stable")[:CLUSTERS]
    rows = admitted.posts.select(["id", "text"]).take(pa.array(order[posts[order] > 1])).to_pylist()
    largest = [
        {"ids": [row["id"]], "text": _short(row["text"]), "posts": int(count)}
        for row, count in zip(rows, posts[order], strict=False)
    ]
    return {"count": int((posts > 1).sum()), "posts": int(posts[posts > 1].sum()), "largest": largest}


def _kept_samples(train: pa.Table) -> list[dict[str, Any]]:
    """The first documents of the shuffled split."""
    rows = train.select(["text", "language", "post_ids"]).slice(0, SAMPLES).to_pylist()
    return [{"ids": r["post_ids"], "text": _short(r["text"]), "language": r["language"]} for r in rows]


def _dropped_samples(admitted: Admitted, sieve: Sieve) -> dict[str, list[dict[str, Any]]]:
    """A few posts for each reason, spread evenly over time."""
    samples = {}
    for reason, rows in sieve.dropped.items():
        chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), SAMPLES)).astype(int)]
        posts = admitted.posts.select(["id", "text", "language"]).take(pa.array(chosen)).to_pylist()
        samples[reason] = [{"ids": [p["id"]], "text": _short(p["text"]), "language": p["language"]} for p in posts]
    return {reason: of for reason, of in samples.items() if of}


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
