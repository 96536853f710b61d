"""Two forms of a post's text: the clean one that a model reads, and the key by which equal texts meet.

`clean` changes nothing that a reader would see: links, mentions, emoji, case and spelling stay. The
key forgets all that does not make a text another text. Both take whole columns.
"""

import html
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

LINK = r"(?i:\bhttps?://\S+|\bwww\.\S+)"
MENTION = r"@[\w.@-]+"
HASHTAG = r"[#＃][\p{L}\p{N}\p{M}_]+"
REPOST_MARK = r"(?i:\brt @\w+:?)"

_ENTITY = r"&(#\d{1,6}|#x[0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
_LINE_END = "\r\n?|[\x0b\x0c\x85\u2028\u2029]"
# control characters, zero-width spaces and marks of writing direction; joiners stay, emoji and Persian need them
_INVISIBLE = "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"


def clean(texts: pa.Array) -> pa.Array:
    """Texts in Unicode NFC, entities resolved, invisible characters gone, one space or line end at a time."""
    texts = _resolve_entities(texts)
    texts = _mapped(texts, lambda text: unicodedata.normalize("NFC", text))
    for pattern, replacement in (
        (_LINE_END, "\n"),
        (_INVISIBLE, ""),
        (r"[\t\p{Zs}]+", " "),
        (r" ?\n[ \n]*", "\n"),
    ):
        texts = pc.replace_substring_regex(texts, pattern, replacement)
    return pc.utf8_trim_whitespace(texts)


def key(texts: pa.Array) -> pa.Array:
    """The normalised text: words and numbers in lower case, without links, mentions, marks and punctuation.

    Two posts with one key say the same. Empty for a post without words.
    """
    texts = pc.replace_substring_regex(texts, f"{REPOST_MARK}|{LINK}|{MENTION}", " ")
    texts = _mapped(texts, lambda text: unicodedata.normalize("NFKC", text).casefold())
    texts = pc.replace_substring_regex(texts, r"[^\p{L}\p{N}\p{M}]+", " ")
    return pc.utf8_trim_whitespace(texts)


def template(texts: pa.Array) -> pa.Array:
    """The key without hashtags and with every number as 0: what stays equal when a form is filled in again."""
    plain = key(pc.replace_substring_regex(texts, HASHTAG, " "))
    return pc.replace_substring_regex(plain, r"\p{N}+", "0")


def _resolve_entities(texts: pa.Array) -> pa.Array:
    with_entity = pc.match_substring_regex(texts, _ENTITY)
    resolved = [html.unescape(text) for text in texts.filter(with_entity).to_pylist()]
    return pc.replace_with_mask(texts, with_entity, pa.array(resolved, texts.type))


def _mapped(texts: pa.Array, change) -> pa.Array:
    # unicodedata, since utf8_normalize of pyarrow 25 leaves NFC and NFKC decomposed; it is also quicker
    return pa.array([change(text) for text in texts.to_pylist()], texts.type)
