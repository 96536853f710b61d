"""The forms of a post's text: the clean one that a model reads, and the key for comparing texts.

`clean` changes nothing that a reader would see, except that it repairs text whose encoding was
mistaken on the way here (`cafÃ©`): links, mentions, emoji, case and spelling stay.
`plain` is the clean text without links and mentions, and `key` is what two texts that differ only
in case, punctuation, links or mentions have in common. `placeholders` hides links and mentions,
where that is wanted. All functions take whole columns. Not here: personal data (`privacy.py`).
"""

import html
import unicodedata
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
from ftfy import fix_encoding
from ftfy.badness import MOJIBAKE_CATEGORIES, is_bad

from rookery.core.scripts import UNSPACED

LINK = r"(?i:\bhttps?://\S+|\bwww\.\S+)"
MENTION = r"@[\w.@-]+"
HASHTAG = r"[#＃][\p{L}\p{N}\p{M}_]+"
REPOST_MARK = r"(?i:\brt @\w+:?)"

USER_PLACEHOLDER, LINK_PLACEHOLDER = "@USER", "HTTPURL"
# The character before a handle must not be part of a word, and neither pattern takes the full stop
# of its sentence along.
_HANDLE = r"(^|[^\w@./-])@\w+(?:[.@-]+\w+)*"
_ADDRESS = r"(?i:\bhttps?://|\bwww\.)\S*[^\s.,;:!?…)\]}\x22'»”]"

_ENTITY = r"&(#\d{1,6}|#x[0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
# What every text has that ftfy calls bad: a control character beyond ASCII, or two characters
# beyond ASCII of which one is of these groups, or one of a few pairs. It is looked for first, since
# ftfy's own search is slow.
_SUSPECT = "".join(
    MOJIBAKE_CATEGORIES[group]
    for group in ("bad", "law", "currency", "numeric", "upper_accented", "lower_accented", "box")
)
_MOJIBAKE = (
    rf"[\x80-\x9fŒœЂ]|[ÃÂ] |[{_SUSPECT}][^\x00-\x7f]|[^\x00-\x7f][{_SUSPECT}]"
    r"|[ВГРС][^\x00-\x7f\p{L}][ВГРС]|[ΒΓΞΟ][^\x00-\x7f\p{L}][ΒΓΞΟ]"
)
_LINE_END = "\r\n?|[\x0b\x0c\x85\u2028\u2029]"
# Control characters, zero-width spaces and marks of writing direction. Joiners stay, since emoji
# and Persian need them.
_INVISIBLE = "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
# Runs of blanks, or one blank that is no space. A single space, the most frequent case, does not
# match, so that it is not copied.
_BLANKS = "[\t\\p{Zs}]{2,}|[\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]"
# All characters but ASCII, Western and Cyrillic letters, the usual quotes and dashes, and emoji.
# Most texts have none of these and need nothing of Unicode's normal forms but simple lower case.
_UNUSUAL = (
    "[^\x00-\x7f«»À-ÖØ-Þà-öø-ÿ\u0400-\u0482\u048a-\u052f–—‘’“”„…€\u200d\u2600-\u2775\u2794-\u27bf\ufe0f"
    "\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001f9ff]"
)
_WORD = f" ?([{UNSPACED}]|[^{UNSPACED} ]+)"
# Runs of characters that are no part of a word, or one that is no space, for the same reason.
MARKS = r"[^\p{L}\p{N}\p{M}]{2,}|[^\p{L}\p{N}\p{M} ]"


def clean(texts: pa.Array) -> pa.Array:
    """Return the clean texts.

    They are in Unicode NFC, with entities resolved and mojibake repaired, without invisible
    characters, and with one space or line end at a time.
    """
    texts = _mapped(texts, texts, _ENTITY, html.unescape)
    # Before control characters go, since they are the larger part of much mojibake.
    texts = _mapped(texts, texts, _MOJIBAKE, _repaired)
    texts = _mapped(texts, texts, _UNUSUAL, lambda text: unicodedata.normalize("NFC", text))
    for pattern, replacement in (
        (_LINE_END, "\n"),
        (_INVISIBLE, ""),
        (_BLANKS, " "),
        (r" ?\n[ \n]*", "\n"),
    ):
        texts = pc.replace_substring_regex(texts, pattern, replacement)
    return pc.utf8_trim_whitespace(texts)


def placeholders(texts: pa.Array) -> pa.Array:
    """Return texts with every link as HTTPURL and every mention as @USER.

    BERTweet was trained on this form (Nguyen et al. 2020, 2.2). It also spells emoji as words; here
    they stay.
    """
    texts = pc.replace_substring_regex(texts, _ADDRESS, LINK_PLACEHOLDER)
    return pc.replace_substring_regex(texts, _HANDLE, rf"\1{USER_PLACEHOLDER}")


def plain(texts: pa.Array) -> pa.Array:
    """Return texts with one space in place of each run of links, mentions and marks of reposts."""
    return pc.replace_substring_regex(texts, rf"(?:(?:{REPOST_MARK}|{LINK}|{MENTION})\s*)+", " ")


def key(texts: pa.Array) -> pa.Array:
    """Return the normalised texts: words and numbers in lower case, and nothing else.

    Links, mentions, marks and punctuation are left out. Two posts with equal keys have the same
    words. The key of a post without words is empty.
    """
    return words(plain(texts))


def words(plain_texts: pa.Array) -> pa.Array:
    """Return the keys of texts that are plain already."""
    texts = _mapped(pc.utf8_lower(plain_texts), plain_texts, _UNUSUAL, _fold)
    texts = pc.replace_substring_regex(texts, MARKS, " ")
    return pc.utf8_trim_whitespace(texts)


def spaced(keys: pa.Array) -> pa.Array:
    """Return keys with spaces around each character of a script that writes no spaces.

    Keys in other scripts stay as they are.
    """
    where = pc.invert(pc.string_is_ascii(keys))  # takes a fifth of the time of the pattern
    where = pc.replace_with_mask(
        where, where, pc.match_substring_regex(keys.filter(where), f"[{UNSPACED}]")
    )
    changed = pc.replace_substring_regex(keys.filter(where), _WORD, r" \1")
    return pc.replace_with_mask(keys, where, pc.utf8_ltrim(changed, " "))


def template(plain_texts: pa.Array, keys: pa.Array) -> pa.Array:
    """Return the keys without hashtags and with every number as 0.

    Two posts that fill in the same form have equal templates.
    """
    tagged = pc.match_substring_regex(plain_texts, HASHTAG)
    untagged = words(pc.replace_substring_regex(plain_texts.filter(tagged), HASHTAG, " "))
    return pc.replace_substring_regex(pc.replace_with_mask(keys, tagged, untagged), r"\p{N}+", "0")


def _repaired(text: str) -> str:
    return fix_encoding(text) if is_bad(text) else text


def _fold(text: str) -> str:
    """Return a text in compatibility form (NFKC) and folded case."""
    # Composed a second time, since folding the case may decompose a letter.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _mapped(
    otherwise: pa.Array, texts: pa.Array, pattern: str, change: Callable[[str], str]
) -> pa.Array:
    """Apply a Python function to the texts in which a pattern is found; take `otherwise` elsewhere.

    For Unicode forms the function is `unicodedata`'s, since pyarrow 25's utf8_normalize leaves NFC
    and NFKC decomposed.
    """
    where = pc.match_substring_regex(texts, pattern)
    changed = [change(text) for text in texts.filter(where).to_pylist()]
    return pc.replace_with_mask(otherwise, where, pa.array(changed, texts.type))
