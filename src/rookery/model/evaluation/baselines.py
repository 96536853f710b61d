"""Baselines that a language model has to beat on the same bytes: zstd, character n-grams, and xz.

zstd (with a dictionary) and the n-grams learn from the model's training texts and give the bits
that each text costs, taken alone. How all baselines and the model are compared is in `evaluate.py`;
why the n-gram model is our own is in docs/decisions/0004.

The n-gram model is interpolated modified Kneser-Ney (Chen and Goodman 1998, TR-10-98, section 3)
over characters, with eight characters of context. A character seen less than twice in training
costs an escape and then the choice among all other code points, each equally likely. The model
gives some probability to the end of the text at every place, as the language model does; the end
itself is not part of a text's cost.
"""

import lzma
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

ORDER = 8
CODE_POINTS = 0x110000 - 0x800  # all but the surrogates
DICTIONARY_BYTES = 1 << 20
ZSTD_LEVEL = 19

BOUNDARY, ESCAPE, FIRST_CHARACTER = 0, 1, 2  # symbols; the boundary begins and ends a text


def zstd_bits(training: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """Return the bits (float64, one for each text) of each text compressed alone.

    The dictionary is trained on the training texts. The frames have no magic number, size, checksum
    and dictionary id, which a store of posts would not keep.
    """
    samples: list[bytes | bytearray | memoryview] = [t.encode() for t in training]
    try:
        size = min(DICTIONARY_BYTES, max(1024, sum(map(len, samples)) // 10))
        dictionary = zstandard.train_dictionary(size, samples, k=512, d=8, threads=1)
    except zstandard.ZstdError:  # too few samples to choose from: take them as they are
        dictionary = zstandard.ZstdCompressionDict(
            b"\n".join(samples), dict_type=zstandard.DICT_TYPE_RAWCONTENT
        )
    parameters = zstandard.ZstdCompressionParameters.from_level(
        ZSTD_LEVEL,
        dict_size=DICTIONARY_BYTES,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )
    dictionary.precompute_compress(compression_params=parameters)
    compressor = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)
    return np.array([8.0 * len(compressor.compress(t.encode())) for t in texts])


def xz_bits_per_byte(texts: Sequence[str]) -> float:
    """Return the bits per byte of all texts packed together by xz's strongest preset.

    It learns from these texts only. Each text is a line: the line ends cost bits, but do not count
    as bytes of the texts.
    """
    packed = lzma.compress("\n".join(texts).encode(), preset=9 | lzma.PRESET_EXTREME)
    return 8.0 * len(packed) / sum(len(text.encode()) for text in texts)


@dataclass(frozen=True)
class Level:
    """The grams with contexts of one length, and their probabilities.

    A gram is a context and the symbol after it; its number is its place in `keys`, and the next
    level knows it as a context by that number. keys: int64, context number × symbols + symbol.
    share: float32, the discounted probability of each gram after its context. rest: float32, the
    probability that each context leaves to the next shorter one.
    """

    keys: np.ndarray
    share: np.ndarray
    rest: np.ndarray

    def find(self, contexts: np.ndarray, symbols: np.ndarray, kinds: int) -> np.ndarray:
        """Return the number of each gram; -1 for an unknown one, and where the context is -1."""
        found = pc.index_in(pa.array(contexts * kinds + symbols), value_set=pa.array(self.keys))
        return pc.fill_null(found, -1).to_numpy()


@dataclass(frozen=True)
class NgramModel:
    """A trained n-gram model.

    alphabet: the code points of the known characters, in rising order. levels: by the length of the
    context, from 0 on.
    """

    alphabet: np.ndarray
    levels: tuple[Level, ...]

    @property
    def kinds(self) -> int:
        """Return the number of symbols: the characters, the boundary and the escape."""
        return len(self.alphabet) + FIRST_CHARACTER

    def bits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the bits (float64, one for each text) of each text taken alone."""
        symbols, age = _symbols(texts, self.alphabet)
        cost = -np.log2(self.probabilities(symbols, age))
        cost[symbols == ESCAPE] += np.log2(CODE_POINTS - len(self.alphabet))
        cost[symbols == BOUNDARY] = 0.0
        return (
            np.add.reduceat(cost, np.flatnonzero(symbols == BOUNDARY)[:-1])
            if len(texts)
            else np.zeros(0)
        )

    def probabilities(self, symbols: np.ndarray, age: np.ndarray) -> np.ndarray:
        """Return the probability of each symbol of a stream, given those before it.

        age: how many of the symbols before it belong to its own text.
        """
        p = np.full(len(symbols), 1.0 / self.kinds)
        contexts = np.zeros(len(symbols), np.int64)
        for length, level in enumerate(self.levels):
            contexts[age < length] = -1
            gram = level.find(contexts, symbols, self.kinds)
            rest = np.where(contexts >= 0, level.rest[contexts], 1.0)
            p = np.where(gram >= 0, level.share[gram], 0.0) + rest * p
            contexts[1:], contexts[0] = gram[:-1], -1
        return p


def train_ngram(texts: Sequence[str], order: int = ORDER) -> NgramModel:
    """Train an n-gram model on some texts, with contexts of up to `order` characters.

    20 MB of mixed English and Russian take 21 s of one core and 2.3 GB; 40 MB take twice the time
    and 3.4 GB.
    """
    counts = np.bincount(_code_points("".join(texts)), minlength=1)
    alphabet = np.flatnonzero(counts >= 2).astype(np.uint32)
    kinds = len(alphabet) + FIRST_CHARACTER
    symbols, age = _symbols(texts, alphabet)
    levels: list[Level] = []
    # A level's counts need the grams that are one longer, so each level is made one round later.
    pending, context_count = _count(symbols, age, None, 0, kinds), 1
    for length in range(1, order + 1):
        grams = _count(symbols, age, pending, length, kinds)
        if not len(grams.keys):
            break  # no text is so long
        levels.append(_level(pending, _left_neighbours(pending, grams), context_count, kinds))
        context_count = len(pending.keys)
        pending = grams
    levels.append(_level(pending, pending.counts, context_count, kinds))
    return NgramModel(alphabet, tuple(levels))


@dataclass(frozen=True)
class _Grams:
    """The grams of one length in a stream of symbols.

    number: the gram that ends at each place of the stream, -1 where none does. place: for each
    gram one place where it ends. begins: whether it begins at a text's boundary.
    """

    keys: np.ndarray
    counts: np.ndarray
    number: np.ndarray
    place: np.ndarray
    begins: np.ndarray


def _count(
    symbols: np.ndarray, age: np.ndarray, shorter: _Grams | None, length: int, kinds: int
) -> _Grams:
    """Number and count the grams with a context of some length.

    shorter: the grams that are one symbol shorter, which are the contexts.
    """
    places = np.flatnonzero(age >= length).astype(np.int32)
    keys = symbols[places].astype(np.int64)
    if shorter is not None:
        keys += kinds * shorter.number[places - 1].astype(np.int64)
    encoded = pc.dictionary_encode(pa.array(keys))
    ids = encoded.indices.to_numpy()
    number = np.full(len(symbols), -1, np.int32)
    number[places] = ids
    place = np.empty(len(encoded.dictionary), np.int32)
    place[ids] = places
    counts = np.bincount(ids, minlength=len(place)).astype(np.int32)
    return _Grams(encoded.dictionary.to_numpy(), counts, number, place, age[place] == length)


def _left_neighbours(grams: _Grams, longer: _Grams) -> np.ndarray:
    """Return Kneser-Ney's count of each gram: the number of different symbols seen before it.

    For a gram that begins a text it is the plain count.
    """
    different = np.bincount(grams.number[longer.place], minlength=len(grams.keys))
    return np.where(grams.begins, grams.counts, different)


def _level(grams: _Grams, counts: np.ndarray, context_count: int, kinds: int) -> Level:
    """Return the discounted probabilities of some grams, and the rest of each context."""
    discount = _discounts(counts)[np.minimum(counts, 3)]
    context = grams.keys // kinds
    total = np.bincount(context, counts, context_count)
    left = np.bincount(context, discount, context_count)
    rest = np.divide(left, total, out=np.ones(context_count), where=total > 0)
    kept = np.divide(
        counts - discount, total[context], out=np.zeros(len(counts)), where=total[context] > 0
    )
    return Level(grams.keys, kept.astype(np.float32), rest.astype(np.float32))


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Return the discounts for counts of 0, 1, 2 and more (Chen and Goodman 1998, equation 26)."""
    n1, n2, n3, n4 = np.bincount(np.minimum(counts, 5), minlength=6)[1:5]
    if not (n1 and n2 and n3):
        return np.array([0.0, 0.5, 0.5, 0.5])
    y = n1 / (n1 + 2 * n2)
    found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
    return np.array([0.0, *np.clip(found, 0.1, [0.9, 1.9, 2.9])])


def _symbols(texts: Sequence[str], alphabet: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return texts as one stream of symbols, with boundaries before, between and after them.

    Second, the age of each symbol: how many symbols of its own text come before it, including the
    boundary that begins the text; 127 for more.
    """
    lengths = np.array([len(t) for t in texts], np.int64)
    boundaries = np.concatenate([[0], np.cumsum(lengths + 1)])
    stream = np.full(boundaries[-1] + 1, BOUNDARY, np.int32)
    code_points = _code_points("".join(texts))
    at = np.minimum(np.searchsorted(alphabet, code_points), max(len(alphabet) - 1, 0))
    known = alphabet[at] == code_points if len(alphabet) else np.zeros(len(code_points), bool)
    is_text = np.ones(len(stream), bool)
    is_text[boundaries] = False
    stream[is_text] = np.where(known, at + FIRST_CHARACTER, ESCAPE)
    age = np.arange(len(stream))
    age[1:] -= np.repeat(boundaries[:-1], lengths + 1)
    return stream, np.minimum(age, 127).astype(np.int8)


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
