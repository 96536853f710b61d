"""The X archive: what its owner published is taken, what is private is never opened."""

import json
import zipfile
from datetime import UTC, datetime
from pathlib import PurePosixPath

import pytest

from rookery.core.errors import DataError
from rookery.posts.sources import archives, x_archive
from rookery.posts.sources.files import SetAside
from rookery.posts.sources.x_archive import read

TWEET = {
    "id_str": "10",
    "full_text": "Bread &amp; butter",
    "created_at": "Sat Feb 18 12:33:11 +0000 2023",
    "favorite_count": "3",
    "retweet_count": "x",
    "lang": "en",
    "in_reply_to_status_id_str": "9",
    "extended_entities": {"media": [{"ext_alt_text": "a loaf"}]},
}
ALONE = TWEET | {"in_reply_to_status_id_str": None}
ACCOUNT = [{"account": {"email": "owner@example.com", "username": "owner", "accountId": "1"}}]


def js(name, items, part=0):
    return f"window.YTD.{name}.part{part} = {json.dumps(items)}"


def a_manifest(made="2024-11-16T11:33:22.222Z", **counts):
    """The list of an archive, with the number of items in each of some files."""
    files = {
        name: {"files": [{"fileName": f"data/{name.replace('_', '-')}.js", "count": str(count)}]}
        for name, count in counts.items()
    }
    about = {
        "userInfo": {"accountId": "1", "userName": "owner"},
        "archiveInfo": {"generationDate": made},
    }
    return "window.__THAR_CONFIG = " + json.dumps(about | {"dataTypes": files})


def an_archive(tmp_path, tweets=(TWEET,), folder="data/", name="archive.zip", **files):
    """Write an archive of some tweets, and of further files as items or as raw text.

    Those are named by keyword: `note_tweet` is note-tweet.js.
    """
    path = tmp_path / name
    wrapped = tweets if isinstance(tweets, str) else [{"tweet": tweet} for tweet in tweets]
    content = {"account": ACCOUNT, "tweets": wrapped} | files
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, items in content.items():
            text = items if isinstance(items, str) else js(name, items)
            archive.writestr(f"{folder}{name.replace('_', '-')}.js", text)
    return path


def posts_of(*places, **options):
    batches = list(read(*places, **options))
    return [row for batch, _ in batches for row in batch.to_pylist()], [
        item for _, beside in batches for item in beside if isinstance(item, SetAside)
    ]


def test_a_tweet_becomes_a_post(tmp_path):
    (post,), aside = posts_of(an_archive(tmp_path))
    assert aside == []
    assert post == post | {
        "id": "10",
        "author": "owner",
        "text": "Bread & butter",
        "language": "en",
        "reply_to": "9",
        "likes": 3,
        "reposts": None,
        "alt_text": "a loaf",
        "visibility": "public",
        "source": "x_archive",
        "created": datetime(2023, 2, 18, 12, 33, 11, tzinfo=UTC),
    }


def test_the_sample_of_a_published_archive_is_read(shared_data):
    (path,) = (shared_data / "formats" / "x_archive").glob("*.zip")
    (post,), (aside,) = posts_of(path)
    assert (post["id"], post["author"], post["likes"]) == ("1626922779105759235", "owner_handle", 1)
    assert aside.reason == "long_text_without_its_tweet"


def test_parts_are_read_in_their_order(tmp_path):
    tweets = {
        f"tweets-part{n}": js("tweets", [{"tweet": TWEET | {"id_str": str(n)}}], n)
        for n in (1, 2, 10)
    }
    assert [p["id"] for p in posts_of(an_archive(tmp_path, **tweets))[0]] == ["10", "1", "2", "10"]


def test_private_files_are_never_opened(tmp_path, monkeypatch):
    private = dict.fromkeys(
        ["direct_messages", "ip_audit", "phone_number", "deleted_tweets", "like"], "not even JSON"
    )
    path = an_archive(tmp_path, **private)
    opened = []
    really_open = zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile, "open", lambda z, m, *a: opened.append(m.filename) or really_open(z, m, *a)
    )
    assert len(posts_of(path)[0]) == 1
    assert set(opened) == {"data/account.js", "data/tweets.js"}


def test_nothing_of_the_account_but_its_name_reaches_a_post(tmp_path):
    (post,), _ = posts_of(an_archive(tmp_path))
    assert "example.com" not in str(post)


@pytest.mark.parametrize(
    ("changes", "visibility"),
    [
        ([], "public"),
        ([("2024-01-01T00:00:00.000Z", "Protect")], "followers"),
        (
            [("2024-02-01T00:00:00.000Z", "Unprotect"), ("2024-01-01T00:00:00.000Z", "Protect")],
            "public",
        ),
        (
            [("2024-01-01T00:00:00.000Z", "Unprotect"), ("2024-02-01T00:00:00.000Z", "Protect")],
            "followers",
        ),
    ],
)
def test_tweets_of_a_protected_account_are_for_followers(tmp_path, changes, visibility):
    history = [
        {"protectedHistory": {"protectedAt": at, "action": action}} for at, action in changes
    ]
    (post,), _ = posts_of(an_archive(tmp_path, protected_history=history))
    assert post["visibility"] == visibility


def test_a_tweet_marked_for_followers_is_for_followers(tmp_path):
    (post,), _ = posts_of(an_archive(tmp_path, [TWEET | {"scopes": {"followers": True}}]))
    assert post["visibility"] == "followers"


LONG = "Bread & butter, " + "and so on " * 40
BY_ID = {"noteTweetId": "5", "tweetId": "10", "noteTweetResults": {"text": LONG}}
BY_TIME = {"noteTweetId": "5", "createdAt": "2023-02-18T12:33:11.000Z", "core": {"text": LONG}}


@pytest.mark.parametrize("note", [BY_ID, BY_TIME])
def test_a_long_text_takes_the_place_of_its_beginning(tmp_path, note):
    tweet = TWEET | {
        "full_text": "Bread &amp; butter, and so on and so on and so on and so… https://t.co/x"
    }
    (post,), aside = posts_of(an_archive(tmp_path, [tweet], note_tweet=[{"noteTweet": note}]))
    assert (post["text"], aside) == (LONG, [])


def test_shortened_links_are_expanded_in_short_and_long_texts(tmp_path):
    short, page, picture = (f"https://t.co/{name}" for name in ("l", "p", "m"))
    entities = {"urls": [{"url": page, "expanded_url": "https://a.org/"}]}
    media = {
        "media": [{"url": picture, "expanded_url": "https://twitter.com/owner/status/10/photo/1"}]
    }
    tweet = TWEET | {"full_text": f"{page} {picture}", "entities": entities}
    (post,), _ = posts_of(an_archive(tmp_path, [tweet | {"extended_entities": media}]))
    assert post["text"] == "https://a.org/ https://twitter.com/owner/status/10/photo/1"
    long = {
        "text": f"{short} {LONG}",
        "urls": [{"shortUrl": short, "expandedUrl": "https://b.org/"}],
    }
    note = BY_TIME | {"core": long}
    tweet = TWEET | {"full_text": f"{short} {LONG[:60]}…"}
    (post,), aside = posts_of(an_archive(tmp_path, [tweet], note_tweet=[{"noteTweet": note}]))
    assert (post["text"], aside) == (f"https://b.org/ {LONG}", [])


def test_a_long_text_of_the_same_second_that_begins_otherwise_is_another(tmp_path):
    note = BY_TIME | {"core": {"text": "Something else entirely"}}
    (post,), (aside,) = posts_of(an_archive(tmp_path, note_tweet=[{"noteTweet": note}]))
    assert post["text"] == "Bread & butter"
    assert aside.reason == "long_text_without_its_tweet"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"full_text": "RT @other: their words"}, "repost"),
        ({"full_text": "  "}, "no_text"),
        ({"full_text": None}, "no_text"),
        ({"id_str": None}, "no_id"),
        ({"created_at": "soon"}, "bad_time"),
        ({"created_at": {"odd": 1}}, "bad_time"),
    ],
)
def test_what_is_no_post_of_the_owner_is_set_aside(tmp_path, change, reason):
    posts, (aside,) = posts_of(an_archive(tmp_path, [TWEET | change]))
    assert (posts, aside.reason, aside.where) == ([], reason, "tweets.js, tweet 1")


def test_odd_values_do_not_stop_the_reading(tmp_path):
    odd = {
        "full_text": "half \ud83d",
        "lang": 3,
        "scopes": [],
        "favorite_count": -1,
        "extended_entities": {"media": [1]},
    }
    (post,), _ = posts_of(an_archive(tmp_path, [TWEET | odd]))
    assert (post["text"], post["language"], post["likes"]) == ("half \ufffd", None, None)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"tweets": "window.YTD.tweets.part0 = [ {"}, "not JSON after its prefix"),
        ({"tweets": "window.YTD.tweets.part0 = [ 1 ]"}, "other than objects"),
        ({"tweets": "window.YTD.tweets.part0 = [" + "[" * 100_000}, "not JSON"),
        ({"tweets": "[]"}, "does not begin as X writes it"),
        ({"account": []}, "names no account"),
    ],
)
def test_a_file_that_is_not_what_x_writes_is_one_clear_line(tmp_path, files, message):
    path = an_archive(tmp_path, **files)
    with pytest.raises(DataError, match=message) as error:
        posts_of(path)
    assert str(path) in error.value.line()


@pytest.mark.parametrize(
    "name", ["../data/tweets.js", "/data/tweets.js", "data\\tweets.js", "data/../../x.js"]
)
def test_an_archive_with_hostile_paths_is_refused(tmp_path, name):
    path = an_archive(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "window.YTD.tweets.part0 = []")
    with pytest.raises(DataError, match="outside it"):
        posts_of(path)


def test_an_archive_that_names_a_file_twice_is_refused(tmp_path):
    path = an_archive(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data/tweets.js", "window.YTD.tweets.part0 = []")
    with pytest.raises(DataError, match="twice"):
        posts_of(path)


def test_a_bomb_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_FILE_BYTES", 1000)
    path = an_archive(tmp_path, tweets="window.YTD.tweets.part0 = [" + " " * 1_000_000 + "]")
    with pytest.raises(DataError, match=r"claims to be 1,000,028 bytes long"):
        posts_of(path)


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path):
    path = an_archive(tmp_path, [TWEET] * 1000)
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("data/tweets.js").file_size
    data = path.read_bytes().replace(
        size.to_bytes(4, "little"), (size - 1000).to_bytes(4, "little")
    )
    path.write_bytes(data)
    with pytest.raises(DataError):
        posts_of(path)


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.99])
def test_a_zip_cut_short_is_refused(tmp_path, keep):
    path = an_archive(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(DataError, match="damaged or cut short"):
        posts_of(path)


def test_a_zip_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("holiday.txt", "sun")
    with pytest.raises(DataError, match="not an X archive"):
        posts_of(tmp_path / "x.zip")


def test_deleted_tweets_are_forgotten_by_their_headers_and_their_words_stay_shut(
    tmp_path, restrictions_of
):
    header = {
        "tweet": {"tweet_id": "8", "user_id": "1", "deleted_at": "Sat Feb 18 12:33:11 +0000 2023"}
    }
    path = an_archive(
        tmp_path,
        deleted_tweet_headers=js("deleted_tweet_headers", [header]),
        deleted_tweets="private",
    )
    assert [post["id"] for post in posts_of(path)[0]] == ["10"]
    assert restrictions_of(read(path)).posts == {"8": "forgotten"}


@pytest.mark.parametrize(
    "wrap", [lambda h: {"initial": h}, lambda h: {"edit": {"editControlInitial": h}}]
)
def test_of_an_edited_tweet_the_newest_version_is_taken(tmp_path, restrictions_of, wrap):
    info = {"edit_info": wrap({"editTweetIds": ["9", "10"]})}
    path = an_archive(tmp_path, tweets=[TWEET | info, TWEET | info | {"id_str": "9"}])
    (post,), (aside,) = posts_of(path)
    assert (post["id"], post["version_of"], aside.reason) == ("10", "9", "edited_since")
    assert restrictions_of(read(path)).posts == {"9": "superseded"}


def test_all_parts_of_a_long_archive_are_read_in_order(tmp_path):
    parts = {
        f"tweets_part{n}": js("tweets", [{"tweet": TWEET | {"id_str": f"{100 + n}"}}], n)
        for n in range(1, 12)
    }
    posts, _ = posts_of(an_archive(tmp_path, **parts))
    assert [post["id"] for post in posts] == ["10", *(f"{100 + n}" for n in range(1, 12))]


def test_a_place_is_kept(tmp_path):
    named, pointed = (
        {"place": {"full_name": "Ghent"}},
        {"coordinates": {"coordinates": ["3.7", "51"]}},
    )
    posts, _ = posts_of(
        an_archive(tmp_path, tweets=[TWEET | named, TWEET | {"id_str": "11"} | pointed])
    )
    assert [post["place"] for post in posts] == ["Ghent", "3.7, 51"]


def unpacked(archive, folder):
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


@pytest.mark.parametrize("inside", ["", "data"])
def test_an_unpacked_archive_is_read_as_the_zip_is(tmp_path, inside):
    path = an_archive(tmp_path, [TWEET, TWEET | {"id_str": "11"}])
    folder = unpacked(path, tmp_path / "folder") / inside
    assert x_archive.is_unpacked(folder)
    assert posts_of(folder) == posts_of(path)


def test_an_archive_of_2018_has_its_files_at_the_top(tmp_path):
    path = an_archive(tmp_path, folder="twitter-2018-12-01/", tweet=js("tweet", [{"tweet": TWEET}]))
    with zipfile.ZipFile(path) as archive:
        assert x_archive.is_part(map(PurePosixPath, archive.namelist()))
    assert len(posts_of(path)[0]) == 2


CIRCLE = {"tweet": {"id_str": "10"}}


@pytest.mark.parametrize(
    ("circles", "tweet", "visibility"),
    [
        ({"twitter_circle_tweet": [CIRCLE]}, ALONE, "followers"),
        ({"twitter_circle_tweet": [CIRCLE]}, ALONE | {"id_str": "11"}, "public"),
        ({"twitter_circle_tweet": []}, ALONE, "unknown"),
        ({"twitter_circle": []}, ALONE, "unknown"),
        ({"manifest": a_manifest(twitter_circle_tweet=0)}, ALONE, "unknown"),
        ({"manifest": a_manifest(like=3)}, ALONE, "public"),
        ({}, ALONE, "public"),
        ({"twitter_circle_tweet": []}, TWEET, "public"),
        ({"twitter_circle_tweet": []}, TWEET | {"in_reply_to_user_id_str": "2"}, "public"),
        ({"twitter_circle_tweet": []}, TWEET | {"in_reply_to_user_id_str": "1"}, "unknown"),
        ({"twitter_circle_tweet": []}, ALONE | {"created_at": "2022-07-31T23:59:59Z"}, "public"),
        ({"twitter_circle_tweet": []}, ALONE | {"created_at": "2022-08-01T00:00:00Z"}, "unknown"),
        ({"twitter_circle_tweet": []}, ALONE | {"created_at": "2023-11-30T23:59:59Z"}, "unknown"),
        ({"twitter_circle_tweet": []}, ALONE | {"created_at": "2023-12-01T00:00:00Z"}, "public"),
    ],
)
def test_tweets_for_a_circle_are_for_followers_and_what_may_be_one_is_unknown(
    tmp_path, circles, tweet, visibility
):
    path = an_archive(tmp_path, [tweet], **circles)
    assert [post["visibility"] for post in posts_of(path)[0]] == [visibility]
    vouched = "public" if visibility == "unknown" else visibility
    assert [post["visibility"] for post in posts_of(path, no_circles=True)[0]] == [vouched]


def test_a_file_that_the_archive_says_it_has_must_be_there(tmp_path):
    path = an_archive(tmp_path, manifest=a_manifest(protected_history=2, tweets=1, like=9))
    with pytest.raises(DataError, match=r"should hold protected-history\.js"):
        posts_of(path)


def test_the_zips_of_an_account_are_one_archive(tmp_path):
    manifest = a_manifest(tweets=1, tweets_part1=1, twitter_circle_tweet=1)
    one = an_archive(tmp_path, manifest=manifest)
    two = tmp_path / "two.zip"
    with zipfile.ZipFile(two, "w") as archive:
        tweet = ALONE | {"id_str": "11"}
        archive.writestr("data/tweets-part1.js", js("tweets", [{"tweet": tweet}], 1))
        listed = [{"tweet": {"id_str": "11"}}, CIRCLE]
        archive.writestr("data/twitter-circle-tweet.js", js("twitter_circle_tweet", listed))
        archive.writestr("data/manifest.js", manifest)
    posts, _ = posts_of(one, two)
    assert [(p["id"], p["author"], p["visibility"]) for p in posts] == [
        ("10", "owner", "followers"),
        ("11", "owner", "followers"),
    ]
    for alone in (one, two):
        with pytest.raises(DataError, match="which is not there"):
            posts_of(alone)


def test_what_one_archive_of_an_account_says_holds_for_the_other(tmp_path):
    older = an_archive(
        tmp_path, [ALONE], manifest=a_manifest("2023-06-01"), twitter_circle_tweet=[CIRCLE]
    )
    newer = an_archive(
        tmp_path,
        [ALONE, ALONE | {"id_str": "11"}],
        name="newer.zip",
        manifest=a_manifest("2024-06-01"),
        twitter_circle_tweet=[],
        account=[{"account": {"username": "renamed", "accountId": "1"}}],
    )
    posts, _ = posts_of(newer, older)
    assert {(p["id"], p["visibility"]) for p in posts} == {("10", "followers"), ("11", "unknown")}
    assert {p["author"] for p in posts} == {"renamed"}


USER = {"screen_name": "owner", "id_str": "1", "protected": False}
OLD_TWEET = {
    "id_str": "494970488012414976",
    "text": "Bread &amp; butter",
    "created_at": "2014-07-31 22:18:55 +0000",
    "geo": {"type": "Point", "coordinates": [51.05, 3.72]},
    "user": USER,
}


def of_2015(tmp_path, *months, details=True):
    """Write a folder as X gave it from 2012 to 2018."""
    folder = tmp_path / "old" / "data" / "js"
    (folder / "tweets").mkdir(parents=True)
    for number, tweets in enumerate(months, 1):
        name = f"2014_{number:02}"
        text = f"Grailbird.data.tweets_{name} = \n {json.dumps(tweets)}"
        (folder / "tweets" / f"{name}.js").write_text(text)
    if details:
        about = json.dumps({"screen_name": "owner", "id": "1"})
        (folder / "user_details.js").write_text(f"var user_details =  {about}")
    return tmp_path / "old"


@pytest.mark.parametrize("inside", ["", "data", "data/js", "data/js/tweets"])
@pytest.mark.parametrize("details", [True, False])
def test_a_folder_of_2012_to_2018_is_read_month_by_month(tmp_path, inside, details):
    months = (
        [OLD_TWEET, OLD_TWEET | {"id_str": "9", "text": "RT @bo: x"}],
        [OLD_TWEET | {"id_str": "8"}],
    )
    folder = of_2015(tmp_path, *months, details=details) / inside
    assert x_archive.is_unpacked(folder)
    assert x_archive.account_id(folder) == "1"
    posts, (aside,) = posts_of(folder)
    assert posts[0] == posts[0] | {
        "id": "494970488012414976",
        "author": "owner",
        "text": "Bread & butter",
        "created": datetime(2014, 7, 31, 22, 18, 55, tzinfo=UTC),
        "place": "3.72, 51.05",
        "visibility": "public",
        "source": "x_archive",
    }
    assert (posts[1]["id"], aside.reason, aside.row["id_str"]) == ("8", "repost", "9")


@pytest.mark.parametrize(
    ("user", "visibility"),
    [
        (USER | {"protected": True}, "followers"),
        ({"screen_name": "owner", "id_str": "1"}, "unknown"),
    ],
)
def test_an_old_tweet_is_public_only_where_it_says_so(tmp_path, user, visibility):
    (post,), _ = posts_of(of_2015(tmp_path, [OLD_TWEET | {"user": user}]))
    assert post["visibility"] == visibility


def test_a_repeated_tweet_of_2012_to_2018_is_not_the_owners(tmp_path):
    inside = OLD_TWEET | {"user": {"screen_name": "bo", "id_str": "2"}}
    posts, (aside,) = posts_of(of_2015(tmp_path, [OLD_TWEET | {"retweeted_status": inside}]))
    assert (posts, aside.reason) == ([], "repost")


@pytest.mark.parametrize(
    ("name", "text", "is_one"),
    [
        ("tweets.js", "window.YTD.tweets.part0 = [ ]", True),
        ("tweets-part1.js", "window.YTD.tweets.part1 = [ ]", True),
        ("2014_07.js", "Grailbird.data.tweets_2014_07 = \n [ ]", True),
        ("tweets.js", "export const tweets = []", False),
        ("direct-messages.js", "window.YTD.direct_messages.part0 = [ ]", False),
    ],
)
def test_a_loose_file_is_known_by_its_name_and_its_beginning(tmp_path, name, text, is_one):
    (tmp_path / name).write_text(text)
    assert x_archive.is_loose(tmp_path / name) == is_one


def test_a_loose_file_without_its_account_is_refused(tmp_path):
    (tmp_path / "tweets.js").write_text(js("tweets", [{"tweet": TWEET}]))
    with pytest.raises(DataError, match="not both there"):
        posts_of(tmp_path)
