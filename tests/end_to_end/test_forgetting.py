"""Whatever happens in whatever order, what may not be used is used nowhere, and what was erased is
nowhere.

Every text has a word that no other has. The machine knows which words may be used for what; after
each step it looks into searches, answers and training batches of all that was ever made, and after
an erasure into every file. A crash is an exception at some durable write, followed by the same
command again.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rookery.core.artifact import find_artifacts
from rookery.core.context import Context, FixedClock
from rookery.core.digest import digest_value
from rookery.core.errors import DataError
from rookery.core.home import create_home
from rookery.core.protocols import HashedEmbedder
from rookery.corpus.build import build_corpus
from rookery.corpus.shards import open_shards, write_shards
from rookery.model.config import TrainConfig
from rookery.model.data.batches import batches
from rookery.model.shape import ModelShape
from rookery.model.tokenizer import Tokenizer, train_bpe
from rookery.posts import consent as word
from rookery.posts.forget import forget
from rookery.posts.ingest import ingest_batches
from rookery.posts.live import live_log
from rookery.posts.post import Post
from rookery.posts.sources.files import in_batches
from rookery.search.answers.answer import ask
from rookery.search.build import build_index
from rookery.search.held import held_by
from rookery.search.index import open_index
from rookery.search.search import search_posts
from rookery.workflows.erase import erase
from tests.workflows.full_home import walk

AUTHORS = ("ada", "ben", "cora")
TOKENIZER = Tokenizer(train_bpe(["abcdefgh"], 320))
SHAPE = ModelShape(
    vocabulary=320,
    width=8,
    layers=1,
    heads=1,
    kv_heads=1,
    head_size=8,
    hidden=8,
    context_tokens=512,
)
LOADER = TrainConfig(0.0, SHAPE, steps=1, batch_tokens=1 << 14, micro_batch_tokens=1 << 14)
DAYS = 30


class Killed(BaseException):
    """Stands for the end of the process."""


@dataclass
class Written:
    """A post as the machine knows it: the words of its versions, of which the last one holds."""

    post: Post
    words: list[str]
    forgotten: bool = False


@dataclass
class Person:
    """What is noted of an author."""

    forgotten: bool = False
    suspended: bool = False
    deleted_days: int | None = None
    refuses: set[str] = field(default_factory=set)


def a_word(number: int) -> str:
    """A word that no other number has, and that looks like no other."""
    letters = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")
    return digest_value(number)[:14].translate(letters)


def a_text(number: int) -> str:
    """A text that is nobody's copy: its last words too come from its number."""
    return (
        f"{a_word(number)} is what {a_word(-number - 1)[:7]} said beside "
        f"{a_word(number + 10_000_000)[:6]} today"
    )


class Forgetting(RuleBasedStateMachine):
    """A home, and what has to hold of it."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="forgetting-"))
        self.home = create_home(self.folder / "home")
        self.clock = FixedClock()
        self.context = Context(self.clock)
        self.posts: list[Written] = []
        self.people = {name: Person() for name in AUTHORS}
        self.number = 0

    def teardown(self):
        shutil.rmtree(self.folder)

    def attempt(self, work: Callable[[], object], crash_after: int | None) -> None:
        """Do some work; with a crash after so many durable writes first, if there are as many."""
        self.clock.time += timedelta(minutes=1)
        if crash_after is not None:
            left = crash_after

            def fsync(descriptor: int) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    raise Killed

            with mock.patch.object(os, "fsync", fsync), suppress(Killed, DataError):
                work()
        with suppress(DataError):  # too few posts are left for a corpus
            work()

    def when(self) -> datetime:
        """A time that is later each time, and past: what claims to come from the future is set
        aside.
        """
        return FixedClock().now() + timedelta(hours=self.number - 10_000)

    def new_words(self) -> tuple[str, str]:
        self.number += 1
        return a_word(self.number), a_text(self.number)

    def take(self, posts: list[Post], crash_after: int | None) -> None:
        key = f"ingest-{self.number:06d}"
        self.attempt(
            lambda: ingest_batches(self.home, "test", key, lambda: in_batches(posts), self.context),
            crash_after,
        )

    crashes = st.none() | st.integers(0, 30)

    @initialize()
    def begin(self):
        self.ingest([n % 3 for n in range(8)], None)
        self.build_corpus(None)
        self.build_index(None)

    @rule(authors=st.lists(st.integers(0, 2), min_size=1, max_size=4), crash=crashes)
    def ingest(self, authors, crash):
        coming = []
        for author in authors:
            said, text = self.new_words()
            post = Post(
                str(self.number),
                AUTHORS[author],
                text,
                self.when(),
                visibility="public",
                source="test",
            )
            coming.append(Written(post, [said]))
        self.take([written.post for written in coming], crash)
        self.posts += [
            written for written in coming if not self.people[written.post.author].forgotten
        ]

    @rule(choice=st.integers(0, 1000), crash=crashes)
    def edit(self, choice, crash):
        chosen = self.posts[choice % len(self.posts)]
        if self.is_forgotten(chosen):
            return
        said, text = self.new_words()
        chosen.post = replace(chosen.post, text=text, edited=self.when())
        self.take([chosen.post], crash)
        chosen.words.append(said)

    @rule(choice=st.integers(0, 1000))
    def forget_post(self, choice):
        chosen = self.posts[choice % len(self.posts)]
        forget(self.home, [chosen.post.id], [], self.context)
        chosen.forgotten = True

    @rule(author=st.just("ben"))
    def forget_author(self, author):
        forget(self.home, [], [author], self.context)
        self.people[author].forgotten = True

    @rule(author=st.sampled_from(AUTHORS), is_on=st.booleans())
    def suspend(self, author, is_on):
        self.attempt(
            lambda: word.state(
                self.home, [], [author], "suspended", "on" if is_on else "off", self.context
            ),
            None,
        )
        self.people[author].suspended = is_on

    @rule(author=st.sampled_from(AUTHORS[1:]), is_on=st.booleans())
    def delete_account(self, author, is_on):
        self.attempt(
            lambda: word.state(
                self.home, [], [author], "deleted", "on" if is_on else "off", self.context
            ),
            None,
        )
        person = self.people[author]
        person.deleted_days = (person.deleted_days or 0) if is_on else None

    @rule(days=st.sampled_from((1, DAYS)))
    def wait(self, days):
        self.clock.time += timedelta(days=days)
        for person in self.people.values():
            person.deleted_days = (
                None if person.deleted_days is None else person.deleted_days + days
            )

    @rule(
        author=st.sampled_from(AUTHORS),
        use=st.sampled_from(("training", "search", "answers")),
        yes=st.booleans(),
    )
    def consent(self, author, use, yes):
        words = {use: "yes" if yes else "no"}
        self.attempt(lambda: word.consent(self.home, [author], words, self.context), None)
        refuses = self.people[author].refuses
        refuses.discard(use) if yes else refuses.add(use)

    @rule(crash=crashes)
    def build_corpus(self, crash):
        def made():
            write_shards(self.home, build_corpus(self.home, self.context), TOKENIZER, self.context)

        self.attempt(made, crash)

    @rule(crash=crashes)
    def build_index(self, crash):
        self.attempt(lambda: build_index(self.home, HashedEmbedder(), self.context), crash)

    @rule(crash=crashes)
    def erase(self, crash):
        self.attempt(lambda: erase(self.home, self.context), crash)
        for person in self.people.values():
            person.forgotten |= person.deleted_days is not None and person.deleted_days >= DAYS
        for gone in self.words_that(
            lambda written, said: self.is_forgotten(written) or said != written.words[-1]
        ):
            assert walk(self.home, gone.encode()) == set()

    def is_forgotten(self, written: Written) -> bool:
        return written.forgotten or self.people[written.post.author].forgotten

    def words_that(self, test: Callable[[Written, str], bool]) -> list[str]:
        return [said for written in self.posts for said in written.words if test(written, said)]

    def refused(self, use: str) -> list[str]:
        """The words that may not be used."""

        def is_refused(written: Written, said: str) -> bool:
            person = self.people[written.post.author]
            is_hidden = (
                self.is_forgotten(written) or person.suspended or person.deleted_days is not None
            )
            return is_hidden or use in person.refuses or said != written.words[-1]

        return self.words_that(is_refused)

    @invariant()
    def no_batch_holds_a_refused_word(self):
        refused = self.refused("training")
        with live_log(self.home) as log:
            restrictions = log.restrictions()
        for artifact in find_artifacts(self.home.artifacts, "shards"):
            for split in ("train", "validation"):
                shards = open_shards(artifact, split)
                masked = shards.masked(restrictions)
                steps = batches(shards, LOADER, lambda documents, masked=masked: masked[documents])
                rows = next(steps).rows if shards.documents else ()
                said = "".join(
                    TOKENIZER.decode(part.targets[part.targets >= 0].tolist()) for part in rows
                )
                assert not [one for one in refused if one in said]

    @precondition(lambda self: held_by(self.home) is not None)
    @invariant()
    def no_search_finds_a_refused_word(self):
        index = open_index(self.home, HashedEmbedder(), self.clock)
        for one in self.refused("search"):
            assert not [hit for hit in search_posts(index, one).hits if one in hit.text]
        for one in self.refused("answers"):
            found = ask(index, one)
            assert one not in " ".join(
                [*(s.text for s in found.sentences), *(hit.text for hit in found.sources)]
            )


FAST = settings(
    max_examples=5,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def test_nothing_that_may_not_be_used_is_used_and_nothing_erased_is_left():
    run_state_machine_as_test(Forgetting, settings=FAST)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_the_same_holds_in_many_longer_stories():
    run_state_machine_as_test(
        Forgetting,
        settings=settings(FAST, max_examples=40, stateful_step_count=30, phases=[Phase.generate]),
    )
