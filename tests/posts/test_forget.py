"""Forgetting through the real command line."""

from rookery.posts.lake import open_lake
from rookery.posts.live import live_log
from rookery.posts.post import USES
from rookery.posts.rights import gate


def test_a_forgotten_post_and_author_are_gone_from_every_use_at_once(rookery, home, a_post, put):
    put(a_post(id="1"), a_post(id="2", author="bo"), a_post(id="3", author="bo"), a_post(id="4"))
    report = rookery("posts", "forget", "1", "9", "--author", "bo", "--json").json()
    assert (report["posts"], report["authors"], report["hidden_in_lake"]) == (2, 1, 3)
    with live_log(home) as log:
        forgotten = log.restrictions()
    for use in USES:
        left = [
            post
            for batch in open_lake(home).batches()
            for post, reason in zip(
                batch["id"].to_pylist(),
                gate(batch, use, "public", forgotten).to_pylist(),
                strict=True,
            )
            if reason is None
        ]
        assert left == ["4"]
    counts = rookery("posts", "stats", "--json").json()
    assert counts["dropped_by_use"] == {use: {"forgotten": 3} for use in USES}


def test_forgetting_again_changes_nothing(rookery):
    rookery("posts", "forget", "1")
    report = rookery("posts", "forget", "1", "--json").json()
    assert (report["posts"], report["already_forgotten"], report["hidden_in_lake"]) == (0, 1, 0)


def test_a_post_can_be_forgotten_before_it_comes(rookery, home, a_post, put):
    rookery("posts", "forget", "1")
    put(a_post(id="1"))
    assert rookery("posts", "stats", "--json").json()["dropped"] == {"forgotten": 1}


def test_forgetting_nothing_is_wrong_use(rookery):
    ran = rookery("posts", "forget")
    assert (ran.code, len(ran.said)) == (2, 1)


def test_an_id_of_no_post_here_is_recorded_said_first_and_ends_with_exit_1(
    rookery, home, a_post, put
):
    put(a_post(id="1"), a_post(id="2", author="bo"))
    assert rookery("posts", "forget", " 1 ", "--author", "bo ").code == 0
    ran = rookery("posts", "forget", "2", "9", "--author", "nobody")
    assert ran.code == 1
    assert ran.out.splitlines()[0] == (
        "No post here is named by 9, nobody: recorded in case one comes."
    )
    again = rookery("posts", "forget", "9", "--json")
    assert (again.code, again.json()["unknown"]) == (1, ["9"])
    with live_log(home) as log:
        assert log.restrictions().forgotten_posts == {"1", "2", "9"}
        assert log.restrictions().forgotten_authors == {"bo", "nobody"}


def test_what_was_here_until_an_erasure_is_no_unknown_name(rookery, home, a_post, put):
    put(a_post(id="1"), a_post(id="2", author="bo"), a_post(id="3"))
    rookery("posts", "forget", "1", "--author", "bo")
    rookery("posts", "erase")
    ran = rookery("posts", "forget", "1", "2", "--author", "bo")
    assert (ran.code, "unknown" in ran.out) == (0, False)


def test_a_permalink_forgets_its_post(rookery, home, a_post, put):
    put(a_post(id="123"))
    report = rookery("posts", "forget", "https://x.com/ada/status/123?s=20", "--json")
    assert (report.code, report.json()["hidden_in_lake"]) == (0, 1)


def test_a_blank_name_is_wrong_use_and_nothing_is_recorded(rookery, home):
    for words in (["1", " "], ["1", "--author", ""]):
        ran = rookery("posts", "forget", *words)
        assert (ran.code, len(ran.said)) == (2, 1)
    with live_log(home) as log:
        assert log.watermark() == 0
