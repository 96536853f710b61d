"""Inputs: folders and archives as people have them, taken in or refused with one clear line."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile

import pytest

from rookery.core.digest import digest_file
from rookery.posts import lake
from rookery.posts.inputs import find_inputs
from tests.posts.sources.test_formats import (
    ANSWER,
    COLUMNS,
    EVENT,
    OLD_X_API,
    REDDIT,
    STATUS,
    TABLE,
    X_API,
)
from tests.posts.sources.test_x_archive import ALONE, a_manifest, an_archive, js

CREATE = {
    "type": "Create",
    "actor": "https://home.example/users/ada",
    "to": ["https://www.w3.org/ns/activitystreams#Public"],
    "object": {
        "type": "Note",
        "id": "https://home.example/users/ada/statuses/9",
        "published": "2023-02-18",
        "content": "<p>words</p>",
    },
}
DUMPS = {
    "reddit/RC_2015-01.bz2": bz2.compress(json.dumps(REDDIT).encode()),
    "x/00.json.xz": lzma.compress(json.dumps(OLD_X_API | {"id_str": "2"}).encode()),
    "x/v2.jsonl": json.dumps(X_API).encode(),
    "events.jsonl.gz": gzip.compress(json.dumps(EVENT).encode()),
    "answers/page.json": json.dumps(ANSWER).replace("post/r", "post/s").encode(),
    "statuses.json": json.dumps([STATUS]).encode(),
}
OTHERS = {
    "READ ME.txt": b"dear all",
    "photo.jpg": b"\xff\xd8\xff" + bytes(99),
    "likes.json": b'{"liked": [1]}',
    "empty.json": b"",
    "notes.txt": "dear all".encode("utf-16"),
}


@pytest.fixture
def ingested(rookery):
    def ingested(*paths, options=()):
        return rookery("posts", "ingest", *paths, *options, "--json").json()

    return ingested


def folder_of(place, files):
    for name, data in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return place


def zip_of(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tar_of(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_every_file_of_a_folder_that_a_reader_knows_is_taken_and_others_are_named(
    ingested, tmp_path
):
    table = {"own.csv": b"id,text,author,created\n77,words,ada,2020-01-01\n"}
    folder = folder_of(tmp_path / "dumps", DUMPS | OTHERS | table | {".DS_Store": b"x"})
    report = ingested(folder)
    assert (report["added"], report["set_aside"]) == (7, {})
    assert report["format"].split(", ") == sorted(
        ["atproto_answers", "csv", "jetstream", "mastodon", "reddit", "x_api", "x_api_v1"]
    )
    assert report["not_read"] == [f"dumps/{name}" for name in sorted(OTHERS)]
    again = ingested(folder)
    assert (again["added"], again["already_there"]) == (0, 7)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_every_dump_in_an_archive_is_taken_and_others_are_named(ingested, tmp_path, kind):
    files = DUMPS | OTHERS
    path = tmp_path / f"dumps.{kind}"
    if kind == "zip":
        zip_of(path, files)
    else:
        tar_of(path, files, "w:" + kind.removeprefix("tar").removeprefix("."))
    report = ingested(path)
    assert report["added"] == len(DUMPS)
    assert report["not_read"] == [f"dumps.{kind}: {name}" for name in OTHERS]


def test_a_row_set_aside_in_an_archive_names_its_file_and_line(ingested, tmp_path):
    two = json.dumps(OLD_X_API) + "\n" + json.dumps(OLD_X_API | {"id_str": "2", "text": " "})
    report = ingested(tar_of(tmp_path / "x.tar", {"10/00.json.bz2": bz2.compress(two.encode())}))
    (line,) = open(report["set_aside_path"], encoding="utf-8")
    assert json.loads(line)["where"] == "x.tar, 10/00.json.bz2, line 2"


def test_the_others_are_named_in_one_line(rookery, tmp_path):
    more = {f"z{number:02}.txt": b"x" for number in range(20)}
    folder = folder_of(tmp_path / "dumps", {"a.json": DUMPS["x/v2.jsonl"]} | OTHERS | more)
    (line,) = [x for x in rookery("posts", "ingest", folder).out.splitlines() if ".jpg" in x]
    assert all(name in line for name in OTHERS)
    assert line.endswith(f"and {len(OTHERS) + len(more) - 12} more")


def test_a_folder_of_exports_holds_each_person_for_themselves(ingested, rookery, tmp_path):
    for person, number in (("ada", "1"), ("bo", "2")):
        account = [{"account": {"username": person, "accountId": number}}]
        path = an_archive(tmp_path, [ALONE | {"id_str": number}], account=account)
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "exports" / person)
    outbox = {"orderedItems": [CREATE]}
    folder_of(tmp_path / "exports" / "cy", {"outbox.json": json.dumps(outbox).encode()})
    report = ingested(tmp_path / "exports")
    assert (report["format"], report["added"]) == ("mastodon, x_archive", 3)
    assert rookery("posts", "stats", "--json").json()["authors"] == 3


def test_an_unpacked_archive_is_taken_without_its_deleted_and_private_words(
    ingested, rookery, home, tmp_path
):
    header = {"tweet": {"tweet_id": "8", "user_id": "1"}}
    path = an_archive(
        tmp_path,
        deleted_tweet_headers=js("deleted_tweet_headers", [header]),
        deleted_tweets=js("deleted_tweets", [{"tweet": {"id_str": "8", "full_text": "secret"}}]),
        direct_messages=js("direct_messages", [{"text": "secret"}]),
    )
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "twitter")
    report = ingested(tmp_path / "twitter")
    assert (report["added"], report["events"]) == (1, {"forget_post": 1})
    files = [file for file in home.path.rglob("*") if file.is_file()]
    assert not [file for file in files if b"secret" in file.read_bytes()]


def test_loose_files_of_an_archive_are_read_with_those_beside_them(ingested, tmp_path):
    files = {
        "tweets.js": js("tweets", [{"tweet": ALONE}]),
        "tweets-part1.js": js("tweets", [{"tweet": ALONE | {"id_str": "11"}}], 1),
        "account.js": js("account", [{"account": {"username": "owner", "accountId": "1"}}]),
        "twitter-circle-tweet.js": js("twitter_circle_tweet", [{"tweet": {"id_str": "11"}}]),
        "holiday.txt": "sun",
    }
    folder = folder_of(tmp_path / "x", {name: text.encode() for name, text in files.items()})
    report = ingested(*sorted(folder.glob("*.js")))
    assert (report["format"], report["added"], report["not_read"]) == ("x_archive", 2, [])


def zips_of_an_account(tmp_path, number="1"):
    manifest = a_manifest(tweets=1, tweets_part1=1).replace('"1", "userName"', f'"{number}", "x"')
    one = an_archive(
        tmp_path,
        [ALONE | {"id_str": f"{number}0"}],
        name=f"{number}-1.zip",
        manifest=manifest,
        account=[{"account": {"username": f"owner{number}", "accountId": number}}],
    )
    part = js("tweets", [{"tweet": ALONE | {"id_str": f"{number}1"}}], 1)
    two = {"data/tweets-part1.js": part, "data/manifest.js": manifest}
    media = {"data/tweets_media/1.jpg": "x"}
    return (
        one,
        zip_of(tmp_path / f"{number}-2.zip", two),
        zip_of(tmp_path / f"{number}-3.zip", media),
    )


def test_several_zips_of_an_account_are_one_archive_in_any_order(ingested, tmp_path):
    zips = zips_of_an_account(tmp_path)
    report = ingested(*reversed(zips))
    assert (report["format"], report["added"]) == ("x_archive", 2)


def test_zips_of_two_accounts_are_kept_apart(ingested, rookery, tmp_path):
    one, two = zips_of_an_account(tmp_path, "1"), zips_of_an_account(tmp_path, "2")
    assert ingested(*one[:2], *two[:2])["added"] == 4
    assert rookery("posts", "stats", "--json").json()["authors"] == 2


def test_of_parts_without_an_account_nobody_knows_whose_they_are(rookery, home, tmp_path):
    one, two = zips_of_an_account(tmp_path, "1"), zips_of_an_account(tmp_path, "2")
    ran = rookery("posts", "ingest", *one, *two[:2])
    assert (ran.code, len(ran.said)) == (2, 1)
    assert "not an X archive" in ran.err
    assert lake.find_lake(home) is None


def test_circle_tweets_are_hidden_until_the_owner_vouches(ingested, rookery, tmp_path):
    path = an_archive(tmp_path, [ALONE], twitter_circle_tweet=[])
    looked = rookery("posts", "look", path, "--json").json()
    for notes in (ingested(path)["notes"], looked["notes"]):
        assert len(notes) == 1
        assert "--visibility public" in notes[0]
    assert rookery("posts", "stats", "--json").json()["dropped"] == {"visibility_unknown": 1}
    again = ingested(path, options=("--visibility", "public"))
    assert (again["vouched"], again["notes"]) == (1, [])
    assert rookery("posts", "stats", "--json").json()["dropped"] == {}
    ran = rookery("posts", "ingest", path, "--visibility", "everybody")
    assert (ran.code, len(ran.said)) == (2, 1)


def test_a_circle_tweet_that_an_earlier_file_called_public_is_hidden_when_the_archive_comes(
    ingested, rookery, tmp_path
):
    first = an_archive(tmp_path, [ALONE])
    ingested(first)
    assert rookery("posts", "stats", "--json").json()["dropped"] == {}
    ingested(an_archive(tmp_path, [ALONE], twitter_circle_tweet=[{"tweet": {"id_str": "10"}}]))
    assert rookery("posts", "stats", "--json").json()["dropped"] == {"not_public": 1}


def test_with_a_map_the_tables_of_a_folder_are_read(ingested, tmp_path):
    files = {"a.jsonl": json.dumps(REDDIT).encode(), "b.txt": b"x"}
    folder = folder_of(tmp_path / "tables", files)
    report = ingested(folder, options=("--map", COLUMNS))
    assert (report["format"], report["added"]) == ("jsonl", 1)
    assert len(report["not_read"]) == 1


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_tables_and_dumps_may_be_packed_with_bzip2_and_xz(ingested, tmp_path, suffix):
    pack = bz2.compress if suffix == ".bz2" else lzma.compress
    (tmp_path / f"a.csv{suffix}").write_bytes(pack(b"id,text,author,created\n1,x,a,2020-01-01\n"))
    (tmp_path / f"b.jsonl{suffix}").write_bytes(pack(json.dumps(TABLE | {"id": "2"}).encode()))
    (tmp_path / f"RC_2015-01{suffix}").write_bytes(pack(json.dumps(REDDIT).encode()))
    assert ingested(*tmp_path.glob(f"*{suffix}"))["added"] == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda place: folder_of(place / "x", OTHERS), "no file of a known format"),
        (lambda place: folder_of(place / "x", {".hidden": b"{}"}), "no file of a known format"),
        (lambda place: zip_of(place / "x.zip", OTHERS), "nothing is in a known format"),
        (lambda place: tar_of(place / "x.tar", OTHERS), "nothing is in a known format"),
        (lambda place: tar_of(place / "x.tar", {"../a.json": b"{}"}), "outside it"),
        (
            lambda place: folder_of(place / "x", DUMPS | {"z.json.gz": b"\x1f\x8b\x08"}),
            "damaged or cut short",
        ),
        (lambda place: folder_of(place / "x", DUMPS | {"z.json": b'[{"id":'}), "not JSON from"),
        (lambda place: tar_of(place / "x.tar", DUMPS | {"z.json": b'[{"id":'}), "not JSON from"),
        (lambda place: zip_of(place / "x.zip", DUMPS | {"z.bz2": b"BZh9"}), "damaged or cut short"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line_and_nothing_is_taken(
    rookery, home, tmp_path, make, message
):
    ran = rookery("posts", "ingest", make(tmp_path))
    assert (ran.code, len(ran.said)) == (2, 1)
    assert message in ran.err
    assert lake.find_lake(home) is None


def test_links_in_a_folder_of_dumps_are_named_and_not_followed(tmp_path):
    folder = folder_of(tmp_path / "dumps", {"a.json": DUMPS["x/v2.jsonl"]})
    (folder / "b.json").symlink_to(folder / "a.json")
    inputs, unknown = find_inputs([folder])
    assert (inputs, unknown) == ([folder / "a.json"], ["dumps/b.json"])


def test_a_zip_alone_is_known_again_by_its_own_digest(tmp_path):
    path = an_archive(tmp_path)
    (bundle,), _ = find_inputs([path])
    assert (bundle.how["format"], bundle.digest()) == ("x_archive", digest_file(path))


def test_a_folder_is_known_again_by_the_files_that_are_read(ingested, tmp_path):
    with zipfile.ZipFile(an_archive(tmp_path)) as archive:
        archive.extractall(tmp_path / "x")
    assert ingested(tmp_path / "x")["added"] == 1
    (tmp_path / "x" / "data" / "tweets_media").mkdir()
    (tmp_path / "x" / "data" / "tweets_media" / "1.jpg").write_bytes(b"x")
    report = ingested(tmp_path / "x")
    assert (report["added"], report["already_there"], report["lake_version"]) == (0, 1, 0)
