"""Measure national telephone numbers: how many are found, how often wrongly, at what cost.

    python benchmarks/bench_phones.py --data tweets.parquet

Numbers to find are `phonenumbers`' own examples of twenty countries, one mobile and one of a fixed
line, as people there write them, in a sentence tagged with the country's language. Beside stands
what the patterns find that know no country. What is found in tweets is printed to standard error,
to be read: how much of it is wrong no program can tell (LOG.md has what a reader said). The cost is
the CPU time that the numbering plans add to the redaction of these tweets, over that of the whole
build of a corpus from them.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.parquet as pq
from process import IRA_MAP, new_home, progress, rookery
from record import table, write_result

from rookery.corpus import normalize, privacy

LANGUAGE_OF = {
    "AU": "en", "BR": "pt", "CN": "zh", "CZ": "cs", "DE": "de", "ES": "es", "FR": "fr", "GB": "en",
    "GR": "el", "ID": "id", "IN": "hi", "IT": "it", "JP": "ja", "KR": "ko", "NL": "nl", "PL": "pl",
    "RU": "ru", "SE": "sv", "TR": "tr", "US": "en",
}  # fmt: skip
KINDS = {
    "mobile": phonenumbers.PhoneNumberType.MOBILE,
    "fixed": phonenumbers.PhoneNumberType.FIXED_LINE,
}
NO_COUNTRY = "eo"  # Esperanto: no plan is asked, so the patterns stand alone
BAR_FOUND, BAR_COST = 36, 0.10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--posts", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    text = examples() + tweets(arguments.data, arguments.posts, arguments.seed)
    print(write_result("phones", "Telephone numbers", ["phonenumbers"], text).read_text())


def examples() -> str:
    """Return which examples are found, with the plans and without."""
    rows, found = [], {"by plan": 0, "by pattern": 0}
    for region, language in LANGUAGE_OF.items():
        row = [region, language]
        for number_type in KINDS.values():
            number = phonenumbers.example_number_for_type(region, number_type)
            written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
            by_plan, by_pattern = (is_found(written, code) for code in (language, NO_COUNTRY))
            row += [written, "yes" if by_plan else "no"]
            found["by plan"] += by_plan
            found["by pattern"] += by_pattern
        rows.append(row)
    total = len(rows) * len(KINDS)
    return (
        f"{found['by plan']} of {total} examples are found; without the plans "
        f"{found['by pattern']}. Bar of {BAR_FOUND}: {_met(found['by plan'] >= BAR_FOUND)}.\n\n"
        + table(["country", "language", "mobile", "found", "fixed", "found"], rows)
    )


def is_found(number: str, language: str) -> bool:
    texts, languages = pa.array([f"call {number} today"]), pa.array([language])
    return privacy.redact(texts, languages)[0][0].as_py() == "call [phone] today"


def tweets(data: Path, posts: int, seed: int) -> str:
    """Return how much is found in tweets, and what looking for it costs."""
    taken = pq.read_table(data)
    order = np.random.default_rng(seed).permutation(len(taken))[:posts]
    taken = taken.take(pa.array(np.sort(order)))
    texts = normalize.clean(taken["content"].combine_chunks().cast(pa.string()))
    languages = {
        "plans": pa.nulls(len(texts), pa.string()),
        "patterns": pa.repeat(pa.scalar(NO_COUNTRY), len(texts)),
    }
    clean, seconds = {}, {}
    for name, codes in languages.items():
        progress(f"redacting by {name}")
        started = time.process_time()
        clean[name] = privacy.redact(texts, codes)[0].to_pylist()
        seconds[name] = time.process_time() - started
    marked = [
        (before, after)
        for before, after in zip(texts.to_pylist(), clean["plans"], strict=True)
        if before.count("[phone]") < after.count("[phone]")
    ]
    for before, after in marked:
        print(before, after, sep="\n  ", file=sys.stderr)
    added, build = seconds["plans"] - seconds["patterns"], build_seconds(taken)
    share = added / (build - added)
    return (
        f"\n\nIn {len(marked)} of {len(texts):,} tweets a number is found. The plans take "
        f"{added:.2f} s of CPU time, the whole build of a corpus {build:.1f} s: {share:.1%} more. "
        f"Bar of {BAR_COST:.0%}: {_met(share <= BAR_COST)}.\n"
    )


def build_seconds(taken: pa.Table) -> float:
    """Return the CPU time of a build of a corpus from some tweets, in processes of its own."""
    with tempfile.TemporaryDirectory() as name:
        file, home = Path(name) / "tweets.parquet", Path(name) / "home"
        pq.write_table(taken, file)
        new_home(home)
        rookery(home, "posts", "ingest", file, "--map", IRA_MAP)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        rookery(home, "corpus", "build")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _met(is_met: bool) -> str:
    return "met" if is_met else "NOT met"


if __name__ == "__main__":
    main()
