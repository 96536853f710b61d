"""Batches: which tokens a training step sees.

One endless order of documents is a function of the seed alone: a new shuffle each epoch, packed into
rows. A step takes the next rows, so that the step's number is all that a resumed run needs. A
document begins after an end-of-document token, which stands for its beginning; short documents lie
several to a row and are told apart by a number; one longer than a row goes on in another.

Attention over a row costs the square of its length, and most posts are short. So a *unit* of
`context_tokens` places is either one whole row or two half rows, whichever its documents need.

Several learners share a step: each takes some of its units, and the step is the same however many they are.

A forgotten document keeps its places, emptied: nothing of it is read or learned, and all others stay.
"""

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from itertools import count, islice

import numpy as np

from rookery.core.errors import DataError
from rookery.corpus.shards import Shards
from rookery.model.config import TrainConfig
from rookery.model.degrees import rows_a_piece, units_a_step
from rookery.model.network import IGNORED

EMPTY = -1  # the document number of a place that no document has
POOL_DOCUMENTS = 8192  # packed together: enough to fill rows well, few enough to begin at once


@dataclass(frozen=True)
class Span:
    """A document, or the part of a long one that fits into a row: its tokens [begin, end) within the document."""

    document: int
    begin: int
    end: int

    @property
    def tokens(self) -> int:
        return self.end - self.begin


Row = tuple[Span, ...]


@dataclass(frozen=True)
class Unit:
    """`context_tokens` places: one whole row, or two half rows."""

    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Rows:
    """Rows of one length, ready for the network; int64, shape (rows, tokens)."""

    inputs: np.ndarray
    targets: np.ndarray
    documents: np.ndarray

    @property
    def learned_tokens(self) -> int:
        """How many targets count."""
        return int((self.targets != IGNORED).sum())


@dataclass(frozen=True)
class Share:
    """What one of several learners takes of each step: every `of`-th unit, from `number` on.

    pieces: cut into so many equal micro-batches of whole rows, as a pipeline needs them; None: as they come.
    """

    number: int = 0
    of: int = 1
    pieces: int | None = None


@dataclass(frozen=True)
class Step:
    """One step of one share: its micro-batches, as many in each share, and how many targets count in all shares."""

    rows: tuple[Rows, ...]
    learned_tokens: int


def batches(
    shards: Shards,
    config: TrainConfig,
    masked: Callable[[np.ndarray], np.ndarray],
    first_step: int = 0,
    share: Share = Share(),
) -> Iterator[Step]:
    """The steps of a share from `first_step` on, without end. All shares of a step together do not depend on `of`.

    masked: asked at each step which of its documents (int64) to leave out; bool of the same shape.
    """
    count = units_a_step(config)
    units = islice(all_units(shards, config.seed, config.shape.context_tokens), first_step * count, None)
    while step := list(islice(units, count)):
        documents = np.unique([span.document for unit in step for row in unit.rows for span in row])
        hidden = frozenset(documents[masked(documents)].tolist()) if len(documents) else frozenset()
        spans = (span for unit in step for row in unit.rows for span in row)
        learned = sum(span.tokens for span in spans if span.document not in hidden)
        cut = _cut_evenly(step, share, config) if share.pieces else _cut_by_length(step, share, config)
        yield Step(tuple(fill(shards, rows, tokens, hidden) for rows, tokens in cut), learned)


def _cut_by_length(step: list[Unit], share: Share, config: TrainConfig) -> Iterator[tuple[list[Row], int]]:
    """Whole rows and half rows apart, each in as many micro-batches as the largest share needs."""
    context = config.shape.context_tokens
    at_once = max(1, config.micro_batch_tokens // context)
    for halves in (1, 2):
        of_all = [[unit for unit in step[n :: share.of] if len(unit.rows) == halves] for n in range(share.of)]
        own = of_all[share.number]
        for start in range(0, max(map(len, of_all)), at_once):
            rows = [row for unit in own[start : start + at_once] for row in unit.rows]
            yield rows or [()], context // halves


def _cut_evenly(step: list[Unit], share: Share, config: TrainConfig) -> Iterator[tuple[list[Row], int]]:
    """Whole rows only, the halves of one behind each other; filled up with empty rows."""
    rows = [tuple(span for row in unit.rows for span in row) for unit in step[share.number :: share.of]]
    each = rows_a_piece(config, share.of, share.pieces)
    rows += [()] * (each * share.pieces - len(rows))
    for start in range(0, len(rows), each):
        yield rows[start : start + each], config.shape.context_tokens


def all_units(shards: Shards, seed: int, context_tokens: int) -> Iterator[Unit]:
    """The endless order: epoch after epoch, each shuffled by (seed, epoch); nothing if there are no documents."""
    lengths = np.diff(shards.offsets)
    for epoch in count() if shards.documents else ():
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(shards.documents)
        for start in range(0, len(order), POOL_DOCUMENTS):
            pool = order[start : start + POOL_DOCUMENTS]
            units = pack_units([(int(d), int(lengths[d])) for d in pool], context_tokens)
            yield from (units[i] for i in random.permutation(len(units)))


def pack_units(documents: list[tuple[int, int]], context_tokens: int) -> list[Unit]:
    """Pack documents, given as (number, tokens), into units; every token has exactly one place.

    What needs more than half a row opens whole rows; the short ones fill those up, then half rows.
    """
    half_tokens = context_tokens // 2
    spans = [span for number, tokens in documents for span in _spans(number, tokens, context_tokens)]
    whole, _ = best_fit([s for s in spans if s.tokens > half_tokens], context_tokens)
    whole, short = best_fit([s for s in spans if s.tokens <= half_tokens], context_tokens, whole)
    halves, _ = best_fit(short, half_tokens)
    if len(halves) % 2:
        halves.append([])
    pairs = zip(halves[::2], halves[1::2], strict=True)
    return [Unit((tuple(row),)) for row in whole] + [Unit((tuple(a), tuple(b))) for a, b in pairs]


def _spans(document: int, tokens: int, longest: int) -> Iterator[Span]:
    for begin in range(0, tokens, longest):
        yield Span(document, begin, min(begin + longest, tokens))


def best_fit(
    spans: list[Span], row_tokens: int, rows: list[list[Span]] | None = None
) -> tuple[list[list[Span]], list[Span]]:
    """Longest first, each into the row that it fills best (best-fit decreasing; at most 11/9 of the best number).

    Given rows, only those are filled up. Returns the rows, and the spans that fit into none.
    """
    filled, left = [list(row) for row in rows or ()], []
    by_room: list[list[int]] = [[] for _ in range(row_tokens + 1)]
    for place, row in enumerate(filled):
        by_room[row_tokens - sum(span.tokens for span in row)].append(place)
    for span in sorted(spans, key=lambda s: -s.tokens):
        room = next((room for room in range(span.tokens, row_tokens + 1) if by_room[room]), None)
        if room is None and rows is not None:
            left.append(span)
            continue
        if room is None:
            room = row_tokens
            by_room[room].append(len(filled))
            filled.append([])
        place = by_room[room].pop()
        filled[place].append(span)
        by_room[room - span.tokens].append(place)
    return filled, left


def fill(shards: Shards, rows: list[Row], row_tokens: int, hidden: Set[int]) -> Rows:
    """Lay the tokens of some rows out; empty places and hidden documents hold the end-of-document token.

    Raises `DataError` for a token that the vocabulary does not have.
    """
    size = (len(rows), row_tokens)
    inputs = np.full(size, shards.end_of_document, dtype=np.int64)
    targets = np.full(size, IGNORED, dtype=np.int64)
    documents = np.full(size, EMPTY, dtype=np.int64)
    for r, row in enumerate(rows):
        place = 0
        for number, span in enumerate(row):
            end = place + span.tokens
            documents[r, place:end] = number
            if span.document not in hidden:
                start = int(shards.offsets[span.document]) + span.begin
                tokens = shards.tokens[start : start + span.tokens]
                targets[r, place:end] = tokens
                inputs[r, place + 1 : end] = tokens[:-1]
                if span.begin:
                    inputs[r, place] = shards.tokens[start - 1]
            place = end
    if (largest := targets.max()) >= shards.vocabulary:
        raise DataError(
            f"a token of the shards is out of range: {largest}, where the vocabulary has {shards.vocabulary}",
            mend="Remove the artifact of the shards and run the command again",
        )
    return Rows(inputs, targets, documents)
