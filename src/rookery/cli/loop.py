"""From a corpus to a model: the stages in their order, shared by `model train` and `demo`."""

from collections.abc import Sequence

from rookery.core.artifact import Artifact
from rookery.core.config import diff, with_settings
from rookery.core.context import Context
from rookery.core.home import Home


def train_model(home: Home, scale: float, context: Context, settings: Sequence[str] = ()) -> Artifact:
    """Tokenizer, shards and training at one scale on the newest corpus; what is finished is not made again."""
    from rookery.corpus.shards import write_shards
    from rookery.model.config import config_for_scale
    from rookery.model.tokenizer import load_tokenizer, train_tokenizer
    from rookery.model.train import train

    derived = config_for_scale(scale)
    config = with_settings(derived, settings)
    for change in diff(derived, config):
        context.progress.say(f"Not as the scale has it: {change}")
    corpus = home.need("corpus", "rookery corpus build")
    tokenizer = train_tokenizer(home, corpus, context, config.shape.vocabulary)
    shards = write_shards(home, corpus, load_tokenizer(tokenizer), context)
    return train(home, shards, tokenizer, config, context)
