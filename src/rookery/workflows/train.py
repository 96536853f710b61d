"""From a corpus to a model: tokenizer, shards and training in their order.

Used by `rookery model train`, by the demo, and from Python. A stage that is finished is not run
again. Not here: what a scale comes to (`model/config.py`) and the training loop (`model/train.py`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rookery.core.artifact import Artifact
from rookery.core.config import diff, with_settings
from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.extras import require_model
from rookery.core.home import Home
from rookery.model.config import (
    Config,
    TrainConfig,
    TuneConfig,
    WatchConfig,
    config_for_phase,
    config_for_scale,
    with_steps,
)
from rookery.model.degrees import Degrees

if TYPE_CHECKING:
    from rookery.model.parallel.processes import Processes

DEFAULT_SCALE = 0.03


def base_config(scale: float | None, earlier: Artifact | None = None) -> TrainConfig:
    """Return the configuration of a run of some scale, from scratch or as a later phase.

    scale: training compute in petaFLOP; None takes the default's, or the earlier run's. Raises
    `DataError` for a checkpoint that was tuned.
    """
    if earlier is None:
        return config_for_scale(DEFAULT_SCALE if scale is None else scale)
    from rookery.model.phases import config_of

    before = config_of(earlier)
    if isinstance(before, TuneConfig):
        raise DataError(
            f"the checkpoint {earlier.key} was tuned, so no phase can continue it",
            hint="Tune it again, or name one that `rookery model train` made",
        )
    return config_for_phase(before, before.scale_petaflop if scale is None else scale)


def apply_settings(
    config: Config, settings: Sequence[str] = ()
) -> tuple[Config, Degrees, WatchConfig]:
    """Return a run with settings such as `steps=100`, its degrees of parallelism, and its watch.

    Names that begin with `parallel.` set the degrees, those with `watch.` the watchdog. A changed
    number of steps changes what follows from it (`with_steps`), unless that is set too. Raises
    `UsageError` for a name that does not exist.
    """
    degrees, watch = Degrees(), WatchConfig()
    own: list[str] = []
    for setting in map(str.strip, settings):
        owner, _, rest = setting.partition(".")
        if owner == "parallel":
            degrees = with_settings(degrees, [rest], owner)
        elif owner == "watch":
            watch = with_settings(watch, [rest], owner)
        else:
            own.append(setting)
            _refuse_without_owner(setting.partition("=")[0], config, degrees, watch)
    changed = with_settings(config, own)
    if changed.steps != config.steps:
        changed = with_settings(with_steps(config, changed.steps), own)
    return changed, degrees, watch


def _refuse_without_owner(
    name: str, config: TrainConfig, degrees: Degrees, watch: WatchConfig
) -> None:
    for owner, other in (("parallel", degrees), ("watch", watch)):
        if hasattr(other, name) and not hasattr(config, name):
            raise UsageError(f"there is no setting {name!r}", hint=f"Did you mean {owner}.{name}?")


def train(
    home: Home,
    scale: float | None = None,
    *,
    settings: Sequence[str] = (),
    earlier: str | None = None,
    context: Context = Context(),
    processes: "Processes | None" = None,
) -> Artifact:
    """Train a model on the newest corpus and return its checkpoint; a killed run is continued.

    scale: training compute in petaFLOP, from which width, depth, batch and length follow. settings:
    see `apply_settings`. earlier: the key of a checkpoint, or `newest`, that a new phase continues
    from, with its tokenizer. processes: the processes of the run, one by default.
    Raises `UsageError` if there is no corpus or a setting is wrong.
    """
    require_model()
    from rookery.corpus.shards import write_shards
    from rookery.model import train as training
    from rookery.model.parallel.processes import single_process
    from rookery.model.phases import find_checkpoint, tokenizer_of
    from rookery.model.tokenizer import load_tokenizer, train_tokenizer

    processes = processes or single_process()
    first = processes.main_process_first
    corpus = first(lambda: home.need("corpus", "rookery corpus build"))
    before = None if earlier is None else first(lambda: find_checkpoint(home, earlier, corpus))
    plan = base_config(scale, before)
    config, _, watch = apply_settings(plan, settings)
    for change in diff(plan, config):
        context.progress.say(f"Changed by --set: {change}")
    vocabulary = config.shape.vocabulary
    if before is None:
        tokenizer = first(lambda: train_tokenizer(home, corpus, context, vocabulary))
    else:
        tokenizer = first(lambda: tokenizer_of(home, before))
    shards = first(lambda: write_shards(home, corpus, load_tokenizer(tokenizer), context))
    return training.train(home, shards, tokenizer, config, context, processes, before, watch)
