"""The cases of `bench_kills.py`: a verb, the home it starts from, and what must hold at the end.

A case is cheap: little data, and a home that is prepared once and copied for every trial. `begun`
is a pattern of files of which one is made or changed when the work itself begins, so that kills
fall into the work and not into the start of Python.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.context import Context
from rookery.core.digest import digest_value
from rookery.core.home import Home, create_home
from rookery.core.protocols import HashedEmbedder
from rookery.corpus.build import build_corpus
from rookery.corpus.document import SPLITS
from rookery.corpus.shards import write_shards
from rookery.model.tokenizer import load_tokenizer, train_tokenizer
from rookery.posts.forget import forget
from rookery.posts.ingest import ingest
from rookery.posts.lake import find_lake, unreferenced_files
from rookery.posts.live import live_log
from rookery.posts.post import to_table
from rookery.search.build import build_index
from rookery.search.held import held_by
from rookery.town.posts import TownConfig, town_posts

FORGOTTEN_POSTS = 300
COLUMNS = ["id", "author", "created", "text", "language", "reply_to", "conversation", "visibility"]


@dataclass(frozen=True)
class Case:
    """A verb that is killed. Every function takes the home's folder.

    prepare: makes the home in which the verb starts. words: the verb. begun: the pattern described
    above. whole: raises AssertionError if, right after a kill, something is incomplete. outcome:
    returns all that must be equal to an undisturbed run; by default `outcome`.
    """

    name: str
    prepare: Callable[[Path], object]
    words: Callable[[Path], list[str]]
    begun: str
    whole: Callable[[Path], None]
    outcome: Callable[[Path], dict[str, object]] = field(default=lambda home: outcome(home))


def cases(folder: Path, posts: int) -> list[Case]:
    """Return all cases on a synthetic town, whose files are written into a folder."""
    first, second = write_posts(folder, posts)
    ids = pq.read_table(second, columns=["id"])["id"].to_pylist()[:FORGOTTEN_POSTS]

    def with_lake(home: Path) -> Home:
        made = create_home(home)
        ingest(made, [first, second], None, Context())
        return made

    def with_all_to_erase(home: Path) -> None:
        made = with_lake(home)
        corpus = build_corpus(made, Context())
        tokenizer = train_tokenizer(made, corpus, Context(), 1024)
        write_shards(made, corpus, load_tokenizer(tokenizer), Context())
        build_index(made, HashedEmbedder(), Context())
        forget(made, ids, [], Context())

    def lake_is_erased_or_not(home: Path) -> None:
        everything = rows(first) + rows(second)
        assert find_lake(Home(home)).count() in (everything, everything - len(ids)), (
            "a part is erased from the lake"
        )
        for artifact in find_artifacts(Home(home).artifacts, "corpus"):
            assert sum(
                pq.read_table(artifact.file(f"{split}.parquet")).num_rows for split in SPLITS
            )

    def lake_is_whole(home: Path) -> None:
        lake = find_lake(Home(home))
        assert lake is not None
        assert lake.count() in (rows(first), rows(first) + rows(second)), (
            "a part of an ingest is in the lake"
        )

    def all_or_none_forgotten(home: Path) -> None:
        with live_log(Home(home)) as log:
            assert len(log.restrictions().forgotten_posts) in (0, len(ids)), (
                "a part of the posts is forgotten"
            )

    return [
        Case(
            "posts ingest",
            lambda home: ingest(create_home(home), [first], None, Context()),
            lambda home: ["posts", "ingest", str(second)],
            "lake.lock",
            lake_is_whole,
        ),
        Case(
            "corpus build",
            with_lake,
            lambda home: ["corpus", "build"],
            "artifacts/corpus/*.lock",
            no_half_artifact,
        ),
        Case(
            "posts forget",
            with_lake,
            lambda home: ["posts", "forget", *ids],
            "live.sqlite*",
            all_or_none_forgotten,
        ),
        Case(
            "posts erase",
            with_all_to_erase,
            lambda home: ["posts", "erase"],
            "erase.lock",
            lake_is_erased_or_not,
        ),
    ]


def no_half_artifact(home: Path) -> None:
    """Check that everything that counts as finished is whole."""
    for artifact in find_artifacts(Home(home).artifacts):
        artifact.verify()


def write_posts(folder: Path, posts: int) -> tuple[Path, Path]:
    """Write the posts of a town as two tables: a fifth of them, and the rest."""
    table = to_table(list(town_posts(TownConfig(posts=posts)))).select(COLUMNS)
    parts = table.slice(0, len(table) // 5), table.slice(len(table) // 5)
    paths = folder / "first.parquet", folder / "second.parquet"
    for part, path in zip(parts, paths, strict=True):
        pq.write_table(part, path)
    return paths


def rows(path: Path) -> int:
    return pq.read_metadata(path).num_rows


def outcome(home: Path) -> dict[str, object]:
    """Return all that must be equal to an undisturbed run.

    It holds posts, rows that were set aside, the restrictions of the log, and every artifact.
    """
    opened = Home(home)
    lake, index = find_lake(opened), held_by(opened)
    with live_log(opened) as log:
        restrictions = log.restrictions()
    return {
        "posts": lake.count(),
        "lake": digest_of(pa.Table.from_batches(lake.batches())),
        "set aside": sorted(
            (path.name, path.read_text()) for path in opened.set_aside.glob("*.jsonl")
        ),
        "forgotten": len(restrictions.posts) + len(restrictions.authors),
        "log": restrictions.digest,
        "index": sorted(np.delete(index.ids, index.dead).tolist()) if index else None,
        "artifacts": {
            f"{a.kind} {a.key}": [a.digest, contents(a)] for a in find_artifacts(opened.artifacts)
        },
    }


def contents(artifact: Artifact) -> str:
    """Return a digest of what the files hold; raise `DataError` if the manifest disagrees."""
    artifact.verify()
    return digest_value([[entry.path, entry.digest] for entry in artifact.manifest.files])


def left_over(home: Path) -> list[str]:
    """Return the files that a kill left and that the run after it should have removed."""
    stray = unreferenced_files(Home(home)) + [
        path for path in (home / "artifacts").glob("*/*/scratch")
    ]
    return [
        path.relative_to(home).as_posix()
        for path in [*stray, *home.rglob("*.part"), *home.rglob("*.part.tmp")]
    ]


def digest_of(posts: pa.Table) -> str:
    """Return a digest of the rows of a table that does not depend on their order."""
    lines = sorted(json.dumps(row, default=str, sort_keys=True) for row in posts.to_pylist())
    return digest_value(lines)
