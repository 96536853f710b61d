"""The inputs of a run, before it begins: are they intact, and do they belong together?

Also what a person should know before a run begins. Not here: what a later phase takes from an
earlier checkpoint (`phases.py`).
"""

from rookery.core.artifact import Artifact
from rookery.core.context import Progress
from rookery.core.digest import digest_file
from rookery.core.errors import DataError
from rookery.core.verify import verify_once
from rookery.core.workspace import Workspace
from rookery.corpus.document import MORE_IS_NEEDED
from rookery.corpus.shards import Shards
from rookery.model.checkpoint import TOKENIZER
from rookery.model.config import TrainConfig
from rookery.model.degrees import Degrees, check_fits
from rookery.model.phases import Phase, check_goes_on
from rookery.model.training.finish import epochs, flops_of
from rookery.model.training.thresholds import warnings

VERIFIED = (
    "verified.json"  # in the scratch folder: which files of the shards are known to be intact
)
# beyond about four epochs, seeing the same text again teaches less and less (arXiv:2305.16264)
MANY_EPOCHS = 8


def check_inputs(
    shards: Artifact,
    tokenizer: Artifact,
    config: TrainConfig,
    degrees: Degrees,
    earlier: Artifact | None,
) -> None:
    """Raise `DataError` if the inputs of a run do not belong together or hold no documents.

    Raise `UsageError` if the model cannot be divided by the degrees.
    """
    _check_shards(shards, tokenizer, config)
    check_fits(degrees, config)
    if earlier is not None:
        check_goes_on(earlier, tokenizer, config)


def _check_shards(shards: Artifact, tokenizer: Artifact, config: TrainConfig) -> None:
    if shards.manifest.inputs["tokenizer"] != digest_file(tokenizer.file(TOKENIZER)):
        raise DataError(
            f"the shards {shards.key} were not made with the tokenizer {tokenizer.key}",
            hint="Make shards with this tokenizer, or name the tokenizer that they were made with",
        )
    known = shards.manifest.config["vocabulary"]
    if known != config.shape.vocabulary:
        raise DataError(
            f"the shards {shards.key} have a vocabulary of {known}, the model's shape one of "
            f"{config.shape.vocabulary}",
            hint=f"Set shape.vocabulary={known}",
        )
    if not shards.manifest.metrics["documents_train"]:
        raise DataError(
            "the corpus holds no training documents", where=shards.path, hint=MORE_IS_NEEDED
        )


def verify_shards(shards: Artifact, workspace: Workspace) -> None:
    """Raise `DataError` if a file of the shards is missing or has changed since it was written.

    A later attempt reads only files again that somebody has touched since.
    """
    verify_once(shards, workspace.scratch / VERIFIED)


def warn(
    config: TrainConfig, phases: tuple[Phase, ...], learned: Shards, progress: Progress
) -> None:
    """Print which laws look at a model of this compute, and whether it will learn by heart."""
    for line in warnings(flops_of(config, phases)):
        progress.say(line)
    if (times := epochs(config, learned)) > MANY_EPOCHS:
        progress.say(
            f"Each document is seen {times:.0f} times; with more posts, or at a smaller scale, "
            "the model would learn less by heart."
        )
