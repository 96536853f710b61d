"""Archives: what is wanted is read out of a zip, a tar or a folder, and a dishonest one is refused.

Most tests read the export of a Mastodon account.
"""

import bz2
import copy
import gzip
import io
import json
import lzma
import tarfile
import zipfile

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.errors import DataError
from rookery.posts.sources import archives, files, formats, mastodon

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


PACK = {
    ".tar": bytes, ".tar.gz": gzip.compress, ".tgz": gzip.compress, ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress, ".tar.zst": zstandard.compress,
}  # fmt: skip


def an_archive(tmp_path, kind, files=FILES):
    """Return an archive of a kind: `zip`, `folder`, `tar` for one in gzip, or the end of a name."""
    if kind == "tar":
        return a_tar(tmp_path / "e.tar.gz", files)
    if kind == "zip":
        return a_zip(tmp_path / "e.zip", files)
    if kind in PACK:
        plain = gzip.decompress(a_tar(tmp_path / "plain.tar.gz", files).read_bytes())
        (tmp_path / f"e{kind}").write_bytes(PACK[kind](plain))
        return tmp_path / f"e{kind}"
    for name, data in files.items():
        place = tmp_path / "e" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return tmp_path / "e"


def read_export(path):
    return list(mastodon.read(path))


@pytest.mark.parametrize("kind", ["folder", "zip", *PACK])
@pytest.mark.parametrize("folder", ["", "export-2023/", "./"])
def test_the_posts_and_the_actors_refusal_come_out_of_an_archive(tmp_path, kind, folder):
    path = an_archive(tmp_path, kind, {folder + name: data for name, data in FILES.items()})
    assert formats.source_of(path) is mastodon
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


def test_an_archive_without_an_actor_is_of_an_account_that_has_said_nothing(tmp_path):
    ((batch, beside),) = mastodon.read(
        a_tar(tmp_path / "e.tar.gz", {"outbox.json": FILES["outbox.json"]})
    )
    (post,) = batch.to_pylist()
    assert [post["consent_search"], post["consent_answers"], post["consent_ads"]] == [
        False, False, None
    ]  # fmt: skip
    assert {(item.subject, item.cause, item.value) for item in beside} == {
        (HOME, "search", "no"),
        (HOME, "answers", "no"),
    }


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
    monkeypatch.setattr(archives, "LARGEST_FILE_BYTES", 100_000)
    path = an_archive(tmp_path, kind, {"outbox.json": b" " * 200_000})
    with pytest.raises(DataError, match="200,000 bytes long"):
        read_export(path)


def test_a_tar_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_FILE_BYTES", 100_000)
    path = a_tar(tmp_path / "e.tar.gz", {"media.bin": bytes(10_000_000)} | FILES)
    with pytest.raises(DataError, match="far more than its size"):
        read_export(path)


def test_a_tar_of_a_huge_header_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_FILE_BYTES", 100_000)
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
    assert not archives.is_archive(tmp_path / name)


def test_a_tar_without_its_end_is_refused(tmp_path):
    whole = gzip.decompress(a_tar(tmp_path / "e.tar.gz").read_bytes())
    (tmp_path / "e.tar").write_bytes(whole.rstrip(b"\0") + bytes(-len(whole.rstrip(b"\0")) % 512))
    with pytest.raises(DataError, match="damaged or cut short"):
        read_export(tmp_path / "e.tar")


def test_a_link_in_a_folder_is_not_followed(tmp_path):
    folder = an_archive(tmp_path, "folder", {"likes.json": b"{}"})
    (tmp_path / "secret.json").write_bytes(FILES["outbox.json"])
    (folder / "outbox.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(DataError, match="not a plain file"):
        read_export(folder)


def test_files_of_a_zip_that_overlap_are_refused(tmp_path):
    path = tmp_path / "e.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.json", b"{}" * 1000)
        for number in range(1, 9):
            archive.filelist.append(copy.copy(archive.filelist[0]))
            archive.filelist[-1].filename = f"{number}.json"
    with pytest.raises(DataError, match="overlap"):
        archives.names(path)


def test_an_encrypted_file_that_is_needed_is_refused(tmp_path):
    path = a_zip(tmp_path / "e.zip")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        name = b"outbox.json"
        assert archive.getinfo("outbox.json").flag_bits == 0
    at = data.rindex(name) - 46 + 8  # the flags in the central directory
    data[at] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        read_export(path)


def test_what_systems_add_to_an_archive_is_passed_over(tmp_path):
    path = a_zip(tmp_path / "e.zip", FILES | {"__MACOSX/._outbox.json": b"x", ".DS_Store": b"x"})
    ((batch, _),) = mastodon.read(path)
    assert batch.num_rows == 1


def test_nothing_of_an_archive_reaches_the_disk(tmp_path, monkeypatch):
    path = an_archive(tmp_path, ".tar.xz")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(tarfile.TarFile, "extractall", None)
    assert read_export(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, zstandard.compress])
def test_a_bomb_is_refused(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(files, "LARGEST_DOCUMENT_BYTES", 1 << 20)
    path = tmp_path / "e.json"
    path.write_bytes(pack(bytes(1 << 25)))
    with pytest.raises(DataError, match="1000 times its size"):
        list(files.json_lines(path))


@given(st.sampled_from([".tar.gz", ".tar.bz2", ".tar.xz"]), st.integers(0), st.integers(1, 255))
def test_damage_of_a_compressed_tar_is_noticed_or_changes_nothing(tmp_path_factory, kind, at, by):
    folder = tmp_path_factory.mktemp("damage")
    path = an_archive(folder, kind)
    whole = read_export(path)
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= by
    path.write_bytes(data)
    try:
        assert read_export(path) == whole
    except DataError:
        return
