"""National telephone numbers: found by the numbering plans of the countries of a post's language.

A number without its country's code is a number only by its country's plan: which first digits, how
many of them, in which groups. `phonenumbers` (Google's libphonenumber) knows all plans and matches
them in running text. It is slow, so it is asked only about posts with enough digits close together,
and only by the plans of countries in which many write the post's language. Groups must be those of
the plan: with others, dates are taken for numbers. Digits in one piece could be any number, and
count only with a trunk prefix (0, or 8 in Russia), or as North America's ten.

Not here: numbers that need no country, such as those with a + (`privacy.py`).
"""

import re

from phonenumbers import (
    Leniency,
    PhoneNumberMatch,
    PhoneNumberMatcher,
    ndd_prefix_for_region,
    normalize_digits_only,
)

from rookery.corpus.normalize import LINK

_DIGIT = "[0-9\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\uff10-\uff19]"
LEAST_DIGITS = 7
CANDIDATE = rf"{_DIGIT}(?:[\s().\-/‐-―]{{0,3}}{_DIGIT}){{{LEAST_DIGITS - 1},}}"
"""Seven digits or more with little between them, for RE2 and for `re`."""

REGIONS = {
    "ar": ("EG", "SA", "DZ", "MA", "AE"), "be": ("BY",), "bg": ("BG",), "bn": ("BD", "IN"),
    "bs": ("BA",), "ca": ("ES",), "cs": ("CZ",), "da": ("DK",), "de": ("DE", "AT", "CH"),
    "el": ("GR", "CY"), "en": ("US", "GB", "AU", "IN", "IE", "NZ", "ZA", "NG"),
    "es": ("ES", "MX", "AR", "CO", "CL"),
    "et": ("EE",), "eu": ("ES",), "fa": ("IR",), "fi": ("FI",), "fr": ("FR", "BE", "CH", "CA"),
    "gl": ("ES",), "gu": ("IN",), "he": ("IL",), "hi": ("IN",), "hr": ("HR",), "hu": ("HU",),
    "hy": ("AM",), "id": ("ID",), "is": ("IS",), "it": ("IT", "CH"), "ja": ("JP",), "ka": ("GE",),
    "kk": ("KZ",), "km": ("KH",), "kn": ("IN",), "ko": ("KR",), "lo": ("LA",), "lt": ("LT",),
    "lv": ("LV",), "mk": ("MK",), "ml": ("IN",), "mr": ("IN",), "ms": ("MY", "SG"), "my": ("MM",),
    "nb": ("NO",), "ne": ("NP",), "nl": ("NL", "BE"), "nn": ("NO",), "no": ("NO",), "pa": ("IN",),
    "pl": ("PL",), "pt": ("BR", "PT"), "ro": ("RO", "MD"), "ru": ("RU", "KZ"), "si": ("LK",),
    "sk": ("SK",), "sl": ("SI",), "sq": ("AL",), "sr": ("RS",), "sv": ("SE",), "sw": ("KE", "TZ"),
    "ta": ("IN", "LK"), "te": ("IN",), "th": ("TH",), "tl": ("PH",), "tr": ("TR",), "uk": ("UA",),
    "ur": ("PK", "IN"), "vi": ("VN",), "zh": ("CN", "TW", "HK"),
}  # fmt: skip
"""The countries whose plans are asked, by the code of a language."""

_CANDIDATE = re.compile(CANDIDATE)
_DECIMAL = re.compile(r"\d+\.\d+")
_NAME = re.compile(rf"{LINK}|[@#＃]\S+")  # digits in links, handles and hashtags call nobody


def is_candidate(text: str) -> bool:
    """Return whether a text has enough digits close together to hold a number."""
    return _CANDIDATE.search(text) is not None


def redact(text: str, language: str | None, placeholder: str) -> str:
    """Return a text with a placeholder for each national number of the language's countries."""
    numbers = _NAME.sub(lambda name: "x" * len(name[0]), text)
    found = [
        (match.start + _opened(match.raw_string), match.end)
        for region in REGIONS.get(language or "", ())
        for match in PhoneNumberMatcher(numbers, region, leniency=Leniency.STRICT_GROUPING)
        if _is_marked(match, region)
    ]
    for start, end in reversed(_merged(found)):
        text = text[:start] + placeholder + text[end:]
    return text


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans in order, those that overlap as one: two plans may see one number."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            start, last = merged.pop()
            end = max(end, last)
        merged.append((start, end))
    return merged


def _opened(number: str) -> int:
    """Return 1 for a number that begins with a bracket which does not end in it, else 0."""
    return int(number.startswith("(") and number.count("(") > number.count(")"))


def _is_marked(match: PhoneNumberMatch, region: str) -> bool:
    """Return whether the way in which a match is written says that it is a number to call."""
    written = match.raw_string.strip("()[]")
    digits = normalize_digits_only(written)
    if len(digits) < LEAST_DIGITS or _DECIMAL.fullmatch(written):
        return False
    trunk = ndd_prefix_for_region(region, True) or "none"
    return not written.isdigit() or trunk == "1" or digits.startswith(trunk)
