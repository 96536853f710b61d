"""Judging a home's model: on the validation documents of its corpus, or on any texts."""

from collections.abc import Sequence
from typing import Any

from rookery.core.context import Context
from rookery.core.extras import require_model
from rookery.core.home import Home
from rookery.workflows.models import need_checkpoint


def evaluate(
    home: Home,
    texts: Sequence[str] | None = None,
    context: Context = Context(),
    model: str | None = None,
) -> dict[str, Any]:
    """Return the bits per UTF-8 byte of a home's model, beside baselines on the same bytes.

    texts: what to judge on; None takes the validation documents of the newest corpus. model: as
    `checkpoint_of` takes it. The result
    has `bytes`, `bits_per_byte` (model, zstd, ngram, xz) and more, as `rookery model evaluate
    --json` prints. Raises `UsageError` if there is no checkpoint or corpus yet.
    """
    require_model()
    from rookery.model import evaluate as judging

    checkpoint = need_checkpoint(home, model)
    corpus = home.need("corpus", "rookery corpus build")
    if texts is not None:
        return judging.evaluate_texts(home, checkpoint, corpus, texts)
    return judging.read_result(judging.evaluate(home, checkpoint, corpus, context))
