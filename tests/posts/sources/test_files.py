"""Files: compressed ones are read to the last byte, and the first JSON value is always found."""

import bz2
import gzip
import json
import lzma

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.errors import DataError
from rookery.posts.sources import files
from rookery.posts.sources.files import (
    SetAside,
    first_json,
    in_batches,
    json_lines,
    opened,
    well_formed,
)

SKIPPABLE = bytes.fromhex("502a4d18 04000000") + b"abcd"


def unpacked(path):
    with opened(path) as file:
        return file.read()


PACK = {
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@given(
    parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    suffix=st.sampled_from(sorted(PACK)),
)
def test_frames_are_read_one_after_the_other(tmp_path_factory, parts, suffix):
    path = tmp_path_factory.mktemp("packed") / f"x{suffix}"
    path.write_bytes(b"".join(map(PACK[suffix], parts)))
    assert unpacked(path) == b"".join(parts)


def test_xz_may_be_padded_between_its_streams(tmp_path):
    (tmp_path / "x.xz").write_bytes(lzma.compress(b"a ") + bytes(8) + lzma.compress(b"rook"))
    assert unpacked(tmp_path / "x.xz") == b"a rook"


def test_a_dump_written_with_a_long_window_is_read(tmp_path):
    parameters = zstandard.ZstdCompressionParameters(window_log=31, write_content_size=False)
    packing = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    (tmp_path / "x.zst").write_bytes(packing.compress(b"a rook\n") + packing.flush())
    assert unpacked(tmp_path / "x.zst") == b"a rook\n"


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_compressed_file_cut_short_is_refused(tmp_path, keep, suffix):
    packed = PACK[suffix](json.dumps(list(range(9999))).encode())
    path = tmp_path / f"x.jsonl{suffix}"
    path.write_bytes(packed[: int(len(packed) * keep)])
    with pytest.raises(DataError, match="damaged or cut short"):
        list(json_lines(path))


FIRST = {
    "lines.jsonl": ('\n{"a": 1}\n{"a": 2}\n', {"a": 1}),
    "broken_first.jsonl": ('{"a": \n{"a": 2}\n', {"a": 2}),
    "lines.json": ('{"a": 1}\n{"a": 2}\n', {"a": 1}),
    "document.json": ('{\n "a": [\n  1\n ]\n}\n', {"a": [1]}),
    "list.json": ('[\n {"a": 1}\n]', [{"a": 1}]),
    "marked.json": ('\ufeff{"a": 1}', {"a": 1}),
    "no_suffix": ('{"a": 1}\n', {"a": 1}),
    "words.txt": ("dear all", None),
    "number.jsonl": ("1\n2\n", None),
    "broken.json": ('{"a": ', None),
    "deep.json": ("[" * 100_000, None),
}


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), *PACK.items()])
def test_the_first_value_is_found(tmp_path, name, suffix, pack):
    text, first = FIRST[name]
    path = tmp_path / (name + suffix)
    path.write_bytes(pack(text.encode()))
    assert first_json(path) == first


def test_of_a_document_too_large_to_be_held_there_is_no_first_value(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_DOCUMENT_BYTES", 100)
    path = tmp_path / "x.json"
    path.write_text(json.dumps(list(range(100)), indent=1))
    assert first_json(path) is None


def test_what_is_read_comes_in_batches_in_its_order(monkeypatch, a_post):
    monkeypatch.setattr(files, "BATCH_POSTS", 2)
    found = [a_post(), SetAside("line 2", "no_text", {}), a_post()]
    batches = list(in_batches(found))
    assert [(batch["id"].to_pylist(), len(aside)) for batch, aside in batches] == [
        (["1"], 1),
        (["2"], 0),
    ]


@pytest.mark.parametrize(
    "pack", [*PACK.values(), lambda data: SKIPPABLE + zstandard.compress(data)]
)
def test_a_packed_file_is_looked_through_under_any_name(tmp_path, pack):
    path = tmp_path / "posts.jsonl"
    path.write_bytes(pack(b'{"a": 1}\n'))
    assert [value for _, value in json_lines(path)] == [{"a": 1}]


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_what_is_not_compressed_as_its_name_says_is_refused(tmp_path, suffix):
    (tmp_path / f"x.jsonl{suffix}").write_bytes(b'{"a": 1}\n')
    with pytest.raises(DataError, match="damaged or cut short"):
        list(json_lines(tmp_path / f"x.jsonl{suffix}"))


def test_utf_16_is_named_as_what_it_is(tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_bytes('{"a": 1}'.encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        first_json(path)


@given(st.lists(st.sampled_from("a\ud83d\ude00\ud800é"), max_size=6).map("".join))
def test_well_formed_text_can_be_written_and_whole_characters_stay(text):
    assert well_formed(text).encode().decode() == well_formed(text)
    assert well_formed("\ud83d\ude00") == "😀"
    assert well_formed("é\ud83d") == "é\ufffd"
