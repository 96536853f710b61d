"""A corpus of given documents, for tests that need one without building it."""

from dataclasses import asdict
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.lineage import write_held_hashes
from rookery.core.stage import Stage, run_stage
from rookery.corpus.document import DOCUMENT_SCHEMA, LAKE_VERSION, SPLITS, Document, write_documents


@pytest.fixture
def a_document():
    """Make a document of one post, or of the posts and authors given."""

    def make(id: str, text: str = "a word about rooks", posts=None, authors=None) -> Document:
        posts = tuple(posts or [id])
        return Document(
            id,
            text,
            posts,
            tuple(authors or ["ada"] * len(posts)),
            "en",
            datetime(2026, 1, 1, tzinfo=UTC),
        )

    return make


@pytest.fixture
def corpus_of(home):
    """Publish a corpus artifact of the documents given."""

    def publish(train: list[Document], validation: list[Document] = []):  # noqa: B006
        def make(workspace):
            for split, documents in zip(SPLITS, (train, validation), strict=True):
                rows = [asdict(document) for document in documents]
                write_documents(
                    workspace.path / f"{split}.parquet",
                    [pa.Table.from_pylist(rows, DOCUMENT_SCHEMA)],
                )
            posts = [post for document in [*train, *validation] for post in document.post_ids]
            write_held_hashes(workspace.path, hash_ids(posts))
            return {LAKE_VERSION: 0}

        names = ",".join(document.id for document in [*train, *validation])
        return run_stage(home, Stage("corpus", 0, {}, {"documents": names}), make, Context())

    return publish
