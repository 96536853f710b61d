"""Revision 0001: the store of the first release, in which a campaign was one row of JSON.

Nothing creates it any more; it is where an upgrade begins.
"""

revision, down_revision = "0001", None


def upgrade() -> None:
    """Do nothing: a store of this revision is there already."""
