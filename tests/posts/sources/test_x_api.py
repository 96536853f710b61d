"""X API v2: a tweet is public only where the file says so, and each tweet is taken once."""

import gzip
import json
from datetime import UTC, datetime

import pytest
import zstandard

from rookery.posts.sources.files import SetAside
from rookery.posts.sources.x_api import read, recognizes

AUTHOR = {"id": "7", "username": "ada", "name": "Ada", "protected": False}
TWEET = {
    "id": "10",
    "text": "Bread &amp; butter https://t.co/x",
    "author_id": "7",
    "created_at": "2023-02-18T12:33:11.000Z",
    "lang": "en",
    "conversation_id": "8",
    "public_metrics": {"like_count": 3, "retweet_count": 2, "reply_count": 1, "quote_count": 0},
    "edit_history_tweet_ids": ["10"],
    "referenced_tweets": [{"type": "replied_to", "id": "9"}, {"type": "quoted", "id": "5"}],
    "attachments": {"media_keys": ["3_1", "3_2"]},
}
MEDIA = [
    {"media_key": "3_1", "alt_text": "a loaf"},
    {"media_key": "3_2"},
    {"media_key": "3_9", "alt_text": "other"},
]
REPOST = {"text": "RT @bo: words", "referenced_tweets": [{"type": "retweeted", "id": "5"}]}


def a_page(*tweets, users=(AUTHOR,), media=MEDIA, **includes):
    return {
        "data": list(tweets),
        "includes": {"users": list(users), "media": list(media)} | includes,
    }


def flattened(**changes):
    return (
        TWEET
        | {"author": AUTHOR, "attachments": {"media_keys": ["3_1"], "media": MEDIA[:1]}}
        | changes
    )


def posts_of(tmp_path, *lines, name="x.jsonl", pack=bytes):
    path = tmp_path / name
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_bytes(pack("\n".join(texts).encode()))
    batches = list(read(path))
    return [row for batch, _ in batches for row in batch.to_pylist()], [
        item for _, beside in batches for item in beside if isinstance(item, SetAside)
    ]


@pytest.mark.parametrize(
    "line", [a_page(TWEET), {"data": TWEET, **{"includes": a_page()["includes"]}}, flattened()]
)
def test_a_tweet_becomes_a_post_from_a_page_a_stream_and_flattened(tmp_path, line):
    (post,), aside = posts_of(tmp_path, line)
    assert aside == []
    assert post == post | {
        "id": "10",
        "author": "7",
        "text": "Bread & butter https://t.co/x",
        "language": "en",
        "reply_to": "9",
        "quote_of": "5",
        "conversation": "8",
        "likes": 3,
        "reposts": 2,
        "replies": 1,
        "alt_text": "a loaf",
        "visibility": "public",
        "source": "x_api",
        "created": datetime(2023, 2, 18, 12, 33, 11, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("author", "visibility"),
    [
        (AUTHOR, "public"),
        (AUTHOR | {"protected": True}, "followers"),
        ({"id": "7", "username": "ada"}, "unknown"),
        (AUTHOR | {"protected": "no"}, "unknown"),
        (AUTHOR | {"id": "8"}, "unknown"),
    ],
)
def test_a_tweet_is_public_only_if_its_author_is_said_not_to_be_protected(
    tmp_path, author, visibility
):
    (post,), _ = posts_of(tmp_path, a_page(TWEET, users=[author]))
    assert post["visibility"] == visibility
    if author["id"] == "7":
        (post,), _ = posts_of(tmp_path, flattened(author=author))
        assert post["visibility"] == visibility


def test_a_tweet_without_any_word_of_its_author_is_unknown(tmp_path):
    (post,), _ = posts_of(tmp_path, {"data": TWEET})
    assert (post["author"], post["visibility"]) == ("7", "unknown")


def test_a_tweet_marked_for_followers_is_for_followers(tmp_path):
    (post,), _ = posts_of(tmp_path, a_page(TWEET | {"scopes": {"followers": True}}))
    assert post["visibility"] == "followers"


def test_what_is_withheld_anywhere_is_kept_and_hidden_while_it_is(tmp_path, restrictions_of):
    withheld = {"copyright": False, "country_codes": ["DE"]}
    other = TWEET | {"id": "11", "author_id": "8"}
    lines = [
        a_page(TWEET | {"withheld": withheld}),
        a_page(other, users=[AUTHOR | {"id": "8", "withheld": withheld}]),
    ]
    posts, aside = posts_of(tmp_path, *lines)
    assert ([post["id"] for post in posts], aside) == (["10", "11"], [])
    restrictions = restrictions_of(read(tmp_path / "x.jsonl"))
    assert (restrictions.posts, restrictions.authors) == ({"10": "withheld"}, {"8": "withheld"})
    assert (restrictions.posts_in, restrictions.authors_in) == ({"10": {"DE"}}, {"8": {"DE"}})


def test_a_protected_account_is_a_state_of_its_author(tmp_path, restrictions_of):
    posts_of(tmp_path, a_page(TWEET, users=[AUTHOR | {"protected": True}]))
    assert restrictions_of(read(tmp_path / "x.jsonl")).authors == {"7": "protected"}


def test_versions_name_their_first_and_the_replaced_ones_are_noted(tmp_path, restrictions_of):
    (post,), _ = posts_of(tmp_path, a_page(NEW))
    assert post["version_of"] == "10"
    assert restrictions_of(read(tmp_path / "x.jsonl")).posts == {"10": "superseded"}


@pytest.mark.parametrize(
    ("geo", "places", "place"),
    [
        ({"place_id": "p"}, [{"id": "p", "full_name": "Ghent, Belgium"}], "Ghent, Belgium"),
        ({"place_id": "p"}, [], None),
        ({"place_id": "p", "full_name": "Ghent"}, [], "Ghent"),
        ({"coordinates": {"type": "Point", "coordinates": [3.7, 51]}}, [], "3.7, 51"),
        ("odd", ["odd"], None),
    ],
)
def test_a_place_is_named(tmp_path, geo, places, place):
    page = a_page(TWEET | {"geo": geo})
    page["includes"] = page.get("includes", {}) | {"places": places}
    (post,), _ = posts_of(tmp_path, page)
    assert post["place"] == place


def test_a_long_text_takes_the_place_of_its_beginning(tmp_path):
    long = "Bread &lt;3 " + "and so on " * 60
    (post,), _ = posts_of(tmp_path, a_page(TWEET | {"note_tweet": {"text": long}}))
    assert post["text"] == long.replace("&lt;", "<")


@pytest.mark.parametrize("long", [False, True])
def test_shortened_links_are_expanded_in_every_tweet_by_its_own_entities(tmp_path, long):
    def linked(address: str, **fields) -> dict:
        entities = {"urls": [{"start": 0, "end": 23, "url": "https://t.co/x"}]}
        entities["urls"][0]["expanded_url"] = address
        note = {"note_tweet": {"text": TWEET["text"], "entities": entities}, "text": "Bread…"}
        return TWEET | fields | (note if long else {"entities": entities})

    referred = linked("https://b.org/2", id="5")
    posts, aside = posts_of(tmp_path, a_page(linked("https://a.org/1"), tweets=[referred]))
    assert aside == []
    assert {post["id"]: post["text"] for post in posts} == {
        "10": "Bread & butter https://a.org/1",
        "5": "Bread & butter https://b.org/2",
    }


def test_a_retweet_is_set_aside_and_what_it_repeats_is_taken(tmp_path):
    original = TWEET | {"id": "5", "text": "words", "author_id": "8"}
    bo = AUTHOR | {"id": "8"}
    page = a_page(TWEET | REPOST, users=[AUTHOR, bo], tweets=[original])
    flat = flattened(**REPOST) | {
        "referenced_tweets": [{"type": "retweeted"} | original | {"author": bo}]
    }
    for line in (page, flat):
        (post,), (aside,) = posts_of(tmp_path, line)
        assert (post["id"], post["author"], post["visibility"]) == ("5", "8", "public")
        assert (aside.reason, aside.where) == ("repost", "line 1")


def test_a_retweet_is_known_by_its_words_too(tmp_path):
    posts, (aside,) = posts_of(
        tmp_path, {"data": {"id": "1", "text": "RT @bo: words", "author_id": "7"}}
    )
    assert (posts, aside.reason) == ([], "repost")


def test_a_tweet_that_is_also_among_the_included_is_taken_once(tmp_path):
    posts, aside = posts_of(tmp_path, a_page(TWEET, tweets=[TWEET]))
    assert ([post["id"] for post in posts], aside) == (["10"], [])


OLD = TWEET | {"text": "i mis you", "edit_history_tweet_ids": ["10", "11"]}
NEW = TWEET | {"id": "11", "text": "i miss you", "edit_history_tweet_ids": ["10", "11"]}


@pytest.mark.parametrize(
    "lines",
    [
        [a_page(OLD), a_page(NEW)],
        [a_page(NEW, tweets=[OLD])],
        [a_page(TWEET), a_page(NEW)],
        [flattened(), flattened(**NEW)],
        [a_page(NEW | {"edit_history_tweet_ids": ["11", "10"]}), a_page(TWEET)],
    ],
)
def test_of_an_edited_tweet_the_newest_version_is_taken_under_its_own_id(tmp_path, lines):
    (post,), (aside,) = posts_of(tmp_path, *lines)
    assert (post["id"], post["text"]) == ("11", "i miss you")
    assert (aside.reason, aside.row["id"]) == ("edited_since", "10")


def test_a_version_that_was_edited_since_is_set_aside_even_if_the_newer_one_is_not_there(tmp_path):
    posts, (aside,) = posts_of(tmp_path, a_page(OLD))
    assert (posts, aside.reason) == ([], "edited_since")


def test_an_edit_history_quoted_in_a_text_is_no_edit_history(tmp_path):
    (post,), _ = posts_of(
        tmp_path, a_page(TWEET | {"text": '"edit_history_tweet_ids": ["10", "11"]'})
    )
    assert post["id"] == "10"


EVENT = {"tweet": {"id": "1", "author_id": "2"}, "event_at": "2022-12-23T12:34:56.789Z"}
NO_POSTS = {
    "user_profile": {"data": [AUTHOR]},
    "list": {
        "data": [
            {"id": "1", "name": "friends", "owner_id": "7", "member_count": 3, "private": False}
        ]
    },
    "tweet_count": {
        "data": [{"start": "2021-10-16T18:00Z", "end": "2021-10-16T19:00Z", "tweet_count": 3}]
    },
    "compliance_event": {"data": {"user_profile_modification": EVENT}},
    "api_error": {
        "errors": [
            {"title": "operational-disconnect", "type": "https://api.twitter.com/2/problems/x"}
        ]
    },
    "not_a_post": {"meta": {"result_count": 0}},
}


@pytest.mark.parametrize("reason", NO_POSTS)
def test_what_the_api_gives_beside_tweets_is_set_aside_by_its_name(tmp_path, reason):
    posts, (aside,) = posts_of(tmp_path, NO_POSTS[reason])
    assert (posts, aside.reason) == ([], reason)
    assert recognizes(NO_POSTS[reason])


@pytest.mark.parametrize(
    ("action", "reason"), [("delete", "deletion_event"), ("undelete", "compliance_event")]
)
def test_a_compliance_job_is_set_aside(tmp_path, action, reason):
    line = {
        "id": "1",
        "action": action,
        "created_at": "2013-06-04T16:25:04+00:00",
        "reason": "protected",
    }
    _, (aside,) = posts_of(tmp_path, "", line, "")
    assert recognizes(line)
    assert (aside.reason, aside.where) == (reason, "line 2")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "no_id"),
        ({"text": " "}, "no_text"),
        ({"author_id": None}, "no_author"),
        ({"created_at": None}, "bad_time"),
        ({"created_at": {"odd": 1}}, "bad_time"),
    ],
)
def test_what_a_tweet_lacks_sets_it_aside(tmp_path, change, reason):
    posts, (aside,) = posts_of(tmp_path, a_page(TWEET | {"id": "11"}, TWEET | change))
    assert (len(posts), aside.reason, aside.where) == (1, reason, "line 1, item 2")


@pytest.mark.parametrize(
    "field",
    [
        *("referenced_tweets", "public_metrics", "attachments", "note_tweet", "lang", "scopes"),
        "entities",
    ],
)
@pytest.mark.parametrize("odd", [None, 3, "x", [], [1], {}, {"media_keys": 3}])
def test_odd_values_do_not_stop_the_reading(tmp_path, field, odd):
    (post,), _ = posts_of(tmp_path, a_page(TWEET | {field: odd}))
    assert post["visibility"] == "public"


def test_a_line_that_is_cut_is_set_aside_and_the_rest_taken(tmp_path):
    posts, (aside,) = posts_of(tmp_path, a_page(TWEET), '{"data": {"author_id": "7"')
    assert len(posts) == 1
    assert (aside.reason, aside.where) == ("not_a_json_object", "line 2")


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_compressed_files_are_looked_through(tmp_path, suffix, pack):
    assert len(posts_of(tmp_path, a_page(TWEET), name="x.jsonl" + suffix, pack=pack)[0]) == 1


@pytest.mark.parametrize(
    "other",
    [
        None,
        [],
        {},
        [[TWEET]],
        {
            "id": "1",
            "text": "a platform's own table",
            "author_id": "bo",
            "created_at": "2020-01-01",
            "lang": "en",
        },
        {"data": [{"id": "x", "body": "words", "subreddit": "python"}]},
        {"kind": "Listing", "data": {"children": []}},
        {"data": [{"type": "posts", "id": "1", "attributes": {}}], "meta": {}},
        {"did": "did:plc:x", "kind": "commit", "commit": {}},
    ],
)
def test_other_formats_are_not_claimed(other):
    assert not recognizes(other)


@pytest.mark.parametrize(
    "document", [a_page(TWEET, TWEET | {"id": "11"}), [flattened(), flattened(id="11")]]
)
def test_one_document_laid_out_for_the_eye_is_read_too(tmp_path, document):
    posts, aside = posts_of(tmp_path, json.dumps(document, indent=2), name="x.json")
    assert recognizes(document)
    assert ([post["id"] for post in posts], aside) == (["10", "11"], [])


def test_an_edit_history_is_found_wherever_it_stands_in_a_document(tmp_path):
    for before in range(0, 1000, 20):
        page = {"meta": {"x": "x" * ((1 << 20) - before)}} | a_page(NEW, TWEET)
        (post,), (aside,) = posts_of(tmp_path, json.dumps(page, indent=2), name="x.json")
        assert (post["id"], aside.reason) == ("11", "edited_since")


REAL = {
    "cashtags.jsonl": (1, {}),
    "compliance_stream.jsonl": (0, {}),
    "counts.jsonl": (0, {"tweet_count": 169}),
    "edited_after.jsonl": (1, {"edited_since": 1}),
    "edited_before.jsonl": (1, {"edited_since": 1}),
    "lists.jsonl": (0, {"list": 6}),
    "noflat.jsonl.gz": (117, {"repost": 47}),
    "quoted_edit.jsonl": (2, {"edited_since": 1}),
    "streaming_output_with_error.jsonl": (11, {"not_a_json_object": 1}),
    "tweets_compliance.jsonl": (0, {"deletion_event": 2}),
    "two_tweets.jsonl": (1, {"repost": 1}),
    "users.jsonl.gz": (51, {"user_profile": 96, "repost": 1}),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_found_and_taken_through_the_command_line(rookery, shared_data, name):
    report = rookery(
        "posts", "ingest", shared_data / "formats" / "x_api_v2" / name, "--json"
    ).json()
    assert (report["format"], report["added"], report["set_aside"]) == ("x_api", *REAL[name])
    if report["added"]:
        counts = rookery("posts", "stats", "--json").json()
        assert (counts["posts"], counts["dropped"]) == (report["added"], {})
