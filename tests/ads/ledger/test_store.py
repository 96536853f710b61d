"""The store: it is made once, by whoever comes first, and its errors are clear."""

import multiprocessing

import pytest

from rookery.ads.ledger.store import (
    get_state,
    open_store,
    opened_store,
    reading,
    set_state,
    sqlite_url,
    store_url,
    writing,
)
from rookery.core.errors import DataError, StorageError, UsageError
from rookery.core.home import open_home


def _with_database(home, url: str):
    settings = home.path / "rookery.toml"
    text = settings.read_text()
    settings.write_text(text.replace('database = ""', f'database = "{url}"'))
    return open_home(home.path)


def test_a_file_that_is_no_database_is_one_clear_error(home):
    home.ads.write_bytes(b"no database at all, but a text of some length" * 100)
    with (
        pytest.raises(DataError, match="cannot be read: file is not a database"),
        opened_store(home),
    ):
        pass


def test_a_database_of_a_later_release_is_refused(home):
    with opened_store(home) as store, writing(store) as connection:
        set_state(connection, "format", b"99")
    with pytest.raises(DataError, match="format 99, of a later release"), opened_store(home):
        pass


def test_a_home_may_keep_its_books_in_postgresql(home, postgres):
    url = postgres.database().replace("+psycopg", "")
    home = _with_database(home, url)
    with opened_store(home) as store, writing(store) as connection:
        set_state(connection, "hello", b"there")
    with opened_store(home) as store, reading(store) as connection:
        assert get_state(connection, "hello") == b"there"
    assert not home.ads.exists()


def test_a_server_that_does_not_answer_is_one_clear_error_without_its_password(home):
    home = _with_database(home, "postgresql://ads:secret@127.0.0.1:9/ads")
    with pytest.raises(StorageError, match="cannot be reached") as error, opened_store(home):
        pass
    assert "secret" not in error.value.line()


@pytest.mark.parametrize("url", ["mysql://db/ads", "not a url", "sqlite:///x"])
def test_another_database_is_refused_by_its_setting(home, url):
    with pytest.raises(UsageError, match="no PostgreSQL database"):
        store_url(_with_database(home, url))


def _open(url) -> None:
    open_store(url).dispose()


@pytest.mark.slow
def test_several_processes_may_make_the_store_at_once(tmp_path, postgres):
    for url in (str(sqlite_url(tmp_path / "new.sqlite")), postgres.database()):
        with multiprocessing.get_context("spawn").Pool(4) as pool:
            pool.map(_open, [url] * 8)
