"""Language: a guess for posts whose platform states none, from the text, else from the author.

A platform's tag is never overruled: it comes from the author's settings or from a better detector
than any that runs here. A script that one language alone writes decides, in texts of six letters
or more. Any other guess is py3langid's, which carries its model inside and needs no network.
On a few words it guesses badly, so a short text is taken to be in the language in which its author
mostly writes.

The model is a byte automaton that finds features, and naive Bayes over how often each was found.
py3langid runs it on one text at a time; here the automaton takes a step in many texts at once,
with the same result.
"""

import functools
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from rookery.core.scripts import OF_ONE_LANGUAGE

MIN_CHARACTERS = 20
MIN_SCRIPT_LETTERS = 6
SYLLABLES = ("ja", "ko", "zh")  # one character of theirs says as much as two letters
KANA_SHARE = 0.1  # Japanese mixes kana into Han, Chinese quotes a の here and there
MOST_CHARACTERS = 2000  # a longer text is judged by its beginning
# On 9,700 tagged posts: .974 right over all, .995 right over the 93% at or above this.
MIN_PROBABILITY = 0.5
BATCH_TEXTS = 1024  # of like lengths, which go through the automaton together
SCORED_TEXTS = 32  # of like numbers of features; their weights stay in cache
PIECE_TEXTS = 16_384  # whose scores are held at once: 9 MB
NO_FEATURE = -1
UNKNOWN = -1


def guess(keys: pa.Array) -> pa.Array:
    """Return the language code of each text; null where it is too short or the guess is unsure.

    keys: the normalised texts (normalize.py).
    """
    texts = pc.unique(keys)
    guesses = by_script(texts)
    is_open = pc.and_(pc.is_null(guesses), pc.greater_equal(pc.utf8_length(texts), MIN_CHARACTERS))
    long, by_model = texts.filter(is_open), [pa.array([], pa.string())]
    for start in range(0, len(long), PIECE_TEXTS):
        languages, probability = classify(long.slice(start, PIECE_TEXTS).to_pylist())
        by_model.append(pa.array(languages, pa.string(), mask=probability < MIN_PROBABILITY))
    guesses = pc.replace_with_mask(guesses, is_open, pa.concat_arrays(by_model))
    return guesses.take(pc.index_in(keys, value_set=texts))


def by_script(keys: pa.Array) -> pa.Array:
    """Return the language of each key whose script decides it; null for the others.

    A script decides if only one language writes it, and if it has more than half of the letters of
    a key with six or more. Characters that stand for syllables count twice.
    """
    has_any = pc.match_substring_regex(keys, f"[{''.join(OF_ONE_LANGUAGE.values())}]")
    written = keys.filter(has_any)
    if not len(written):
        return pa.nulls(len(keys), pa.string())
    points = np.frombuffer("\n".join(written.to_pylist()).encode("utf-32-le"), "<u4")
    script, scripts = _script_of_points(), len(OF_ONE_LANGUAGE) + 2
    of_character = script[np.minimum(points, len(script) - 1)]
    in_text = np.cumsum(points == ord("\n"))
    counts = np.bincount(in_text * scripts + of_character, minlength=len(written) * scripts)
    letters = counts.reshape(len(written), scripts)[:, 1:]
    is_long, by_language = letters.sum(axis=1) >= MIN_SCRIPT_LETTERS, letters[:, 1:]
    _share_out_han(by_language)
    by_language *= [2 if code in SYLLABLES else 1 for code in OF_ONE_LANGUAGE]
    best = by_language.argmax(axis=1)
    most = by_language[np.arange(len(best)), best]
    decided = is_long & (2 * most > letters.sum(axis=1))
    names = pa.array(np.array(list(OF_ONE_LANGUAGE), object)[best], pa.string(), mask=~decided)
    return pc.replace_with_mask(pa.nulls(len(keys), pa.string()), has_any, names)


def _share_out_han(counts: np.ndarray) -> None:
    """Count Han and kana together, as Japanese where there is enough kana, else as Chinese.

    counts: (texts, languages), changed in place.
    """
    names = list(OF_ONE_LANGUAGE)
    japanese, chinese = names.index("ja"), names.index("zh")
    kana, both = counts[:, japanese].copy(), counts[:, japanese] + counts[:, chinese]
    is_japanese = kana > KANA_SHARE * both
    counts[:, japanese], counts[:, chinese] = both * is_japanese, both * ~is_japanese


@functools.cache
def _script_of_points() -> np.ndarray:
    """Return for each code point below 2¹⁶ a number: 0 no letter, 1 any other, then the scripts.

    The last place stands for the code points above.
    """
    script = np.ones((1 << 16) + 1, np.uint8)
    script[[ord(character) for character in "\n 0123456789"]] = 0
    for number, characters in enumerate(OF_ONE_LANGUAGE.values(), 2):
        for first, last in re.findall("(.)-(.)", characters):
            script[ord(first) : ord(last) + 1] = number
    return script


def of_authors(codes: np.ndarray, authors: np.ndarray) -> np.ndarray:
    """Replace each `UNKNOWN` by the language in which the post's author mostly writes.

    That is the language of more than half, and of at least two, of the author's posts whose
    language is known. codes, authors: integers of shape (posts,); so is the result.
    """
    known = np.flatnonzero(codes != UNKNOWN)
    order = known[np.lexsort((codes[known], authors[known]))]
    who, language = authors[order], codes[order]
    new = (who[1:] != who[:-1]) | (language[1:] != language[:-1])
    # A group is the posts of one author in one language.
    starts = np.flatnonzero(np.append(True, new))[: len(order)]
    posts = np.diff(starts, append=len(order))
    of_author = np.searchsorted(who, who[starts], side="right") - np.searchsorted(who, who[starts])
    mostly = starts[(posts >= 2) & (2 * posts > of_author)]
    if not len(mostly):
        return codes
    place = np.minimum(np.searchsorted(who[mostly], authors), len(mostly) - 1)
    filled = (codes == UNKNOWN) & (who[mostly][place] == authors)
    return np.where(filled, language[mostly][place], codes)


def classify(texts: list[str]) -> tuple[list[str], np.ndarray]:
    """Return the most likely language of each text, and its probability.

    Both are those of py3langid's `LanguageIdentifier.classify`.
    """
    model = _model()
    # py3langid puts a text that is all capitals in lower case; a key has no capitals.
    encoded = [text[:MOST_CHARACTERS].encode() for text in texts]
    scores = _scores(model, encoded)
    scores /= np.sqrt([max(len(text), 1) for text in encoded], dtype=np.float32)[:, None]
    scores -= scores.max(axis=1, keepdims=True, initial=-np.inf)
    probability = np.exp(scores, out=scores)
    probability /= probability.sum(axis=1, keepdims=True)
    for first, other in model.same_language:
        probability[:, first] += probability[:, other]
        probability[:, other] = 0
    best = probability.argmax(axis=1)
    return [model.languages[b] for b in best], probability[np.arange(len(best)), best]


@dataclass(frozen=True)
class _Model:
    """The automaton and the classifier as arrays.

    `after[row_start[state] + byte]` is the next state; `feature[state]` is the feature found there,
    or -1.
    """

    after: np.ndarray
    row_start: np.ndarray
    feature: np.ndarray
    weights: np.ndarray  # (features, languages)
    prior: np.ndarray
    languages: list[str]
    same_language: list[tuple[int, int]]


@functools.cache
def _model() -> _Model:
    """Return the model, which never changes; unpacking it takes half a second."""
    it = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    row_start = np.asarray(it.tk_row, np.int32) << 8
    after, feature = np.asarray(it.tk_nextmove, np.int32), np.asarray(it.tk_output, np.int32)
    weights, prior = it.nb_ptc.astype(np.float32), it.nb_pc.astype(np.float32)
    return _Model(
        after, row_start, feature, weights, prior, list(it.nb_classes), list(it._alias_pairs)
    )


def _scores(model: _Model, texts: list[bytes]) -> np.ndarray:
    """Return the naive Bayes scores, as float32 (texts, languages).

    Texts of similar length go through the automaton together, and texts of similar numbers of
    features through the matmul, so that little is padded.
    """
    scores = np.zeros((len(texts), len(model.languages)), np.float32)
    longest_first = np.argsort([-len(text) for text in texts], kind="stable")
    for start in range(0, len(texts), BATCH_TEXTS):
        rows = longest_first[start : start + BATCH_TEXTS]
        ends, feature, weight = _features(model, [texts[row] for row in rows])
        counts = np.diff(ends)
        most_first = np.argsort(-counts, kind="stable")
        for begin in range(0, len(rows), SCORED_TEXTS):
            some = most_first[begin : begin + SCORED_TEXTS]
            numbers = np.arange(counts[some[0]])
            place = np.minimum(ends[some][:, None] + numbers, len(feature) - 1)
            its_own = np.where(numbers < counts[some][:, None], weight[place], 0)
            scores[rows[some]] = np.matmul(
                its_own[:, None], model.weights.take(feature[place], axis=0)
            )[:, 0]
        scores[rows] += (counts > 0)[:, None] * model.prior
    return scores


def _features(model: _Model, texts: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `ends`, the features found in the texts, and log(1 + how often) for each of them.

    texts: the longest first. The features of text i are those from `ends[i]` up to `ends[i + 1]`.
    """
    lengths = np.array([len(text) for text in texts], np.int64)
    bytes_, starts = np.frombuffer(b"".join(texts), np.uint8), np.cumsum(lengths) - lengths
    still_in = len(texts) - np.searchsorted(lengths[::-1], np.arange(lengths[0]), side="right")
    found = np.full((lengths[0], len(texts)), NO_FEATURE, np.int32)
    state = np.zeros(len(texts), np.int32)
    for place, n in enumerate(still_in.tolist()):
        state = model.after[model.row_start[state[:n]] + bytes_[starts[:n] + place]]
        found[place, :n] = model.feature[state]
    found = np.sort(found.T, axis=1)  # many short rows: over twenty times faster than all in one
    new = found != NO_FEATURE
    new[:, 1:] &= found[:, 1:] != found[:, :-1]
    ends = np.concatenate([[0], np.cumsum(new.sum(axis=1))])
    first = np.flatnonzero(new)
    end_of_row = found.shape[1] * np.repeat(np.arange(1, len(texts) + 1), np.diff(ends))
    count = np.minimum(np.append(first[1:], found.size)[: len(first)], end_of_row) - first
    return ends, found.ravel()[first], np.log1p(count, dtype=np.float32)
