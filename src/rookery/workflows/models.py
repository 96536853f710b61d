"""Which embedder and generator a home has: those of the newest checkpoint, or the untrained
twins.
"""

from typing import TYPE_CHECKING

from rookery.core.home import Home
from rookery.core.protocols import Embedder, Generator, HashedEmbedder, SeededGenerator

if TYPE_CHECKING:
    pass


def embedder_of(home: Home) -> Embedder:
    """The embedder of the newest checkpoint, or the untrained twin."""
    checkpoint = home.newest("checkpoint")
    if checkpoint is None:
        return HashedEmbedder()
    from rookery.model.embed import load_embedder

    return load_embedder(checkpoint)


def generator_of(home: Home) -> Generator:
    """The generator of the newest checkpoint, or the untrained twin, whose name says so."""
    checkpoint = home.newest("checkpoint")
    if checkpoint is None:
        return SeededGenerator()
    from rookery.model.generate import load_generator

    return load_generator(checkpoint)
