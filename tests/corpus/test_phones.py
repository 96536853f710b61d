"""National telephone numbers of the language's countries go; other digits stay."""

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from rookery.corpus.phones import REGIONS, is_candidate, redact

COUNTRIES = {
    "AU": "en", "BR": "pt", "CN": "zh", "CZ": "cs", "DE": "de", "ES": "es", "FR": "fr", "GB": "en",
    "GR": "el", "ID": "id", "IN": "hi", "IT": "it", "JP": "ja", "KR": "ko", "NL": "nl", "PL": "pl",
    "RU": "ru", "SE": "sv", "TR": "tr", "US": "en",
}  # fmt: skip


@pytest.mark.parametrize("kind", [PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE])
@pytest.mark.parametrize(("country", "language"), COUNTRIES.items())
def test_the_examples_of_twenty_countries_are_found_as_they_are_written_there(
    country, language, kind
):
    number = phonenumbers.example_number_for_type(country, kind)
    written = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    assert is_candidate(written)
    assert redact(f"({written}), ok", language, "*") == "(*), ok"
    assert redact(f"{written}: {written}", language, "*") == "*: *"
    assert redact(written, "eo", "*") == written


@pytest.mark.parametrize(
    "text",
    [
        "am 07.06.2017 um 20:15, 04/05.11.2016, 1944-1994, 2016 180 000 people, 13 13 13",
        "2017-01-18 08:30:00 and 20170118 083000 and 1485000000 and 0.12345678",
        "https://a.org/0301234567 @ada_2125550187 #2125550187 t2125550187 www.a.de/030/123456",
        "UserID 14603308715533, [1460330871], 598765432109876543, 1 234 567 890 Euro",
        "ISBN 978-3-16-148410-0, DE89 3704 0044 0532 0130 00, 1.000.000.000",
    ],
)
@pytest.mark.parametrize("language", ["en", "de", "ru"])
def test_dates_names_links_and_other_numbers_stay(text, language):
    assert redact(text, language, "*") == text


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
    assert redact(text, language, "*") == expected


def test_every_country_of_the_table_has_a_plan():
    countries = {country for regions in REGIONS.values() for country in regions}
    assert countries <= phonenumbers.SUPPORTED_REGIONS
