"""From a corpus to a model: the stages in their order, shared by `model train` and `demo`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rookery.core.artifact import Artifact
from rookery.core.config import diff, with_settings
from rookery.core.context import Context
from rookery.core.home import Home

if TYPE_CHECKING:
    from rookery.model.config import TrainConfig, WatchConfig
    from rookery.model.degrees import Degrees
    from rookery.model.parallel.processes import Processes

PARALLEL, WATCH = "parallel.", "watch."


def configured(scale: float, settings: Sequence[str] = ()) -> "tuple[TrainConfig, Degrees, WatchConfig]":
    """The run of a scale with the settings asked for, how it is spread over processes, and how it is watched."""
    from rookery.model.config import WatchConfig, config_for_scale
    from rookery.model.degrees import Degrees

    def of(prefix: str) -> list[str]:
        return [setting.strip().removeprefix(prefix) for setting in settings if setting.strip().startswith(prefix)]

    others = [setting for setting in settings if not setting.strip().startswith((PARALLEL, WATCH))]
    spread, watched = with_settings(Degrees(), of(PARALLEL)), with_settings(WatchConfig(), of(WATCH))
    return with_settings(config_for_scale(scale), others), spread, watched


def train_model(
    home: Home, scale: float, context: Context, settings: Sequence[str] = (), processes: "Processes | None" = None
) -> Artifact:
    """Tokenizer, shards and training at one scale on the newest corpus; what is finished is not made again."""
    from rookery.corpus.shards import write_shards
    from rookery.model.config import config_for_scale
    from rookery.model.parallel.processes import alone
    from rookery.model.tokenizer import load_tokenizer, train_tokenizer
    from rookery.model.train import train

    processes = processes or alone()
    config, _, watch = configured(scale, settings)
    for change in diff(config_for_scale(scale), config):
        context.progress.say(f"Not as the scale has it: {change}")
    corpus = processes.first_makes(lambda: home.need("corpus", "rookery corpus build"))
    tokenizer = processes.first_makes(lambda: train_tokenizer(home, corpus, context, config.shape.vocabulary))
    shards = processes.first_makes(lambda: write_shards(home, corpus, load_tokenizer(tokenizer), context))
    return train(home, shards, tokenizer, config, context, processes, watch)
