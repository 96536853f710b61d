"""Crews of two and four processes, and something small for them to train."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import tiny_run
import torch
from crew import Crew, Stopped, followed, trained

from rookery.core.artifact import Artifact, open_artifact
from rookery.core.context import Context
from rookery.core.home import create_home
from rookery.model import train as training
from rookery.model.degrees import Degrees
from rookery.model.training import run as running

SHAPE = replace(
    tiny_run.SHAPE, layers=4, heads=4, kv_heads=2, head_size=8, tied=False
)  # as --scale has them
CONFIG = replace(
    tiny_run.CONFIG, shape=SHAPE, steps=8, batch_tokens=512, micro_batch_tokens=64, decay_steps=4
)


@pytest.fixture(scope="session")
def two() -> Iterator[Crew]:
    with closing(Crew(2)) as crew:
        yield crew


@pytest.fixture(scope="session")
def four() -> Iterator[Crew]:
    with closing(Crew(4)) as crew:
        yield crew


@contextmanager
def in_float32() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "best_precision", lambda device: torch.float32)
        yield


class Attempt:
    """A home with one run in it, which different numbers of processes may train in turn."""

    def __init__(self, folder, config):
        self.home, self.config, self.earlier = create_home(folder), config, None
        self.began_at: int | None = None  # the first step of the newest attempt
        self.tokenizer = tiny_run.make_tokenizer(self.home)
        self.shards = tiny_run.make_shards(
            self.home, self.tokenizer, vocabulary=config.shape.vocabulary
        )

    def single_process(self, stop: int | None = None) -> Artifact | None:
        made = None
        with in_float32(), followed(stop) as steps, suppress(Stopped):
            made = training.train(
                self.home, self.shards, self.tokenizer, self.config, Context(), None, self.earlier
            )
        self.began_at = steps[0]
        return made

    def by(self, crew: Crew | None, stop: int | None = None, **degrees: int) -> Artifact | None:
        """Train with a crew of processes; None: in this process alone."""
        if crew is None:
            return self.single_process(stop)
        paths = self.home.path, self.shards.path, self.tokenizer.path
        earlier = self.earlier and self.earlier.path
        made = crew.run(trained, Degrees(**degrees), *paths, self.config, stop, earlier)
        (self.began_at,) = {first_step for _, first_step in made}
        path = made[0][0]
        return None if path is None else open_artifact(path)

    def grown(self, earlier: Artifact) -> "Attempt":
        """Return a later phase in the same home, on more documents."""
        later = copy(self)
        later.config = replace(self.config, warmup_steps=0, seed=1)
        later.shards = tiny_run.make_shards(
            self.home, self.tokenizer, 300, self.config.shape.vocabulary
        )
        later.earlier = earlier
        return later


@pytest.fixture
def attempt(tmp_path):
    return partial(_attempt, tmp_path)


def _attempt(
    folder, name: str = "home", shape: Mapping[str, Any] | None = None, **changes
) -> Attempt:
    return Attempt(folder / name, replace(CONFIG, shape=replace(SHAPE, **(shape or {})), **changes))


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """Return a function that gives one process's checkpoint of a shape."""
    made: dict[frozenset, Artifact] = {}

    def of(**shape: Any) -> Artifact:
        kind = frozenset(shape.items())
        if kind not in made:
            made[kind] = _attempt(tmp_path_factory.mktemp("alone"), shape=shape).single_process()
        return made[kind]

    return of
