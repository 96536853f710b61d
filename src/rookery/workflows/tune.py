"""Tuning a home's models to a use: the stages before and after it, in their order.

Not here: what is learned (`model/tuning/`).
"""

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.extras import require_model
from rookery.core.home import Home
from rookery.workflows import worth

VOCABULARY = 32_768
"""Tokens of the embedder's own tokenizer: with so many, most words are one token."""


def tune_search(
    home: Home, vocabulary: int = VOCABULARY, context: Context = Context()
) -> tuple[Artifact, Artifact]:
    """Tune an embedder on the newest corpus; return it and what it is worth.

    A killed run is continued. Raises `UsageError` if there is no corpus, `DataError` if it has
    fewer than 100 pairs.
    """
    require_model()
    from rookery.model.tokenizer import train_tokenizer
    from rookery.model.tuning.search import tune_search

    corpus = home.need("corpus", "rookery corpus build")
    tokenizer = train_tokenizer(home, corpus, context, vocabulary)
    made = tune_search(home, corpus, tokenizer, context)
    return made, worth.measure(home, made, corpus, context)
