"""A corpus for evaluating models on 20,000 new texts among the last tweets of a file.

The last 40,000 tweets by time are set aside. The evaluated 20,000 are drawn from those whose text
occurs neither earlier nor twice. The training texts are all earlier texts, each once, as they were
written: what is measured here is how a model learns, not how a corpus is cleaned.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.digest import digest_file
from rookery.core.home import Home
from rookery.core.lineage import HELD
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.corpus.document import DOCUMENT_SCHEMA, LAKE_VERSION, write_documents

SET_ASIDE, JUDGED = 40_000, 20_000
SEED = 0
COLUMNS = ["post_id", "author_id", "content", "language", "created_at"]


def later_tweets(home: Home, data: Path, context: Context) -> Artifact:
    """Return the corpus artifact of a Parquet file of tweets with the `COLUMNS`."""
    config = {"set_aside": SET_ASIDE, "judged": JUDGED, "seed": SEED}

    def make(workspace: Workspace) -> dict[str, int]:
        tweets = pq.read_table(data, columns=COLUMNS)
        tweets = tweets.sort_by([("created_at", "ascending"), ("post_id", "ascending")])
        train, judged = split(tweets["content"].combine_chunks())
        write_documents(
            workspace.path / "train.parquet", [_documents(tweets.take(pa.array(train)))]
        )
        write_documents(
            workspace.path / "validation.parquet", [_documents(tweets.take(pa.array(judged)))]
        )
        (workspace.path / HELD).touch()
        return {"documents_train": len(train), "documents_validation": len(judged), LAKE_VERSION: 0}

    return run_stage(home, Stage("corpus", 1, config, {"tweets": digest_file(data)}), make, context)


def split(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the texts to learn from and of those to evaluate on, both shuffled.

    texts: all texts, sorted by time.
    """
    codes = pc.dictionary_encode(texts).indices
    cut = len(texts) - SET_ASIDE
    written = pc.greater(pc.fill_null(pc.binary_length(texts), 0), 0).to_numpy(zero_copy_only=False)
    first = np.zeros(len(texts), dtype=bool)
    first[np.unique(pc.fill_null(codes, 0).to_numpy(), return_index=True)[1]] = True
    new = np.flatnonzero(first & written)
    random = np.random.default_rng(SEED)
    return random.permutation(new[new < cut]), random.permutation(new[new >= cut])[:JUDGED]


def _documents(tweets: pa.Table) -> pa.Table:
    def lists_of(name: str) -> pa.Array:
        return pa.array([[value] for value in tweets[name].cast(pa.string()).to_pylist()])

    ids = tweets["post_id"].cast(pa.string())
    columns = [
        ids,
        tweets["content"],
        lists_of("post_id"),
        lists_of("author_id"),
        tweets["language"],
        tweets["created_at"],
    ]
    no_controls = pa.array([[]] * len(tweets), pa.list_(pa.string()))
    return pa.table([*columns, no_controls], names=DOCUMENT_SCHEMA.names)
