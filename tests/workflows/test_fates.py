"""`rookery trace` says what became of a post in each corpus, also when it is gone."""

import json
import subprocess
import sys

from rookery.core.context import Context
from rookery.corpus.build import build_corpus
from rookery.posts.forget import forget
from rookery.workflows.erase import erase
from rookery.workflows.trace import trace


def test_trace_says_what_became_of_a_post_in_each_corpus(home, put, a_post):
    said = [a_post(f"number {n} of the {w} is here") for n, w in enumerate("abcdefgh" * 3)]
    copy = a_post(said[0].text, author="bo")
    put(*said, copy)
    first = build_corpus(home, Context())
    later = a_post("one that came after the first corpus")
    put(later, key="later")
    forget(home, [said[0].id], [], Context())
    second = build_corpus(home, Context())

    def fates(post) -> list[tuple[str, str, str]]:
        return [tuple(one.values()) for one in trace(home, post.id)["fates"]]

    before = [(first.key, "exact_duplicate", said[0].id)]
    kept = [(second.key, "validation", "")]
    assert fates(copy) == [*before, *kept]
    assert [corpus for corpus, *_ in fates(later)] == [second.key]
    assert fates(said[0]) == [(first.key, "train", ""), (second.key, "forgotten", "")]
    erase(home, Context())
    assert fates(said[0]) == [(first.key, "train", ""), (second.key, "forgotten", "")]
    assert fates(copy) == [(first.key, "exact_duplicate", ""), *kept]


def test_the_command_says_it_in_one_line(home, put, a_post):
    said = [a_post(f"number {n} of the {w} is here") for n, w in enumerate("abcdefgh" * 3)]
    copy = a_post(said[0].text, author="bo")
    put(*said, copy)
    corpus = build_corpus(home, Context())
    command = [sys.executable, "-m", "rookery", "trace", copy.id, "--home", str(home.path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in shown.splitlines() if corpus.key in line)
    assert line.split() == ["in", "corpus", corpus.key, "exact_duplicate", "of", said[0].id]
    told = json.loads(subprocess.run([*command, "--json"], capture_output=True).stdout)
    assert told["fates"] == [
        {"corpus": corpus.key, "fate": "exact_duplicate", "represented_by": said[0].id}
    ]
