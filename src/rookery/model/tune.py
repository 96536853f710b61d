"""Tuning: a finished model goes on learning, on posts or on conversations, and serves better there.

A tuning is a training run (`train.py`) that begins with the weights of a base: exact resume,
masking of what is forgotten, phases and the watchdog are the same. By default small adapters learn
(`tuning/lora.py`), or all weights. What comes out is a checkpoint like any other, with the base's
tokenizer, chat template and embedder.

Not here: what the conversations are (`tuning/conversations.py`), the embedder's tuning
(`tuning/contrast.py`), and how long a tuning is (`config.py`).
"""

from pathlib import Path

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.corpus.document import SPLITS
from rookery.corpus.shards import open_shards, write_shards
from rookery.model.checkpoint import load_shape
from rookery.model.config import TuneConfig, config_for_tuning
from rookery.model.parallel.processes import Processes, single_process
from rookery.model.tokenizer import load_tokenizer
from rookery.model.train import train
from rookery.model.tuning.conversations import shards_of_file, shards_of_threads
from rookery.model.tuning.template import load_template

DEFAULT_TOKENS = 100_000  # a quarter of an hour of two cores for a model of 135M parameters


def post_shards(home: Home, base: Artifact, corpus: Artifact, context: Context) -> Artifact:
    """Return the shards of a corpus in the tokens of a base."""
    return write_shards(home, corpus, load_tokenizer(base), context)


def chat_shards(home: Home, base: Artifact, source: Path | Artifact, context: Context) -> Artifact:
    """Return the shards of a file's conversations, or of those in a corpus' threads.

    Raises `DataError` for fewer than 100 conversations.
    """
    template, room = load_template(base), load_shape(base).context_tokens
    if isinstance(source, Path):
        return shards_of_file(home, source, template, room, context)
    return shards_of_threads(home, source, template, room, context)


def config_of_length(
    base: Artifact,
    shards: Artifact,
    lora_rank: int,
    tokens: int | None = None,
    epochs: float | None = None,
) -> TuneConfig:
    """Return the tuning that sees so many tokens, or each training document so many times.

    Without either it sees each document once, up to `DEFAULT_TOKENS`.
    """
    there = len(open_shards(shards, SPLITS[0]).tokens)
    if tokens is None:
        tokens = round(epochs * there) if epochs else min(there, DEFAULT_TOKENS)
    return config_for_tuning(load_shape(base), max(1, tokens), lora_rank)


def tune(
    home: Home,
    base: Artifact,
    shards: Artifact,
    config: TuneConfig,
    context: Context,
    processes: Processes | None = None,
) -> Artifact:
    """Tune a base on shards in its tokens, and return the checkpoint.

    Called in every process of the run alike. Raises `UsageError` for adapters with another degree
    than replicate and shard, and what `train` raises.
    """
    processes = processes or single_process()
    degrees = processes.degrees
    if config.lora_rank and degrees.tensor * degrees.context * degrees.pipeline > 1:
        raise UsageError(
            "adapters are spread by replicate and shard only",
            hint="Leave out the other degrees, or give --full",
        )
    return train(home, shards, base, config, context, processes, base)
