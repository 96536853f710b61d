"""Batches: which tokens a training step sees.

A step takes the next units of one order (`order.py`). A document begins after an end-of-document
token, which stands for its beginning; short documents lie several to a row and are told apart by a
number; one longer than a row goes on in another.

Several learners share a step: each takes some of its units, and the step is the same however many
they are.

A forgotten document keeps its places, emptied: nothing of it is read or learned, and all others
stay.
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
from rookery.model.loss import IGNORED

EMPTY = -1  # the document number of a place that no document has


@dataclass(frozen=True)
class Rows:
    """Rows of one length, ready for the network; int64, shape (rows, tokens)."""

    inputs: np.ndarray
    targets: np.ndarray
    documents: np.ndarray


@dataclass(frozen=True)
class Share:
    """What one of several learners takes of each step: every `of`-th unit, from `number` on.

    pieces: cut into so many equal micro-batches of whole rows, as a pipeline needs them; None: as
    they come.
    """

    number: int = 0
    of: int = 1
    pieces: int | None = None


@dataclass(frozen=True)
class Step:
    """One step of one share: its micro-batches, as many in each share, and how many targets count
    in all shares.

    following: where the next step begins.
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
    """The steps of a share from a position on, without end. All shares of a step together do not
    depend on `of`.

    masked: asked at each step which of its documents (int64) to leave out; bool of the same shape.
    """
    context = config.shape.context_tokens
    order = Order(shards, config.seed, context, units_per_step(config), begin)
    while shards.documents:
        units = order.take()
        documents = np.unique(units.document_S)
        hidden = documents[masked(documents)]
        learned = int(units.tokens_S[~np.isin(units.document_S, hidden)].sum())
        cut = (
            _cut_evenly(units, share, config)
            if share.pieces
            else _cut_by_length(units, share, config)
        )
        rows = tuple(
            fill(shards, piece, rows, context // halves, halves == 2, hidden)
            for piece, rows, halves in cut
        )
        yield Step(rows, learned, order.position)


def _cut_by_length(
    units: Units, share: Share, config: TrainConfig
) -> Iterator[tuple[Units, int, int]]:
    """Whole rows and half rows apart, each in as many micro-batches as the largest share needs.

    Of each: its units, its number of rows, which is at least one, and how many of them a unit is.
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
    units: Units, share: Share, config: TrainConfig
) -> Iterator[tuple[Units, int, int]]:
    """Whole rows only, the halves of one behind each other; filled up with empty rows."""
    own = units[share.number :: share.of]
    each = rows_a_piece(config, share.of, share.pieces)
    for piece in range(share.pieces):
        yield own[piece * each : (piece + 1) * each], each, 1


def fill(
    shards: Shards, units: Units, rows: int, row_tokens: int, in_halves: bool, hidden: np.ndarray
) -> Rows:
    """Lay the tokens of some units out in so many rows; empty places and hidden documents hold the
    end token.

    in_halves: a unit is two rows. Raises `DataError` for a token that the vocabulary does not have.
    """
    unit_S = np.repeat(np.arange(len(units)), units.spans_U)
    row_S = 2 * unit_S + units.in_second_S if in_halves else unit_S
    first_S = np.searchsorted(row_S, row_S)  # of the spans of its row
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
    follows = ranges(begin, tokens) > 0
    inputs[places[follows]] = shards.tokens[source[follows] - 1]
    if (largest := targets.max()) >= shards.vocabulary:
        raise DataError(
            f"a token of the shards is out of range: {largest}, where the vocabulary has "
            f"{shards.vocabulary}",
            hint="Remove the artifact of the shards and run the command again",
        )
    return Rows(*(values.reshape(rows, row_tokens) for values in (inputs, targets, documents)))
