"""What alembic runs: the revisions, on the connection that `upgrade.py` gives it."""

from alembic import context

from rookery.ads.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
