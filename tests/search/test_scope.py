"""A reader's scope: nobody sees what is out of it, and pages are as full as they can be."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.context import Context, FixedClock
from rookery.core.home import create_home
from rookery.core.protocols import HashedEmbedder
from rookery.posts.consent import state
from rookery.posts.lake import append
from rookery.posts.post import Post, to_table
from rookery.search.answers.answer import ask
from rookery.search.build import build_index
from rookery.search.engine.columns import author_hash
from rookery.search.engine.match import compiled
from rookery.search.engine.nearest import nearest
from rookery.search.engine.retrieve import matching
from rookery.search.index import open_index
from rookery.search.post import post_page
from rookery.search.query import parse
from rookery.search.scope import KnownReader
from rookery.search.search import search_posts

FORMS = {"rook": ("rook", "rooks"), "tram": ("tram", "trams"), "bread": ("bread",),
         "river": ("river", "rivers"), "night": ("night", "nights")}  # fmt: skip
AUTHORS = [f"author{n}" for n in range(9)]
NOTHING = KnownReader("nobody", sensitive=True)


def made(seed: int, count: int) -> list[Post]:
    """Make different posts of few words and authors."""
    choose = random.Random(seed)
    words = [form for forms in FORMS.values() for form in forms]
    return [
        Post(
            id=f"p{n}",
            author=choose.choice(AUTHORS),
            text=" ".join([*choose.choices(words, k=choose.randint(1, 5)), f"number{n}"]),
            created=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n),
            visibility="public",
            source="test",
            language=choose.choice([None, "en"]),
            sensitive=choose.choice([None, False, True]),
        )
        for n in range(count)
    ]


POSTS = made(1, 160)
WITHHELD = {f"p{n}": ("DE", "FR") if n % 2 else ("DE",) for n in range(0, 160, 9)}
WITHHELD_AUTHORS = {"author7": ("FR",)}


@pytest.fixture(scope="module")
def flock(tmp_path_factory):
    home = create_home(tmp_path_factory.mktemp("scope") / "home")
    append(home, to_table(POSTS).to_batches(), "test")
    for post, countries in WITHHELD.items():
        state(home, [post], [], "withheld", "on", Context(), countries)
    build_index(home, HashedEmbedder(), Context())
    for author, countries in WITHHELD_AUTHORS.items():
        state(home, [], [author], "withheld", "on", Context(), countries)
    return open_index(home, HashedEmbedder(), FixedClock(FixedClock().time.replace(month=7)))


def has(post: Post, text: str) -> bool:
    """Return whether a post has a word in any form, or several words together as written."""
    words = post.text.split()
    wanted = text.split()
    if len(wanted) == 1:
        forms = next((forms for forms in FORMS.values() if text in forms), (text,))
        return any(form in words for form in forms)
    return any(words[n : n + len(wanted)] == wanted for n in range(len(words)))


def may_see(reader: KnownReader, post: Post) -> bool:
    hidden = {*reader.blocks, *reader.mutes, *reader.blocked_by}
    muted = any(has(post, text) for text in reader.muted_words)
    countries = {*WITHHELD.get(post.id, ()), *WITHHELD_AUTHORS.get(post.author, ())}
    withheld = bool(countries) if reader.country is None else reader.country in countries
    is_free = post.author not in hidden and not muted and not withheld
    return is_free and (reader.sensitive or not post.sensitive)


def expected(reader: KnownReader, words: list[str], mode: str) -> set[str]:
    """Return the ids of the posts in scope with all words, or else, by Best, with some."""
    seen = [post for post in POSTS if may_see(reader, post)]
    found = {post.id for post in seen if all(has(post, word) for word in words)}
    if found or mode == "latest":
        return found
    return {post.id for post in seen if any(has(post, word) for word in words)}


def check_pages(index, reader, words, mode, limit, most=4):
    """Check pages of a search: all in scope, nothing twice, none short while there are more."""
    left = expected(reader, words, mode)
    cursor = None
    for _ in range(most):
        page = search_posts(index, " ".join(words), limit, mode, cursor, reader=reader)
        ids = [hit.id for hit in page.hits]
        assert len(ids) == len(set(ids)) == min(limit, len(left))
        assert set(ids) <= left
        left -= set(ids)
        cursor = page.cursor
        assert (cursor is None) == (not left)
        if cursor is None:
            return


some_authors = st.lists(st.sampled_from(AUTHORS), max_size=5).map(tuple)
a_word = st.sampled_from([form for forms in FORMS.values() for form in forms])
a_muted = st.one_of(a_word, st.lists(a_word, min_size=2, max_size=3).map(" ".join))
a_reader = st.builds(
    KnownReader,
    st.just("reader"),
    blocks=some_authors,
    mutes=some_authors,
    blocked_by=some_authors,
    muted_words=st.lists(a_muted, max_size=3).map(tuple),
    sensitive=st.booleans(),
    country=st.sampled_from([None, "DE", "FR", "IT"]),
)
a_search = st.tuples(
    a_reader,
    st.lists(st.sampled_from(list(FORMS)), min_size=1, max_size=2, unique=True),
    st.sampled_from(["best", "latest"]),
    st.integers(1, 30),
)


@settings(max_examples=200, deadline=None)
@given(search=a_search)
def test_no_page_shows_a_post_out_of_scope_or_is_short(flock, search):
    check_pages(flock, *search)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=10_000, deadline=None)
@given(search=a_search)
def test_ten_thousand_searches_show_nothing_out_of_scope(flock, search):
    check_pages(flock, *search, most=2)


def test_a_stranger_and_a_reader_who_hides_nothing_see_the_same(flock):
    for mode in ("best", "latest"):
        stranger = search_posts(flock, "rook", 200, mode)
        assert len(stranger.hits) > 20
        assert search_posts(flock, "rook", 200, mode, reader=NOTHING) == stranger


@pytest.fixture
def crowd(indexed, a_post):
    """An index where 450 posts of one author come before the 30 of another, by words and time."""
    quiet = [a_post(f"a rook over the river, number{n}", author="quiet") for n in range(30)]
    return indexed(*quiet, *(a_post(f"rook rook number{n}", author="loud") for n in range(450)))


@pytest.mark.parametrize("mode", ["best", "latest"])
def test_a_page_is_filled_up_past_hundreds_of_posts_out_of_scope(crowd, mode):
    reader = KnownReader("ada", mutes=("loud",))
    first = search_posts(crowd, "rook", 20, mode, reader=reader)
    second = search_posts(crowd, "rook", 20, mode, first.cursor, reader=reader)
    assert [len(page.hits) for page in (first, second)] == [20, 10]
    assert {hit.author for hit in first.hits + second.hits} == {"quiet"}
    assert search_posts(crowd, "rook", 20, "latest").hits[0].author == "loud"


@pytest.mark.parametrize("required", [False, True])
def test_the_nearest_in_scope_are_found_behind_hundreds_that_are_nearer(crowd, required):
    query = parse("rook", crowd.clock.now())
    view = crowd.as_of_now(KnownReader("ada", mutes=("loud",))).view
    match = compiled(query.root, view.schema) if required else None
    near = nearest(view, crowd.embedder.embed(["rook rook"])[0], matching(view, match))
    assert set(view.columns.authors[near]) == {author_hash("quiet")}
    assert len(near) == 30


@pytest.mark.parametrize(
    ("muted", "text", "language"),
    [
        ("tram", "all the trams stood", None),
        ("trams", "the tram stood", "en"),
        ("Häuser", "ein haus am fluss, zwei häuser", "de"),
        ("hauser", "zwei Häuser am Fluss", "de"),
        ("#NightTram", "waiting for #NightTram again", None),
        ("night tram", "a Night Tram late", None),
        ("寺院", "昨日は寺院へ行った", "ja"),
        ("🦀", "look 🦀 here", None),
        ("@bob", "hello @bob", None),
    ],
)
def test_a_muted_word_hides_what_a_search_for_it_finds(indexed, a_post, found, muted, text,
                                                       language):  # fmt: skip
    index = indexed(a_post(text, id="muted", language=language), a_post("another post", id="other"))
    query = f'"{muted}"' if " " in muted else muted
    assert found(index, query) == ["muted"]
    assert found(index, query, reader=KnownReader("ada", muted_words=(muted,))) == []
    assert found(index, query, reader=KnownReader("ada", muted_words=("unheard",))) == ["muted"]


def test_words_of_two_posts_are_no_phrase(indexed, a_post, found):
    index = indexed(a_post("tram", id="1"), a_post("late night", id="2"), a_post("x", id="3"))
    reader = KnownReader("ada", muted_words=("night tram", "x y z w"))
    assert found(index, "night OR tram OR x", reader=reader, mode="latest") == ["3", "2", "1"]


def test_an_author_is_out_of_scope_however_the_name_is_written(indexed, a_post, found):
    index = indexed(a_post("rook", author="Bob"), a_post("a rook", author="cid", id="cid's"))
    assert found(index, "rook", reader=KnownReader("ada", blocks=("@bob",))) == ["cid's"]


def test_the_page_of_a_post_is_within_scope(indexed, a_post):
    index = indexed(
        a_post("are the rooks back?", id="root"),
        a_post("they are", id="answer", reply_to="root", author="bob"),
        a_post("they are not", id="other", reply_to="root", author="cid"),
        a_post("Are the rooks back", id="copy", author="bob"),
    )
    reader = KnownReader("eve", blocked_by=("bob",))
    assert post_page(index, "answer", reader=reader) is None
    page = post_page(index, "root", "rooks", reader)
    assert [hit.id for hit in page.thread] == ["root", "other"]
    assert page.copies == ()
    assert [hit.id for hit in post_page(index, "root").copies] == ["copy"]


def test_answers_are_made_of_posts_in_scope(indexed, a_post):
    index = indexed(
        a_post("The night tram starts at ten from the old harbour.", author="bob"),
        a_post("The night tram starts at eleven from the market.", author="cid"),
    )
    question = "When does the night tram start?"
    assert {s.author for s in ask(index, question).sources} >= {"bob"}
    answer = ask(index, question, reader=KnownReader("ada", mutes=("bob",)))
    assert {source.author for source in answer.sources} == {"cid"}
