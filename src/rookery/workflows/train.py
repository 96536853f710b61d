"""From a corpus to a model: the stages in their order, shared by `model train` and `demo`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rookery.core.artifact import Artifact
from rookery.core.config import diff, with_settings
from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.core.home import Home

if TYPE_CHECKING:
    from rookery.model.config import TrainConfig, WatchConfig
    from rookery.model.degrees import Degrees
    from rookery.model.parallel.processes import Processes

DEFAULT_SCALE = 0.03


def base_config(scale: float | None, earlier: Artifact | None = None) -> "TrainConfig":
    """The run of a scale, from nothing or as a later phase; without a scale the default's, or the
    earlier one's.
    """
    from rookery.model.config import config_for_phase, config_for_scale
    from rookery.model.phases import config_of

    if earlier is None:
        return config_for_scale(DEFAULT_SCALE if scale is None else scale)
    before = config_of(earlier)
    return config_for_phase(before, before.scale_petaflop if scale is None else scale)


def apply_settings(
    config: "TrainConfig", settings: Sequence[str] = ()
) -> "tuple[TrainConfig, Degrees, WatchConfig]":
    """A run with the settings asked for, how it is spread over processes, and how it is watched.

    With another number of steps comes what follows from it (`with_steps`), unless that is set too.
    """
    from rookery.model.config import WatchConfig, with_steps
    from rookery.model.degrees import Degrees

    apart = {"parallel": Degrees(), "watch": WatchConfig()}
    own: list[str] = []
    for setting in map(str.strip, settings):
        of, _, rest = setting.partition(".")
        if of in apart:
            apart[of] = with_settings(apart[of], [rest], of)
        else:
            own.append(setting)
        name = setting.partition("=")[0]
        owner = next((of for of, other in apart.items() if hasattr(other, name)), None)
        if owner and not hasattr(config, name):
            raise UsageError(f"there is no setting {name!r}", hint=f"Did you mean {owner}.{name}?")
    asked = with_settings(config, own)
    if asked.steps != config.steps:
        asked = with_settings(with_steps(config, asked.steps), own)
    return asked, apart["parallel"], apart["watch"]


def train_model(
    home: Home,
    scale: float | None,
    context: Context,
    settings: Sequence[str] = (),
    processes: "Processes | None" = None,
    earlier: str | None = None,
) -> Artifact:
    """Tokenizer, shards and training on the newest corpus; what is finished is not made again.

    earlier: the checkpoint that a new phase goes on from, as `find_checkpoint` takes it, with its
    tokenizer.
    """
    from rookery.corpus.shards import write_shards
    from rookery.model.parallel.processes import single_process
    from rookery.model.phases import find_checkpoint, tokenizer_of
    from rookery.model.tokenizer import load_tokenizer, train_tokenizer
    from rookery.model.train import train

    processes = processes or single_process()
    corpus = processes.main_process_first(lambda: home.need("corpus", "rookery corpus build"))
    before = (
        None
        if earlier is None
        else processes.main_process_first(lambda: find_checkpoint(home, earlier, corpus))
    )
    plan = base_config(scale, before)
    config, _, watch = apply_settings(plan, settings)
    for change in diff(plan, config):
        context.progress.say(f"Changed by --set: {change}")
    size = config.shape.vocabulary
    tokenizer = processes.main_process_first(
        lambda: (
            tokenizer_of(home, before) if before else train_tokenizer(home, corpus, context, size)
        )
    )
    shards = processes.main_process_first(
        lambda: write_shards(home, corpus, load_tokenizer(tokenizer), context)
    )
    return train(home, shards, tokenizer, config, context, processes, before, watch)
