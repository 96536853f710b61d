"""The worth of an embedder: the weight at which it finds most, 0 where it finds nothing more."""

import numpy as np

from rookery.core.context import Context
from rookery.core.protocols import HashedEmbedder
from rookery.search.worth import WEIGHTS, measure_worth, steadiest

ONE = ["rook", "nest", "storm", "ferry", "harbour", "bread", "garden", "winter"]
OTHER = ["corvid", "roost", "gale", "boat", "port", "loaf", "lawn", "snow"]
TEXTS = {f"{n}": f"{OTHER[n % 8]} number{n} {OTHER[n // 8]}" for n in range(64)}
QUERIES = [(f"{ONE[n % 8]} {ONE[n // 8]} number{n // 2}", f"{n}") for n in range(64)]


class Knowing(HashedEmbedder):
    """An embedder that knows which words mean the same."""

    def embed(self, texts):
        words = dict(zip(ONE, OTHER, strict=True))
        return super().embed([" ".join(words.get(w, w) for w in text.split()) for text in texts])


class Random(HashedEmbedder):
    """An embedder whose vectors say nothing."""

    def embed(self, texts):
        vectors = np.random.default_rng(len(texts)).standard_normal((len(texts), 128))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_an_embedder_that_knows_synonyms_has_a_weight_at_which_more_is_found():
    worth = measure_worth(TEXTS, QUERIES, Knowing(), Context())
    assert worth.weight > 0
    assert worth.queries == 64
    assert worth.ndcg_at_10[str(worth.weight)] > worth.ndcg_at_10["0.0"] + 0.1
    assert worth.alone > worth.recall_at_10["0.0"]
    assert worth.ndcg_at_10.keys() == {str(weight) for weight in WEIGHTS}


def test_an_embedder_that_helps_nowhere_has_no_weight():
    same = [(text, name) for name, text in TEXTS.items()]
    worth = measure_worth(TEXTS, same, Random(), Context())
    assert worth.weight == 0
    assert worth.recall_at_10["0.0"] == 1


def test_of_weights_that_differ_by_chance_alone_the_middle_one_is_taken():
    scores = np.random.default_rng(0).normal(0.5, 0.2, (1, 100)).repeat(len(WEIGHTS), axis=0)
    scores[3:8] += 0.1
    scores[7, :20] += 0.002  # hardly the best
    scores[7, 20:40] -= 0.001
    assert steadiest(scores) in WEIGHTS[3:8]
    scores[0] += 0.2
    assert steadiest(scores) == 0


def test_a_query_without_words_finds_nothing_and_counts():
    worth = measure_worth(TEXTS, [("…", "3"), ("number3", "3")], HashedEmbedder(), Context())
    assert worth.recall_at_10["0.0"] == 0.5
