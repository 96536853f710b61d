"""Batches: the tokens that a training step sees, laid out in rows.

A step takes the next units of one order (`order.py`). The input before a document's first token is
an end-of-document token. Several short documents share a row, each with a number of its own; a
document longer than a row continues in another.

The data-parallel shares of a step take some of its units each, and the step is the same however
many shares there are.

A forgotten document keeps its places, but they are empty: nothing of it is read or learned, and all
other documents stay where they are. Not here: how documents are packed into units (`packing.py`),
and which ones are left out (`masking.py`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from rookery.core.arrays import ranges
from rookery.core.errors import DataError
from rookery.corpus.shards import Shards
from rookery.model.config import TrainConfig
from rookery.model.data.order import BEGINNING, Order, Position
from rookery.model.data.packing import Units
from rookery.model.degrees import rows_a_piece, units_per_micro_batch, units_per_step
from rookery.model.training.loss import IGNORED

EMPTY = -1  # the document number of a place without a document


@dataclass(frozen=True)
class Rows:
    """Rows of one length, ready for the network; int64, shape (rows, tokens)."""

    inputs: np.ndarray
    targets: np.ndarray
    documents: np.ndarray


@dataclass(frozen=True)
class Share:
    """One of several data-parallel shares of each step: every `of`-th unit, from `number` on.

    pieces: how many equal micro-batches of whole rows the share is cut into, as a pipeline needs
    them; None: micro-batches of whole rows and of half rows, as many as there are.
    """

    number: int = 0
    of: int = 1
    pieces: int | None = None


@dataclass(frozen=True)
class Step:
    """One step of one share.

    rows: its micro-batches, as many as in each other share. learned_tokens: how many targets are
    learned in all shares. following: where the next step begins.
    """

    rows: tuple[Rows, ...]
    learned_tokens: int
    following: Position = BEGINNING


def batches(
    shards: Shards,
    config: TrainConfig,
    masked: Callable[[np.ndarray], np.ndarray],
    begin: Position = BEGINNING,
    share: Share = Share(),
) -> Iterator[Step]:
    """Yield the steps of a share from a position on, without end.

    All shares of a step together are the same for any number of shares. masked: called at each step
    with its documents (int64); returns bool of the same shape, true for those to leave out.
    """
    context = config.shape.context_tokens
    order = Order(shards, config.seed, context, units_per_step(config), begin)
    while shards.documents:
        units = order.take()
        documents = np.unique(units.document_S)
        hidden = documents[masked(documents)]
        learned = _learned_tokens(shards, units, hidden)
        if share.pieces:
            cut = _cut_evenly(units[share.number :: share.of], share.of, share.pieces, config)
        else:
            cut = _cut_by_length(units, share, config)
        rows = tuple(
            fill(shards, piece, rows, context // halves, halves == 2, hidden)
            for piece, rows, halves in cut
        )
        yield Step(rows, learned, order.position)


def _learned_tokens(shards: Shards, units: Units, hidden: np.ndarray) -> int:
    """Return how many tokens of some units are learned; none of hidden documents."""
    shown = ~np.isin(units.document_S, hidden)
    if shards.learned is None:
        return int(units.tokens_S[shown].sum())
    begin = shards.offsets[units.document_S[shown]] + units.begin_S[shown]
    return int(shards.learned[ranges(begin, units.tokens_S[shown])].sum())


def _cut_by_length(
    units: Units, share: Share, config: TrainConfig
) -> Iterator[tuple[Units, int, int]]:
    """Yield micro-batches of whole rows, then of half rows, as many as the largest share needs.

    Each is given as its units, its number of rows (at least one), and the rows of a unit (1 or 2).
    """
    at_once = units_per_micro_batch(config)
    for halves in (1, 2):
        alike = np.flatnonzero(units.is_halved_U == (halves == 2))
        share_of = alike % share.of
        own = alike[share_of == share.number]
        for start in range(0, np.bincount(share_of, minlength=1).max(), at_once):
            chosen = own[start : start + at_once]
            yield units[chosen], max(1, halves * len(chosen)), halves


def _cut_evenly(
    own: Units, shares: int, pieces: int, config: TrainConfig
) -> Iterator[tuple[Units, int, int]]:
    """Yield equal micro-batches of whole rows; two half rows are joined, missing rows are empty.

    own: the units of this share. Each micro-batch is given as by `_cut_by_length`.
    """
    each = rows_a_piece(config, shares, pieces)
    for piece in range(pieces):
        yield own[piece * each : (piece + 1) * each], each, 1


def fill(
    shards: Shards, units: Units, rows: int, row_tokens: int, in_halves: bool, hidden: np.ndarray
) -> Rows:
    """Lay the tokens of some units out in rows.

    rows, row_tokens: how many rows, and how long. in_halves: a unit is two rows. hidden: documents
    whose places stay empty. Empty places hold the end-of-document token as input and `IGNORED` as
    target. Raises `DataError` for a token that the vocabulary does not have.
    """
    unit_S = np.repeat(np.arange(len(units)), units.spans_U)
    row_S = 2 * unit_S + units.in_second_S if in_halves else unit_S
    first_S = np.searchsorted(row_S, row_S)  # the first span of the same row
    before_S = np.cumsum(units.tokens_S) - units.tokens_S
    place_S = row_S * row_tokens + before_S - before_S[first_S]

    inputs = np.full(rows * row_tokens, shards.end_of_document, dtype=np.int64)
    targets = np.full(rows * row_tokens, IGNORED, dtype=np.int64)
    documents = np.full(rows * row_tokens, EMPTY, dtype=np.int64)
    documents[ranges(place_S, units.tokens_S)] = np.repeat(
        np.arange(len(row_S)) - first_S, units.tokens_S
    )
    shown = ~np.isin(units.document_S, hidden)
    tokens, begin = units.tokens_S[shown], units.begin_S[shown]
    places = ranges(place_S[shown], tokens)
    source = ranges(shards.offsets[units.document_S[shown]] + begin, tokens)
    targets[places] = shards.tokens[source]
    if shards.learned is not None:
        targets[places[shards.learned[source] == 0]] = IGNORED
    # a document's first input stays the end-of-document token; every other is the token before
    follows = ranges(begin, tokens) > 0
    inputs[places[follows]] = shards.tokens[source[follows] - 1]
    if (largest := max(targets.max(), inputs.max())) >= shards.vocabulary:
        raise DataError(
            f"a token of the shards is out of range: {largest}, where the vocabulary has "
            f"{shards.vocabulary}",
            hint="Remove the artifact of the shards and run the command again",
        )
    return Rows(*(values.reshape(rows, row_tokens) for values in (inputs, targets, documents)))
