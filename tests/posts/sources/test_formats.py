"""Formats: a file is read as what its first value shows, unless its name shows a table."""

import json
import tarfile
import zipfile

import pytest

from rookery.posts import lake
from rookery.posts.sources.formats import SOURCES

REDDIT = {
    "id": "a",
    "author": "ada",
    "body": "words",
    "created_utc": 1420070400,
    "link_id": "t3_b",
    "subreddit": "x",
}
X_API = {
    "data": {"id": "1", "text": "words", "author_id": "7", "created_at": "2023-02-18T12:33:11Z"}
}
EVENT = {
    "did": "did:plc:a", "time_us": 1_760_000_000_000_000, "kind": "commit",
    "commit": {"rev": "3m1", "operation": "create", "collection": "app.bsky.feed.post", "rkey": "r",
               "record": {"text": "words", "createdAt": "2025-01-01T00:00:00Z"}},
}  # fmt: skip
STATUS = {
    "uri": "https://home.example/users/ada/statuses/1",
    "created_at": "2023-02-18T12:33:11Z",
    "content": "<p>words</p>",
    "visibility": "public",
    "account": {"url": "https://home.example/@ada"},
}
FORUM = {
    "archetype": "regular",
    "post_stream": {
        "posts": [
            {"id": 5, "username": "ada", "created_at": "2023-02-18", "cooked": "<p>words</p>"}
        ]
    },
}
OLD_X_API = {
    "id_str": "1",
    "text": "words",
    "created_at": "Sat Feb 18 12:33:11 +0000 2017",
    "user": {"id_str": "7", "screen_name": "ada", "protected": False},
}
ANSWER = {
    "posts": [
        {
            "uri": "at://did:plc:a/app.bsky.feed.post/r",
            "author": {"did": "did:plc:a"},
            "record": {"text": "words", "createdAt": "2025-01-01T00:00:00Z"},
            "indexedAt": "2025-01-01T00:00:01Z",
        }
    ]
}
TABLE = {"id": "1", "text": "words", "author": "ada", "created": "2023-02-18"}
COLUMNS = "id=id,text=body,author=author,created=created_utc"


@pytest.fixture
def ingested(rookery, tmp_path):
    """Return the report of an ingest of one file that holds these lines."""

    def ingested(name, *lines, options=()):
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        return rookery("posts", "ingest", path, *options, "--json").json()

    return ingested


@pytest.mark.parametrize(
    ("name", "line", "form"),
    [
        ("a.jsonl", REDDIT, "reddit"),
        ("a.json", REDDIT, "reddit"),
        ("RC_2015-01", REDDIT, "reddit"),
        ("a.ndjson", X_API, "x_api"),
        ("00.json", OLD_X_API, "x_api_v1"),
        ("a.json", ANSWER, "atproto_answers"),
        ("a.jsonl", EVENT, "jetstream"),
        ("a.jsonl", STATUS, "mastodon"),
        ("a.json", [STATUS], "mastodon"),
        ("a.json", FORUM, "discourse"),
        ("a.jsonl", TABLE, "jsonl"),
    ],
)
def test_the_format_is_found_and_told(ingested, name, line, form):
    report = ingested(name, line)
    assert (report["format"], report["added"]) == (form, 1)


def test_with_a_map_every_file_is_a_table(ingested):
    report = ingested("a.jsonl", REDDIT, options=("--map", COLUMNS))
    assert (report["format"], report["added"]) == ("jsonl", 1)


def test_a_csv_is_a_table_whatever_its_first_line_says(rookery, tmp_path):
    (tmp_path / "a.csv").write_text(json.dumps(X_API) + "\n1,2\n")
    ran = rookery("posts", "ingest", tmp_path / "a.csv")
    assert (ran.code, len(ran.said)) == (2, 1)
    assert "which column is text" in ran.err


def test_files_of_several_formats_are_one_ingest(rookery, tmp_path):
    for name, line in (("a.jsonl", REDDIT), ("b.jsonl", X_API)):
        (tmp_path / name).write_text(json.dumps(line))
    report = rookery("posts", "ingest", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--json").json()
    assert (report["format"], report["added"]) == ("reddit, x_api", 2)


def test_the_same_file_read_as_a_table_is_another_ingest(ingested):
    assert ingested("a.jsonl", REDDIT)["added"] == 1
    assert ingested("a.jsonl", REDDIT, options=("--map", COLUMNS))["added"] == 1


EVERY = [REDDIT, X_API, OLD_X_API, ANSWER, EVENT, STATUS, [STATUS], FORUM, TABLE]


@pytest.mark.parametrize("first", EVERY, ids=range(len(EVERY)))
def test_at_most_one_source_takes_a_file_for_its_own(first):
    assert sum(source.recognizes(first) for source in SOURCES) == (first is not TABLE)


@pytest.mark.parametrize("name", ["export.tar.gz", "export.zip"])
def test_a_mastodon_export_is_found_by_what_is_in_it(rookery, tmp_path, name):
    note = {
        "type": "Note",
        "id": "u",
        "published": "2023-02-18",
        "content": "<p>words</p>",
        "attributedTo": "a",
    }
    create = {"type": "Create", "actor": "a", "to": ["b/followers"], "object": note}
    (tmp_path / "outbox.json").write_text(json.dumps({"orderedItems": [create]}))
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(tmp_path / "outbox.json", "outbox.json")
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(tmp_path / "outbox.json", "outbox.json")
    report = rookery("posts", "ingest", path, "--json").json()
    assert (report["format"], report["added"]) == ("mastodon", 1)
    assert rookery("posts", "stats", "--json").json()["dropped"] == {"not_public": 1}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"orderedItems": [', "not JSON from beginning to end"),
        ("a.json", '{"topic_list": {"topics": []}}', "posts of no known source"),
        ("a.tar.gz", "words", "damaged or cut short"),
    ],
)
def test_a_file_of_no_source_is_one_clear_line_and_nothing_is_taken(
    rookery, home, tmp_path, name, text, message
):
    (tmp_path / name).write_text(text)
    ran = rookery("posts", "ingest", tmp_path / name)
    assert (ran.code, len(ran.said)) == (2, 1)
    assert message in ran.err
    assert lake.find_lake(home) is None


def test_a_real_outbox_keeps_its_private_posts_from_every_use(rookery, shared_data):
    path = shared_data / "formats" / "mastodon" / "outbox.json.gz"
    report = rookery("posts", "ingest", path, "--json").json()
    assert (report["format"], report["added"]) == ("mastodon", 71)
    assert report["set_aside"] == {"repost": 10, "direct_message": 4}
    counts = rookery("posts", "stats", "--json").json()["dropped_by_use"]
    assert counts["ads"] == {"not_public": 5}
    assert counts["search"] == {"not_public": 5, "author_opted_out": 66}  # without an actor.json


def test_real_events_and_real_answers_of_a_forum_are_one_ingest(rookery, shared_data):
    files = ["atproto/jetstream_events.jsonl", "discourse/topic.json", "discourse/post.json"]
    report = rookery(
        "posts", "ingest", *(shared_data / "formats" / name for name in files), "--json"
    ).json()
    assert (report["format"], report["added"]) == ("discourse, jetstream", 4)
    assert rookery("posts", "stats", "--json").json()["dropped"] == {"visibility_unknown": 1}


def test_posts_whose_account_may_be_protected_are_not_guessed_to_be_public(rookery, tmp_path):
    path = tmp_path / "old.jsonl"
    user = {"name": "ada", "protected": True}
    path.write_text(
        json.dumps({"id": "1", "text": "words", "created_at": "2013-02-04", "user": user})
    )
    done = rookery("posts", "ingest", path)
    assert done.code == 2
    assert "each with an account inside that may be protected" in done.said[0]
