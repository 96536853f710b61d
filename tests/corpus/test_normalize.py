"""The clean text and the key."""

import unicodedata

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from ftfy.badness import MOJIBAKE_CATEGORIES, is_bad
from hypothesis import example, given
from hypothesis import strategies as st

from rookery.core.scripts import UNSPACED
from rookery.corpus import normalize
from rookery.corpus.normalize import clean, key, placeholders, plain, spaced, template


def cleaned(text: str) -> str:
    return clean(pa.array([text]))[0].as_py()


def key_of(text: str) -> str:
    return key(pa.array([text]))[0].as_py()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tom &amp; Jerry &lt;3 &#8364;5", "Tom & Jerry <3 €5"),
        ("AT&T; rocks & rolls", "AT&T; rocks & rolls"),
        ("one  two\t three\u3000four ", "one two three four"),
        ("a\r\nb\n\n\n c\u2028d", "a\nb\nc\nd"),
        ("zero\u200bwidth\x07 and \u202eturned\u202c", "zerowidth and turned"),
        ("e\u0301", "é"),
        ("👩\u200d🚀 می\u200cخواهم", "👩\u200d🚀 می\u200cخواهم"),
        ("@Ada see HTTPS://x.org #Rooks!!", "@Ada see HTTPS://x.org #Rooks!!"),
    ],
)
def test_clean_keeps_what_a_reader_sees(text, expected):
    assert cleaned(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("un cafÃ© crÃ¨me", "un café crème"),
        ("itâ€™s the rooksâ€¦", "it’s the rooks…"),
        ("it\u00e2\u0080\u0099s the rooks", "it’s the rooks"),
        ("Ð³Ñ€Ð°Ñ‡Ð¸ Ð²ÐµÑ€Ð½ÑƒÐ»Ð¸Ñ\u0081ÑŒ", "грачи вернулись"),
        ("РіСЂР°С‡Рё РІРµСЂРЅСѓР»РёСЃСЊ", "грачи вернулись"),
        ("&Atilde;&copy;t&Atilde;&copy;", "été"),
        ("rooks ðŸ\u0090¦ again", "rooks 🐦 again"),
    ],
)
def test_mojibake_is_repaired_before_control_characters_go(text, expected):
    assert cleaned(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Größe, naïve café, œuf, señor ¿qué?, «Ё-моё», № 5, 20 °C, 5 € – 10 £",
        "ΑΠΟΣΤΟΛΗ «Γ» και έτσι",
        "Tiếng Việt, žluťoučký kůň, İstanbul'da",
        "¯\\_(ツ)_/¯ ಠ_ಠ (╯°□°）╯︵ ┻━┻",
    ],
)
def test_what_is_no_mojibake_stays(text):
    assert cleaned(text) == cleaned(cleaned(text)) == unicodedata.normalize("NFC", text)


BAD_CHARACTERS = "".join(MOJIBAKE_CATEGORIES.values()) + "œŒЂÃÂàabzAZ .…€“’☺漢"


@given(st.text(st.sampled_from(BAD_CHARACTERS), max_size=12))
def test_whatever_ftfy_calls_bad_is_looked_at(text):
    looked_at = pc.match_substring_regex(pa.array([text]), normalize._MOJIBAKE)[0].as_py()
    assert looked_at or not is_bad(text)


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252", "windows-1251", "macroman"])
@pytest.mark.parametrize(
    "text", ["“Où sont les corneilles ? Là-haut…”", "Ñandú, pingüino y cigüeña — ¡qué día!"]
)
def test_a_text_that_was_read_in_a_wrong_encoding_reads_as_it_was_written(text, encoding):
    misread = text.encode().decode(encoding, errors="replace")
    if "\ufffd" not in misread:
        assert cleaned(misread) == text


@given(st.text())
def test_a_clean_text_is_in_composed_form_without_empty_lines(text):
    once = cleaned(text)
    assert unicodedata.is_normalized("NFC", once)
    assert "\n\n" not in once
    assert once == once.strip(" \n")


@pytest.mark.parametrize(
    "other",
    [
        "rooks are BACK, in town!",
        "RT @ada: Rooks are back in town https://t.co/x1",
        "@bo@host.org Rooks are back… in town www.rooks.org/a?b=c",
        "ｒｏｏｋｓ are back in #town",
    ],
)
def test_texts_that_say_the_same_share_a_key(other):
    assert key_of(other) == key_of("Rooks are back in town")


@given(st.text())
def test_a_key_is_its_own_key_and_never_has_two_spaces(text):
    once = key_of(text)
    assert "  " not in once
    assert key_of(once) == once


def test_a_template_is_what_stays_when_numbers_and_hashtags_change():
    texts = pa.array(["Day 12 of 100 #code #rust", "Day 7 of 365 #python"])
    assert template(plain(texts), key(texts)).to_pylist() == ["day 0 of 0", "day 0 of 0"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@ada look: https://t.co/x1.", "@USER look: HTTPURL."),
        (
            "(see www.example.org/a) ok @bob@example.org, @c.bsky.social!",
            "(see HTTPURL) ok @USER, @USER!",
        ),
        ("RT @a1: @b2 @c3 hi", "RT @USER: @USER @USER hi"),
        (
            "meet @ 5, a@b and me@home stay, [email] too",
            "meet @ 5, a@b and me@home stay, [email] too",
        ),
        ("https://example.org/@ada/1 HTTP://X.Y", "HTTPURL HTTPURL"),
    ],
)
def test_placeholders_hide_mentions_and_links_and_nothing_else(text, expected):
    assert placeholders(pa.array([text]))[0].as_py() == expected


def test_characters_that_take_the_short_way_come_out_as_on_the_long_one():
    """Check every character alone, inside a word, and after a letter that it might combine with."""
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    usual = pc.invert(pc.match_substring_regex(pa.array(characters), normalize._UNUSUAL))
    texts = [
        form.format(c)
        for c in pa.array(characters).filter(usual).to_pylist()
        for form in ("{}", "Xa{}bX", "И{}")
    ]
    assert len(texts) > 5_000
    assert all(unicodedata.is_normalized("NFC", text) for text in texts)
    assert not any(unicodedata.combining(c) for c in pa.array(characters).filter(usual).to_pylist())
    folded = pa.array([normalize._fold(text) for text in texts])
    long_way = pc.utf8_trim_whitespace(pc.replace_substring_regex(folded, normalize.MARKS, " "))
    assert normalize.words(pa.array(texts)).to_pylist() == long_way.to_pylist()


def test_each_character_of_a_script_without_spaces_stands_alone():
    assert spaced(pa.array(["rt 漢字b ra กา", "烏", ""])).to_pylist() == [
        "rt 漢 字 b ra ก า",
        "烏",
        "",
    ]


@given(st.lists(st.text()))
@example(["0⼀"])  # a radical, whose key has the character itself
def test_keys_in_other_scripts_stay_as_they_are(texts):
    keys = key(pa.array(texts, pa.string()))
    keys = keys.filter(pc.invert(pc.match_substring_regex(keys, f"[{UNSPACED}]")))
    assert spaced(keys).equals(keys)
