"""Which posts a query finds, on a small real index."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import tantivy
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.digest import hash_ids
from rookery.posts.post import POST_SCHEMA
from rookery.search.engine.analysis import CODES, analyse
from rookery.search.engine.fields import STORED, documents, stored_post, text_schema
from rookery.search.engine.match import analyses_of, compiled, smaller
from rookery.search.engine.tree import And, AtLeast, Field, Not, Or, Since, Until, Word
from rookery.search.query import parse

NOW = datetime(2026, 1, 10, tzinfo=UTC)


def day(number, hour=0):
    return datetime(2026, 1, number, hour, tzinfo=UTC)


def a_row(post_id, text, **values):
    row = {"visibility": "public", "author": "ada", "source": "", "created": day(5)} | values
    return row | {"id": post_id, "text": text}


ROWS = [
    a_row("tram", "The tram is late again #Trams", language="en", likes=3, created=day(1, 23)),
    a_row("trams", "Trams and buses run at night", language="en-GB", likes=10, author="Bob"),
    a_row("german", "Die Häuser an der Straße, sagt @Ada", language="de", created=day(9, 12)),
    a_row("french", "Les nouvelles maisons de l'école", language="fr", reposts=4),
    a_row("turkish", "Kitapları İstanbul'da okuyorum", language="tr"),
    a_row("russian", "Ёлка и трамваи", language="ru"),
    a_row("greek", "Ο Οδυσσεύς και οι γάτες", language="el"),
    a_row("polish", "Psy trams i koty", language="pl"),
    a_row("unknown", "Trams of the U.S. and AT&amp;T, in C++"),
    a_row("paris", "パリの熱力学 https://www.rooks.org/old/oak?page=2.", language="ja"),
    a_row("reply", "@Bob@rooks.social yes, $TSLA", reply_to="trams", conversation="trams"),
    a_row("quote", "look pic.twitter.com/AbC", quote_of="tram", sensitive=True, replies=1),
    a_row("poll", "which one?", media="poll, video", alt_text="a heron in the reeds"),
    a_row("repost", "RT @ada: the tram is late"),
]


@pytest.fixture(scope="module")
def index():
    made = tantivy.Index(text_schema())
    writer = made.writer(20_000_000, num_threads=1)
    for document in documents(0, _table(ROWS), [_analysis(row) for row in ROWS], _hashes(ROWS)):
        writer.add_document(document)
    writer.commit()
    made.reload()
    return made


def _table(rows):
    told = pa.schema([("sensitive", pa.bool_()), ("media", pa.string())])
    return pa.Table.from_pylist(rows, schema=pa.unify_schemas([POST_SCHEMA, told]))


def _analysis(row):
    return analyse(row["text"], row.get("language"), row.get("alt_text"))


def _hashes(rows):
    return hash_ids([row["id"] for row in rows])


def ids(index, query, codes=None):
    searcher = index.searcher()
    found = searcher.search(compiled(query, index.schema, codes), len(ROWS)).hits
    return {stored_post(searcher.doc(address))["id"] for _, address in found}


def found(index, text, **asking):
    return ids(index, parse(text, now=NOW, me="bob", **asking).root)


ALL = {row["id"] for row in ROWS}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trams", {"tram", "trams", "polish", "unknown", "repost"}),
        ("tram", {"tram", "trams", "unknown", "repost"}),  # Polish endings are not known
        ("Haus", {"german"}),
        ("hauser", {"german"}),
        ("STRASSE", {"german"}),
        ("maison", {"french"}),
        ("ecole", {"french"}),
        ('"l\'école"', {"french"}),
        ("kitap", {"turkish"}),
        ("kitaplari", {"turkish"}),
        ("istanbul", {"turkish"}),
        ("ISTANBUL", {"turkish"}),
        ("трамвай", {"russian"}),
        ("елка", {"russian"}),
        ("οδυσσευσ OR ΓΑΤΑ", {"greek"}),
        ("US", {"unknown"}),
        ("U.S.", {"unknown"}),
        ("att", {"unknown"}),
        ("AT&T", {"unknown"}),
        ("c++", {"unknown"}),
        ("C", set()),
        ("nou", set()),
        ("熱力学", {"paris"}),
        ("力", {"paris"}),
        ("熱力*", {"paris"}),
        ("tra*", {"tram", "trams", "polish", "unknown", "repost"}),
        ("TRAM*", {"tram", "trams", "polish", "unknown", "repost"}),
        ("kita*", {"turkish"}),
        ("heron", {"poll"}),
        ('"a heron"', {"poll"}),
        ('"one a heron"', set()),
        ("from:bob", {"trams"}),
        ("from:me", {"trams"}),
        ("to:bob", {"reply"}),
        ("to:bob@rooks.social", {"reply"}),
        ("mentions:ada", {"german", "repost"}),
        ("$tsla", {"reply"}),
        ("lang:en", {"tram", "trams"}),
        ("lang:und", {"unknown", "reply", "quote", "poll", "repost"}),
        ("has:links", {"paris"}),
        ("has:media", {"quote", "poll"}),
        ("has:images", {"quote"}),
        ("has:video has:poll", {"poll"}),
        ("has:alt", {"poll"}),
        ("is:reply", {"reply"}),
        ("is:quote", {"quote"}),
        ("is:sensitive", {"quote"}),
        ("filter:retweets", {"repost"}),
        ("filter:has_engagement", {"tram", "trams", "french", "quote"}),
        ("tram -filter:retweets", {"tram", "trams", "unknown"}),
        ("url:rooks.org/old", {"paris"}),
        ("url:oak", {"paris"}),
        ("https://rooks.org/old/oak", {"paris"}),
        ("url:rooks.org/oak", set()),
        ("domain:rooks.org", {"paris"}),
        ("domain:org", set()),
        ("conversation:trams", {"reply"}),
        ("quoted_tweet_id:tram", {"quote"}),
        ("reply_to:trams", {"reply"}),
        ("min_reposts:4", {"french"}),
        ("min_replies:1", {"quote"}),
        ("min_likes:0", ALL),
        ("-min_likes:1", ALL - {"tram", "trams"}),
        ("until:2026-01-02", {"tram"}),
        ("within_time:1d", {"german"}),
        ("-since:2026-01-02", {"tram"}),
        ("!?", set()),
        ("filter:follows", set()),
        ("", ALL),
    ],
)
def test_a_query_finds_exactly_these_posts(index, text, expected):
    assert found(index, text) == expected


def test_a_day_is_a_day_of_the_reader(index):
    from zoneinfo import ZoneInfo

    assert found(index, "during:2026-01-01") == {"tram"}
    assert found(index, "during:2026-01-02", zone=ZoneInfo("Europe/Berlin")) == {"tram"}


def test_the_french_news_is_not_the_english_new(index):
    assert found(index, "news") == set()
    assert found(index, "nouvelles") == {"french"}


def test_an_index_says_by_whose_endings_it_was_made(index):
    codes = analyses_of(index.searcher())
    assert codes == {"en", "de", "fr", "tr", "ru", "el", "latin"}
    assert codes <= set(CODES)


_WORDS = ["tram", "trams", "häuser", "the", "力", "maison", '"late again"', "tra*", "ёлка"]
_FILTERS = [
    "from:ada", "#trams", "@ada", "$tsla", "lang:en", "since:2026-01-05", "until:2026-01-05",
    "during:2026-01", "min_likes:5", "has:media", "is:reply", "filter:safe", "url:oak",
    "has:engagement", "domain:rooks.org", "min_likes:0", "within_time:1d", "https://rooks.org",
]  # fmt: skip
_PART = st.builds(
    lambda minus, part: minus + part, st.sampled_from(["", "-"]), st.sampled_from(_WORDS + _FILTERS)
)
_QUERY = st.recursive(
    _PART,
    lambda inner: st.one_of(
        st.builds(lambda parts: f"({' '.join(parts)})", st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: f"({' OR '.join(parts)})", st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda part: f"-({part})", inner),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(text=_QUERY)
def test_every_post_matches_a_query_or_its_negation(index, text):
    one, other = found(index, text), found(index, f"-({text})")
    assert (one | other, one & other) == (ALL, set())


@settings(deadline=None)
@given(text=_QUERY)
def test_a_smaller_tree_and_the_analyses_of_the_index_find_the_same(index, text):
    root = parse(text, now=NOW).root
    once = ids(index, root, analyses_of(index.searcher()))
    assert once == ids(index, root) == ids(index, smaller(root))


@settings(deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_can_be_compiled(index, text):
    assert found(index, text) <= ALL


@settings(deadline=None, max_examples=25)  # each makes an index
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    language=st.sampled_from(["en", "de", "tr", "pl"]),
)
def test_a_text_finds_itself_in_any_language(text, language):
    made = tantivy.Index(text_schema())
    writer = made.writer(15_000_000, num_threads=1)
    rows = [a_row("0", text, language=language)]
    for document in documents(0, _table(rows), [analyse(text, language)], _hashes(rows)):
        writer.add_document(document)
    writer.commit()
    made.reload()
    for word in text.split():
        query = And((Word(word),))
        if analyse(word).exact:
            assert made.searcher().search(compiled(query, made.schema), 1).count == 1


def test_many_limits_are_one():
    moments = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 29)]
    every = And(tuple(map(Since, moments)) + tuple(AtLeast("likes", n) for n in range(9)))
    assert smaller(every) == And((Since(moments[-1]), AtLeast("likes", 8)))
    assert smaller(Or(tuple(map(Until, moments)))) == Or((Until(moments[-1]),))
    assert smaller(Not(Not(Word("a")))) == Word("a")
    assert smaller(And((And((Word("b"), Word("b"))), Field("id", "1")))) == And(
        (Word("b"), Field("id", "1"))
    )


def test_a_stored_post_has_all_that_showing_it_needs(index):
    searcher = index.searcher()
    (hit,) = searcher.search(compiled(And((Field("id", "tram"),)), index.schema), 2).hits
    post = stored_post(searcher.doc(hit[1]))
    assert {name: post[name] for name in ROWS[0]} == ROWS[0]
    assert post.keys() >= set(STORED)


@given(
    st.lists(st.tuples(st.integers(1, 28), st.integers(1, 28)), min_size=1, max_size=6),
    st.booleans(),
)
def test_periods_of_which_one_is_enough_match_what_each_of_them_matches(days, negated):
    """`smaller` joins periods that meet: each day is in the tree in both or in neither."""
    parts = tuple(And((Since(at(begin)), Until(at(end)))) for begin, end in days)
    tree = Not(Or(parts)) if negated else Or(parts)
    for number in range(30):
        assert holds(smaller(tree), at(number)) == holds(tree, at(number))


def at(number):
    return NOW + timedelta(days=number, hours=12 * (number % 2))


def holds(node, moment):
    match node:
        case Since(begin):
            return moment >= begin
        case Until(end):
            return moment < end
        case And(parts):
            return all(holds(part, moment) for part in parts)
        case Or(parts):
            return any(holds(part, moment) for part in parts)
        case Not(part):
            return not holds(part, moment)
