"""How long suggestions take, and how often "Did you mean" is right.

    python benchmarks/bench_suggest.py HOME

HOME: a home with posts and a search index. Beginnings are those of tags and authors of its posts.
Words are drawn from its English posts with a fixed seed: `common` ones are in at least three of the
posts that were read, `single` ones in one. A slip leaves out, adds, changes or exchanges a letter
within a common word. How many single words get an offer shows how often a rare word is questioned,
be it right or wrong.
"""

import random
import statistics
import string
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import tantivy
from record import table, write_result

from rookery.core.home import open_home
from rookery.core.protocols import HashedEmbedder
from rookery.search.engine.counting import findable, values
from rookery.search.engine.words import exact_tokens
from rookery.search.index import SearchIndex, open_index
from rookery.search.suggest import completions, correction, trends

CALLS, WORDS, READ_POSTS, LEAST_LETTERS = 200, 300, 6_000, 5
MOST_MS = 20.0
"""What half of the completions have to be below."""


def main() -> None:
    """Measure everything in one run, and write the page of results."""
    index = open_index(open_home(Path(sys.argv[1])), HashedEmbedder())
    draw = random.Random(1)
    tags, authors = _values(index, "tags"), _values(index, "author")
    times = [
        *(_timed(f"a tag, its first {n} letters", lambda text: completions(index, f"#{text}"),
                 [draw.choice(tags)[:n] for _ in range(CALLS)]) for n in (1, 2, 4)),
        _timed("a word, its first 3 letters", lambda text: completions(index, text),
               [draw.choice(authors)[:3] for _ in range(CALLS)]),
        _timed("trends", lambda _: trends(index), [""] * 20),
    ]  # fmt: skip
    common, single = _words(index, draw)
    slips = [_slip(word, draw) for word in common]
    times.append(_timed("Did you mean, a slip", lambda text: correction(index, text), slips))
    times.append(_timed("Did you mean, a word", lambda text: correction(index, text), common))
    body = (
        f"{index.view.posts:,} posts. Completions: half of them within {MOST_MS:.0f} ms.\n\n"
        + table(["asked", "p50 (ms)", "p95 (ms)"], times)
        + "\n"
        + table(["words", "of", "the word itself", "another word", "no offer"],
                [_offers(index, "slips", slips, common), _offers(index, "common", common, common),
                 _offers(index, "single", single, single)])
    )  # fmt: skip
    print(write_result("suggest", "Suggestions", ["tantivy", "rapidfuzz"], body))
    print(body)


def _values(index: SearchIndex, field: str) -> list[str]:
    least = 5 if field == "tags" else 1
    found = values(index.view, tantivy.Query.all_query(), field, least_authors=least, most=2_000)
    return [value.text for value in found if len(value.text) >= 4]


def _timed(name: str, call: Callable[[str], object], texts: Sequence[str]) -> list[object]:
    spent = []
    for text in texts:
        started = time.perf_counter()
        call(text)
        spent.append(1e3 * (time.perf_counter() - started))
    spent.sort()
    p95 = spent[int(0.95 * len(spent))]
    return [name, round(statistics.median(spent), 1), round(p95, 1)]


def _words(index: SearchIndex, draw: random.Random) -> tuple[list[str], list[str]]:
    view = index.view
    english = tantivy.Query.term_query(view.schema, "language", "en", "basic")
    hits = view.searcher.search(findable(view, english), READ_POSTS, count=False).hits
    counts = Counter(
        word
        for post in view.posts_at([address for _, address in hits])
        for word in dict.fromkeys(exact_tokens(post["text"]))
        if word.isalpha() and len(word) >= LEAST_LETTERS
    )
    common = [word for word, posts in counts.items() if posts >= 3]
    single = [word for word, posts in counts.items() if posts == 1]
    return [draw.sample(words, min(WORDS, len(words))) for words in (common, single)]


def _slip(word: str, draw: random.Random) -> str:
    place, letter = draw.randrange(1, len(word) - 1), draw.choice(string.ascii_lowercase)
    before, here, after = word[:place], word[place], word[place + 1 :]
    return before + draw.choice([after, letter + here + after, letter + after,
                                 after[0] + here + after[1:]])  # fmt: skip


def _offers(
    index: SearchIndex, name: str, typed: Sequence[str], meant: Sequence[str]
) -> list[object]:
    offers = [correction(index, text) for text in typed]
    right = sum(offer == word for offer, word in zip(offers, meant, strict=True))
    nothing = offers.count(None)
    return [name, len(typed), right, len(typed) - right - nothing, nothing]


if __name__ == "__main__":
    main()
