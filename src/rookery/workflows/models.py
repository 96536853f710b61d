"""Which embedder and generator a home has: those of its newest models, or the untrained twins.

An embedder that was tuned for search goes before the tables of checkpoints, newer ones too: it was
made for this, and another checkpoint does not take it away. To go back, remove its folder.

Imports of `model` are inside the functions, so that torch is loaded only where there is a model.
"""

from rookery.core.extras import require_model
from rookery.core.home import Home
from rookery.core.protocols import Embedder, Generator, HashedEmbedder, SeededGenerator
from rookery.workflows.worth import weight_of


def embedder_of(home: Home) -> Embedder:
    """Return the newest tuned embedder, else that of the newest checkpoint, else the twin.

    It has the weight that was measured for it.
    """
    made = home.newest("embedder") or home.newest("checkpoint")
    if made is None:
        return HashedEmbedder()
    require_model()
    from rookery.model.embed import load_embedder

    return load_embedder(made, weight_of(home, made))


def generator_of(home: Home) -> Generator:
    """Return the generator of the newest checkpoint, or the untrained twin."""
    checkpoint = home.newest("checkpoint")
    if checkpoint is None:
        return SeededGenerator()
    require_model()
    from rookery.model.generate import load_generator

    return load_generator(checkpoint)
