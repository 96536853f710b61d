"""Readers: stored all or none, replaced by their name, and known in every process at once."""

import json

import pytest

from rookery.core.errors import DataError, StorageError, UsageError
from rookery.search.readers import read_readers, reader_named, remove_readers, store_readers
from rookery.search.scope import KnownReader


@pytest.fixture
def told(tmp_path):
    """Write a file of readers."""

    def told(*lines):
        path = tmp_path / "readers.jsonl"
        path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
        return path

    return told


def test_a_reader_is_read_stored_and_found_by_any_form_of_the_name(home, told):
    line = {
        "name": "Ada",
        "blocks": ["bob"],
        "mutes": ["cid"],
        "muted_words": ["match fixing"],
        "country": "de",
        "sensitive": True,
    }
    assert (
        store_readers(home, read_readers(told(line, "", {"name": "bob", "blocks": ["@ADA"]}))) == 2
    )
    ada = KnownReader("Ada", ("bob",), ("cid",), ("match fixing",), "DE", True, ("bob",))
    assert reader_named(home, "@ada") == ada
    assert reader_named(home, "bob").blocked_by == ("ada",)


def test_a_line_takes_the_place_of_what_was_known_of_its_reader(home):
    store_readers(home, [KnownReader("ada", ("bob",)), KnownReader("bob")])
    assert reader_named(home, "bob").blocked_by == ("ada",)
    store_readers(home, [KnownReader("ada", mutes=("bob",))])
    assert reader_named(home, "ada") == KnownReader("ada", mutes=("bob",))
    assert reader_named(home, "bob") == KnownReader("bob")


def test_a_reader_who_is_removed_is_unknown_and_blocks_nobody(home):
    store_readers(home, [KnownReader("ada", ("bob",)), KnownReader("bob")])
    assert remove_readers(home, ["Ada", "eve"]) == 1
    assert reader_named(home, "bob").blocked_by == ()
    with pytest.raises(UsageError, match="no reader is known by the name 'ada'"):
        reader_named(home, "ada")


def test_an_unknown_reader_is_refused_and_nothing_is_written_for_it(home):
    for name in ("ada", "", "half \udc80"):
        with pytest.raises(UsageError, match="no reader"):
            reader_named(home, name)
    assert not home.readers.exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "must be a table"),
        ({}, "name is missing"),
        ({"name": 3}, "name must be"),
        ({"name": "@"}, "no name of an author"),
        ({"name": "ada", "blocks": ["\ud800"]}, "no name of an author"),
        ({"name": "ada", "block": []}, "Did you mean|unknown setting block"),
        ({"name": "ada", "blocks": "bob"}, "blocks must be"),
        ({"name": "ada", "mutes": [""]}, "no name of an author"),
        ({"name": "ada", "muted_words": ["!!"]}, "there is no word in the muted '!!'"),
        ({"name": "ada", "country": "Germany"}, "two letters"),
        ({"name": "ada", "sensitive": "no"}, "sensitive must be"),
        ({"name": "ada", "blocked_by": ["bob"]}, "blocked_by follows"),
    ],
)
def test_a_bad_line_is_named_and_nothing_of_its_file_is_stored(home, told, line, says):
    store_readers(home, [KnownReader("cid", ("dan",))])
    with pytest.raises(DataError, match=says) as error:
        store_readers(home, read_readers(told({"name": "cid"}, line, {"name": "eve"})))
    assert "line 2" in error.value.line()
    assert reader_named(home, "cid").blocks == ("dan",)
    with pytest.raises(UsageError):
        reader_named(home, "eve")


def test_files_that_cannot_be_read_are_refused_in_one_line(home, tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        store_readers(home, read_readers(tmp_path / "none"))
    (tmp_path / "latin").write_bytes(b'{"name": "\xe9"}')
    with pytest.raises(DataError, match="not UTF-8"):
        store_readers(home, read_readers(tmp_path / "latin"))
    home.readers.unlink()
    home.readers.write_text("no database " * 100)
    with pytest.raises(StorageError, match="readers cannot be used"):
        reader_named(home, "ada")
