"""Compliance files: deletions are permanent, states last until they end, nothing is dropped."""

import json

import pytest

from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.posts import compliance
from rookery.posts.live import live_log
from rookery.posts.log.places import scrubbed, scrubs
from rookery.posts.post import to_batch

USER, POST = {"user": {"id": "7"}}, {"tweet": {"id": "70", "author_id": "7"}}
ACTOR = "https://home.example/users/ada"


def at(second):
    return {"event_at": f"2022-12-23T12:34:{second:02}.789Z"}


@pytest.fixture
def honour(home, tmp_path):
    """Apply lines as one file, and return the report and the log's restrictions after it."""

    def honour(*lines, ids_of=None, name="events.jsonl"):
        path = tmp_path / name
        path.write_text(
            "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        )
        report = compliance.apply(home, [path], ids_of, Context())
        with live_log(home) as log:
            return report, log.restrictions()

    return honour


def test_all_kinds_of_xs_stream_are_understood(home, shared_data):
    path = shared_data / "formats" / "x_api_v2" / "compliance_stream.jsonl"
    report = compliance.apply(home, [path], None, Context())
    kinds = """delete withheld drop undrop tweet_edit user_protect user_unprotect user_suspend
    user_unsuspend user_delete user_undelete user_withheld scrub_geo""".split()
    assert report.understood == dict.fromkeys(kinds, 1)
    assert (report.new, report.set_aside) == (13, {})
    assert compliance.apply(home, [path], None, Context()).new == 0
    with live_log(home) as log:
        restrictions = log.restrictions()
    assert restrictions.posts == {"601430178305220608": "forgotten"}
    assert restrictions.authors == {"3198576760": "withheld"}


@pytest.mark.parametrize(
    ("kind", "undo", "cause"),
    [
        ("user_protect", "user_unprotect", "protected"),
        ("user_suspend", "user_unsuspend", "suspended"),
        ("user_delete", "user_undelete", "deleted"),
    ],
)
def test_states_of_users_end_in_whatever_order_they_come(honour, kind, undo, cause):
    on, off = {"data": {kind: USER | at(1)}}, {"data": {undo: USER | at(2)}}
    assert honour(on)[1].authors == {"7": cause}
    assert honour(off, on)[1].authors == {}


def test_a_withholding_ends_when_no_country_is_left(honour):
    _, restrictions = honour(
        {"data": {"withheld": POST | {"withheld_in_countries": ["FR"]} | at(1)}}
    )
    assert restrictions.posts == {"70": "withheld"}
    assert (
        honour({"data": {"withheld": POST | {"withheld_in_countries": []} | at(2)}})[1].posts == {}
    )


def test_a_deletion_is_for_good_and_an_edit_replaces(honour):
    edit = {
        "data": {"tweet_edit": {"tweet": {"id": "9", "edit_tweet_ids": ["8", "9", "10"]}} | at(1)}
    }
    _, restrictions = honour(
        {"data": {"delete": POST | at(1)}}, {"data": {"undrop": POST | at(2)}}, edit
    )
    assert restrictions.posts == {"70": "forgotten", "8": "superseded", "9": "superseded"}


BATCH = {"id": "7", "action": "delete", "created_at": "2019-09-06T17:25:54.667Z"}


@pytest.mark.parametrize(
    ("reason", "of_posts", "of_authors"),
    [("deleted", "forgotten", "deleted"), ("protected", "protected", "protected"),
     ("suspended", "suspended", "suspended"), ("deactivated", "deactivated", "deactivated")],
)  # fmt: skip
def test_batch_compliance_forgets_only_what_was_deleted(honour, reason, of_posts, of_authors):
    assert honour(BATCH | {"reason": reason}, ids_of="posts")[1].posts == {"7": of_posts}
    assert honour(BATCH | {"reason": reason}, ids_of="authors")[1].authors == {"7": of_authors}


def test_batch_compliance_must_be_told_what_its_ids_are(honour, home):
    with pytest.raises(UsageError, match="posts or of authors"):
        honour({"data": {"delete": POST | at(1)}}, BATCH | {"reason": "deleted"})
    with live_log(home) as log:
        assert log.watermark() == 0


def test_notices_of_the_first_api_are_honoured(honour):
    report, restrictions = honour(
        {"delete": {"status": {"id": 70, "id_str": "70", "user_id": 7}}},
        {"status_withheld": {"id": 71, "user_id": 7, "withheld_in_countries": ["DE"]}},
        {"user_withheld": {"id": 8, "withheld_in_countries": ["DE"]}},
        {"scrub_geo": {"user_id": 9, "user_id_str": "9", "up_to_status_id_str": "72"}},
        {"limit": {"track": 5}},
    )
    assert restrictions.posts == {"70": "forgotten", "71": "withheld"}
    assert restrictions.authors == {"8": "withheld"}
    assert report.understood["scrub_geo"] == 1
    assert report.set_aside == {"not_understood": 1}


def test_activities_and_events_of_streams_are_honoured_in_one_file(honour):
    tombstone = {"type": "Tombstone", "id": f"{ACTOR}/statuses/2"}
    account = {"active": False, "status": "deleted"}
    commit = {"operation": "delete", "collection": "app.bsky.feed.post", "rkey": "r", "rev": "3"}
    _, restrictions = honour(
        {"type": "Delete", "actor": ACTOR, "object": f"{ACTOR}/statuses/1"},
        {"type": "OrderedCollection", "orderedItems": [tombstone]},
        {"did": "did:plc:a", "time_us": 1, "kind": "account", "account": account},
        {"did": "did:plc:b", "time_us": 1, "kind": "commit", "commit": commit},
    )
    posts = {f"{ACTOR}/statuses/1", f"{ACTOR}/statuses/2", "at://did:plc:b/app.bsky.feed.post/r"}
    assert (restrictions.forgotten_posts, restrictions.authors) == (posts, {"did:plc:a": "deleted"})


def test_somebody_elses_deletion_and_an_undo_of_a_posts_are_not_honoured(honour):
    theirs = {"type": "Delete", "actor": ACTOR, "object": "https://elsewhere.example/1"}
    undo = {
        "type": "Undo",
        "actor": ACTOR,
        "object": {"type": "Delete", "object": f"{ACTOR}/statuses/1"},
    }
    report, restrictions = honour(theirs, undo, {"data": {"delete": POST | at(1)}})
    assert report.set_aside == {"not_the_owners": 1, "cannot_be_undone": 1}
    assert restrictions.posts == {"70": "forgotten"}


def test_what_is_not_understood_is_set_aside_with_its_line_and_reason(honour):
    line = {"data": {"delete": POST | at(1)}}
    report, _ = honour(
        line,
        "",
        "{not json",
        line,
        {"data": {"new_kind": POST}},
        ["words"],
        {"data": {"delete": {}}},
    )
    assert (report.understood, report.new) == ({"delete": 2}, 1)
    assert report.set_aside == {"not_a_json_object": 2, "not_understood": 2}
    aside = [json.loads(line) for line in open(report.set_aside_path)]
    assert aside[0] == aside[0] | {
        "where": "events.jsonl, line 3",
        "reason": "not_a_json_object",
    }


def test_a_file_with_nothing_to_honour_is_refused_and_nothing_noted(
    honour, home, rookery, tmp_path
):
    for lines in ([""], ["{"], [{"hello": 1}], [{"id": "1", "text": "a tweet"}]):
        with pytest.raises(DataError, match=r"empty|not JSON|nothing in the file"):
            honour(*lines)
    assert not list(home.set_aside.glob("*"))
    assert rookery("posts", "forget", "--file", tmp_path / "events.jsonl").code == 2


def test_the_command_reports_by_kind(rookery, tmp_path):
    path = tmp_path / "delete.jsonl"
    path.write_text(json.dumps({"data": {"delete": POST | at(1)}}))
    report = rookery("posts", "forget", "--file", path, "--json").json()
    assert report == {
        "understood": {"delete": 1},
        "new": 1,
        "set_aside": {},
        "set_aside_path": None,
    }


def test_the_place_of_a_single_post_is_scrubbed(honour, home, a_post):
    line = {
        "id": "10",
        "action": "delete",
        "reason": "scrub_geo",
        "redacted_at": "2025-02-01T00:00:00Z",
    }
    assert honour(line, ids_of="posts")[0].set_aside == {}
    with live_log(home) as log:
        requested = scrubs(log)
    posts = to_batch([a_post(id=id_, place="Elm Street") for id_ in ("9", "10", "11")])
    assert scrubbed(posts, requested)["place"].to_pylist() == ["Elm Street", None, "Elm Street"]
