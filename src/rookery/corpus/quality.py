"""Quality: a few rules that drop posts from which nothing can be learned, each with a reason.

Every rule is a pure function of three columns (the clean text, the plain one and the key, see
`normalize.py`) and returns true for the posts that it drops. The usual rules for web pages do not
fit posts, which are a sentence or two long; each rule names its source. Not here: floods and
duplicates, which take more than one post to see (`dedup.py`), and spam (`spam.py`).
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
    """Drop posts with fewer than 12 bytes of words.

    After BERTweet (Nguyen et al. 2020), which requires ten words; posts are shorter.
    """
    return pc.less(pc.binary_length(key), MIN_BYTES)


def broken_encoding(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Drop posts of which more than one character in twenty is U+FFFD, the mark of lost text."""
    return pc.greater(pc.multiply(pc.count_substring(text, "\ufffd"), 20), pc.utf8_length(text))


def mostly_links_and_mentions(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Drop posts of which less than a fifth is left without links and mentions."""
    return pc.less(pc.multiply(_length(plain), 5), _length(text))


def mostly_hashtags(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Drop posts of whose plain text less than a fifth is left without hashtags.

    After the symbol-to-word ratio of Gopher (Rae et al. 2021).
    """
    tagged = pc.match_substring_regex(plain, "[#＃]")
    with_tags = plain.filter(tagged)
    without_tags = pc.replace_substring_regex(with_tags, HASHTAG, "")
    dropped = pc.less(pc.multiply(_length(without_tags), 5), _length(with_tags))
    return pc.replace_with_mask(pa.repeat(False, len(text)), tagged, dropped)


def mostly_symbols(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Drop posts of whose plain text less than half is words and the spaces between them.

    After Gopher (Rae et al. 2021, table A1).
    """
    return pc.less(pc.multiply(pc.utf8_length(key), 2), _length(plain))


def repeated_characters(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Drop posts in which one letter or digit occurs more than twelve times in a row."""
    # All keys are compared at once, one code point each; the line ends keep them apart.
    points = np.frombuffer("\n".join(key.to_pylist()).encode("utf-32-le"), dtype="<u4")
    same = points[1:] == points[:-1]
    for further in (1, 2, 4, 4):  # from runs of 2 equal characters to runs of 3, 5, 9 and 13
        same = same[further:] & same[:-further]
    hit = np.zeros(len(key), dtype=bool)
    hit[np.searchsorted(np.flatnonzero(points == ord("\n")), np.flatnonzero(same))] = True
    return pa.array(hit)


def repeated_words(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Drop posts of eight words or more of which fewer than two in five are distinct.

    After the repetition rules of Gopher (Rae et al. 2021, table A1).
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
"""The rules by reason, in the order in which they are asked; the first that drops a post gives the
reason.
"""


def judge(text: pa.Array, plain: pa.Array, key: pa.Array) -> pa.Array:
    """Return the reason against each post, as strings; null where no rule drops it."""
    reasons = pa.nulls(len(text), pa.string())
    for reason, rule in reversed(RULES.items()):
        reasons = pc.if_else(rule(text, plain, key), reason, reasons)
    return reasons


def _length(texts: pa.Array) -> pa.Array:
    return pc.utf8_length(pc.utf8_trim_whitespace(texts))
