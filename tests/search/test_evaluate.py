"""Evaluating search on collections in BEIR layout."""

import gzip
import json

import pytest

from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import HashedEmbedder
from rookery.search.evaluate import evaluate


@pytest.fixture
def collection(tmp_path):
    """Three texts, two queries; one query has nothing relevant."""
    texts = {"a": "the tram is late", "b": "a tram, a bus", "c": "chess in the park"}
    rows = [{"_id": i, "title": "", "text": text} for i, text in texts.items()]
    (tmp_path / "corpus.jsonl.gz").write_bytes(
        gzip.compress("\n".join(map(json.dumps, rows)).encode())
    )
    queries = [{"_id": "q1", "text": 'bus: "(tram'}, {"_id": "q2", "text": "late"}]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\tb\t1\nq1\ta\t0\nq2\tc\t0\n"
    )
    return tmp_path


def run(folder, *systems, qrels="test"):
    return evaluate(folder, qrels, systems or ("bm25",), HashedEmbedder(), Context())


def test_every_system_is_measured_over_queries_with_something_relevant(collection):
    result = run(collection, "bm25", "dense", "hybrid", "best")
    perfect = {
        "ndcg@10": 1.0,
        "map": 1.0,
        "recall@100": 1.0,
        "p@30": 0.0333,
        "mrr": 1.0,
        "queries": 1,
    }
    assert (
        result["systems"]["bm25"]
        == result["systems"]["hybrid"]
        == result["systems"]["best"]
        == perfect
    )
    assert result["systems"]["dense"]["recall@100"] == 1.0


def test_a_system_that_does_not_exist_is_refused_by_name(collection):
    with pytest.raises(UsageError, match=r"no system 'rerank'.*bm25, dense, hybrid"):
        run(collection, "rerank")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "queries.jsonl",
            '{"_id": "q1", "text": "x"}\n{"_id": ',
            r"not JSON.*queries.jsonl, line 2",
        ),
        ("queries.jsonl", '{"_id": "q1"}', r"needs _id and text.*line 1"),
        ("corpus.jsonl.gz", "plain", "damaged or cut short"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1 b 1\n", r"with tabs between.*line 2"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq9\tb\t1\n", r"unknown id: query q9"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\tz\t1\n", r"unknown id: text z"),
        (
            "qrels/test.tsv",
            "query-id\tcorpus-id\tscore\nq1\tb\t0\n",
            "no query has a relevant text",
        ),
    ],
)
def test_a_malformed_collection_is_refused_with_the_place(collection, file, text, message):
    (collection / file).write_text(text)
    with pytest.raises(DataError, match=message):
        run(collection)


def test_missing_judgments_name_those_that_are_there(collection):
    with pytest.raises(UsageError, match=r"no such judgments.*Known: test"):
        run(collection, qrels="dev")
    with pytest.raises(UsageError, match="no such folder"):
        run(collection / "nowhere")
    (collection / "corpus.jsonl.gz").unlink()
    with pytest.raises(UsageError, match=r"no corpus.jsonl"):
        run(collection)


@pytest.mark.slow
def test_search_over_tweets_is_no_worse_than_was_measured(shared_data):
    systems = run(shared_data / "search_trec_microblog_2011", "bm25", "hybrid")["systems"]
    assert systems["bm25"]["ndcg@10"] > 0.555
    assert systems["hybrid"]["ndcg@10"] > 0.585
    assert systems["hybrid"]["map"] > 0.481  # the query-likelihood run that made the pool
