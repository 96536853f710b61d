"""Personal data is found, verified and replaced; what only looks like it stays."""

import phonenumbers
import pyarrow as pa
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from rookery.corpus.privacy import COUNTRIES, passes_luhn, passes_mod97, redact

KEY = "sk-" + "a1B2" * 8
TOKEN = "ghp_" + "Zx9" * 12


def of(*texts: str, language: str | None = None):
    """Redact some texts, all of one language or of none that is known."""
    return redact(pa.array(texts), pa.array([language] * len(texts), pa.string()))


def redacted(text: str, language: str | None = None) -> str:
    return of(text, language=language)[0][0].as_py()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to ada.lovelace+rooks@example.co.uk, please", "write to [email], please"),
        (
            "call +49 30 901820 or (212) 555-0187 or 1-800-555-0199",
            "call [phone] or [phone] or [phone]",
        ),
        ("Tel. 030 1234567", "Tel. [phone]"),
        ("my card 4111 1111 1111 1111 is gone", "my card [card] is gone"),
        ("amex 378282246310005", "amex [card]"),
        ("pay to DE89 3704 0044 0532 0130 00 today", "pay to [iban] today"),
        ("from 8.8.4.4 and 2001:4860:4860:0:0:0:0:8888", "from [ip] and [ip]"),
        (f"use {KEY} now", "use [key] now"),
        (f"token={TOKEN}", "token=[key]"),
    ],
)
def test_personal_data_is_replaced(text, expected):
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "thanks @ada@mastodon.social and @bo",
        "order 4111 1111 1111 1112 fails its check digit",
        "DE88 3704 0044 0532 0130 00 fails its check digits",
        "on 2016-10-12 at 12:30:45, version 2.4.1, from 127.0.0.1",
        "https://t.co/a1 status 598765432109876543",
        "1,000,000 of 2,500,000 votes; score 110-100; in 1984-2014",
        "555-0187 is too short to be anybody's",
    ],
)
def test_what_only_looks_like_personal_data_stays(text):
    assert redacted(text) == text


def test_each_kind_is_counted_by_posts():
    _, held = of("a@example.org b@example.org", "c@example.org", "none", "+49 30 9018200")
    assert held == {"email": 2, "phone": 1}


def test_check_digits_by_the_standards_own_examples():
    assert passes_luhn("79927398713")
    assert not passes_luhn("79927398710")
    assert passes_mod97("GB82WEST12345698765432")
    assert not passes_mod97("GB82WEST12345698765431")


@pytest.mark.parametrize(
    ("number", "is_phone"),
    [
        ("+49 30 901", False),
        ("+49 30 9018", True),
        ("+123 4567 8901 2345", True),
        ("+123 4567 8901 2345 6", False),
    ],
)
def test_an_international_number_has_eight_to_fifteen_digits(number, is_phone):
    assert redacted(f"call {number} now") == f"call {'[phone]' if is_phone else number} now"


def test_check_digits_of_every_kind_of_digit():
    assert all(map(passes_luhn, ("0", "18", "59", "91", "4111111111111111", "5555555555554444")))
    assert not any(map(passes_luhn, ("1", "19", "50", "90", "4111111111111112")))
    assert passes_mod97("DE89370400440532013000")
    assert not passes_mod97("DE89370400440532013001")


def test_of_several_kinds_in_one_post_each_is_counted_once():
    text = f"ada@example.org, bo@example.org, {KEY}, 8.8.8.8 and 127.0.0.1"
    clean, held = of(text, "none")
    assert clean.to_pylist() == ["[email], [email], [key], [ip] and 127.0.0.1", "none"]
    assert held == {"email": 1, "key": 1, "ip": 1}


def test_a_national_number_is_found_by_the_language_stated_or_guessed():
    number = "06 12 34 56 78"
    assert redacted(f"appelle {number}", "fr") == "appelle [phone]"
    assert redacted(f"appelle {number}", "ja") == f"appelle {number}"
    guessed = "appelle-moi demain matin avant de partir au travail, c'est le"
    assert redacted(f"{guessed} {number}") == f"{guessed} [phone]"
    assert redacted(f"ok {number}") == f"ok {number}"


def test_a_post_with_numbers_of_both_kinds_counts_once():
    clean, held = of("+49 30 9018200 oder 030 901820", language="de")
    assert clean.to_pylist() == ["[phone] oder [phone]"]
    assert held == {"phone": 1}


LANGUAGE_OF = {
    "AU": "en", "BR": "pt", "CN": "zh", "CZ": "cs", "DE": "de", "ES": "es", "FR": "fr", "GB": "en",
    "GR": "el", "ID": "id", "IN": "hi", "IT": "it", "JP": "ja", "KR": "ko", "NL": "nl", "PL": "pl",
    "RU": "ru", "SE": "sv", "TR": "tr", "US": "en",
}  # fmt: skip


@pytest.mark.parametrize("kind", [PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE])
@pytest.mark.parametrize(("country", "language"), LANGUAGE_OF.items())
def test_the_examples_of_twenty_countries_are_found_as_they_are_written_there(
    country, language, kind
):
    number = phonenumbers.example_number_for_type(country, kind)
    written = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    assert redacted(f"({written}), ok", language) == "([phone]), ok"
    assert redacted(f"{written}: {written}", language) == "[phone]: [phone]"


@pytest.mark.parametrize(
    "text",
    [
        "am 07.06.2017 um 20:15, 04/05.11.2016, 1944-1994, 2016 180 000 people, 13 13 13",
        "2017-01-18 08:30:00 and 20170118 083000 and 1485000000 and 0.12345678",
        "https://a.org/0301234567 @ada_2125550187 #2125550187 t2125550187",
        "UserID 14603308715533, [1460330871], 598765432109876543, 1 234 567 890 Euro",
        "ISBN 978-3-16-148410-0, 1.000.000.000",
    ],
)
@pytest.mark.parametrize("language", ["en", "de", "ru"])
def test_dates_names_links_and_other_numbers_stay(text, language):
    assert redacted(text, language) == text


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("call 2124567890 now", "en", "call * now"),
        ("call 03012345678 now", "de", "call * now"),
        ("звоните 84951234567", "ru", "звоните *"),
        ("ring 3123456789", "it", "ring 3123456789"),
        ("اتصل ٠١٠٠١٢٣٤٥٦٧ الآن", "ar", "اتصل * الآن"),
        ("電話は０９０-１２３４-５６７８です", "ja", "電話は*です"),
    ],
)
def test_digits_in_one_piece_count_with_a_trunk_prefix_or_in_north_america(
    text, language, expected
):
    assert redacted(text, language) == expected.replace("*", "[phone]")


def test_every_country_of_the_table_has_a_plan():
    countries = {country for regions in COUNTRIES.values() for country in regions}
    assert countries <= phonenumbers.SUPPORTED_REGIONS
