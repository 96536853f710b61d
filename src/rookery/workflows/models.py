"""Which embedder and generator a home has: those of its newest checkpoint, or the untrained twins.

Imports of `model` are inside the functions, so that torch is loaded only where there is a model.
"""

from rookery.core.extras import require_model
from rookery.core.home import Home
from rookery.core.protocols import Embedder, Generator, HashedEmbedder, SeededGenerator


def embedder_of(home: Home) -> Embedder:
    """Return the embedder of the newest checkpoint, or the untrained twin."""
    checkpoint = home.newest("checkpoint")
    if checkpoint is None:
        return HashedEmbedder()
    require_model()
    from rookery.model.embed import load_embedder

    return load_embedder(checkpoint)


def generator_of(home: Home) -> Generator:
    """Return the generator of the newest checkpoint, or the untrained twin."""
    checkpoint = home.newest("checkpoint")
    if checkpoint is None:
        return SeededGenerator()
    require_model()
    from rookery.model.generate import load_generator

    return load_generator(checkpoint)
