"""Personal data: found by a pattern, verified by a check digit where there is one, and replaced.

The patterns find what has a form: e-mail and IP addresses, phone, card and bank numbers, access
keys. Names, postal addresses and what a person writes about another are not found, since no pattern
can. Mentions stay, since posts address each other by public handles; `placeholders` in
`normalize.py` hides them where that is wanted.

A phone number without its country's code is a number only by its country's plan: which first
digits, how many of them, in which groups. `phonenumbers` (Google's libphonenumber) knows all plans
and matches them in running text. It is slow, so it is asked only about posts with enough digits
close together, and only by the plans of countries in which many write the post's language. Groups
must be those of the plan: with others, dates are taken for numbers. Digits in one piece could be
any number, and count only with a trunk prefix (0, or 8 in Russia), or as North America's ten.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import (
    Leniency,
    PhoneNumberMatch,
    PhoneNumberMatcher,
    ndd_prefix_for_region,
    normalize_digits_only,
)

from rookery.corpus import language, normalize


@dataclass(frozen=True)
class Kind:
    """A kind of personal data.

    pattern: read by RE2 to find the posts, and by `re` to replace in them. verifies: whether a
    match is really of this kind.
    """

    name: str
    pattern: str
    verifies: Callable[[re.Match], bool] = lambda match: True

    @property
    def placeholder(self) -> str:
        """Return the text that takes the place of a match, such as `[email]`."""
        return f"[{self.name}]"


def passes_luhn(digits: str) -> bool:
    """Return whether the check digit of a card number is right (ISO/IEC 7812-1, annex B)."""
    doubled = (int(d) * (1 + n % 2) for n, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def passes_mod97(iban: str) -> bool:
    """Return whether the check digits of a bank account number are right (ISO 13616).

    With letters as numbers from 10, and the first four characters at the end, the number is 1
    modulo 97.
    """
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def _digits(match: re.Match) -> str:
    return re.sub(r"\D", "", match[0])


def _is_public_address(match: re.Match) -> bool:
    try:
        return ipaddress.ip_address(match[0]).is_global
    except ValueError:
        return False


def _is_no_handle(match: re.Match) -> bool:
    """Return whether no @ precedes the match: `@name@host.org` is a Fediverse handle, no e-mail."""
    return match.string[: match.start()][-1:] != "@"


KINDS = (
    # The documented prefixes of well-known services, and JSON Web Tokens.
    Kind(
        "key",
        r"\b(?:sk-[\w-]{20,}|gh[pousr]_\w{36,}|github_pat_\w{22,}|AKIA[0-9A-Z]{16}\b|AIza[\w-]{35}"
        r"|xox[abprs]-[\w-]{10,}|hf_[A-Za-z0-9]{30,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})",
    ),
    Kind("email", r"[\w.%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}\b", _is_no_handle),
    Kind(
        "iban",
        r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
        lambda match: passes_mod97(match[0].replace(" ", "")),
    ),
    # The ranges of Visa, Mastercard, American Express and Discover.
    Kind(
        "card",
        r"\b(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|6011|65\d{2})(?:[ -]?\d{4}){3}\b|\b3[47]\d{2}[ "
        r"-]?\d{6}[ -]?\d{5}\b",
        lambda match: passes_luhn(_digits(match)),
    ),
    Kind(
        "ip",
        r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b[0-9A-Fa-f]{1,4}(?:::?[0-9A-Fa-f]{1,4}){2,7}\b",
        _is_public_address,
    ),
    # International (ITU-T E.164: at most 15 digits), North American, and national with a leading 0:
    # what can be found whatever the language of the post.
    Kind(
        "phone",
        r"\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}\b|(?:\b1[ .-])?(?:\(\d{3}\) ?|\b\d{3}[ "
        r".-])\d{3}[ .-]\d{4}\b"
        r"|\b0\d{2,4}[ /-]\d{5,8}\b",
        lambda match: 8 <= len(_digits(match)) <= 15,
    ),
)


PHONE = KINDS[-1]
_DIGIT = "[0-9\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\uff10-\uff19]"
LEAST_DIGITS = 7
# So many digits with little between them, for RE2 and for `re`.
_CANDIDATE = rf"{_DIGIT}(?:[\s().\-/‐-―]{{0,3}}{_DIGIT}){{{LEAST_DIGITS - 1},}}"

COUNTRIES = {
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

_DECIMAL = re.compile(r"\d+\.\d+")
# Digits in links, handles and hashtags call nobody.
_NAME = re.compile(rf"{normalize.LINK}|[@#＃]\S+")
_ANY = "|".join([*(f"(?:{kind.pattern})" for kind in KINDS), _CANDIDATE])


def redact(texts: pa.Array, languages: pa.Array) -> tuple[pa.Array, Counter[str]]:
    """Return texts with placeholders such as `[email]`, and the number of texts with each kind.

    languages: the code of each text's language; one that is null is guessed where it matters.
    """
    held: Counter[str] = Counter()
    # All kinds are looked for in one pass, since most texts have none.
    suspect = pc.match_substring_regex(texts, _ANY)
    found = texts.filter(suspect).to_pylist()
    for kind in KINDS:
        before, found = found, [_replace(kind, text) for text in found]
        if kind is PHONE:
            found = _without_national_numbers(found, languages.filter(suspect))
        if count := sum(a != b for a, b in zip(before, found, strict=True)):
            held[kind.name] += count
    return pc.replace_with_mask(texts, suspect, pa.array(found, texts.type)), held


def _without_national_numbers(texts: list[str], languages: pa.Array) -> list[str]:
    """Return the texts without the telephone numbers of their languages' countries."""
    places = [place for place, text in enumerate(texts) if re.search(_CANDIDATE, text)]
    some = pa.array([texts[place] for place in places], pa.string())
    known = languages.take(pa.array(places, pa.int64())).cast(pa.string())
    is_open = pc.is_null(known)
    known = pc.replace_with_mask(
        known, is_open, language.guess(normalize.key(some.filter(is_open)))
    )
    texts = list(texts)
    for place, code in zip(places, known.to_pylist(), strict=True):
        texts[place] = _without_numbers(texts[place], code)
    return texts


def _replace(kind: Kind, text: str) -> str:
    def change(match: re.Match) -> str:
        return kind.placeholder if kind.verifies(match) else match[0]

    return re.sub(kind.pattern, change, text, flags=re.ASCII)


def _without_numbers(text: str, code: str | None) -> str:
    """Return a text with a placeholder for each national number of its language's countries."""
    numbers = _NAME.sub(lambda name: "x" * len(name[0]), text)
    found = [
        (match.start + _opened(match.raw_string), match.end)
        for country in COUNTRIES.get(code or "", ())
        for match in PhoneNumberMatcher(numbers, country, leniency=Leniency.STRICT_GROUPING)
        if _is_marked(match, country)
    ]
    for start, end in reversed(_merged(found)):
        text = text[:start] + PHONE.placeholder + text[end:]
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


def _is_marked(match: PhoneNumberMatch, country: str) -> bool:
    """Return whether the way in which a match is written says that it is a number to call."""
    written = match.raw_string.strip("()[]")
    digits = normalize_digits_only(written)
    if len(digits) < LEAST_DIGITS or _DECIMAL.fullmatch(written):
        return False
    trunk = ndd_prefix_for_region(country, True) or "none"
    return not written.isdigit() or trunk == "1" or digits.startswith(trunk)
