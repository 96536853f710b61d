"""The model card: what a model is, how good it is, and what its base allows.

It is made of facts that the home has: the manifest of the checkpoint, its newest evaluation, its
newest probe. What nobody measured is said to be unmeasured; what only a person knows, such as what
the model is meant for, is left out. It holds no post and no name.
"""

import json
from pathlib import Path
from typing import Any

import jinja2

from rookery.core.artifact import Artifact, find_artifacts
from rookery.model.checkpoint import SHAPE, load_shape
from rookery.model.shape import parameters
from rookery.model.tokenizer import holds

FILE = "README.md"
RESULT = "result.json"  # of an evaluation, and of a probe


def model_card(checkpoint: Artifact, form: str, precision: str) -> str:
    """Return the card of a checkpoint that is exported in a format and a precision, in Markdown."""
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"n": "{:,}".format, "bits": "{:.3f}".format}
    template = environment.from_string(Path(__file__).with_name("card.md.jinja").read_text())
    metrics = checkpoint.manifest.metrics
    shape = (
        load_shape(checkpoint) if holds(checkpoint, SHAPE) else None
    )  # a tuned embedder has none
    return template.render(
        key=checkpoint.key,
        form=form,
        precision=precision,
        shape=shape,
        parameters=parameters(shape) if shape else 0,
        rows=shape.vocabulary if shape else metrics.get("vocabulary", 0),
        metrics=metrics,
        base=base_of(checkpoint),
        evaluation=_newest_result(checkpoint, "evaluation"),
        probe=_newest_result(checkpoint, "probe"),
    )


def base_of(checkpoint: Artifact) -> dict[str, str]:
    """Return name and licence of the adopted model that a checkpoint began as; empty for our own.

    A tuned checkpoint names its base among its inputs, whatever it calls it.
    """
    known = {one.digest: one for one in find_artifacts(_root(checkpoint), checkpoint.kind)}
    waiting, seen = [checkpoint], set[str]()
    while waiting:
        one = waiting.pop()
        if "adopted" in one.manifest.metrics:
            return one.manifest.metrics["adopted"]
        seen.add(one.digest)
        digests = set(one.manifest.inputs.values()) - seen
        waiting += [known[digest] for digest in digests if digest in known]
    return {}


def _newest_result(checkpoint: Artifact, kind: str) -> dict[str, Any] | None:
    """Return the figures of the newest artifact of a kind that judged a checkpoint, or None."""
    found = [
        one
        for one in find_artifacts(_root(checkpoint), kind)
        if checkpoint.digest in one.manifest.inputs.values()
    ]
    return json.loads(found[-1].file(RESULT).read_text()) if found else None


def _root(checkpoint: Artifact) -> Path:
    """Return the folder of all artifacts of the home that a checkpoint lies in."""
    return checkpoint.path.parents[1]
