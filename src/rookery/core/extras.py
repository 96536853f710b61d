"""Optional parts of the installation, and the one clear line where one is missing.

`pip install rookery` brings all but the language model. `rookery[model]` adds PyTorch and what else
the package `model` needs, `rookery[llama]` another engine for it, `rookery[ray]` the cluster engine
of the corpus.
"""

from importlib.util import find_spec

from rookery.core.errors import UsageError

MODEL_PACKAGES = ("torch", "safetensors", "tiktoken", "tokenizers")
PACKAGES = {
    "model": (*MODEL_PACKAGES, "gguf", "llguidance"),
    "llama": ("xllamacpp",),
    "ray": ("ray",),
}


def require_model() -> None:
    """Raise `UsageError` if the packages of the language model are not installed."""
    for package in MODEL_PACKAGES:
        if find_spec(package) is None:
            raise _missing(package, "model")


def missing_package(error: ImportError) -> UsageError | None:
    """Return the error for an optional package that is not installed; None for any other."""
    name = (error.name or "").partition(".")[0]
    if name == "fcntl":
        return UsageError(
            "this system has no file locks (fcntl)", hint="Rookery runs on Linux, macOS and WSL"
        )
    for extra, packages in PACKAGES.items():
        if name in packages:
            return _missing(name, extra)
    return None


def _missing(package: str, extra: str) -> UsageError:
    return UsageError(
        f"this needs the package {package}, which is not installed",
        hint=f"Run: pip install 'rookery[{extra}]'",
    )
