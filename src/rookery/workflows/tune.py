"""Tuning a home's models to a use: the stages before and after it, in their order.

Not here: what is learned (`model/tuning/`).
"""

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.extras import require_model
from rookery.core.home import Home
from rookery.workflows import worth

VOCABULARY = 32_768
"""Tokens of the embedder's own tokenizer: with so many, most words are one of them."""


def tune_search(
    home: Home, vocabulary: int = VOCABULARY, context: Context = Context()
) -> tuple[Artifact, Artifact]:
    """Tune an embedder on the newest corpus; return it and what it is worth.

    A killed run is continued. Raises `UsageError` if there is no corpus, `DataError` if it has
    fewer than 100 pairs.
    """
    require_model()
    from rookery.model.tuning import search

    corpus = home.need("corpus", "rookery corpus build")
    config = search.SearchTuning(vocabulary=vocabulary)
    made = search.tune_search(home, corpus, context, config)
    return made, worth.measure(home, made, corpus, context)
