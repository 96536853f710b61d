"""Times and languages, which every source writes in its own way, as one kind of value each.

Dates are parsed in `dates.py`; the times of a table are read by the column, in `tables/times.py`.
Plain texts and counts are read in `files.py`.
"""

import re
from datetime import UTC, datetime

import pyarrow as pa

from rookery.posts.sources.dates import parse_date

LANGUAGE_CODES = {
    "arabic": "ar", "bulgarian": "bg", "catalan": "ca", "chinese": "zh", "croatian": "hr",
    "czech": "cs", "danish": "da", "dutch": "nl", "english": "en", "estonian": "et",
    "farsi (persian)": "fa", "finnish": "fi", "french": "fr", "german": "de", "greek": "el",
    "hebrew": "he", "hindi": "hi", "hungarian": "hu", "icelandic": "is", "indonesian": "id",
    "italian": "it", "japanese": "ja", "korean": "ko", "latvian": "lv", "lithuanian": "lt",
    "macedonian": "mk", "norwegian": "no", "polish": "pl", "portuguese": "pt", "romanian": "ro",
    "russian": "ru", "serbian": "sr", "slovak": "sk", "slovenian": "sl", "somali": "so",
    "spanish": "es", "swedish": "sv", "thai": "th", "turkish": "tr", "ukrainian": "uk",
    "urdu": "ur", "uzbek": "uz", "vietnamese": "vi",
    "in": "id", "iw": "he", "ji": "yi",
}  # fmt: skip
"""Codes of languages by their English names, and the codes that replaced withdrawn ones."""

_SINCE_1970 = re.compile(r"([0-9]{9,17})(?:\.[0-9]*)?")


def parse_time(text: str) -> datetime | None:
    """Return the time that a text gives, in UTC; None if it is in none of the known forms.

    The forms: seconds to microseconds since 1970, and those of `parse_date`, month before day. A
    time without a zone is UTC.
    """
    text = text.strip()
    if since_1970 := _SINCE_1970.fullmatch(text):
        digits = since_1970[1]
        try:
            return datetime.fromtimestamp(int(digits) / 1000 ** ((len(digits) - 9) // 3), UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return parse_date(text, "month-first")


def language_codes(column: pa.Array) -> pa.Array:
    """Return a column of languages as lower-case codes, null where no language is named.

    In a column of lists, the first language of each list counts.
    """
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        firsts = [names[0] if names else None for names in column.to_pylist()]
        column = pa.array(firsts, pa.string())
    encoded = column.cast(pa.string()).dictionary_encode()
    codes = [name and language_code(name) for name in encoded.dictionary.to_pylist()]
    return pa.array(codes, pa.string()).take(encoded.indices)


def language_code(name: str) -> str | None:
    """Return `en` for `English`, `en-GB` and `EN`; None where no language is named.

    ISO 639 leaves `qaa` to `qtz` to private use: X writes `qme` for posts of media alone, `qht` for
    posts of hashtags alone.
    """
    name = name.strip().lower()
    code = LANGUAGE_CODES.get(name) or name.replace("_", "-").split("-")[0]
    is_named = code not in ("und", "mul", "zxx", "art") and not re.fullmatch("q[a-t][a-z]", code)
    return code if 2 <= len(code) <= 3 and code.isalpha() and is_named else None
