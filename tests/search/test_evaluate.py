"""Evaluating search on collections in BEIR layout."""

import gzip
import json

import pytest

from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import HashedEmbedder
from rookery.search.evaluate import evaluate
from rookery.search.judged import read_judged


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
    result = run(collection, "bm25", "feedback", "dense", "hybrid", "best")
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
        == result["systems"]["feedback"]
        == result["systems"]["hybrid"]
        == result["systems"]["best"]
        == perfect
    )
    assert result["systems"]["dense"]["recall@100"] == 1.0


def test_a_system_that_does_not_exist_is_refused_by_name(collection):
    with pytest.raises(UsageError, match=r"no system 'rerank'.*bm25, feedback, dense, hybrid"):
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


def test_a_row_tells_its_links_its_time_and_its_counts(collection):
    told = {"_id": "b", "text": "a bus", "urls": ["x", "y"], "created": "2026-01-31T12:00:00Z"}
    rows = [told | {"likes": 4}, {"_id": "a", "text": "tram https://rooks.org"}]
    snowflake = {"_id": "1050118621198921728", "text": "old", "title": "Very"}
    rows += [snowflake, {"_id": "c", "text": "x", "created": 60}]
    (collection / "corpus.jsonl.gz").write_bytes(
        gzip.compress("\n".join(map(json.dumps, rows)).encode())
    )
    judged = read_judged(collection, "test")
    assert judged.links == {"b": 2, "a": None, "1050118621198921728": None, "c": None}
    assert judged.posts["b"].created.isoformat() == "2026-01-31T12:00:00+00:00"
    assert judged.posts["b"].likes == 4
    # The first example of X's documentation of its posts: Wed Oct 10 20:19:24 2018.
    written = judged.posts["1050118621198921728"].created
    assert f"{written:%Y-%m-%d %H:%M:%S}" == "2018-10-10 20:19:24"
    assert judged.posts["1050118621198921728"].text == "Very old"
    assert [judged.posts[i].created.timestamp() for i in ("a", "c")] == [0, 60]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"created": "yesterday"}, "no time: 'yesterday'.*line 1"),
        ({"likes": "many"}, "whole numbers.*line 1"),
        ({"likes": -1}, "whole numbers.*line 1"),
    ],
)
def test_a_row_that_tells_nonsense_is_refused_with_its_line(collection, row, message):
    text = json.dumps({"_id": "b", "text": "a bus"} | row)
    (collection / "corpus.jsonl").write_text(text)
    with pytest.raises(DataError, match=message):
        run(collection)


def test_documents_keep_the_blend_and_posts_get_the_learned_order(collection):
    assert run(collection, "best")["best"] == "ranker"
    rows = [{"_id": i, "text": f"the tram is late {'word ' * 300}"} for i in "abc"]
    (collection / "corpus.jsonl.gz").write_bytes(
        gzip.compress("\n".join(map(json.dumps, rows)).encode())
    )
    result = run(collection, "best", "hybrid")
    assert result["best"] == "hybrid"
    assert result["systems"]["best"] == result["systems"]["hybrid"]


def test_each_system_is_compared_with_bm25_query_by_query(collection):
    result = run(collection, "bm25", "best")
    assert result["against_bm25"] == {"best": {"difference": 0, "low": 0, "high": 0, "p": 1}}
    assert set(run(collection, "bm25")) == {"systems", "against_bm25"}
    assert set(run(collection, "hybrid")) == {"systems"}


@pytest.mark.slow
def test_search_over_tweets_is_no_worse_than_was_measured(shared_data):
    systems = run(shared_data / "search_trec_microblog_2011", "bm25", "hybrid", "best")["systems"]
    assert systems["best"]["ndcg@10"] > systems["bm25"]["ndcg@10"] + 0.03
    assert systems["bm25"]["ndcg@10"] > 0.555
    assert systems["hybrid"]["ndcg@10"] > 0.585
    assert systems["hybrid"]["map"] > 0.481  # the query-likelihood run that made the pool
