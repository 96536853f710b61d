"""Quality: a few rules that say no to a post that teaches nothing, each with a reason.

Every rule is a pure function of three columns (the clean text, the plain one and the key, see
`normalize.py`) and answers with true where it says no. The rules for web pages do not fit posts,
which are a sentence or two; each rule names what it was made from. Floods and duplicates, which
take more than one post to see, are in `dedup.py`.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.corpus.normalize import HASHTAG

TOO_SHORT = "too_short"
BROKEN_ENCODING = "broken_encoding"
MOSTLY_LINKS = "mostly_links_and_mentions"
MOSTLY_HASHTAGS = "mostly_hashtags"
MOSTLY_SYMBOLS = "mostly_symbols"
REPEATED_CHARACTERS = "repeated_characters"
REPEATED_WORDS = "repeated_words"

MIN_BYTES = 12  # of the key: two short words, or four Chinese characters


def too_short(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Fewer than 12 bytes of words (after BERTweet, Nguyen et al. 2020, which wants ten words;
    posts are shorter).
    """
    return pc.less(pc.binary_length(key), MIN_BYTES)


def broken_encoding(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """More than one character in twenty is U+FFFD: what was written was lost on the way here."""
    return pc.greater(pc.multiply(pc.count_substring(text, "\ufffd"), 20), pc.utf8_length(text))


def mostly_links_and_mentions(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Less than a fifth of it is left when links and mentions are taken away."""
    return pc.less(pc.multiply(_length(plain), 5), _length(text))


def mostly_hashtags(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Less than a fifth of what is no link is left without its hashtags (after Gopher's
    symbol-to-word ratio).
    """
    tagged = pc.match_substring_regex(plain, "[#＃]")
    said = plain.filter(tagged)
    untagged = pc.replace_substring_regex(said, HASHTAG, "")
    says_no = pc.less(pc.multiply(_length(untagged), 5), _length(said))
    return pc.replace_with_mask(pa.repeat(False, len(text)), tagged, says_no)


def mostly_symbols(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Less than half of what is no link is words and their spaces (after Gopher, Rae et al. 2021,
    table A1).
    """
    return pc.less(pc.multiply(pc.utf8_length(key), 2), _length(plain))


def repeated_characters(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """One letter or digit stands more than twelve times in a row."""
    points = np.frombuffer("\n".join(key.to_pylist()).encode("utf-32-le"), dtype="<u4")
    same = points[1:] == points[:-1]
    for further in (1, 2, 4, 4):  # from runs of two equal characters to runs of 3, 5, 9 and 13
        same = same[further:] & same[:-further]
    hit = np.zeros(len(key), dtype=bool)
    hit[np.searchsorted(np.flatnonzero(points == ord("\n")), np.flatnonzero(same))] = True
    return pa.array(hit)


def repeated_words(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Eight words or more, of which fewer than two in five differ (after Gopher's repetition rules,
    table A1).
    """
    long = pc.greater_equal(pc.count_substring(key, " "), 7)
    posts = (text.split(" ") for text in key.filter(long).to_pylist())
    repeats = pa.array([len(set(words)) * 5 < len(words) * 2 for words in posts], pa.bool_())
    return pc.replace_with_mask(pa.repeat(False, len(key)), long, repeats)


RULES = {
    TOO_SHORT: too_short,
    BROKEN_ENCODING: broken_encoding,
    MOSTLY_LINKS: mostly_links_and_mentions,
    MOSTLY_HASHTAGS: mostly_hashtags,
    MOSTLY_SYMBOLS: mostly_symbols,
    REPEATED_CHARACTERS: repeated_characters,
    REPEATED_WORDS: repeated_words,
}
"""The rules by reason, in the order in which they are asked: the first that says no gives its
reason.
"""


def judge(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """The reason against each post, as strings; null where no rule says no."""
    reasons = pa.nulls(len(text), pa.string())
    for reason, rule in reversed(RULES.items()):
        reasons = pc.if_else(rule(text, plain, key), reason, reasons)
    return reasons


def _length(texts: pa.Array) -> pa.Array:
    return pc.utf8_length(pc.utf8_trim_whitespace(texts))
