"""Two forums in one home: the name that a person gives keeps their numbers apart."""

import json

import pytest

from rookery.posts.lake import open_lake
from rookery.posts.live import live_log


def topic(title: str) -> dict:
    def post(number: int, **fields) -> dict:
        made = {
            "created_at": "2025-01-01T00:00:00.000Z",
            "cooked": f"<p>{title} {number}</p>",
            "post_type": 1,
        }
        return {
            "id": number,
            "username": "ada",
            "post_number": number,
            "topic_id": 5,
            **made,
            **fields,
        }

    posts = [post(1), post(2, reply_to_post_number=1), post(3, user_deleted=True)]
    return {"id": 5, "title": title, "archetype": "regular", "post_stream": {"posts": posts}}


def test_posts_of_two_forums_with_the_same_numbers_are_all_taken(rookery, home, tmp_path):
    for name in ("rooks.example", "elms.example"):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(topic(name)))
        report = rookery("posts", "ingest", path, "--source-name", name, "--json").json()
        assert (report["added"], report["already_there"]) == (2, 0)
    rows = [row for batch in open_lake(home).batches() for row in batch.to_pylist()]
    names = {row["id"]: (row["author"], row["reply_to"], row["conversation"]) for row in rows}
    assert names["elms.example/2"] == ("elms.example/ada", "elms.example/1", "elms.example/topic/5")
    assert names["rooks.example/1"] == ("rooks.example/ada", None, "rooks.example/topic/5")
    with live_log(home) as log:
        assert log.restrictions().forgotten_posts == {"rooks.example/3", "elms.example/3"}


@pytest.mark.parametrize("name", ["", "a b", "../x", "x/y"])
def test_a_name_that_is_none_is_one_clear_line(rookery, tmp_path, name):
    path = tmp_path / "topic.json"
    path.write_text(json.dumps(topic("rooks")))
    ran = rookery("posts", "ingest", path, "--source-name", name)
    assert (ran.code, len(ran.said)) == (2, 1)
