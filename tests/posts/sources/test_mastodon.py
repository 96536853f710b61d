"""Mastodon: the audience is read from each post, and a post that is not public never becomes so."""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.errors import DataError
from rookery.posts.post import VISIBILITIES
from rookery.posts.sources.files import SetAside
from rookery.posts.sources.mastodon import consents, read, recognizes, visibility_of

PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
HOME = "https://home.example/users/ada"
FOLLOWERS = f"{HOME}/followers"
FRIEND = "https://away.example/users/bo"

NOTE = {
    "id": f"{HOME}/statuses/10",
    "type": "Note",
    "published": "2023-02-18T12:33:11Z",
    "attributedTo": HOME,
    "to": [PUBLIC],
    "cc": [FOLLOWERS],
    "inReplyTo": f"{FRIEND}/statuses/9",
    "conversation": "tag:home.example,2023:objectId=1",
    "content": "<p>Bread &amp; butter</p>",
    "contentMap": {"de": "<p>Brot</p>", "en": "<p>Bread &amp; butter</p>"},
    "attachment": [{"type": "Document", "name": "a loaf"}, {"name": None}],
    "likes": {"totalItems": 3},
}
STATUS = {
    "id": "10",
    "uri": f"{HOME}/statuses/10",
    "created_at": "2023-02-18T12:33:11.000Z",
    "visibility": "public",
    "content": "<p>Bread &amp; butter</p>",
    "spoiler_text": "",
    "language": "en",
    "account": {"id": "1", "acct": "ada", "url": "https://home.example/@ada", "indexable": True},
    "media_attachments": [{"description": "a loaf"}],
    "favourites_count": 3,
    "reblogs_count": 2,
    "replies_count": 1,
}
ACTOR = {"id": HOME, "type": "Person", "indexable": True, "discoverable": True}


def create(note=NOTE, **change):
    return {
        "type": "Create",
        "actor": HOME,
        "to": note.get("to"),
        "cc": note.get("cc"),
        "object": note,
    } | change


def outbox(*activities):
    return {"type": "OrderedCollection", "orderedItems": list(activities)}


@pytest.fixture
def posts_of(tmp_path):
    """Return the posts of a file with this value, and the rows set aside."""

    def posts_of(value, name="outbox.json"):
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        batches = list(read(path))
        aside = [item for _, beside in batches for item in beside if isinstance(item, SetAside)]
        return [row for batch, _ in batches for row in batch.to_pylist()], aside

    return posts_of


def test_a_note_of_an_outbox_becomes_a_post(posts_of):
    (post,), aside = posts_of(outbox(create()))
    assert aside == []
    assert post == {
        "id": f"{HOME}/statuses/10",
        "author": HOME,
        "text": "Bread & butter",
        "language": "en",
        "created": datetime(2023, 2, 18, 12, 33, 11, tzinfo=UTC),
        "reply_to": f"{FRIEND}/statuses/9",
        "quote_of": None,
        "conversation": "tag:home.example,2023:objectId=1",
        "likes": 3,
        "reposts": None,
        "replies": None,
        "alt_text": "a loaf",
        "visibility": "public",
        "consent_search": False,  # nobody described the account
        "consent_answers": False,
        "consent_ads": None,
        "consent_training": None,
        "source": "mastodon",
        "edited": None,
        "version_of": None,
        "place": None,
        "sensitive": None,
        "media": None,  # no type is given
    }


def test_a_status_of_the_api_becomes_the_same_post_as_in_the_outbox(posts_of):
    (of_outbox,), _ = posts_of(outbox(create()))
    (of_api,), aside = posts_of([STATUS], "statuses.json")
    assert aside == []
    for field in (
        "id",
        "author",
        "text",
        "created",
        "language",
        "alt_text",
        "visibility",
        "likes",
        "source",
    ):
        assert of_api[field] == of_outbox[field], field


AUDIENCES = [
    ([PUBLIC], [FOLLOWERS], "public"),
    (PUBLIC, None, "public"),
    (["as:Public"], [], "public"),
    ([{"id": PUBLIC}], [], "public"),
    ([FOLLOWERS], [PUBLIC], "unlisted"),
    ([FOLLOWERS], [FRIEND], "followers"),
    ([FRIEND], [FOLLOWERS], "followers"),
]


@pytest.mark.parametrize(("to", "cc", "visibility"), AUDIENCES)
def test_visibility_follows_from_to_and_cc(posts_of, to, cc, visibility):
    (post,), _ = posts_of(outbox(create(NOTE | {"to": to, "cc": cc})))
    assert post["visibility"] == visibility


@pytest.mark.parametrize(("to", "cc"), [([FRIEND], []), ([], [FRIEND]), ([], []), (5, {})])
def test_of_a_message_to_persons_nothing_but_its_id_is_kept(posts_of, to, cc):
    posts, (aside,) = posts_of(outbox(create(NOTE | {"to": to, "cc": cc})))
    assert (posts, aside.reason, aside.row) == ([], "direct_message", {"id": NOTE["id"]})


def test_without_an_audience_the_visibility_is_unknown():
    assert visibility_of({}, {}) == "unknown"


@given(*[st.fixed_dictionaries({}, optional=dict.fromkeys(["to", "cc"], st.sampled_from(
    [[PUBLIC], [FOLLOWERS], [FRIEND], [], None])))] * 2)  # fmt: skip
def test_no_post_is_wider_than_its_activity_or_the_activity_than_its_post(activity, note):
    found = VISIBILITIES.index(visibility_of(activity, note))
    assert found >= VISIBILITIES.index(visibility_of(activity, {})) or not activity
    assert found >= VISIBILITIES.index(visibility_of({}, note)) or not note


@pytest.mark.parametrize(
    ("activity", "reason"),
    [
        (
            {"type": "Announce", "actor": HOME, "to": [PUBLIC], "object": f"{FRIEND}/statuses/9"},
            "repost",
        ),
        (
            {"type": "Delete", "actor": HOME, "object": "https://elsewhere.example/statuses/9"},
            "not_the_owners",
        ),
        ({"type": "Undo", "actor": HOME, "object": {"type": "Announce"}}, "not_a_deletion"),
        ({"type": "Like", "actor": HOME, "object": f"{FRIEND}/statuses/9"}, "not_a_post"),
        (create(object=f"{HOME}/statuses/9"), "not_a_post"),
        (create(actor=FRIEND), "not_the_owners"),
        (create(NOTE | {"content": "<p> </p>"}), "no_text"),
        (create(NOTE | {"id": None}), "no_id"),
        (create(NOTE | {"published": "soon"}), "bad_time"),
        ("words", "not_a_post"),
    ],
)
def test_what_is_no_post_of_the_owner_is_set_aside(posts_of, activity, reason):
    posts, (aside,) = posts_of(outbox(activity))
    assert (posts, aside.reason, aside.where) == ([], reason, "activity 1")


def test_a_content_warning_stands_before_the_text(posts_of):
    (post,), _ = posts_of(outbox(create(NOTE | {"summary": "food"})))
    assert post["text"] == "food\n\nBread & butter"
    (post,), _ = posts_of([STATUS | {"spoiler_text": "food"}])
    assert post["text"] == "food\n\nBread & butter"


@pytest.mark.parametrize(
    ("stated", "refused"),
    [
        ({"indexable": True}, set()),
        ({"indexable": True, "discoverable": None, "noindex": False}, set()),
        ({"indexable": False}, {"search", "answers"}),
        ({}, {"search", "answers"}),
        ({"indexable": True, "discoverable": False}, {"ads"}),
        ({"indexable": True, "noindex": True}, {"search", "answers", "training"}),
        ({"indexable": True, "note": '<p>hi <a href="#">#<span>NoBots</span></a></p>'},
         {"search", "answers", "ads", "training"}),
        ({"indexable": True, "summary": "#noindexing is not the word"}, set()),
    ],
)  # fmt: skip
def test_what_an_account_refuses_is_refused_for_its_posts(posts_of, stated, refused):
    expected = {f"consent_{use}": False for use in refused}
    assert consents(stated) == expected
    account = {name: STATUS["account"][name] for name in ("id", "acct", "url")}
    (post,), _ = posts_of([STATUS | {"account": account | stated}])
    assert {
        name: value
        for name, value in post.items()
        if name.startswith("consent_") and value is not None
    } == expected


def test_an_actor_beside_an_outbox_is_asked(posts_of, tmp_path):
    (tmp_path / "actor.json").write_text(json.dumps(ACTOR | {"indexable": False}))
    (post,), _ = posts_of(outbox(create()))
    assert (post["consent_search"], post["consent_training"]) == (False, None)
    (tmp_path / "actor.json").write_text(json.dumps(ACTOR | {"id": FRIEND}))
    posts, (aside,) = posts_of(outbox(create()))
    assert (posts, aside.reason) == ([], "not_the_owners")


def test_an_outbox_alone_is_of_an_account_that_has_said_nothing(tmp_path, restrictions_of):
    path = tmp_path / "outbox.json"
    path.write_text(json.dumps(outbox(create())))
    assert restrictions_of(read(path)).consent == {
        "search": {HOME: False}, "answers": {HOME: False}, "ads": {}, "training": {HOME: False}
    }  # fmt: skip


@pytest.mark.parametrize("actor", ["{", "{}", "[]", '{"id": 1.5}'])
def test_an_actor_that_cannot_be_understood_is_refused(posts_of, tmp_path, actor):
    (tmp_path / "actor.json").write_text(actor)
    with pytest.raises(DataError, match=r"actor\.json"):
        posts_of(outbox(create()))


@pytest.mark.parametrize(
    ("stated", "visibility"),
    [
        ("public", "public"),
        ("unlisted", "unlisted"),
        ("private", "followers"),
        ("sideways", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_status_says_its_visibility_itself(posts_of, stated, visibility):
    (post,), _ = posts_of([STATUS | {"visibility": stated}])
    assert post["visibility"] == visibility


@pytest.mark.parametrize("stated", ["direct", "limited"])
def test_of_a_status_to_persons_nothing_but_its_id_is_kept(posts_of, stated):
    posts, (aside,) = posts_of([STATUS | {"visibility": stated}])
    assert (posts, aside.reason, aside.row) == ([], "direct_message", {"id": STATUS["id"]})


def test_a_status_for_one_server_only_is_not_public(posts_of):
    (post,), _ = posts_of([STATUS | {"local_only": True}])
    assert post["visibility"] == "followers"


def test_a_boost_is_set_aside(posts_of):
    posts, (aside,) = posts_of([STATUS | {"reblog": STATUS}], "statuses.json")
    assert (posts, aside.reason, aside.where) == ([], "repost", "item 1")
    assert aside.row == {"id": STATUS["id"]}


@pytest.mark.parametrize(
    ("change", "reply_to"),
    [
        ({}, None),
        ({"in_reply_to_id": "9", "in_reply_to_account_id": "1"}, f"{HOME}/statuses/9"),
        (
            {
                "in_reply_to_id": "9",
                "in_reply_to_account_id": "2",
                "mentions": [{"id": "2", "acct": "cy"}],
            },
            "https://home.example/users/cy/statuses/9",
        ),
        (
            {
                "in_reply_to_id": "9",
                "in_reply_to_account_id": "2",
                "mentions": [{"id": "2", "acct": "bo@away.example"}],
            },
            "9",
        ),
        ({"in_reply_to_id": "9"}, "9"),
    ],
)
def test_a_reply_names_what_it_answers_by_address_where_that_can_be_told(
    posts_of, change, reply_to
):
    (post,), _ = posts_of([STATUS | change])
    assert post["reply_to"] == reply_to


def test_a_quote_is_named_and_its_fallback_text_left_out(posts_of):
    fallback = '<p class="quote-inline">RE: <a href="https://x.example/1">x</a></p><p>mine</p>'
    (post,), _ = posts_of(
        outbox(create(NOTE | {"quote": "https://x.example/1", "content": fallback}))
    )
    assert (post["quote_of"], post["text"]) == ("https://x.example/1", "mine")
    (post,), _ = posts_of(
        [STATUS | {"quote": {"state": "accepted", "quoted_status": STATUS | {"uri": "u"}}}]
    )
    assert post["quote_of"] == "u"


def test_statuses_come_as_lines_and_pages_too(posts_of):
    lines = "\n".join(json.dumps(STATUS | {"uri": f"u{n}"}) for n in range(3))
    assert [p["id"] for p in posts_of(lines, "a.jsonl")[0]] == ["u0", "u1", "u2"]
    pages = "\n".join(json.dumps([STATUS | {"uri": f"u{n}"}]) for n in range(3))
    assert [p["id"] for p in posts_of(pages, "a.jsonl")[0]] == ["u0", "u1", "u2"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    ),
    st.sampled_from([*NOTE]),
)
def test_odd_values_never_stop_the_reading_nor_make_public(tmp_path_factory, odd, field):
    path = tmp_path_factory.mktemp("odd") / "outbox.json"
    path.write_text(json.dumps(outbox(create(NOTE | {"to": [FRIEND], "cc": [], field: odd}))))
    ((batch, beside),) = read(path)
    assert batch.num_rows + sum(isinstance(item, SetAside) for item in beside) == 1
    assert "public" not in batch["visibility"].to_pylist()


@pytest.mark.parametrize("first", [STATUS, [STATUS], outbox(create()), outbox(), create(), NOTE])
def test_its_files_are_known(first):
    assert recognizes(first)


@pytest.mark.parametrize(
    "first",
    [
        None,
        5,
        [],
        {},
        {"items": []},
        {"type": "OrderedCollection", "first": "x"},
        {"content": "x", "author": "y"},
    ],
)
def test_other_files_are_not(first):
    assert not recognizes(first)


def test_the_private_posts_of_a_real_outbox_stay_private(shared_data):
    ((batch, beside),) = read(shared_data / "formats" / "mastodon" / "outbox.json.gz")
    aside = [item for item in beside if isinstance(item, SetAside)]
    counts = {name: batch["visibility"].to_pylist().count(name) for name in VISIBILITIES}
    assert counts == {"public": 66, "unlisted": 4, "followers": 1, "direct": 0, "unknown": 0}
    assert Counter(item.reason for item in aside) == {"repost": 10, "direct_message": 4}
    assert all(item.row.keys() == {"id"} for item in aside)
    posts = batch.to_pylist()
    assert not any(
        "must not put" in post["text"]
        for post in posts
        if post["visibility"] in ("public", "unlisted")
    )
    assert not any("</" in post["text"] for post in posts)


def test_deletions_of_an_outbox_are_forgotten_and_an_account_may_come_back(
    tmp_path, restrictions_of
):
    deletion = {
        "type": "Delete",
        "actor": HOME,
        "object": {"id": f"{HOME}/statuses/9", "type": "Tombstone"},
    }
    account = {"type": "Delete", "actor": HOME, "object": HOME, "published": "2024-01-01T00:00:00Z"}
    undo = {"type": "Undo", "actor": HOME, "object": account, "published": "2024-01-02T00:00:00Z"}
    tombstone = {"type": "Tombstone", "id": f"{HOME}/statuses/8"}
    path = tmp_path / "outbox.json"
    path.write_text(json.dumps(outbox(deletion, tombstone, account)))
    restrictions = restrictions_of(read(path))
    assert restrictions.forgotten_posts == {f"{HOME}/statuses/8", f"{HOME}/statuses/9"}
    assert restrictions.authors == {HOME: "deleted"}
    path.write_text(json.dumps(outbox(undo, account)))
    assert restrictions_of(read(path)).authors == {}


def test_an_accounts_no_holds_for_its_author_and_silence_does_not_lift_it(
    tmp_path, restrictions_of
):
    path = tmp_path / "statuses.json"
    path.write_text(json.dumps([STATUS | {"account": STATUS["account"] | {"noindex": True}}]))
    assert restrictions_of(read(path)).consent["training"] == {HOME: False}
    later = STATUS | {
        "id": "11",
        "uri": f"{HOME}/statuses/11",
        "created_at": "2024-02-18T12:33:11Z",
    }
    path.write_text(json.dumps([later]))
    assert restrictions_of(read(path)).consent["training"] == {HOME: False}


def test_an_edited_post_says_when(posts_of):
    (note,), _ = posts_of(outbox(create(NOTE | {"updated": "2023-02-19T00:00:00Z"})))
    (status,), _ = posts_of([STATUS | {"edited_at": "2023-02-19T00:00:00.000Z"}], "statuses.json")
    (same,), _ = posts_of(outbox(create(NOTE | {"updated": NOTE["published"]})))
    assert note["edited"] == status["edited"] == datetime(2023, 2, 19, tzinfo=UTC)
    assert same["edited"] is None
