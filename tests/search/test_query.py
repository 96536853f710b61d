"""The query language: what is understood, and that nothing is refused."""

import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.search.engine.operators import OPERATORS, rows
from rookery.search.engine.tree import (
    NOTHING,
    And,
    AtLeast,
    Field,
    Link,
    Not,
    Or,
    Phrase,
    Prefix,
    Since,
    Until,
    Word,
    is_plain,
)
from rookery.search.query import Query, parse, words_query

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def parts(text, **asking):
    return parse(text, **asking).root.parts


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
        ("weather:berlin", "weather: is no operator"),
        ("near:berlin", "near:berlin is not known of posts here"),
        ("(tram", "a bracket without its other half"),
        ("tram)", "a bracket without its other half"),
        ('tram "late', "a quotation mark without its other half"),
        ("(" * 50 + "tram" + ")" * 50, "nested too deep"),
        (
            "tram " * 100,
            "only the first 64 words and filters were used, not tram, tram, tram and 33 more",
        ),
        ("since:2020-01-01 " * 66, "64 words and filters were used, not since:2020-01-01, since"),
        ("from:a lang:en #a @a until:2020-01-01 min_likes:1 " * 11, "and filters were used, not"),
        ('tram "' + "late " * 70 + '"', "the first 64 words and filters were used, not “late"),
        ("from:me", "from:me needs to know who asks, so it was left out"),
        ("within_time:2d", "within_time:2d needs to know the present time"),
        ("filter:follows", "filter:follows is not known of posts here, so it was left out"),
        ("lang:english!", "has no code of a language, like en"),
        ("te*", "a star was left out: it stands at the end of one word of 3 letters or more"),
        ("tr*m", "a star was left out"),
        ('"night tr*m"', "a star was left out"),
        ("#roo*", "a star was left out"),
        ("aaa* bbb* ccc* ddd* eee*", "only the first 4 words with a star were used, not eee*"),
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
    assert "only the first 64 words and filters were used" in query.understood
    (part,) = parts(text)
    words = part.parts if isinstance(part, And) else part.text.split()
    assert len(words) == 64


def test_an_unread_operator_still_finds_by_its_words():
    assert parse("weather:berlin").terms == ("weather", "berlin")


def test_a_link_finds_the_posts_that_have_it():
    assert parts("https://www.rooks.org/x") == (Link("https://www.rooks.org/x"),)
    assert parts("www.rooks.org") == (Link("www.rooks.org"),)
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
    "*",
    "+",
    "$",
    "within_time:",
    "during:",
    "is:",
    "filter:",
    "during:9999-12-31",
    "since_id:",
    "U.S.",
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
        ("()", (NOTHING,)),
        ("-()", (NOTHING,)),
        ('""', (NOTHING,)),
        ("-", (NOTHING,)),
        ("--", (NOTHING,)),
        ("OR", (NOTHING,)),
        ("?! ...", (NOTHING,)),
        ("*", (NOTHING,)),
        ("since:yesterday", (NOTHING,)),
        ("tram ?!", (Word("tram"),)),
        ("", ()),
        ("  ", ()),
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
        ("min_likes:5 min_faves:6", (AtLeast("likes", 5), AtLeast("likes", 6))),
        ("min_likes:" + "9" * 18, (AtLeast("likes", 10**18 - 1),)),
        ("until:2026-02-01", (Until(datetime(2026, 2, 1, tzinfo=UTC)),)),
        ("#Rooks! ＃Elm @ada.", (Field("tags", "rooks"), Field("tags", "elm"))),
        ("＠Bob", (Field("mentions", "bob"),)),
        ("#", (NOTHING,)),
        ("#!", (NOTHING,)),
        ("-#rooks", (Not(Field("tags", "rooks")),)),
    ],
)
def test_fields_tags_and_mentions(text, expected):
    assert parts(text)[: len(expected)] == expected


@pytest.mark.parametrize(
    "value", ["min_likes:" + "9" * 19, "since:2026-13-01", "until:0001-01-01T00:00:00+14:00"]
)
def test_a_number_or_a_date_out_of_range_is_left_out(value):
    query = parse(f"tram {value}")
    assert "so it was left out" in query.understood
    assert query.root.parts == (Word("tram"),)


def test_a_remark_is_made_once():
    assert len(parse("weather:berlin weather:rome").remarks) == 1
    assert len(parse("weather:berlin far:rome").remarks) == 2


def test_sixty_four_words_are_used_and_the_next_is_cut_off():
    assert (len(parts("tram " * 64)), parse("tram " * 64).remarks) == (64, ())
    assert (len(parts("tram " * 65)), len(parse("tram " * 65).remarks)) == (64, 1)
    assert parts('"' + "tram " * 65 + '"') == (Phrase(" ".join(["tram"] * 64)),)
    assert len(parts('"night tram" ' * 40)) == 32
    assert len(words_query("tram " * 70).root.parts) == 64


def test_words_and_filters_are_counted_together():
    assert parse("#rooks " * 64).remarks == ()
    query = parse("#rooks -since:2020-01-01 " * 1_000 + "tram")
    assert len(query.root.parts) == 64
    assert parts("#rooks " * 60 + "tram " * 9)[60:] == (Word("tram"),) * 4


@given(st.lists(st.sampled_from([*_SNIPPETS, "#a ", "since:2026-01-01 ", "-"]), max_size=4_000))
def test_no_query_is_large(snippets):
    def count(node):
        inside = getattr(node, "parts", None) or [p for p in [getattr(node, "part", None)] if p]
        return sum(map(count, inside)) if inside or isinstance(node, And | Or) else 1

    assert count(parse("".join(snippets)).root) <= 2 * 64  # a period of time is two limits


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("to:@Ada", (Field("to", "ada"),)),
        ("mentions:ada", (Field("mentions", "ada"),)),
        ("from:me", (Field("author", "eve"),)),
        ("tag:#Rooks", (Field("tags", "rooks"),)),
        ("$TSLA", (Field("cashtags", "tsla"),)),
        ("$5", (Word("$5"),)),
        ("min_reposts:2 min_replies:3", (AtLeast("reposts", 2), AtLeast("replies", 3))),
        ("has:images", (Field("flags", "image"),)),
        ("is:reply -filter:replies", (Field("flags", "reply"), Not(Field("flags", "reply")))),
        ("filter:safe", (Not(Field("flags", "sensitive")),)),
        ("exclude:retweets", (Not(Field("flags", "repost")),)),
        ("url:rooks.org/x", (Link("rooks.org/x"),)),
        ('url:"rooks.org/x"', (Link("rooks.org/x"),)),
        ("domain:www.Rooks.org", (Field("domain", "rooks.org"),)),
        ("conversation_id:17", (Field("conversation", "17"),)),
        ("quoted_tweet_id:17", (Field("quote_of", "17"),)),
        ("quote:https://x.com/ada/status/17", (Field("quote_of", "17"),)),
        ("conversation:at://did:plc:a/b/c", (Field("conversation", "at://did:plc:a/b/c"),)),
        ("lang:pt_BR", (Field("language", "pt-br"),)),
        ("tram*", (Prefix("tram"),)),
        ("Stra\u00dfe*", (Prefix("strasse"),)),
        ("+tram", (Word("tram"),)),
        ("tram in:all", (Word("tram"),)),
        ("from: ada", (Word("ada"),)),
    ],
)
def test_operators_of_three_networks(text, expected):
    assert parts(text, me="@Eve") == expected


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("since:2026-01-31", "2026-01-31T00:00:00+01:00", None),
        ("after:2026-01-31", "2026-02-01T00:00:00+01:00", None),
        ("until:2026-02-28", None, "2026-02-28T00:00:00+01:00"),
        ("before:2026-02", None, "2026-02-01T00:00:00+01:00"),
        ("during:2026-01-31", "2026-01-31T00:00:00+01:00", "2026-02-01T00:00:00+01:00"),
        ("during:2026-03-29", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("during:2026-12", "2026-12-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        ("during:2026", "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        ("within_time:36h", "2026-06-30T00:00:00+00:00", None),
        ("since_time:1767225600", "2026-01-01T00:00:00+00:00", None),
        ("until:2026-01-31_12:00:00_UTC", None, "2026-01-31T12:00:00+00:00"),
        ("since_id:1212092628029698048", "2019-12-31T19:26:16.772+00:00", None),
    ],
)
def test_days_are_those_of_the_reader(text, since, until):
    expected = [Since(datetime.fromisoformat(since))] if since else []
    expected += [Until(datetime.fromisoformat(until))] if until else []
    found = [part.parts if isinstance(part, And) else (part,) for part in
             parts(text, now=NOW, zone=BERLIN)]  # fmt: skip
    assert [limit for limits in found for limit in limits] == expected


_NAMES = [name for operator in OPERATORS for name in operator.names]


@given(st.sampled_from(_NAMES), st.text(max_size=12), st.booleans())
def test_a_known_operator_never_becomes_a_word(name, value, negated):
    text = f"{'-' * negated}{name}:" + "".join(
        c for c in value if not c.isspace() and c not in '()"“”'
    )
    query = parse(text)
    assert query.text == "" or name in ("tag", "hashtag", "mentions", "mention")
    assert not any(isinstance(part, Word | Phrase | Prefix) for part in query.root.parts)
    assert query.root.parts  # nothing is read as every post


def test_moments_are_said_in_the_zone_of_the_reader():
    assert parse("since:2026-01-31", zone=BERLIN).understood == "from 2026-01-31 on"
    assert parse("since:2026-01-31T10:00Z", zone=BERLIN).understood == (
        "from 2026-01-31 11:00:00 CET on"
    )


def test_much_that_is_not_understood_is_said_in_few_words():
    assert len(parse(" ".join(f"since:a{n}" for n in range(300))).understood) < 2_000


@pytest.mark.parametrize(
    "text", ["x" * 100_000, "since:x " * 20_000, "abc* " * 5_000, "(" * 100_000]
)
def test_a_query_of_any_size_is_parsed_in_a_moment(text):
    begin = time.process_time()
    parse(text)
    assert time.process_time() - begin < 0.5


def test_the_documentation_has_every_row_of_the_table():
    text = (Path(__file__).parents[2] / "docs/search.md").read_text(encoding="utf-8")
    for written, finds, also in rows():
        written = written.replace("|", "\\|")
        assert f"| `{written}` | {finds} | {also} |" in text
