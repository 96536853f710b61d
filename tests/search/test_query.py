"""The query language: what is understood, and that nothing is refused."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.search.query import (
    And,
    Field,
    MinLikes,
    Not,
    Or,
    Phrase,
    Query,
    Since,
    Until,
    Word,
    is_plain,
    parse,
    words_query,
)


def parts(text):
    return parse(text).root.parts


def test_words_stand_together_unless_or_stands_between():
    assert parts("night tram") == (Word("night"), Word("tram"))
    assert parts("tram OR bus OR ferry late") == (
        Or((Word("tram"), Word("bus"), Word("ferry"))),
        Word("late"),
    )
    assert parts("tram or bus") == (Word("tram"), Word("or"), Word("bus"))


def test_minus_excludes_words_phrases_and_brackets():
    assert parts("-bus") == (Not(Word("bus")),)
    assert parts('-"night bus"') == (Not(Phrase("night bus")),)
    assert parts("-(a OR b)") == (Not(Or((Word("a"), Word("b")))),)
    assert parts("state-of-the-art") == (Word("state-of-the-art"),)


def test_fields_are_read_with_their_signs_in_any_case():
    assert parts("FROM:@Ada lang:EN #Rooks @Bob") == (
        Field("author", "ada"),
        Field("language", "en"),
        Field("tags", "rooks"),
        Field("mentions", "bob"),
    )


def test_days_begin_at_midnight_utc_and_moments_may_have_a_zone():
    assert parts("since:2026-01-31") == (Since(datetime(2026, 1, 31, tzinfo=UTC)),)
    assert parts("since:2026-01-31T12:00:00+02:00") == (
        Since(datetime(2026, 1, 31, 10, tzinfo=UTC)),
    )


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("since:yesterday", "since:yesterday has no date"),
        ("min_likes:many", "min_likes:many has no number"),
        ("near:berlin", "near: is no operator"),
        ("(tram", "a bracket without its other half"),
        ("tram)", "a bracket without its other half"),
        ('tram "late', "a quotation mark without its other half"),
        ("(" * 50 + "tram" + ")" * 50, "nested too deep"),
        ("tram " * 100, "only the first 64 words were used, not tram, tram, tram and 33 more"),
        ("since:2020-01-01 " * 18, "16 filters were used, not since:2020-01-01, since:2020-01-01"),
        ("from:a lang:en #a @a until:2020-01-01 min_likes:1 " * 3, "16 filters were used, not"),
        ('tram "' + "late " * 70 + '"', "only the first 64 words were used, not “late late"),
        ("x" * 3_000, "only the first 2,000 characters were read"),
        ("tram " + "x" * 3_000, "only the first 4 characters were read"),
    ],
)
def test_what_is_not_understood_is_said(text, remark):
    assert remark in parse(text).understood


@pytest.mark.parametrize("text", ["天気がいい" * 40, '"' + "late " * 70 + '"'])
def test_of_a_text_in_one_piece_the_first_words_are_searched(text):
    query = parse(text)
    assert len(query.terms) == len(set(query.terms)) > 0
    assert "only the first 64 words were used" in query.understood
    (part,) = parts(text)
    words = part.parts if isinstance(part, And) else part.text.split()
    assert len(words) == 64


def test_an_unread_operator_still_finds_by_its_words():
    assert parse("near:berlin").terms == ("near", "berlin")


def test_a_link_is_searched_by_its_host_without_a_remark():
    assert parse("https://www.rooks.org/x").terms == ("rook", "org")
    assert parse("https://www.rooks.org/x").remarks == ()


def test_a_query_reads_back_in_plain_words():
    text = 'tram OR bus "late again" -ferry from:ada since:2026-01-01 until:2026-02-01 min_likes:5'
    assert parse(text).understood == (
        "tram or bus, “late again”, without ferry, by ada, from 2026-01-01 on, before "
        "2026-02-01, with at least 5 likes"
    )
    assert parse("").understood == "every post"


_SNIPPETS = [
    "(",
    ")",
    "-",
    '"',
    "OR ",
    "|",
    "since:",
    "from:",
    "#",
    "@",
    "tram",
    " ",
    ":",
    "//",
    "2026-01-01",
    "9" * 30,
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(_SNIPPETS), max_size=60).map("".join)))
def test_any_text_can_be_parsed_and_said(text):
    query = parse(text)
    assert isinstance(query.root, And)
    assert query.understood
    assert all(isinstance(term, str) for term in query.terms)


@given(st.text())
def test_a_question_is_words_whatever_signs_it_has(text):
    assert all(isinstance(part, Word) for part in words_query(text).root.parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tram | bus", (Or((Word("tram"), Word("bus"))),)),
        ("OR tram", (Word("tram"),)),
        ("tram OR", (Word("tram"),)),
        ("tram OR OR bus", (Or((Word("tram"), Word("bus"))),)),
        ("late tram OR bus", (Word("late"), Or((Word("tram"), Word("bus"))))),
        ("(tram)", (Word("tram"),)),
        ("(tram bus) late", (And((Word("tram"), Word("bus"))), Word("late"))),
        ("tram OR (bus late)", (Or((Word("tram"), And((Word("bus"), Word("late"))))),)),
        ("()", ()),
        ("-()", ()),
        ('""', ()),
        ("-", ()),
        ("--", ()),
        ("--bus", (Word("--bus"),)),
        ("-b", (Not(Word("b")),)),
        (") tram", (Word("tram"),)),
        ("tram) bus) late", (Word("tram"), Word("bus"), Word("late"))),
        ("“night tram”", (Phrase("night tram"),)),
    ],
)
def test_or_brackets_and_signs_in_odd_places(text, expected):
    assert parts(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("language:EN", (Field("language", "en"),)),
        ("from:@Ada", (Field("author", "ada"),)),
        ("min_likes:5 min_faves:6", (MinLikes(5), MinLikes(6))),
        ("min_likes:" + "9" * 18, (MinLikes(10**18 - 1),)),
        ("until:2026-02-01", (Until(datetime(2026, 2, 1, tzinfo=UTC)),)),
        ("#Rooks! ＃Elm @ada.", (Field("tags", "rooks"), Field("tags", "elm"))),
        ("＠Bob", (Field("mentions", "bob"),)),
        ("#", ()),
        ("#!", ()),
        ("-#rooks", (Not(Field("tags", "rooks")),)),
    ],
)
def test_fields_tags_and_mentions(text, expected):
    assert parts(text)[: len(expected)] == expected


@pytest.mark.parametrize(
    "value", ["min_likes:" + "9" * 19, "since:2026-13-01", "until:0001-01-01T00:00:00+14:00"]
)
def test_a_number_or_a_date_out_of_range_is_taken_as_words(value):
    query = parse(value)
    assert "taken as words" in query.understood
    assert query.root.parts == (Word(value),)


def test_a_remark_is_made_once():
    assert len(parse("near:berlin near:rome").remarks) == 1
    assert len(parse("near:berlin far:rome").remarks) == 2


def test_sixty_four_words_are_used_and_the_next_is_cut_off():
    assert (len(parts("tram " * 64)), parse("tram " * 64).remarks) == (64, ())
    assert (len(parts("tram " * 65)), len(parse("tram " * 65).remarks)) == (64, 1)
    assert parts('"' + "tram " * 65 + '"') == (Phrase(" ".join(["tram"] * 64)),)
    assert len(parts('"night tram" ' * 40)) == 32
    assert len(words_query("tram " * 70).root.parts) == 64


def test_sixteen_filters_are_used_and_all_words_beside_them():
    assert parse("#rooks " * 16).remarks == ()
    query = parse("#rooks -since:2020-01-01 " * 1_000 + "tram")
    assert len(query.root.parts) == 16
    assert parts("#rooks " * 20 + "tram")[-1] == Word("tram")


@given(st.lists(st.sampled_from([*_SNIPPETS, "#a ", "since:2026-01-01 ", "-"]), max_size=4_000))
def test_no_query_is_large(snippets):
    def count(node) -> int:
        inside = getattr(node, "parts", None) or [p for p in [getattr(node, "part", None)] if p]
        return sum(map(count, inside)) if inside or isinstance(node, And | Or) else 1

    assert count(parse("".join(snippets)).root) <= 64 + 16


def test_brackets_are_read_twelve_deep():
    assert parse("(" * 12 + "tram" + ")" * 12) == Query(And((Word("tram"),)))
    assert "nested too deep" in parse("(" * 13 + "tram" + ")" * 13).understood


def test_only_plain_words_may_be_wished_for():
    query = parse('tram (bus OR ferry) "last one" -late from:ada (a -b) #rooks')
    plain = (Word("tram"), Or((Word("bus"), Word("ferry"))))
    assert query.plain_words() == plain
    assert query.without_plain_words().parts == tuple(
        part for part in query.root.parts if part not in plain
    )
    assert query.text == "tram bus ferry last one a rooks"
    assert is_plain(And((Word("a"), Word("b"))))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-(a OR b)", "without (a or b)"),
        ("(a b) OR c", "(a, b) or c"),
        ("lang:de #rooks @ada", "in de, tagged #rooks, mentioning @ada"),
        ("since:2026-01-31T10:00:00", "from 2026-01-31 10:00:00 UTC on"),
        ("since:2026-01-31T00:10:00", "from 2026-01-31 00:10:00 UTC on"),
        ("until:2026-01-31T00:00:10", "before 2026-01-31 00:00:10 UTC"),
        ("until:2026-01-31T00:00:00.5", "before 2026-01-31 00:00:00 UTC"),
    ],
)
def test_every_part_reads_back_in_plain_words(text, said):
    assert parse(text).understood == said


def test_a_moment_without_a_zone_is_in_utc_wherever_the_machine_is(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parts("since:2026-01-31T12:00") == (Since(datetime(2026, 1, 31, 12, tzinfo=UTC)),)
    finally:
        monkeypatch.undo()
        time.tzset()
