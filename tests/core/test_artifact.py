"""Artifacts: the manifest is last, equal content has an equal digest, and a changed file is
found.
"""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.artifact import (
    MANIFEST,
    Manifest,
    content_digest,
    find_artifacts,
    key_of,
    list_files,
    open_artifact,
    write_manifest,
)
from rookery.core.atomic import write_atomically
from rookery.core.errors import DataError
from rookery.core.rewrite import half_erased, rewrite


def publish(folder, files, created="2026-01-01", kind="thing"):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    entries = list_files(folder)
    digest = content_digest(kind, 1, {}, {}, entries)
    return write_manifest(
        folder, Manifest(kind, folder.name, 1, {}, {}, entries, digest, created=created)
    )


def test_digest_is_equal_for_equal_content_whatever_the_folder_and_the_time(tmp_path):
    one = publish(tmp_path / "one", {"a": b"1", "sub/b": b"2"}, created="2026-01-01")
    two = publish(tmp_path / "two", {"sub/b": b"2", "a": b"1"}, created="2027-01-01")
    assert one.digest == two.digest


@pytest.mark.parametrize("other", [{"a": b"2"}, {"b": b"1"}, {"a": b"1", "b": b""}, {}])
def test_digest_differs_when_a_byte_a_name_or_a_file_does(tmp_path, other):
    (tmp_path / "two").mkdir()
    assert publish(tmp_path / "one", {"a": b"1"}).digest != publish(tmp_path / "two", other).digest


def test_notes_and_temporary_files_are_not_part_of_the_content(tmp_path):
    publish(tmp_path / "one", {"a": b"1"})
    (tmp_path / "one" / ".a.12.part.tmp").write_bytes(b"left by a kill")
    (tmp_path / "one" / "notes").mkdir()
    (tmp_path / "one" / "notes" / "seconds").write_bytes(b"3")
    assert [entry.path for entry in list_files(tmp_path / "one")] == ["a"]


@given(st.integers(), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3))
def test_key_depends_on_version_config_and_inputs_and_not_on_their_order(version, inputs):
    turned = dict(reversed(inputs.items()))
    assert key_of("thing", version, {"a": 1, "b": 2}, inputs) == key_of(
        "thing", version, {"b": 2, "a": 1}, turned
    )
    assert key_of("thing", version, {"a": 1}, inputs) != key_of(
        "thing", version + 1, {"a": 1}, inputs
    )
    assert key_of("thing", version, {"a": 1}, inputs) != key_of("thing", version, {"a": 2}, inputs)
    assert key_of("thing", version, {}, inputs) != key_of(
        "thing", version, {}, inputs | {"more": "x"}
    )


def test_manifest_is_read_as_it_was_written(tmp_path):
    written = publish(tmp_path / "one", {"a": b"1"})
    assert open_artifact(tmp_path / "one") == written


def test_a_folder_without_manifest_is_no_artifact(tmp_path):
    publish(tmp_path / "thing" / "one", {"a": b"1"})
    (tmp_path / "thing" / "two").mkdir()
    assert [a.path.name for a in find_artifacts(tmp_path)] == ["one"]
    with pytest.raises(DataError, match="not a finished artifact"):
        open_artifact(tmp_path / "thing" / "two")


def test_find_lists_the_oldest_first_and_one_kind_only(tmp_path):
    publish(tmp_path / "thing" / "a", {"x": b""}, created="2026-01-02")
    publish(tmp_path / "thing" / "b", {"x": b""}, created="2026-01-01")
    publish(tmp_path / "other" / "c", {"x": b""}, created="2026-01-03", kind="other")
    assert [a.key for a in find_artifacts(tmp_path, "thing")] == ["b", "a"]
    assert [a.key for a in find_artifacts(tmp_path)] == ["b", "a", "c"]


@pytest.mark.parametrize(
    "damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"2"), lambda p: p.write_bytes(b"12")]
)
def test_verify_names_the_file_that_is_missing_or_changed(tmp_path, damage):
    artifact = publish(tmp_path / "one", {"a": b"1", "b": b"2"})
    artifact.verify()
    damage(tmp_path / "one" / "a")
    with pytest.raises(DataError, match=r"one/a\)"):
        artifact.verify()


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "thing"}', '{"kind": 1, "surplus": 2}'])
def test_a_broken_manifest_is_one_clear_line_that_names_its_folder(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(DataError) as error:
        open_artifact(tmp_path)
    assert str(tmp_path) in error.value.line()
    assert "run again what made it" in error.value.line()


def test_write_atomically_leaves_the_old_file_when_it_fails(tmp_path):
    write_atomically(tmp_path / "x", b"old")
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "x", "not bytes")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_rewritten_artifact_keeps_its_names_and_verifies(tmp_path):
    before = publish(tmp_path / "one", {"a": b"secret", "b": b"2"})

    def change():
        (tmp_path / "one" / "a").write_bytes(b"")
        return {"documents": 1}

    after = rewrite(before, {}, change)
    assert (after.key, after.digest) == (before.key, before.digest)
    assert open_artifact(tmp_path / "one").manifest.erased == {"documents": 1}
    after.verify()
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["a", "b", MANIFEST]


def test_a_rewriting_that_was_cut_short_is_found_and_goes_on(tmp_path):
    artifact = publish(tmp_path / "one", {"a": b"secret"})
    with pytest.raises(ZeroDivisionError):
        rewrite(artifact, {"asked": "monday"}, lambda: 1 / 0)
    with pytest.raises(DataError, match="an erasure was cut short"):
        artifact.verify()
    assert half_erased(artifact) == {"asked": "monday"}
    rewrite(artifact, {}, dict).verify()


def test_an_artifact_cannot_be_changed_by_its_reader(tmp_path):
    artifact = publish(tmp_path / "one", {"a": b"1"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        artifact.manifest.digest = "other"
