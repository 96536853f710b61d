"""Documents in their Parquet files."""

import pytest

from rookery.core.errors import UsageError
from rookery.corpus.document import count_documents, from_row, read_documents


def test_documents_come_back_as_they_were_written_and_in_that_order(corpus_of, a_document):
    documents = [
        a_document("b", posts=["b", "c"], authors=["bo", "cy"]),
        a_document("a", text="zwei\nZeilen"),
    ]
    corpus = corpus_of(documents)
    read = [from_row(row) for batch in read_documents(corpus, "train") for row in batch.to_pylist()]
    assert read == documents
    assert count_documents(corpus, "train") == 2


def test_some_columns_can_be_read_alone(corpus_of, a_document):
    (batch,) = read_documents(corpus_of([a_document("a")]), "train", ["text"])
    assert batch.schema.names == ["text"]


def test_an_unknown_split_is_refused_by_name(corpus_of, a_document):
    with pytest.raises(UsageError, match=r"'test'.*train, validation"):
        list(read_documents(corpus_of([a_document("a")]), "test"))
