"""The demo's ads: a simulated day on the built-in town or on a platform's own words, and a question
to ask.

The day is a stage: its artifact `ads_day` holds the day's database and what came of it. It is lived
in a database of its own from the first search on, so that one that was killed is lived again from
the start and nothing is counted twice. Then it becomes the home's ads database, in one step, unless
the home has campaigns of its own. Viewers, clicks and truth are simulated, and the result says so.
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
from rookery.ads.report import report_of
from rookery.ads.terms.campaigns import Campaigns
from rookery.core.artifact import Artifact, write_atomically
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

VERSION = 1
DATABASE, RESULT, SIMULATION = "ads.sqlite", "result.json", "simulation"
MOST_DOCUMENTS = 20_000
_SIMULATED_KEY = bytes(
    32
)  # pseudonyms of viewers who do not exist need no secret, and have to be the same each time


@dataclass(frozen=True)
class DayConfig:
    """Which day: on the town's themes or on those of the corpus, with how many searches by how many
    viewers.
    """

    town: bool
    searches: int = 4000
    viewers: int = 300
    seed: int = 1


def run(
    home: Home, corpus: Artifact, embedder: Embedder, context: Context, town: bool
) -> dict[str, Any]:
    """Live a simulated day and make it the home's; returns its counts and how well clicks were
    foretold.

    Keys: searches, offers, views, clicks, spend, currency, auc_model, auc_truth (the ceiling: the
    planted probabilities themselves), refused, ledger_agrees, note, and installed: whether it is
    now the home's.
    """
    return simulate_day(home, corpus, embedder, context, DayConfig(town))


def simulate_day(
    home: Home, corpus: Artifact, embedder: Embedder, context: Context, config: DayConfig
) -> dict[str, Any]:
    """The same for any day."""
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


def a_question(corpus: Artifact) -> str:
    """A question for posts of this corpus: one of the town's where they tell the answer, else two
    words of theirs.
    """
    texts = _texts(corpus, "validation")
    facts = [fact for topic in TOPICS for fact in topic.facts]
    told = [
        sum(any(telling in text for telling in fact.tellings) for text in texts) for fact in facts
    ]
    if max(told) > 1:
        return facts[int(np.argmax(told))].question
    themes = found_themes(texts, most=1)
    return " ".join(themes[0].words[:2]) if themes else "What is new?"


def _make(
    workspace: Workspace, config: DayConfig, key: str, corpus: Artifact, embedder: Embedder
) -> dict[str, Any]:
    """The stage: live the day in the scratch folder, then leave its database and its result."""
    for part in workspace.scratch.glob(f"{DATABASE}*"):  # of a day that was killed
        part.unlink()
    scratch = workspace.scratch / DATABASE
    engine = store.open_store(
        store.sqlite_url(scratch), synchronous="OFF"
    )  # nobody needs half a day after a power cut
    try:
        result = _live(workspace, config, key, corpus, embedder, engine)
    finally:
        engine.dispose()
    (workspace.path / DATABASE).unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(scratch)) as connection:
        connection.execute(
            "VACUUM INTO ?", [str(workspace.path / DATABASE)]
        )  # equal contents, equal bytes
    write_atomically(workspace.path / RESULT, canonical_json(result).encode())
    return {name: result[name] for name in ("views", "clicks", "auc_model", "auc_truth")}


def _live(
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
    store.save_into(engine, Campaigns(CURRENCY, market.campaigns))
    with store.writing(engine) as connection:
        store.set_state(connection, store.VIEWER_KEY, _SIMULATED_KEY)
        store.set_state(
            connection, SIMULATION, f"{key} ".encode() + store.campaigns_version(connection)
        )
    with workspace.context.progress.task("living a day of ads", len(day), "searches") as task:
        truth = simulation.simulate_visits(engine, embedder, market, day, config.seed, task)
    quality = simulation.quality_of(engine, truth)
    with store.reading(engine) as connection:
        totals = report_of(connection)["totals"]
    counts = {"searches": len(day), "campaigns": len(market.campaigns), **totals, **asdict(quality)}
    return counts | {
        "note": "viewers and clicks are simulated, with planted preferences; auction and ledger "
        "are real"
    }


def _interests(
    config: DayConfig, themes: tuple[Theme, ...], random: np.random.Generator
) -> np.ndarray:
    """What the viewers care for, float64 (viewers, themes), rows summing to 1; the town's people
    have their own.
    """
    if not config.town:
        return random.dirichlet(np.full(len(themes), 0.2), config.viewers)
    people = list(interests(TownConfig()).values())[: config.viewers]
    return np.array([[person[theme.name] for theme in themes] for person in people])


def _texts(corpus: Artifact, split: str) -> list[str]:
    """Texts of the first documents of a split; it is shuffled, so that they are a fair sample."""
    texts = (
        text
        for batch in read_documents(corpus, split, ["text"])
        for text in batch["text"].to_pylist()
    )
    return list(islice(texts, MOST_DOCUMENTS))


def _install(home: Home, day: Artifact) -> bool:
    """Make a day's database the home's, unless it is already, or the home has campaigns of its
    own.
    """
    with store.opened_store(home) as engine, store.reading(engine) as connection:
        lived, version = (
            store.get_state(connection, SIMULATION) or b"",
            store.campaigns_version(connection),
        )
    key, _, campaigns_of_the_day = lived.decode().partition(" ")
    if key == day.key:
        return True
    if version.decode() != campaigns_of_the_day:  # both empty in a home that has no campaigns yet
        return False
    copy = home.path / f"{DATABASE}.part"
    try:
        shutil.copyfile(day.file(DATABASE), copy)
        with (
            contextlib.closing(sqlite3.connect(copy)) as source,
            contextlib.closing(sqlite3.connect(home.ads)) as ours,
        ):
            with source:
                source.execute(
                    "UPDATE state SET value = ? WHERE name = ?",
                    [secrets.token_bytes(32), store.VIEWER_KEY],
                )
            source.backup(ours)  # one transaction of the home's database, seen whole or not at all
    finally:
        copy.unlink(missing_ok=True)
    return True
