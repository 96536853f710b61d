"""Learning weights from judged collections in BEIR layout."""

import json

import numpy as np
import pytest

from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.core.protocols import HashedEmbedder
from rookery.search.evaluate import evaluate
from rookery.search.learn import fitted, learn, read_source, sources_of
from rookery.search.ranking.features import FEATURES
from rookery.search.ranking.ranker import read_weights, weights_json


def written(folder, queries=12, seed=0, **row):
    """A collection in which, of posts with the same words, those with a link are relevant."""
    random = np.random.default_rng(seed)
    (folder / "qrels").mkdir(parents=True)
    texts, asked, grades = [], [], ["query-id\tcorpus-id\tscore"]
    for n in range(queries):
        asked.append({"_id": f"q{n}", "text": f"oak{n} rook"})
        for place in range(12):
            linked, extra = place % 3 == 0, " ".join(random.choice(list("abcdefgh"), 4))
            name = f"{n}-{random.integers(1 << 30)}"
            text = {"_id": name, "text": f"oak{n} rook {extra}", "urls": ["x"] * linked}
            texts.append(text | row)
            grades.append(f"q{n}\t{name}\t{int(linked)}")
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, texts)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, asked)))
    (folder / "qrels" / "test.tsv").write_text("\n".join(grades))
    return folder


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two collections taught."""
    folder = tmp_path_factory.mktemp("judged")
    folders = [written(folder / name, seed=n) for n, name in enumerate(("one", "two"))]
    return learn(sources_of(folders, []), HashedEmbedder(), Context())


def test_what_tells_relevant_posts_is_learned_and_holds_on_another_collection(found, tmp_path):
    assert max(found.worth, key=lambda name: found.worth[name]) == "link"
    for collection in found.collections:
        assert collection["cross_validated"] > collection["bm25"] + 0.1
        assert collection["left_out"] > collection["bm25"] + 0.1
    other = written(tmp_path / "three", seed=7)
    measured = evaluate(other, "test", ("bm25", "best"), HashedEmbedder(), Context(), found.weights)
    assert measured["best"] == "ranker"
    assert measured["systems"]["best"]["ndcg@10"] > 0.95
    assert measured["against_bm25"]["best"]["low"] > 0
    assert set(measured["model"]) == {"difference", "low", "high", "p"}


def test_a_file_of_learned_weights_tells_how_they_came_about(found, tmp_path):
    (tmp_path / "weights.json").write_text(weights_json(found.weights))
    learned = read_weights(tmp_path / "weights.json").provenance
    assert learned["from"] == "one:test two:test"
    assert learned["embedder"] == HashedEmbedder().digest
    assert set(learned["worth"]) == set(FEATURES)
    assert learned["collections"][0]["queries"] == 12


def test_likes_count_where_a_collection_reports_them(tmp_path):
    folder = written(tmp_path / "one", likes=3)
    lines = (folder / "corpus.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    rows = [row | {"likes": 90 * len(row["urls"]), "urls": []} for row in rows]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = read_source(folder, "test", HashedEmbedder(), Context())
    weights = fitted([source.queries], 0.01)
    assert FEATURES[np.argmax(weights.short * source.queries[0].features.std(axis=0))] == (
        "engagement"
    )


def test_too_few_queries_are_refused(tmp_path):
    with pytest.raises(UsageError, match="one has 3 queries"):
        learn([(written(tmp_path / "one", queries=3), "test")], HashedEmbedder(), Context())


def test_judgments_are_named_for_all_folders_or_for_each(tmp_path):
    one, two = written(tmp_path / "one"), written(tmp_path / "two")
    (two / "qrels" / "train.tsv").write_text((two / "qrels" / "test.tsv").read_text())
    assert [name for _, name in sources_of([one, two], [])] == ["test", "train"]
    assert [name for _, name in sources_of([one, two], ["dev"])] == ["dev", "dev"]
    assert [name for _, name in sources_of([one, two], ["a", "b"])] == ["a", "b"]
    with pytest.raises(UsageError, match="2 names of judgments for 3 folders"):
        sources_of([one, two, one], ["a", "b"])
