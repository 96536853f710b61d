"""What an embedder of a home is worth, measured on pairs of the home's own posts.

The pairs are the latest that the corpus has, which `model tune search` does not learn from. The
result is an artifact of kind `worth`, which holds figures and no post; `models.py` gives its weight
to the embedder. Fewer than `FEWEST_QUERIES` such pairs measure nothing: the embedder then keeps
`UNMEASURED_WEIGHT`. Not here: the measure itself (`search/worth.py`).
"""

import json
from typing import Any

import numpy as np

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.atomic import write_atomically
from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.extras import require_model
from rookery.core.home import Home
from rookery.core.locks import reading_posts
from rookery.core.protocols import UNMEASURED_WEIGHT
from rookery.core.stage import Stage, run_stage
from rookery.core.workspace import Workspace
from rookery.corpus.document import LAKE_VERSION

KIND, VERSION, FILE = "worth", 1, "worth.json"
FEWEST_QUERIES, MOST_QUERIES = 50, 500
MOST_TEXTS = 10_000


def measure(home: Home, embedder: Artifact, corpus: Artifact, context: Context) -> Artifact:
    """Measure what an embedder or a checkpoint is worth on a corpus, and return the artifact."""
    require_model()
    from rookery.model.embed import load_embedder
    from rookery.search.worth import measure_worth

    def make(workspace: Workspace) -> dict[str, Any]:
        texts, wanted = _judged(home, corpus)
        facts: dict[str, Any] = {"weight": UNMEASURED_WEIGHT, "queries": len(wanted)}
        if len(wanted) >= FEWEST_QUERIES:
            facts = to_plain(measure_worth(texts, wanted, load_embedder(embedder), context))
        write_atomically(workspace.path / FILE, json.dumps(facts, indent=1).encode())
        return facts

    inputs = {"embedder": embedder.digest, "corpus": corpus.digest}
    stage = Stage(KIND, VERSION, {"most_queries": MOST_QUERIES, "most_texts": MOST_TEXTS}, inputs)
    with reading_posts(home):
        return run_stage(home, stage, make, context)


def weight_of(home: Home, embedder: Artifact) -> float:
    """Return the weight that was measured last for an embedder, or `UNMEASURED_WEIGHT`."""
    weights = [
        json.loads(worth.file(FILE).read_text())["weight"]
        for worth in find_artifacts(home.artifacts, KIND)
        if worth.manifest.inputs["embedder"] == embedder.digest
    ]
    return weights[-1] if weights else UNMEASURED_WEIGHT


def _judged(home: Home, corpus: Artifact) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return texts to search, by id, and queries with the id of the text to find.

    The texts are the posts to find and a sample of all others, since search looks through all;
    none that may no longer be used.
    """
    from rookery.model.embed import fold
    from rookery.model.tuning.pairs import find_pairs, groups, held_back, read_posts
    from rookery.posts.live import live_log

    posts = read_posts(home, corpus)
    plain = fold(posts["text"].to_pylist())
    pairs = find_pairs(posts, plain)
    group, held = groups(pairs, len(posts)), held_back(pairs)[1].rows
    # one query of each group, and no other post of it: that would be as good an answer
    held = held[np.unique(group[held[:, 1]], return_index=True)[1]]
    random = np.random.default_rng(0)
    chosen = held[np.sort(random.permutation(len(held))[:MOST_QUERIES])]
    asked = set(group[chosen[:, 1]].tolist())
    others = random.permutation(len(posts))[: 2 * MOST_TEXTS].tolist()
    with live_log(home) as log:
        restrictions = log.restrictions()
    ids, authors = posts["id"].to_pylist(), posts["author"].to_pylist()
    version = corpus.manifest.metrics[LAKE_VERSION]

    def may(row: int) -> bool:
        return not restrictions.forbids("training", ids[row], authors[row], version)

    golds = {b for _, b in chosen.tolist() if may(b)}
    pool = [n for n in others if group[n] not in asked and may(n)]
    shown = sorted(golds) + pool[: MOST_TEXTS - len(golds)]
    wanted = [(plain[a], ids[b]) for a, b in chosen.tolist() if b in golds and may(a)]
    return {ids[n]: plain[n] for n in shown if plain[n]}, wanted
