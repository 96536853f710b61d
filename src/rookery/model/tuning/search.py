"""Tuning for search: a table of embeddings learns from pairs of a home's own posts.

The table has a tokenizer of its own, with many more tokens than a small model's, for texts without
case and signs (`embed.fold`): whole words serve a bag of tokens better. It begins as random rows,
weighted and whitened as any table is (`embed.py`), and moves by contrast (`contrast.py`). The
result is an artifact of kind `embedder`:

    embedding.safetensors   the table
    tokenizer.json          the tokenizer
    pairs.json              how many pairs of each source it learned from, and how many it did not

Killed, it goes on from its newest saved state and ends with the same bytes. What is forgotten while
it runs is left out of every batch made after that. Not here: which posts are pairs (`pairs.py`),
and what the result is worth (`workflows/worth.py`).
"""

import json
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors import SafetensorError
from safetensors.torch import load, save

from rookery.core.arrays import ranges
from rookery.core.artifact import Artifact
from rookery.core.atomic import write_atomically
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.errors import DataError
from rookery.core.home import Home
from rookery.core.locks import reading_posts
from rookery.core.pause import refusal
from rookery.core.stage import Stage, run_stage
from rookery.core.workspace import Workspace
from rookery.corpus.document import LAKE_VERSION
from rookery.corpus.shards import Shards
from rookery.model.data.masking import DocumentMask
from rookery.model.embed import TUNED, fold, make_table, write_table
from rookery.model.tokenizer import FILE as TOKENIZER
from rookery.model.tokenizer import Tokenizer, read_tokenizer, train_bpe
from rookery.model.tuning.contrast import Bags, ContrastiveTable
from rookery.model.tuning.pairs import CROP, Pairs, find_pairs, held_back, read_posts
from rookery.posts.live import live_log

VERSION = 1
COUNTS, STATE = "pairs.json", "state.safetensors"
FEWEST_PAIRS = 100
FEWEST_CROP_WORDS = 6  # so that both crops have two tokens or more
TOKENIZER_TEXTS = 150_000  # that the tokenizer learns from
FIRST_DEVIATION = 0.1  # of the numbers in the first table; the learning rate is meant for it
TABLE_DOCUMENTS = 60_000  # that weigh and whiten the first table


@dataclass(frozen=True)
class SearchTuning:
    """How a table is tuned.

    batch_pairs: pairs per step. epochs: how often each crop is seen; each pair of two posts is seen
    `repeats` times as often. least_steps: of a small home. saved_steps: between two saved states.
    """

    vocabulary: int = 32_768
    dimensions: int = 256
    batch_pairs: int = 1_024
    epochs: int = 3
    repeats: int = 24
    most_crops: int = 250_000
    most_pairs: int = 300_000
    least_steps: int = 200
    temperature: float = 0.05
    learning_rate: float = 0.03
    saved_steps: int = 100
    seed: int = 0


def tune_search(
    home: Home, corpus: Artifact, context: Context, config: SearchTuning = SearchTuning()
) -> Artifact:
    """Tune a table on the pairs of a corpus, and return the embedder.

    Raises `DataError` if fewer than `FEWEST_PAIRS` pairs are left; crops count.
    """
    stage = Stage(TUNED, VERSION, config, {"corpus": corpus.digest})

    def make(workspace: Workspace) -> dict[str, Any]:
        selection = select(home, corpus, config)
        context.progress.say(f"Learning from {_listed(selection.counts())}.")
        tokenizer = _tokenizer(workspace, selection, config)
        material = Material.encoded(selection, tokenizer, corpus.manifest.metrics[LAKE_VERSION])
        table = _tuned(home, workspace, material, config)
        write_table(workspace.path, table)
        counts = selection.counts() | {"held_back": len(selection.held)}
        write_atomically(workspace.path / COUNTS, json.dumps(counts, indent=1).encode())
        return {"pairs": counts, "vocabulary": len(table), "dimensions": table.shape[1]}

    with reading_posts(home):
        return run_stage(home, stage, make, context)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name} pairs" for name, count in counts.items())


@dataclass(frozen=True)
class Selection:
    """The posts of a tuning, and which of them are pairs.

    posts: those that are learned from, with their folded texts. pairs: int64 (pairs, 2), places
    among them; crops: int64 (crops,). learned, held: the pairs of posts to learn from and held
    back.
    """

    posts: pa.Table
    texts: list[str]
    pairs: np.ndarray
    crops: np.ndarray
    learned: Pairs
    held: Pairs

    def counts(self) -> dict[str, int]:
        """Return how many pairs there are of each source."""
        return self.learned.counts() | {CROP: len(self.crops)}


def select(home: Home, corpus: Artifact, config: SearchTuning) -> Selection:
    """Return what a tuning learns from; raise `DataError` if it is too little."""
    posts = read_posts(home, corpus)
    folded = fold(posts["text"].to_pylist())
    learned, held, border = held_back(find_pairs(posts, folded))
    earlier = np.random.default_rng(config.seed).permutation(min(border, len(posts)))
    sampled = np.sort(earlier[: config.most_crops])
    crops = sampled[[folded[n].count(" ") >= FEWEST_CROP_WORDS for n in sampled]]
    rows = np.unique(np.concatenate([learned.rows.ravel(), crops]))
    pairs, crops = (np.searchsorted(rows, places) for places in (learned.rows, crops))
    texts = [folded[n] for n in rows]
    selection = Selection(posts.take(rows), texts, pairs, crops, learned, held)
    if (total := sum(selection.counts().values())) < FEWEST_PAIRS:
        what = f"the corpus has {total} pairs of texts to learn from, at least {FEWEST_PAIRS} are"
        raise DataError(f"{what} needed", where=corpus.path, hint="Ingest more posts")
    return selection


def _tokenizer(workspace: Workspace, selection: Selection, config: SearchTuning) -> Tokenizer:
    """Return the tokenizer, which an earlier attempt may have left."""
    path = workspace.path / TOKENIZER
    if not path.exists():
        every = max(1, len(selection.texts) // TOKENIZER_TEXTS)
        write_atomically(path, train_bpe(selection.texts[::every], config.vocabulary).encode())
    return read_tokenizer(path)


@dataclass(frozen=True)
class Material:
    """The texts of a tuning as tokens, one document each, so that each can be masked.

    pairs: int64 (pairs, 2), numbers of texts; crops: int64 (crops,).
    """

    texts: Shards
    pairs: np.ndarray
    crops: np.ndarray

    @classmethod
    def encoded(cls, selection: Selection, tokenizer: Tokenizer, lake_version: int) -> "Material":
        """Return the texts of a selection as a tokenizer encodes them."""
        encoded = tokenizer.encode(selection.texts)
        texts = Shards(
            tokens=np.fromiter(chain.from_iterable(encoded), np.int64),
            offsets=np.cumsum([0, *map(len, encoded)]),
            post_hashes=hash_ids(selection.posts["id"].to_pylist()),
            author_hashes=hash_ids(selection.posts["author"].to_pylist()),
            post_offsets=np.arange(len(encoded) + 1),
            vocabulary=tokenizer.vocabulary,
            end_of_document=tokenizer.end_of_document,
            lake_version=lake_version,
        )
        return cls(texts, selection.pairs, selection.crops)

    def items(self, config: SearchTuning) -> np.ndarray:
        """Return what one epoch is made of: int64 (items, 2); a crop names its text twice."""
        often = np.repeat(self.pairs, config.repeats, axis=0)
        return np.concatenate([often, np.column_stack([self.crops, self.crops])])


def _tuned(
    home: Home, workspace: Workspace, material: Material, config: SearchTuning
) -> np.ndarray:
    """Return the table (V, D, float32) after all steps, going on from a saved state."""
    batches = Batches(material, config)
    with live_log(home) as log:
        mask = DocumentMask(material.texts, log)
        table = ContrastiveTable(
            _first_table(material.texts, ~mask.all(), config),
            config.temperature,
            config.learning_rate,
        )
        saved = _States(workspace, table)
        progress = workspace.context.progress
        with progress.task("tuning for search", batches.steps, "steps") as task:
            task.advance(first := saved.restore())
            for step in range(first, batches.steps):
                if pause := refusal(home):
                    saved.save(step)
                    raise pause
                left = batches.at(step)
                left = left[~mask(left.ravel()).reshape(-1, 2).any(axis=1)]
                rate = 1 - step / batches.steps
                loss = table.learn(*batches.texts(left, step), rate) if len(left) > 1 else 0.0
                task.advance(1, f"loss {loss:.3f}")
                if (step + 1) % config.saved_steps == 0:
                    saved.save(step + 1)
    return table.rows.numpy()


def _first_table(texts: Shards, allowed: np.ndarray, config: SearchTuning) -> np.ndarray:
    """Return random rows, weighted and whitened over texts that are allowed: bool (texts,)."""
    random = np.random.default_rng(config.seed)
    rows = random.standard_normal((texts.vocabulary, config.dimensions)).astype(np.float32)
    chosen = random.permutation(np.flatnonzero(allowed))[:TABLE_DOCUMENTS]
    table = make_table(
        rows, [texts.tokens[texts.offsets[i] : texts.offsets[i + 1]] for i in chosen]
    )
    return table * np.float32(FIRST_DEVIATION / max(float(table.std()), 1e-9))


@dataclass(frozen=True)
class Batches:
    """The batches of a tuning; each follows from its step alone, so that no order is saved."""

    material: Material
    config: SearchTuning
    _items: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_items", self.material.items(self.config))

    @property
    def size(self) -> int:
        """Return how many pairs a batch has, where all may be learned."""
        return min(self.config.batch_pairs, len(self._items))

    @property
    def steps(self) -> int:
        """Return the number of all steps."""
        once = min(len(self._items), self.config.most_pairs)
        return max(self.config.least_steps, self.config.epochs * once // self.size)

    def at(self, step: int) -> np.ndarray:
        """Return the pairs of a step, int64 (pairs, 2): the numbers of their texts."""
        per_epoch = len(self._items) // self.size
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self._items))
        return self._items[order[place * self.size : (place + 1) * self.size]]

    def texts(self, pairs: np.ndarray, step: int) -> tuple[Bags, Bags, np.ndarray]:
        """Return both sides of the pairs as tokens, and which pairs share a text.

        A text that is paired with itself is cut in two at a random place.
        """
        random = np.random.default_rng([self.config.seed, 1, step])
        starts, ends = (self.material.texts.offsets[pairs + n] for n in (0, 1))
        cropped = pairs[:, 0] == pairs[:, 1]
        inner = np.maximum(ends[:, 0] - starts[:, 0] - 3, 1)  # both crops have two tokens or more
        cut = starts[:, 0] + 2 + (random.random(len(pairs)) * inner).astype(np.int64)
        ends[cropped, 0] = starts[cropped, 1] = cut[cropped]
        left, right = (self._bags(starts[:, side], ends[:, side]) for side in (0, 1))
        return left, right, _sharing(pairs)

    def _bags(self, starts: np.ndarray, ends: np.ndarray) -> Bags:
        lengths = ends - starts
        tokens = self.material.texts.tokens[ranges(starts, lengths)]
        return Bags(tokens, np.cumsum([0, *lengths]))


def _sharing(pairs: np.ndarray) -> np.ndarray:
    """Return bool (pairs, pairs), true where two different pairs share a text."""
    same = np.zeros((len(pairs), len(pairs)), dtype=bool)
    for one in pairs.T:
        for other in pairs.T:
            same |= one[:, None] == other[None, :]
    np.fill_diagonal(same, False)
    return same


class _States:
    """The saved state of a tuning: its tensors and the number of steps that are done, one file."""

    def __init__(self, workspace: Workspace, table: ContrastiveTable):
        self._path, self._table = workspace.scratch / STATE, table
        self._say = workspace.context.progress.say

    def save(self, step: int) -> None:
        """Save the state; the one before it is there until this one is whole."""
        tensors = {f"{name} {step}": value for name, value in self._table.state().items()}
        write_atomically(self._path, save(tensors))

    def restore(self) -> int:
        """Go on from the saved state, and return how many steps are done; 0 without one."""
        try:
            found = load(self._path.read_bytes())
            step = int(next(iter(found)).split()[1])
            self._table.restore({name: found[f"{name} {step}"] for name in self._table.state()})
        except FileNotFoundError:
            return 0
        except (SafetensorError, KeyError, ValueError, StopIteration):
            self._say("The saved state is damaged, so tuning begins anew.")
            return 0
        self._say(f"Going on after step {step}.")
        return step
