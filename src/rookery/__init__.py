"""Rookery: a social platform's own generative AI, made of its own posts.

    import rookery

    home = rookery.create_home("my-home")
    rookery.ingest(home, ["posts.csv"], mapping={"text": "body", "author": "user"})
    rookery.build_corpus(home)
    rookery.train(home, scale=0.01)
    rookery.build_index(home)
    index = rookery.open_index(home)
    print(rookery.ask(index, "Where is the seed swap?"))

These names are the public interface. Each is loaded when it is first used, so that `import rookery`
costs nothing, and only the language model needs PyTorch (`pip install 'rookery[model]'`). What is
in each package, and where to begin to read: ARCHITECTURE.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rookery.version import __version__ as __version__

if TYPE_CHECKING:  # the same names once more, for type checkers and editors
    from rookery.ads.server import AdServer as AdServer
    from rookery.core.errors import BusyError as BusyError
    from rookery.core.errors import DataError as DataError
    from rookery.core.errors import PausedError as PausedError
    from rookery.core.errors import RookeryError as RookeryError
    from rookery.core.errors import StorageError as StorageError
    from rookery.core.errors import UsageError as UsageError
    from rookery.core.home import Home as Home
    from rookery.core.home import create_home as create_home
    from rookery.core.home import open_home as open_home
    from rookery.corpus.build import build_corpus as build_corpus
    from rookery.fleet.plan import plan as plan
    from rookery.gateway.serve import serve as serve
    from rookery.model.embed import load_embedder as load_embedder
    from rookery.model.generate import load_generator as load_generator
    from rookery.posts.follow import follow as follow
    from rookery.posts.forget import forget as forget
    from rookery.posts.ingest import ingest as ingest
    from rookery.search.answers.answer import ask as ask
    from rookery.search.search import search_posts as search_posts
    from rookery.workflows.erase import erase as erase
    from rookery.workflows.evaluate import evaluate as evaluate
    from rookery.workflows.search import build_index as build_index
    from rookery.workflows.search import open_index as open_index
    from rookery.workflows.trace import trace as trace
    from rookery.workflows.train import train as train

_MODULES = {
    "AdServer": "ads.server",
    "BusyError": "core.errors",
    "DataError": "core.errors",
    "Home": "core.home",
    "PausedError": "core.errors",
    "RookeryError": "core.errors",
    "StorageError": "core.errors",
    "UsageError": "core.errors",
    "ask": "search.answers.answer",
    "build_corpus": "corpus.build",
    "build_index": "workflows.search",
    "create_home": "core.home",
    "erase": "workflows.erase",
    "evaluate": "workflows.evaluate",
    "follow": "posts.follow",
    "forget": "posts.forget",
    "ingest": "posts.ingest",
    "load_embedder": "model.embed",
    "load_generator": "model.generate",
    "open_home": "core.home",
    "open_index": "workflows.search",
    "plan": "fleet.plan",
    "search_posts": "search.search",
    "serve": "gateway.serve",
    "trace": "workflows.trace",
    "train": "workflows.train",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used; raise `UsageError` if an optional package lacks."""
    if name not in _MODULES:
        raise AttributeError(f"module 'rookery' has no attribute {name!r}")
    try:
        value = getattr(import_module(f"rookery.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        from rookery.core.extras import missing_package

        if (missing := missing_package(error)) is None:
            raise
        raise missing from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
