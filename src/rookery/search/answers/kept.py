"""Kept answers: an answer is made once, and checked again every time that it is shown.

It dies with any post that it cites: if one is hidden, edited or erased, or its author takes back
the consent to answers, the question is answered anew. It dies too when any post is hidden, since a
post that is gone must leave no trace in what others made of it, and after a minute, since others
arrive.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable

from rookery.search.answers.answer import Answer, ask
from rookery.search.answers.writers import EXTRACTION, AnswerWriter
from rookery.search.engine.words import fold
from rookery.search.index import PostIndex
from rookery.search.visible import still_visible

MOST_KEPT = 256

SECONDS = 60
"""How long an answer is kept at most, while posts arrive that might change it."""

_Key = tuple[str, Hashable, int]


class KeptAnswers:
    """Answers in memory, at most `most`, those that were asked for last; threads may share it."""

    def __init__(self, writer: AnswerWriter = EXTRACTION, most: int = MOST_KEPT) -> None:
        self.writer = writer
        self._most = most
        self._kept: OrderedDict[_Key, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, index: PostIndex, question: str) -> Answer:
        """Answer a question as `answer.ask` does, or return the answer that was kept."""
        key = _key(index, question)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and _may_be_shown(index, kept):
            answer = kept
        else:
            answer = ask(index, question, self.writer)
        self._keep(key, answer)
        return answer

    def _keep(self, key: _Key, answer: Answer) -> None:
        """Keep an answer as the latest; not one with a note, which may not hold the next time."""
        with self._lock:
            self._kept.pop(key, None)
            if answer.sentences and answer.note is None:
                self._kept[key] = answer
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


def _key(index: PostIndex, question: str) -> _Key:
    """Return what an answer depends on: the question's words, what is hidden, and the time."""
    period = int(index.clock.now().timestamp() // SECONDS)
    return fold(" ".join(question.split())), index.as_of_now().state(), period


def _may_be_shown(index: PostIndex, answer: Answer) -> bool:
    log_seq = index.as_of_now().log  # that of the key, and so of the answer
    return all(still_visible(index.home, answer.sources, "answers", log_seq))
