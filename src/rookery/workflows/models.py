"""Which model a home uses: its embedder and its generator, or the untrained twins.

An embedder that was tuned for search goes before the tables of checkpoints, newer ones too: it was
made for this, and another checkpoint does not take it away. To go back, remove its folder.

The newest checkpoint serves, or the one that `rookery.toml` names (`[model] serve`). Imports of
`model` are inside the functions, so that torch is loaded only where there is a model.
"""

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.errors import UsageError
from rookery.core.extras import require_model
from rookery.core.home import NEWEST, Home
from rookery.core.protocols import (
    Embedder,
    GenerationOptions,
    Generator,
    HashedEmbedder,
    SeededGenerator,
)
from rookery.workflows.worth import weight_of

_EMBEDDING = ("embedder", "checkpoint")  # kinds of artifacts of which there is an embedder


def checkpoint_of(home: Home, name: str | None = None) -> Artifact | None:
    """Return the checkpoint that serves, or None if the home has none yet.

    name: the beginning of a key, or `newest`; None: what `rookery.toml` says. Raises `UsageError`
    for a key that no checkpoint, or more than one, begins with.
    """
    wanted = home.settings.model.serve if name is None else name
    return home.newest("checkpoint") if wanted == NEWEST else home.find("checkpoint", wanted)


def need_checkpoint(home: Home, name: str | None = None) -> Artifact:
    """Return the checkpoint that serves; raise `UsageError` naming the command if there is none."""
    checkpoint = checkpoint_of(home, name)
    if checkpoint is None:
        raise UsageError(
            "there is no finished checkpoint yet",
            where=home.path,
            hint="Run `rookery model train` or `rookery model adopt FOLDER` first",
        )
    return checkpoint


def embedder_of(home: Home) -> Embedder:
    """Return the newest tuned embedder, else that of the checkpoint that serves, else the twin.

    It has the weight that was measured for it.
    """
    made = _made(home)
    return HashedEmbedder() if made is None else _loaded(home, made)


def embedder_key(home: Home) -> str:
    """Return what changes when the home's embedder does; it loads nothing."""
    made = _made(home)
    return "" if made is None else f"{made.key} {weight_of(home, made)}"


def embedder_with(home: Home, digest: str) -> Embedder | None:
    """Return the embedder of a home that has a digest, or None where it is gone."""
    if digest == HashedEmbedder().digest:
        return HashedEmbedder()
    made = [one for kind in _EMBEDDING for one in find_artifacts(home.artifacts, kind)]
    return next((_loaded(home, one) for one in made if one.digest == digest), None)


def _loaded(home: Home, made: Artifact) -> Embedder:
    """Return the embedder of an artifact, with the weight that was measured for it."""
    require_model()
    from rookery.model.embed import load_embedder

    return load_embedder(made, weight_of(home, made))


def _made(home: Home) -> Artifact | None:
    return home.newest("embedder") or checkpoint_of(home)


def generator_of(home: Home) -> Generator:
    """Return the generator of the checkpoint that serves, or the untrained twin."""
    checkpoint = checkpoint_of(home)
    if checkpoint is None:
        return SeededGenerator()
    require_model()
    from rookery.model.generate import load_generator

    return load_generator(checkpoint)


def sample_of(generator: Generator) -> str:
    """Return some words that a model writes unasked; the same for the same model."""
    options = GenerationOptions(max_tokens=40, seed=1)
    return "".join(piece.text for piece in generator.generate("", options)).strip()
