"""Reddit: what anybody could read is taken under its full name; what was removed is not."""

import json
from datetime import UTC, datetime

import pytest
import zstandard

from rookery.posts.post import USES
from rookery.posts.sources.files import SetAside
from rookery.posts.sources.reddit import read, recognizes

COMMENT = {
    "id": "cnas8zv",
    "author": "ada",
    "body": "With *markdown* &amp; &gt; quote",
    "created_utc": 1420070400,
    "link_id": "t3_2qyrla",
    "parent_id": "t1_cnas8zu",
    "score": 14,
    "subreddit": "python",
}
SUBMISSION = {
    "id": "2qyrla",
    "author": "bo",
    "title": "Rooks &amp; ravens",
    "selftext": "Which is which?",
    "created_utc": "1420070000",
    "num_comments": 3,
    "score": -2,
    "subreddit": "birds",
    "subreddit_type": "public",
}


def posts_of(tmp_path, *records, name="x.ndjson", pack=bytes):
    path = tmp_path / name
    path.write_bytes(pack("\n".join(map(json.dumps, records)).encode()))
    batches = list(read(path))
    return [row for batch, _ in batches for row in batch.to_pylist()], [
        item for _, beside in batches for item in beside if isinstance(item, SetAside)
    ]


def test_a_comment_becomes_a_post(tmp_path):
    (post,), aside = posts_of(tmp_path, COMMENT)
    assert aside == []
    assert post == post | {
        "id": "t1_cnas8zv",
        "author": "ada",
        "text": "With *markdown* & > quote",
        "reply_to": "t1_cnas8zu",
        "conversation": "t3_2qyrla",
        "likes": 14,
        "replies": None,
        "language": None,
        "visibility": "public",
        "consent_training": None,
        "source": "reddit",
        "created": datetime(2015, 1, 1, tzinfo=UTC),
    }


def test_a_submission_is_its_title_and_its_body_and_begins_its_conversation(tmp_path):
    (post,), _ = posts_of(tmp_path, SUBMISSION)
    assert post == post | {
        "id": "t3_2qyrla",
        "author": "bo",
        "text": "Rooks & ravens\n\nWhich is which?",
        "reply_to": None,
        "conversation": "t3_2qyrla",
        "likes": None,
        "replies": 3,
        "visibility": "public",
    }


@pytest.mark.parametrize("body", ["", None])
def test_a_submission_of_a_link_is_its_title(tmp_path, body):
    (post,), _ = posts_of(tmp_path, SUBMISSION | {"selftext": body})
    assert post["text"] == "Rooks & ravens"


@pytest.mark.parametrize("time", [1420070400, "1420070400", 1420070400.0])
def test_times_are_seconds_however_they_are_spelt(tmp_path, time):
    (post,), _ = posts_of(tmp_path, COMMENT | {"created_utc": time})
    assert post["created"] == datetime(2015, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parent", "reply_to"),
    [
        ("t3_2qyrla", "t3_2qyrla"),
        ("t1_cnas8zu", "t1_cnas8zu"),
        ("cnas8zu", "t1_cnas8zu"),
        (int("cnas8zu", 36), "t1_cnas8zu"),
        (float(int("cnas8zu", 36)), "t1_cnas8zu"),
        (float("nan"), "t3_2qyrla"),
        (None, "t3_2qyrla"),
    ],
)
def test_what_a_comment_answers_is_named_in_full(tmp_path, parent, reply_to):
    (post,), _ = posts_of(tmp_path, COMMENT | {"parent_id": parent})
    assert post["reply_to"] == reply_to


@pytest.mark.parametrize(
    "record", [COMMENT | {"name": "t1_cnas8zv"}, COMMENT | {"id": "t1_cnas8zv"}]
)
def test_a_full_name_is_not_made_longer(tmp_path, record):
    (post,), _ = posts_of(tmp_path, record)
    assert post["id"] == "t1_cnas8zv"


@pytest.mark.parametrize(
    ("change", "visibility"),
    [
        ({}, "public"),
        ({"subreddit_type": "public"}, "public"),
        ({"subreddit_type": "restricted"}, "public"),
        ({"subreddit_type": "user"}, "public"),
        ({"subreddit_type": "private"}, "followers"),
        ({"subreddit_type": "gold_only"}, "followers"),
        ({"subreddit_type": "unheard_of"}, "unknown"),
        ({"quarantine": False}, "public"),
        ({"quarantine": True}, "unlisted"),
        ({"quarantined": True}, "unlisted"),
        ({"quarantine": True, "subreddit_type": "private"}, "followers"),
    ],
)
def test_only_what_anybody_can_open_is_public(tmp_path, change, visibility):
    (post,), _ = posts_of(tmp_path, COMMENT | change)
    assert post["visibility"] == visibility


def test_what_robots_may_not_index_is_a_no_to_every_use(tmp_path):
    (post,), _ = posts_of(tmp_path, SUBMISSION | {"is_robot_indexable": False})
    assert [post[f"consent_{use}"] for use in USES] == [False] * len(USES)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (COMMENT | {"author": "[deleted]", "body": "[deleted]"}, "deleted"),
        (COMMENT | {"body": "[removed]"}, "removed"),
        (COMMENT | {"body": "[ Removed by Reddit ]"}, "removed"),
        (COMMENT | {"author": "[deleted]"}, "author_deleted"),
        (COMMENT | {"removal_reason": "legal"}, "removed"),
        (COMMENT | {"_meta": {"was_deleted_later": True, "removal_type": "deleted"}}, "deleted"),
        (COMMENT | {"_meta": {"was_deleted_later": True}}, "deleted"),
        (COMMENT | {"_meta": {"removal_type": "removed by reddit"}}, "removed"),
        (SUBMISSION | {"selftext": "[removed]"}, "removed"),
        (SUBMISSION | {"title": "[deleted by user]", "selftext": ""}, "deleted"),
        (SUBMISSION | {"removed_by_category": "moderator"}, "removed"),
        (SUBMISSION | {"removed_by_category": "deleted"}, "deleted"),
        (SUBMISSION | {"crosspost_parent": "t3_aaaaaa"}, "repost"),
        (COMMENT | {"id": None}, "no_id"),
        (COMMENT | {"body": " "}, "no_text"),
        (COMMENT | {"author": None}, "no_author"),
        (COMMENT | {"created_utc": "soon"}, "bad_time"),
        ({"subreddit": "python", "display_name": "Python"}, "not_a_post"),
    ],
)
def test_what_is_no_post_or_was_taken_away_is_set_aside(tmp_path, record, reason):
    posts, (aside,) = posts_of(tmp_path, record)
    assert (posts, aside.reason, aside.where) == ([], reason, "line 1")


def test_what_was_restored_is_taken(tmp_path):
    restored = {"was_initially_deleted": True, "removal_type": "removed"}
    posts, aside = posts_of(tmp_path, COMMENT | {"_meta": restored})
    assert (len(posts), aside) == (1, [])


@pytest.mark.parametrize(
    "field", ["_meta", "name", "subreddit_type", "score", "parent_id", "link_id"]
)
@pytest.mark.parametrize("odd", [None, 0, "x", [], {}])
def test_odd_values_do_not_stop_the_reading(tmp_path, field, odd):
    posts, aside = posts_of(tmp_path, COMMENT | {field: odd})
    assert len(posts) + len(aside) == 1


def test_comments_and_submissions_are_told_from_other_records():
    assert recognizes(COMMENT)
    assert recognizes(SUBMISSION)
    assert recognizes([COMMENT])
    for other in (
        None,
        [],
        {},
        {"body": "words", "author": "bo"},
        {"subreddit": "x", "title": "a table's row"},
    ):
        assert not recognizes(other)


def test_a_dump_is_known_without_a_suffix_and_taken_through_the_command_line(rookery, tmp_path):
    parameters = zstandard.ZstdCompressionParameters(window_log=31, write_content_size=False)
    packing = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    lines = "\n".join(
        map(json.dumps, [COMMENT, SUBMISSION, COMMENT | {"id": "x", "body": "[removed]"}])
    ).encode()
    path = tmp_path / "RC_2015-01.zst"
    path.write_bytes(packing.compress(lines) + packing.flush())
    report = rookery("posts", "ingest", path, "--json").json()
    assert (report["format"], report["added"], report["set_aside"]) == ("reddit", 2, {"removed": 1})
    assert rookery("posts", "stats", "--json").json()["dropped"] == {}


def test_the_real_sample_is_taken(rookery, shared_data):
    (path,) = (shared_data / "formats" / "reddit").glob("*.ndjson")
    report = rookery("posts", "ingest", path, "--json").json()
    assert (report["format"], report["added"]) == ("reddit", 1)
    assert report["set_aside"] == {"deleted": 1, "removed": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"body": "[deleted]"}, "forgotten"),
        ({"body": "[removed]"}, "taken_down"),
        ({"author": "[deleted]"}, "deleted"),
        ({}, None),
    ],
)
def test_what_was_taken_away_is_noted_for_earlier_copies(tmp_path, restrictions_of, change, reason):
    posts_of(tmp_path, COMMENT | change)
    assert restrictions_of(read(tmp_path / "x.ndjson")).posts == (
        {"t1_cnas8zv": reason} if reason else {}
    )


@pytest.mark.parametrize(
    ("given", "edited"),
    [
        (1420070500, datetime(2015, 1, 1, 0, 1, 40, tzinfo=UTC)),
        (1420070500.0, datetime(2015, 1, 1, 0, 1, 40, tzinfo=UTC)),
        (False, None),
        (True, None),
        (None, None),
        (1, None),
    ],
)
def test_a_changed_text_says_when(tmp_path, given, edited):
    (post,), _ = posts_of(tmp_path, COMMENT | {"edited": given})
    assert post["edited"] == edited
