"""The demo's ads: a simulated day, in the built-in town or on a platform's own words.

The day is a stage: its artifact `ads_day` holds the day's database and its result. The day is
simulated in a new database from the first search on, so that a run that was killed starts again and
nothing is counted twice. Then its database becomes the home's ads database, in one step, unless the
home has campaigns of its own. Viewers, clicks and truth are simulated, and the result says so. The
simulation itself is in `day.py`, its market in `themes.py`.
"""

import contextlib
import json
import secrets
import shutil
import sqlite3
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy.engine import Engine

from rookery.ads.ledger import store
from rookery.ads.ledger.book import book_version, save_book
from rookery.ads.ledger.token import TOKEN_KEYS, VIEWER_KEY
from rookery.ads.report import report_of
from rookery.ads.terms.objects import AdBook
from rookery.core.artifact import Artifact
from rookery.core.atomic import write_atomically
from rookery.core.context import Context
from rookery.core.digest import canonical_json
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.core.protocols import Embedder
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.document import read_documents
from rookery.town import day as simulation
from rookery.town.posts import TOPICS, TownConfig, interests
from rookery.town.themes import CURRENCY, Theme, found_themes, make_market, town_themes

VERSION = 2
DATABASE, RESULT, SIMULATION = "ads.sqlite", "result.json", "simulation"
MOST_DOCUMENTS = 20_000
# viewers and offers that do not exist need no secret, and have to be the same each time
_SIMULATED_KEY = bytes(32)
_SIMULATED_TOKEN_KEYS = canonical_json([[0, bytes(32).hex(), 0]]).encode()


@dataclass(frozen=True)
class DayConfig:
    """The day to simulate: its number of searches and viewers.

    town: whether it is on the town's themes, or else on those of the corpus.
    """

    town: bool
    searches: int = 4000
    viewers: int = 300
    seed: int = 1


def run(
    home: Home, corpus: Artifact, embedder: Embedder, context: Context, town: bool
) -> dict[str, Any]:
    """Simulate a day, make it the home's, and return its counts and how well clicks were predicted.

    Keys: searches, offers, views, clicks, spend, currency, auc_model, auc_truth (the AUC of the
    planted probabilities themselves, which is the ceiling), refused, ledger_agrees, note, and
    installed: whether it is now the home's.
    """
    return simulate_day(home, corpus, embedder, context, DayConfig(town))


def simulate_day(
    home: Home, corpus: Artifact, embedder: Embedder, context: Context, config: DayConfig
) -> dict[str, Any]:
    """Simulate any day, make it the home's, and return the same keys as `run`."""
    stage = Stage(
        "ads_day", VERSION, config, {"corpus": corpus.digest, "embedder": embedder.digest}
    )
    day = run_stage(
        home,
        stage,
        lambda workspace: _make(workspace, config, stage.key, corpus, embedder),
        context,
    )
    return json.loads(day.file(RESULT).read_text()) | {"installed": _install(home, day)}


def choose_question(corpus: Artifact) -> str:
    """Return a question for the posts of this corpus.

    It is one of the town's where the posts state the answer, else two words of theirs.
    """
    texts = _texts(corpus, "validation")
    facts = [fact for topic in TOPICS for fact in topic.facts]
    counts = [
        sum(any(telling in text for telling in fact.tellings) for text in texts) for fact in facts
    ]
    if max(counts) > 1:
        return facts[int(np.argmax(counts))].question
    themes = found_themes(texts, most=1)
    return " ".join(themes[0].words[:2]) if themes else "What is new?"


def _make(
    workspace: Workspace, config: DayConfig, key: str, corpus: Artifact, embedder: Embedder
) -> dict[str, Any]:
    """Simulate the day in the scratch folder, then write its database and its result."""
    for part in workspace.scratch.glob(f"{DATABASE}*"):  # of a day that was killed
        part.unlink()
    scratch = workspace.scratch / DATABASE
    # not synchronous, since nobody needs half a day after a power cut
    engine = store.open_store(store.sqlite_url(scratch), synchronous="OFF")
    try:
        result = _simulate(workspace, config, key, corpus, embedder, engine)
    finally:
        engine.dispose()
    (workspace.path / DATABASE).unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(scratch)) as connection:
        # equal contents become equal bytes
        connection.execute("VACUUM INTO ?", [str(workspace.path / DATABASE)])
    write_atomically(workspace.path / RESULT, canonical_json(result).encode())
    return {name: result[name] for name in ("views", "clicks", "auc_model", "auc_truth")}


def _simulate(
    workspace: Workspace,
    config: DayConfig,
    key: str,
    corpus: Artifact,
    embedder: Embedder,
    engine: Engine,
) -> dict[str, Any]:
    themes = town_themes() if config.town else found_themes(_texts(corpus, "train"))
    if not themes:
        raise UsageError("the corpus has too few words to make campaigns of", where=corpus.path)
    market, random = make_market(themes, config.seed), np.random.default_rng([config.seed, 2])
    day = list(
        simulation.visits(market, _interests(config, themes, random), config.searches, random)
    )
    with store.writing(engine) as connection:
        save_book(connection, AdBook(CURRENCY), market.book)
        store.set_state(connection, VIEWER_KEY, _SIMULATED_KEY)
        store.set_state(connection, TOKEN_KEYS, _SIMULATED_TOKEN_KEYS)
        store.set_state(connection, SIMULATION, f"{key} {book_version(connection)}".encode())
    with workspace.context.progress.task("simulating a day of ads", len(day), "searches") as task:
        truth = simulation.simulate_visits(engine, embedder, market, day, config.seed, task)
    quality = simulation.quality_of(engine, truth)
    with store.reading(engine) as connection:
        totals = report_of(connection)["totals"]
    counts = {
        "searches": len(day),
        "campaigns": len(market.book.campaigns),
        **totals,
        **asdict(quality),
    }
    return counts | {
        "note": "viewers and clicks are simulated, with planted preferences; auction and ledger "
        "are real"
    }


def _interests(
    config: DayConfig, themes: tuple[Theme, ...], random: np.random.Generator
) -> np.ndarray:
    """Return the interests of the viewers, float64 (viewers, themes), rows summing to 1.

    The town's people have their own; for other themes they are drawn.
    """
    if not config.town:
        return random.dirichlet(np.full(len(themes), 0.2), config.viewers)
    people = list(interests(TownConfig()).values())[: config.viewers]
    return np.array([[person[theme.name] for theme in themes] for person in people])


def _texts(corpus: Artifact, split: str) -> list[str]:
    """Return the texts of a split's first documents, a fair sample since a split is shuffled."""
    texts = (
        text
        for batch in read_documents(corpus, split, ["text"])
        for text in batch["text"].to_pylist()
    )
    return list(islice(texts, MOST_DOCUMENTS))


def _install(home: Home, day: Artifact) -> bool:
    """Make a day's database the home's; return whether it is now.

    It is not if the home has campaigns of its own.
    """
    with store.opened_store(home) as engine, store.reading(engine) as connection:
        simulation_before = store.get_state(connection, SIMULATION) or b""
        version = book_version(connection)
    key, _, version_before = simulation_before.decode().partition(" ")
    if key == day.key:
        return True
    if version != int(version_before or 0):  # 0 in a home that has no campaigns yet
        return False
    copy = home.path / f"{DATABASE}.part"
    try:
        shutil.copyfile(day.file(DATABASE), copy)
        with (
            contextlib.closing(sqlite3.connect(copy)) as source,
            contextlib.closing(sqlite3.connect(home.ads)) as ours,
        ):
            with source:  # the home has secrets of its own
                secret = [secrets.token_bytes(32), VIEWER_KEY]
                source.execute("UPDATE state SET value = ? WHERE name = ?", secret)
                source.execute("DELETE FROM state WHERE name = ?", [TOKEN_KEYS])
            source.backup(ours)  # one transaction of the home's database, seen whole or not at all
    finally:
        copy.unlink(missing_ok=True)
    return True
