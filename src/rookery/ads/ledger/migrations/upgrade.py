"""Upgrading: an older store goes through the revisions that it lacks, in one transaction.

The revisions are alembic's (`versions/`); each is one step, and the last one leaves the schema of
`ledger/schema.py`. Not here: when a store is upgraded (`ledger/store.py`).
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection

from rookery.core.errors import DataError

_REVISIONS = {b"1": "0001"}
"""The revision of each format that a store may have."""


def upgrade(connection: Connection, found: bytes) -> None:
    """Take a store to the newest revision; found: its format.

    Raises `DataError` for a format of a later release.
    """
    if found not in _REVISIONS:
        raise DataError(
            f"the ads database has format {found.decode(errors='replace')}, of a later release",
            hint="Use that release",
        )
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.stamp(config, _REVISIONS[found])
    command.upgrade(config, "head")
