"""What an auction reads of the ledger: viewers under another name each day."""

from rookery.ads.ledger.history import pseudonym
from rookery.ads.ledger.store import open_store, reading, sqlite_url
from tests.ads.conftest import NOW

DAY = 86_400


def test_a_viewer_has_another_name_each_day_and_in_each_home(engine, tmp_path):
    other = open_store(sqlite_url(tmp_path / "other.sqlite"))
    with reading(engine) as one, reading(other) as two:
        names = [pseudonym(c, "ada", at) for c, at in ((one, NOW), (one, NOW + DAY), (two, NOW))]
        assert pseudonym(one, "ada", NOW + 60) == names[0]
    assert len(set(names)) == 3
    other.dispose()
