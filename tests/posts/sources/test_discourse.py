"""Discourse: a post is public only where the answer shows that anybody may read its topic."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.posts.sources.discourse import read, recognizes, visibility_of
from rookery.posts.sources.files import SetAside

POST = {
    "id": 84,
    "username": "ada",
    "created_at": "2013-02-04T15:26:26.278-05:00",
    "cooked": "<p>Bread &amp; <strong>butter</strong></p>",
    "post_number": 2,
    "post_type": 1,
    "topic_id": 57,
    "reply_count": 1,
    "reply_to_post_number": 1,
    "actions_summary": [{"id": 2, "count": 5}, {"id": 3, "count": 9}],
    "hidden": False,
    "deleted_at": None,
    "user_deleted": False,
}
FIRST = POST | {"id": 83, "post_number": 1, "reply_to_post_number": None}
TOPIC = {
    "id": 57,
    "title": "On bread",
    "archetype": "regular",
    "visible": True,
    "category_id": 13,
    "deleted_at": None,
}


def topic(*posts, **change):
    return TOPIC | {"post_stream": {"posts": list(posts), "stream": []}} | change


@pytest.fixture
def posts_of(tmp_path):
    def posts_of(value):
        path = tmp_path / "answer.json"
        path.write_text(json.dumps(value))
        batches = list(read(path))
        return [row for batch, _ in batches for row in batch.to_pylist()], [
            item for _, beside in batches for item in beside if isinstance(item, SetAside)
        ]

    return posts_of


def test_the_posts_of_a_topic_become_posts(posts_of):
    (first, second), aside = posts_of(topic(FIRST, POST))
    assert aside == []
    assert first["text"] == "On bread\n\nBread & butter"
    assert second == second | {
        "id": "84",
        "author": "ada",
        "text": "Bread & butter",
        "conversation": "topic/57",
        "reply_to": "83",
        "created": datetime(2013, 2, 4, 20, 26, 26, 278000, tzinfo=UTC),
        "likes": 5,
        "replies": 1,
        "visibility": "public",
        "source": "discourse",
    }


@pytest.mark.parametrize(
    ("post", "of_topic", "visibility"),
    [
        ({}, {}, "public"),
        ({}, {"archetype": "banner"}, "public"),
        ({}, {"archetype": None}, "unknown"),
        ({"category_id": 13}, {"archetype": None}, "public"),
        ({}, {"archetype": "odd"}, "unknown"),
        ({"post_type": 4}, {}, "direct"),
        ({"hidden": True}, {}, "direct"),
        ({"post_type": 9}, {}, "unknown"),
        ({"post_type": None}, {}, "unknown"),
        ({}, {"category": {"read_restricted": True}}, "followers"),
        ({}, {"read_restricted": True}, "followers"),
        ({}, {"visible": False}, "unlisted"),
        ({"hidden": True}, {"visible": False, "read_restricted": True}, "direct"),
    ],
)
def test_visibility_is_what_post_and_topic_together_allow(posts_of, post, of_topic, visibility):
    (found,), _ = posts_of(topic(POST | post, **of_topic))
    assert found["visibility"] == visibility


@given(
    st.dictionaries(
        st.sampled_from(["archetype", "visible", "read_restricted", "category", "details"]),
        st.sampled_from(
            [None, "regular", "private_message", True, False, {"read_restricted": True}]
        ),
    ),
    st.dictionaries(
        st.sampled_from(["post_type", "hidden", "category_id"]),
        st.sampled_from([None, 1, 4, 7, True]),
    ),
)
def test_only_a_regular_post_whose_topic_is_told_to_be_open_is_public(of_topic, post):
    if visibility_of(post, of_topic) == "public":
        assert post["post_type"] in (1, True)
        assert not post.get("hidden")
        assert of_topic.get("archetype") == "regular" or post["category_id"]


@pytest.mark.parametrize(
    "of_topic",
    [
        {"archetype": "private_message"},
        *({"details": {f"allowed_{who}": [{"id": 1}]}} for who in ("users", "groups")),
    ],
)
def test_of_a_message_between_persons_nothing_but_its_id_is_kept(posts_of, of_topic):
    posts, (aside,) = posts_of(topic(POST | {"category_id": 13}, **of_topic))
    assert (posts, aside.reason, aside.row) == ([], "direct_message", {"id": POST["id"]})


def test_the_latest_posts_name_their_category_and_private_ones_are_messages(posts_of):
    in_category = POST | {"category_id": 1}
    (listed, bare), _ = posts_of(
        {"latest_posts": [in_category, POST | {"id": 85, "category_id": None}]}
    )
    assert (listed["visibility"], bare["visibility"]) == ("public", "unknown")
    private, (aside,) = posts_of({"private_posts": [in_category]})
    assert (private, aside.reason) == ([], "direct_message")


def test_a_post_alone_tells_nothing_of_its_topic(posts_of):
    (post,), _ = posts_of(POST | {"raw": "Bread & **butter**"})
    assert (post["visibility"], post["conversation"], post["reply_to"]) == (
        "unknown",
        "topic/57",
        None,
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"deleted_at": "2020-01-01T00:00:00Z"}, "deleted"),
        ({"user_deleted": True}, "deleted"),
        ({"post_type": 2}, "notice_of_the_forum"),
        ({"post_type": 3, "cooked": ""}, "notice_of_the_forum"),
        ({"cooked": "<p><img src='a.png' alt='a loaf'></p>"}, "no_text"),
        ({"id": None}, "no_id"),
        ({"username": None}, "no_author"),
        ({"created_at": "soon"}, "bad_time"),
    ],
)
def test_what_is_no_post_of_a_person_is_set_aside(posts_of, change, reason):
    posts, (aside,) = posts_of(topic(POST | change))
    assert (posts, aside.reason, aside.where) == ([], reason, "post 1")


def test_the_words_of_what_was_deleted_are_not_kept(posts_of):
    _, asides = posts_of(topic(POST | {"user_deleted": True}))
    _, of_topic = posts_of(topic(POST, deleted_at="2020-01-01T00:00:00Z"))
    assert [item.row for item in asides + of_topic] == [{"id": 84}] * 2


QUOTE = (
    '<aside class="quote no-group" data-username="bo" data-post="1" data-topic="57">'
    "<blockquote><p>theirs</p></blockquote></aside><p>mine</p>"
)


def test_what_a_post_quotes_is_named_and_not_repeated(posts_of):
    (_, post), _ = posts_of(topic(FIRST, POST | {"cooked": QUOTE}))
    assert (post["text"], post["quote_of"]) == ("mine", "83")
    (post,), _ = posts_of(topic(POST | {"cooked": QUOTE.replace('"57"', '"58"')}))
    assert (post["text"], post["quote_of"]) == ("mine", None)


def test_markdown_is_read_where_there_is_no_page(posts_of):
    raw = '[quote="bo, post:1, topic:57"]\ntheirs\n[/quote]\n\nmine & yours'
    (post,), _ = posts_of(
        topic({name: POST[name] for name in POST if name != "cooked"} | {"raw": raw})
    )
    assert post["text"] == "mine & yours"


def test_pictures_give_their_description_if_they_have_one(posts_of):
    cooked = '<p>look <img alt="image"><img alt="a loaf"><img class="emoji" alt=":bread:"></p>'
    (post,), _ = posts_of(topic(POST | {"cooked": cooked}))
    assert (post["text"], post["alt_text"]) == ("look :bread:", "a loaf")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("id"), inner),
        max_leaves=4,
    ),
    st.sampled_from([*POST]),
)
def test_odd_values_do_not_stop_the_reading(tmp_path_factory, odd, name):
    path = tmp_path_factory.mktemp("odd") / "topic.json"
    path.write_text(json.dumps(topic(POST | {name: odd})))
    ((batch, beside),) = read(path)
    assert batch.num_rows + sum(isinstance(item, SetAside) for item in beside) == 1


@pytest.mark.parametrize(
    "first", [topic(), topic(POST), {"latest_posts": []}, {"private_posts": [POST]}, POST, [POST]]
)
def test_its_files_are_known(first):
    assert recognizes(first)


@pytest.mark.parametrize(
    "first",
    [
        None,
        [],
        {},
        {"post_stream": {"stream": [1]}},
        {"topic_list": {"topics": []}},
        {"user_actions": [POST]},
    ],
)
def test_other_files_are_not(first):
    assert not recognizes(first)


@pytest.mark.parametrize(
    ("name", "public", "unknown", "reasons"),
    [
        ("topic.json", ["83", "226"], [], ["no_text", "notice_of_the_forum"]),
        ("posts_latest.json", ["15", "14", "10", "2"], [], []),
        ("posts_before.json", ["14", "10", "2"], [], []),
        ("post.json", [], ["11"], []),
        ("topic_posts.json", [], ["123456"], []),
    ],
)
def test_real_answers_are_read(shared_data, name, public, unknown, reasons):
    ((batch, aside),) = read(shared_data / "formats" / "discourse" / name)
    by_visibility = {"public": public, "unknown": unknown}
    for visibility, ids in by_visibility.items():
        assert [post["id"] for post in batch.to_pylist() if post["visibility"] == visibility] == ids
    assert batch.num_rows == len(public) + len(unknown)
    assert sorted(item.reason for item in aside) == reasons


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"user_deleted": True}, "forgotten"), ({"deleted_at": "2024-01-01T00:00:00Z"}, "taken_down"),
     ({"hidden": True}, "taken_down"), ({}, None)],
)  # fmt: skip
def test_what_was_taken_away_is_noted_for_earlier_copies(tmp_path, restrictions_of, change, reason):
    path = tmp_path / "topic.json"
    path.write_text(json.dumps(topic(POST | change)))
    assert restrictions_of(read(path)).posts == ({str(POST["id"]): reason} if reason else {})


def test_a_changed_post_says_when(tmp_path):
    path = tmp_path / "topic.json"
    for version, edited in ((2, datetime(2030, 1, 1, tzinfo=UTC)), (1, None)):
        path.write_text(
            json.dumps(topic(POST | {"version": version, "updated_at": "2030-01-01T00:00:00Z"}))
        )
        ((batch, _),) = read(path)
        assert batch["edited"].to_pylist() == [edited]
