"""The archive of an export: two files of it are read, and a dishonest archive is refused."""

import io
import json
import tarfile
import zipfile

import pytest

from rookery.core.errors import DataError
from rookery.posts.sources import mastodon, mastodon_export
from rookery.posts.sources.mastodon_export import is_export, read_export

HOME = "https://home.example/users/ada"
NOTE = {
    "id": f"{HOME}/statuses/10",
    "type": "Note",
    "published": "2023-02-18T12:33:11Z",
    "attributedTo": HOME,
    "to": ["https://www.w3.org/ns/activitystreams#Public"],
    "content": "<p>Bread</p>",
}
OUTBOX = {"orderedItems": [{"type": "Create", "actor": HOME, "to": NOTE["to"], "object": NOTE}]}
ACTOR = {"id": HOME, "indexable": False}
FILES = {
    "media_attachments/files/1/loaf.png": b"\x89PNG",
    "outbox.json": json.dumps(OUTBOX).encode(),
    "likes.json": b"never opened, not JSON",
    "actor.json": json.dumps(ACTOR).encode(),
}


def a_tar(path, files=FILES):
    """Return a tar of these files; a `TarInfo` in place of bytes is added as it is."""
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            if isinstance(data, bytes):
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return path


def a_zip(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def an_archive(tmp_path, kind, files=FILES):
    return (
        a_tar(tmp_path / "e.tar.gz", files) if kind == "tar" else a_zip(tmp_path / "e.zip", files)
    )


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("folder", ["", "export-2023/", "./"])
def test_the_posts_and_the_actors_refusal_come_out_of_an_archive(tmp_path, kind, folder):
    path = an_archive(tmp_path, kind, {folder + name: data for name, data in FILES.items()})
    assert is_export(path)
    ((batch, beside),) = mastodon.read(path)
    (post,) = batch.to_pylist()
    assert (post["text"], post["visibility"], post["consent_search"]) == ("Bread", "public", False)
    assert {(item.kind, item.cause) for item in beside} == {
        ("consent_author", "search"),
        ("consent_author", "answers"),
    }


def test_posts_of_another_than_the_actor_are_set_aside(tmp_path):
    other = {"id": "https://home.example/users/bo"}
    path = a_tar(tmp_path / "e.tgz", FILES | {"actor.json": json.dumps(other).encode()})
    ((batch, (aside,)),) = mastodon.read(path)
    assert (batch.num_rows, aside.reason, aside.where) == (
        0,
        "not_the_owners",
        "outbox.json, activity 1",
    )


def test_an_archive_without_an_actor_says_nothing_of_consent(tmp_path):
    export = read_export(a_tar(tmp_path / "e.tar.gz", {"outbox.json": FILES["outbox.json"]}))
    assert export.actor is None


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize(
    "name", ["../outbox.json", "/outbox.json", "a/../../outbox.json", "a\\outbox.json", "../x.png"]
)
def test_hostile_paths_are_refused(tmp_path, kind, name):
    path = an_archive(tmp_path, kind, FILES | {name: b"{}"})
    with pytest.raises(DataError, match="outside it"):
        read_export(path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    link = tarfile.TarInfo()
    link.type, link.linkname = kind, "/etc/passwd"
    with pytest.raises(DataError, match="not a plain file"):
        read_export(a_tar(tmp_path / "e.tar.gz", FILES | {"avatar.png": link}))


def test_links_in_a_zip_are_refused(tmp_path):
    path = a_zip(tmp_path / "e.zip")
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("avatar.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="not a plain file"):
        read_export(path)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_with_two_outboxes_is_refused(tmp_path, kind):
    path = an_archive(tmp_path, kind, FILES | {"other/outbox.json": b"{}"})
    with pytest.raises(DataError, match="twice"):
        read_export(path)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_outbox_too_large_is_refused_unread(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(mastodon_export, "LARGEST_FILE_BYTES", 100_000)
    path = an_archive(tmp_path, kind, {"outbox.json": b" " * 200_000})
    with pytest.raises(DataError, match="200,000 bytes long"):
        read_export(path)


def test_a_tar_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mastodon_export, "LARGEST_FILE_BYTES", 100_000)
    path = a_tar(tmp_path / "e.tar.gz", {"media.bin": bytes(10_000_000)} | FILES)
    with pytest.raises(DataError, match="far more than its size"):
        read_export(path)


def test_a_tar_of_a_huge_header_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mastodon_export, "LARGEST_FILE_BYTES", 100_000)
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    header.size = 1 << 40
    path = a_tar(tmp_path / "e.tar.gz", {"pax": header} | FILES)
    with pytest.raises(DataError, match="larger than any header"):
        read_export(path)


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_an_archive_cut_short_is_refused(tmp_path, kind, keep):
    path = an_archive(tmp_path, kind)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(DataError, match="damaged or cut short"):
        read_export(path)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_of_something_else_is_refused(tmp_path, kind):
    with pytest.raises(DataError, match=r"no outbox\.json"):
        read_export(an_archive(tmp_path, kind, {"holiday.txt": b"sun"}))


def test_a_broken_file_inside_is_named(tmp_path):
    path = a_tar(tmp_path / "e.tar.gz", FILES | {"outbox.json": b'{"orderedItems": ['})
    with pytest.raises(DataError, match=r"not JSON.*outbox\.json"):
        list(mastodon.read(path))


@pytest.mark.parametrize("name", ["e.csv", "e.json", "e.gz"])
def test_other_files_are_no_archives(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    assert not is_export(tmp_path / name)


def test_a_zip_of_x_and_a_broken_one_are_none_of_mastodon(tmp_path):
    assert not is_export(a_zip(tmp_path / "x.zip", {"data/tweets.js": b""}))
    (tmp_path / "broken.zip").write_bytes(b"PK")
    assert not is_export(tmp_path / "broken.zip")
